//! Tests of the machine: lives of connections, told step by step with a clock of their own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod edges;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::error::{Error, ErrorKind};
use crate::socketio::{Machine, Output, Settings};

/// A machine, its clock and what it has asked for since somebody looked.
struct Scenario {
    machine: Machine,
    now: Duration,
    log: Vec<String>,
}

impl Scenario {
    fn with(settings: Settings, persistent: bool) -> Self {
        let machine = Machine::new(settings, 7, persistent);
        let mut made = Self {
            machine,
            now: Duration::ZERO,
            log: Vec::new(),
        };
        made.machine.start();
        made.look();
        made
    }

    fn new() -> Self {
        Self::with(Settings::default(), true)
    }

    /// Connected, with nothing left in the log.
    fn connected() -> Self {
        let mut made = Self::new();
        made.connect().done();
        made
    }

    fn connect(&mut self) -> &mut Self {
        let accept_by = self.now + Duration::from_secs(10);
        self.machine
            .opened(accept_by, Some(Duration::from_secs(15)));
        self.receive("1::")
    }

    fn receive(&mut self, text: &str) -> &mut Self {
        self.machine.received(self.now, text);
        self.look()
    }

    fn publish(&mut self, name: &str) -> &mut Self {
        self.machine.publish(self.now, format!("\"{name}\""));
        self.look()
    }

    fn cut(&mut self) -> &mut Self {
        self.machine
            .lost(self.now, Error::new(ErrorKind::Connection, "cut"));
        self.look()
    }

    fn stop(&mut self) -> &mut Self {
        self.machine.stop(self.now);
        self.look()
    }

    /// Lets time pass, waking the machine whenever it wants.
    fn pass(&mut self, seconds: f64) -> &mut Self {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.machine.wake_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.machine.tick(self.now);
            self.look();
            assert!(self.machine.wake_at() > Some(self.now) || self.machine.wake_at().is_none());
        }
        self.now = end;
        self.machine.tick(end);
        self.look()
    }

    fn look(&mut self) -> &mut Self {
        while let Some(output) = self.machine.next_output() {
            self.log.push(match output {
                Output::Open => "open".into(),
                Output::Close => "close".into(),
                Output::Up => "up".into(),
                Output::Send(packet) => short(&packet),
                Output::Down { error, .. } => format!("down: {error}"),
                Output::Deliver(event) => format!("deliver {}", event.id),
                Output::Unexpected { .. } => continue,
                Output::Duplicate => "duplicate".into(),
                Output::Acknowledged(event) => format!("acked {}", event.text.trim_matches('"')),
                Output::Undelivered { event, why } => {
                    format!("undelivered {}: {why}", event.text.trim_matches('"'))
                }
                Output::Subscribed { id, result } => format!("subscribed {id} {result:?}"),
                Output::End(error) => format!("end {:?}", error.map(|error| error.kind())),
            });
        }
        self
    }

    fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    #[track_caller]
    fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(self.done(), expected);
        self
    }
}

/// `5:3+::{"name":…,"args":["x"]}` as `5:3 x`.
fn short(packet: &str) -> String {
    match packet.split_once("+::") {
        Some((head, rest)) => {
            let content = rest
                .split_once("\"args\":[")
                .unwrap()
                .1
                .trim_end_matches("]}");
            format!("{head} {}", content.trim_matches('"'))
        }
        None => packet.to_string(),
    }
}

