//! Limits and counters of the machine: what a mistake by one comparison would change.

use super::*;

fn quick(scenario: &Scenario) -> bool {
    let until = scenario.machine.wake_at().unwrap();
    until <= scenario.now + Duration::from_millis(20)
}

#[test]
fn an_interruption_opens_again_only_while_opening() {
    let mut s = Scenario::new();
    s.expect(&["open"]);
    s.machine.interrupted();
    s.look().expect(&["open"]);
    s.connect().done();
    s.machine.interrupted();
    s.look().expect(&[]);
    // What is opened without being asked for is ignored.
    s.machine.opened(s.now, None);
    s.pass(1.0).expect(&[]);
}

#[test]
fn aborting_hands_everything_back_at_once() {
    let mut s = Scenario::connected();
    s.publish("a").done();
    s.machine.abort();
    let why = "the event hub was closed before it was acknowledged";
    let undelivered = format!("undelivered a: {why}");
    s.look().expect(&["close", &undelivered, "end None"]);
}

#[test]
fn silence_is_that_of_an_open_connection() {
    let mut s = Scenario::new();
    assert!(!s.machine.is_silent(Duration::from_secs(1000)));
    s.connect();
    let at = |seconds: u64| s.now + Duration::from_secs(seconds);
    assert!(!s.machine.is_silent(at(16)));
    assert!(s.machine.is_silent(at(17)));
}

#[test]
fn a_connection_that_lasted_or_was_of_use_is_replaced_at_once() {
    let mut s = Scenario::connected();
    s.pass(9.0).cut();
    assert!(!quick(&s), "it was short");
    s.pass(1.0).connect().pass(11.0).cut();
    assert!(quick(&s), "it lasted");
    s.pass(1.0).connect().publish("a").receive("6:::1").cut();
    assert!(quick(&s), "an event was acknowledged");
    // It does not count for the next one.
    s.pass(1.0).connect().cut();
    assert!(!quick(&s), "nothing came of it");
    s.pass(1.0).connect().publish("b");
    s.receive("6:::2+[{\"success\":false}]").cut();
    assert!(quick(&s), "an event was rejected");
}

#[test]
fn ending_an_unknown_subscription_sends_nothing() {
    let mut s = Scenario::connected();
    s.machine.unsubscribe(s.now, "nobody", "\"unsub\"".into());
    s.look().expect(&[]);
    s.machine.subscribe(s.now, "s1".into(), "\"sub1\"".into());
    s.look().done();
    s.cut();
    s.machine.unsubscribe(s.now, "s1", "\"unsub\"".into());
    s.pass(1.0).done();
    s.connect().expect(&["up"]);
}

#[test]
fn the_machine_wakes_for_whatever_comes_first() {
    let mut s = Scenario::connected();
    s.publish("a").done();
    let silent = s.now + Duration::from_secs(17);
    assert_eq!(s.machine.wake_at(), Some(silent));
    // Heartbeats put that off, until the acknowledgement is overdue before.
    let overdue = s.now + Duration::from_secs(30);
    s.pass(15.0).receive("2::");
    assert_eq!(s.machine.wake_at(), Some(overdue));
    s.stop();
    assert_eq!(s.machine.wake_at(), Some(s.now + Duration::from_millis(75)));
}

#[test]
fn what_is_overdue_is_sent_again_and_makes_room() {
    let mut s = Scenario::connected();
    s.publish("a").publish("b").done();
    for _ in 0..3 {
        s.pass(10.0).receive("2::");
    }
    s.pass(1.0).done();
    // The first may be the cause, so it is alone.
    s.connect().expect(&["up", "5:3 a"]);

    let settings = Settings {
        window: 1,
        ..Settings::default()
    };
    let mut s = Scenario::with(settings, true);
    s.connect().done();
    s.machine.subscribe(s.now, "s1".into(), "\"sub1\"".into());
    s.publish("a").expect(&["5:1 sub1"]);
    for _ in 0..2 {
        s.pass(14.0).receive("2::").done();
    }
    s.pass(2.1);
    let no = "subscribed s1 Err(\"the event server did not respond\")";
    s.expect(&[no, "5:2 a"]);
    // That was no acknowledgement, so the window is not wider.
    s.publish("b").expect(&[]);
}

#[test]
fn what_waits_for_the_window_is_forgotten_with_its_connection() {
    let settings = Settings {
        window: 1,
        ..Settings::default()
    };
    let mut s = Scenario::with(settings, true);
    s.connect().done();
    for id in ["s1", "s2"] {
        let text = format!("\"{id}\"");
        s.machine.subscribe(s.now, id.into(), text);
    }
    s.look().expect(&["5:1 s1"]);
    s.cut().pass(1.0).done();
    // Each once, although the second was waiting.
    s.connect().expect(&["up", "5:2 s1"]);
    s.receive("6:::2")
        .expect(&["subscribed s1 Ok(())", "5:3 s2"]);
    s.receive("6:::3").expect(&["subscribed s2 Ok(())"]);
}

#[test]
fn the_window_is_bounded_in_bytes_on_every_connection() {
    let settings = Settings {
        window_bytes: 1000,
        ..Settings::default()
    };
    let mut s = Scenario::with(settings, true);
    s.connect().done();
    let large = "x".repeat(600);
    for _ in 0..6 {
        s.publish(&large);
    }
    assert_eq!(s.done().len(), 2, "the second exceeds the bytes");
    s.receive("6:::1");
    assert_eq!(s.done().len(), 2, "one acknowledged, one sent");
    s.receive("6:::2");
    assert_eq!(s.done().len(), 2);
    s.cut().pass(1.0).done();
    s.connect();
    assert_eq!(s.done().len(), 3, "up, and two again");
}

#[test]
fn a_new_connection_knows_nothing_of_the_one_before() {
    let mut s = Scenario::connected();
    for index in 0..200 {
        s.publish(&format!("{index}"));
    }
    // The server is far away: the window grows.
    s.pass(0.003).receive("6:::1");
    assert!(s.done().len() > 40);
    s.cut().pass(1.0).done();
    s.connect();
    assert_eq!(s.done().len(), 33, "up, and the smallest window");
    // Nothing was acknowledged on this one: the first event may be the cause.
    s.cut().pass(60.0).done();
    s.connect();
    assert_eq!(s.done().len(), 2, "up, and the first event alone");
}

#[test]
fn a_suspect_is_the_only_event_in_flight_beside_subscriptions() {
    let mut s = Scenario::connected();
    s.machine.subscribe(s.now, "s1".into(), "\"sub1\"".into());
    s.publish("a").publish("b").done();
    s.cut().pass(1.0).done();
    s.connect().expect(&["up", "5:4 sub1", "5:5 a"]);
    s.receive("6:::4").expect(&["subscribed s1 Ok(())"]);
    s.receive("6:::5").expect(&["acked a", "5:6 b"]);
}

#[test]
fn unknown_packets_accept_nothing_and_the_server_may_end_a_connection() {
    let mut s = Scenario::new();
    s.expect(&["open"]);
    s.machine.opened(s.now + Duration::from_secs(10), None);
    s.receive("8::").expect(&[]);
    s.receive("1::").expect(&["up"]);
    s.receive("8::").expect(&[]);
    let log = s.receive("0::").done();
    assert!(log.iter().any(|line| line.starts_with("down: ")), "{log:?}");
}

#[test]
fn what_is_unexpected_is_reported() {
    let mut s = Scenario::connected();
    for (text, expected) in [
        ("9", "ignored a packet with an unknown code"),
        ("6:::x", "ignored an acknowledgement without a number"),
        ("7:::late", "the server reports an error"),
        ("5:::{]", "ignored an invalid event"),
    ] {
        s.machine.received(s.now, text);
        match s.machine.next_quick_output() {
            Some(Output::Unexpected { what, .. }) => assert_eq!(what, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert!(!s.machine.has_output());
    }
    s.machine.subscribe(s.now, "s1".into(), "\"sub\"".into());
    s.machine.unsubscribe(s.now, "s1", "\"unsub\"".into());
    s.look().done();
    s.machine
        .received(s.now, "6:::2+[{\"success\":false,\"message\":\"no\"}]");
    let reported = s.machine.next_quick_output();
    assert!(matches!(reported, Some(Output::Unexpected { text, .. }) if text == "no"));
    // Opening and ending are not quick.
    s.machine.reconnect();
    assert!(matches!(s.machine.next_quick_output(), Some(Output::Close)));
    assert!(s.machine.has_output() && s.machine.next_quick_output().is_none());
}