fn event(id: &str) -> String {
    format!(r#"5:::{{"name":"ftrack.event","args":[{{"id":"{id}","topic":"t"}}]}}"#)
}

#[test]
fn connects_and_keeps_what_was_published_meanwhile_in_order() {
    let mut s = Scenario::new();
    s.expect(&["open"]);
    s.publish("a").publish("b").expect(&[]);
    s.machine.opened(s.now + Duration::from_secs(10), None);
    s.look().expect(&[]);
    s.receive("1::").expect(&["up", "5:1 a", "5:2 b"]);
    s.receive("6:::2+[{\"success\":true}]")
        .receive("6:::1")
        .expect(&["acked b", "acked a"]);
}

#[test]
fn replies_to_heartbeats_and_acknowledges_what_asks_for_it() {
    let mut s = Scenario::connected();
    s.receive("2::").receive("2:::").expect(&["2::", "2::"]);
    let numbered = event("x").replace("5::", "5:9+:");
    s.receive(&numbered).expect(&["6:::9", "deliver x"]);
}

#[test]
fn delivers_once_even_after_a_reconnect() {
    let mut s = Scenario::connected();
    s.receive(&event("x"))
        .receive(&event("x"))
        .expect(&["deliver x", "duplicate"]);
    s.cut().pass(1.0).connect().done();
    s.receive(&event("x"))
        .receive(&event("y"))
        .expect(&["duplicate", "deliver y"]);
}

#[test]
fn survives_garbage() {
    let mut s = Scenario::connected();
    for text in [
        "x",
        "9::",
        "6:::x",
        "6:::99",
        "5:::",
        "5:::{]",
        "5:::{\"name\":3}",
        "::::",
        "7:::x",
    ] {
        s.receive(text).expect(&[]);
    }
    s.receive(&event("x")).expect(&["deliver x"]);
}

#[test]
fn an_empty_frame_is_a_lost_connection() {
    let mut s = Scenario::connected();
    let log = s.receive("").done();
    assert_eq!(log[0], "close");
    assert!(log[1].starts_with("down: an empty frame"), "{log:?}");
}

#[test]
fn restores_subscriptions_before_it_publishes() {
    let mut s = Scenario::connected();
    s.machine.subscribe(s.now, "s1".into(), "\"sub1\"".into());
    s.machine.subscribe(s.now, "s2".into(), "\"sub2\"".into());
    s.machine.subscribe(s.now, "s1".into(), "\"again\"".into());
    s.look().expect(&["5:1 sub1", "5:2 sub2"]);
    s.receive("6:::1+[{\"success\":true}]");
    s.receive("6:::2+[{\"success\":false,\"message\":\"no\"}]");
    s.expect(&["subscribed s1 Ok(())", "subscribed s2 Err(\"no\")"]);
    s.machine.unsubscribe(s.now, "s2", "\"unsub2\"".into());
    s.look().expect(&["5:3 unsub2"]);
    s.cut().publish("a").pass(1.0).done();
    s.connect().expect(&["up", "5:4 sub1", "5:5 a"]);
}

#[test]
fn sends_again_what_was_not_acknowledged() {
    let mut s = Scenario::connected();
    s.publish("a")
        .publish("b")
        .publish("c")
        .receive("6:::2")
        .done();
    s.cut().pass(1.0).publish("d").done();
    // Nothing shows whether "a" ended the connection: as "b" was acknowledged, it did not.
    s.connect().expect(&["up", "5:4 a", "5:5 c", "5:6 d"]);
    s.receive("6:::1").expect(&[]);
    s.receive("6:::4").expect(&["acked a"]);
}

#[test]
fn keeps_within_the_window() {
    let mut s = Scenario::connected();
    for index in 0..100 {
        s.publish(&format!("{index}"));
    }
    assert_eq!(s.done().len(), 32);
    s.receive("6:::1").expect(&["acked 0", "5:33 32"]);
    // The server turns out to be far away: the window grows to what is under way.
    s.pass(0.004).receive("6:::2");
    assert_eq!(s.done().len(), 2);
}

#[test]
fn the_window_grows_with_the_distance() {
    let mut s = Scenario::connected();
    s.pass(1.0).done();
    for index in 0..1000 {
        s.publish(&format!("{index}"));
    }
    s.done();
    s.pass(0.003).receive("6:::1");
    assert_eq!(s.done().len() - 1, 96 - 31);
}

#[test]
fn an_event_that_breaks_connections_is_tried_alone_and_handed_back() {
    let mut s = Scenario::connected();
    s.publish("bad").publish("good").done();
    for strike in 1..5 {
        s.cut().pass(60.0).done();
        let log = s.connect().done();
        assert_eq!(log.len(), 2, "strike {strike}: {log:?}");
        assert!(log[1].ends_with("bad"), "{log:?}");
    }
    let log = s.cut().done();
    assert_eq!(
        log[0],
        "undelivered bad: 5 connections broke before it was acknowledged"
    );
    s.pass(60.0).done();
    let log = s.connect().done();
    assert!(log[1].ends_with("good"), "{log:?}");
}

#[test]
fn a_connection_that_was_to_be_replaced_did_not_break() {
    let mut s = Scenario::connected();
    s.publish("one").publish("two").done();
    for _ in 0..10 {
        s.machine.reconnect();
        let log = s.connect().done();
        assert_eq!(log[..3], ["close", "open", "up"], "{log:?}");
        assert!(log[3].ends_with("one"), "{log:?}");
        assert!(log[4].ends_with("two"), "{log:?}");
    }
}

#[test]
fn backs_off_and_recovers() {
    let mut s = Scenario::connected();
    s.receive(&event("x")).cut().done();
    s.pass(0.020).expect(&["open"]);
    let mut delays = Vec::new();
    for _ in 0..10 {
        s.cut();
        let before = s.now;
        let at = s.machine.wake_at().unwrap();
        delays.push((at - before).as_secs_f64());
        s.pass((at - before).as_secs_f64() + 0.001);
        assert_eq!(s.done().last().unwrap(), "open");
    }
    for (index, delay) in delays.iter().enumerate() {
        let full = (0.25 * f64::from(1 << index)).min(30.0);
        assert!(
            (full / 2.0..=full).contains(delay),
            "{index}: {delay} of {full}"
        );
    }
    s.connect().receive(&event("y")).cut().done();
    assert!(s.machine.wake_at().unwrap() <= s.now + Duration::from_millis(20));
}

#[test]
fn gives_up_after_the_attempts_allowed() {
    let settings = Settings {
        attempts: Some(3),
        ..Settings::default()
    };
    let mut s = Scenario::with(settings, true);
    s.publish("a");
    for _ in 0..2 {
        s.cut().pass(60.0);
    }
    s.done();
    let log = s.cut().done();
    assert_eq!(log[1], "undelivered a: the event hub gave up: cut");
    assert_eq!(log[2], "end Some(Connection)");
    s.publish("b")
        .expect(&["undelivered b: the event hub is closed"]);
    s.pass(1000.0).expect(&[]);
}

#[test]
fn the_first_failure_is_final_unless_told_otherwise() {
    let mut s = Scenario::with(Settings::default(), false);
    s.done();
    s.cut().expect(&["close", "end Some(Connection)"]);
    let mut s = Scenario::with(Settings::default(), false);
    s.connect().receive(&event("x")).done();
    s.cut().pass(1.0);
    assert_eq!(s.done().last().unwrap(), "open");
}

#[test]
fn an_expired_session_is_refused_and_tried_anew() {
    let mut s = Scenario::new();
    s.done();
    s.machine.opened(s.now + Duration::from_secs(10), None);
    let log = s.receive("7:::1+0").done();
    assert_eq!(
        log[1],
        "down: the event server rejected the connection: 1+0"
    );
    s.pass(1.0).expect(&["open"]);
}

#[test]
fn notices_silence() {
    let mut s = Scenario::new();
    s.machine.opened(s.now + Duration::from_secs(10), None);
    s.done();
    let log = s.pass(10.0).done();
    assert_eq!(
        log[1],
        "down: the event server did not accept the connection in time"
    );
    let mut s = Scenario::connected();
    s.pass(16.0).receive("2::").pass(16.0).expect(&["2::"]);
    let log = s.pass(2.0).done();
    assert_eq!(
        log[1],
        "down: nothing was heard from the event server in time"
    );
}

#[test]
fn notices_missing_acknowledgements() {
    let mut s = Scenario::connected();
    s.machine.subscribe(s.now, "s1".into(), "\"sub1\"".into());
    s.publish("a").done();
    for _ in 0..5 {
        s.pass(5.9).receive("2::");
    }
    assert!(!s.done().iter().any(|line| line.starts_with("down")));
    // The subscription is reported and the connection kept; the event is tried again.
    let log = s.pass(0.6).done();
    assert_eq!(
        log[0],
        "subscribed s1 Err(\"the event server did not respond\")"
    );
    assert!(log.contains(&"down: the event server does not acknowledge events in time".into()));
}

#[test]
fn what_takes_long_to_send_is_not_overdue() {
    let mut s = Scenario::connected();
    s.publish("large").done();
    for _ in 0..20 {
        s.pass(5.0).receive("2::");
        s.machine.sent_more(s.now);
    }
    for _ in 0..5 {
        s.pass(5.9).receive("2::");
    }
    assert!(!s.done().iter().any(|line| line.starts_with("down")));
    let log = s.pass(0.6).done();
    assert!(log.contains(&"down: the event server does not acknowledge events in time".into()));
}

#[test]
fn closing_waits_a_moment_for_acknowledgements() {
    let mut s = Scenario::connected();
    s.stop().expect(&["close", "end None"]);
    let mut s = Scenario::connected();
    s.publish("a").publish("b").done();
    s.stop().receive("6:::1").expect(&["acked a"]);
    s.receive("6:::2").expect(&["acked b", "close", "end None"]);
    let mut s = Scenario::connected();
    s.publish("a").stop().done();
    let log = s.pass(0.076).done();
    assert_eq!(
        log[1],
        "undelivered a: the event hub was closed before it was acknowledged"
    );
    let mut s = Scenario::connected();
    s.publish("a").stop().cut();
    assert_eq!(s.done().last().unwrap(), "end None");
}

#[test]
fn stopping_is_immediate_without_a_connection() {
    let mut s = Scenario::new();
    s.publish("a").done();
    let log = s.stop().done();
    assert_eq!((log.len(), log[2].as_str()), (3, "end None"));
    let mut s = Scenario::connected();
    s.publish("a").cut().done();
    assert_eq!(s.stop().done().last().unwrap(), "end None");
    s.stop().cut().receive("1::").expect(&[]);
}

#[test]
fn a_refused_event_is_handed_back() {
    let mut s = Scenario::connected();
    s.publish("a").done();
    s.receive("6:::1+[{\"success\":false,\"message\":\"bad\"}]");
    s.expect(&["undelivered a: the event server rejected it: bad"]);
}

#[test]
fn reconnecting_on_request_loses_nothing() {
    let mut s = Scenario::connected();
    s.publish("a").done();
    s.machine.reconnect();
    s.look().expect(&["close", "open"]);
    s.connect().expect(&["up", "5:2 a"]);
}

#[derive(Clone, Debug)]
enum Step {
    Publish,
    Ack(usize),
    Receive(String),
    Cut,
    Pass(u32),
    Connect,
    Reconnect,
    Subscribe(u8),
    Unsubscribe(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        4 => (0_usize..4).prop_map(Step::Ack),
        1 => "[0-9:+{}]{0,8}".prop_map(Step::Receive),
        1 => "[ab]".prop_map(|id| Step::Receive(event(&id))),
        1 => Just(Step::Cut),
        2 => (0_u32..40_000).prop_map(Step::Pass),
        3 => Just(Step::Connect),
        1 => Just(Step::Reconnect),
        1 => (0_u8..3).prop_map(Step::Subscribe),
        1 => (0_u8..3).prop_map(Step::Unsubscribe),
    ]
}

proptest! {
#![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever happens: every event is acknowledged or handed back, once; nothing is sent
    /// without a connection; the machine never wants to be woken in the past.
    #[test]
    fn nothing_is_lost_and_nothing_is_reported_twice(
        steps in prop::collection::vec(any_step(), 0..120)
    ) {
        let mut s = Scenario::new();
        let mut published = 0;
        let mut flying: BTreeMap<u64, ()> = BTreeMap::new();
        let mut fates: BTreeSet<String> = BTreeSet::new();
        let mut opening = true;
        let mut open = false;
        for step in steps.into_iter().chain([Step::Pass(0)]) {
            match step {
                Step::Publish => {
                    s.publish(&format!("e{published}"));
                    published += 1;
                }
                Step::Ack(index) => {
                    if let Some(number) = flying.keys().nth(index).copied() {
                        flying.remove(&number);
                        s.receive(&format!("6:::{number}+[{{\"success\":true}}]"));
                    }
                }
                Step::Receive(text) => { s.receive(&text); }
                Step::Cut => { s.cut(); }
                Step::Pass(ms) => { s.pass(f64::from(ms) / 1000.0); }
                Step::Connect if opening => {
                    opening = false;
                    open = true;
                    s.connect();
                }
                Step::Connect => {}
                Step::Reconnect => {
                    s.machine.reconnect();
                    s.look();
                }
                Step::Subscribe(n) => {
                    s.machine.subscribe(s.now, format!("s{n}"), format!("\"s{n}\""));
                    s.look();
                }
                Step::Unsubscribe(n) => {
                    s.machine.unsubscribe(s.now, &format!("s{n}"), format!("\"u{n}\""));
                    s.look();
                }
            }
            for line in s.done() {
                let (word, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
                match word {
                    "open" => opening = true,
                    "close" => {
                        open = false;
                        opening = false;
                        flying.clear();
                    }
                    "5" => {
                        prop_assert!(open, "sent without a connection: {}", line);
                        flying.insert(rest.split_once(' ').unwrap().0.parse().unwrap(), ());
                    }
                    "acked" | "undelivered" => {
                        let name = rest.split_once(':').map_or(rest, |parts| parts.0);
                        prop_assert!(fates.insert(name.to_string()), "twice: {}", line);
                    }
                    _ => {}
                }
            }
        }
        s.stop().pass(1.0);
        for line in s.done() {
            if let Some((word, rest)) = line.split_once(' ')
                && matches!(word, "acked" | "undelivered")
            {
                let name = rest.split_once(':').map_or(rest, |parts| parts.0);
                prop_assert!(fates.insert(name.to_string()), "twice: {}", line);
            }
        }
        prop_assert_eq!(fates.len(), published);
    }
}
