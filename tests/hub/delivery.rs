//! Events reach those who subscribe to them, once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ftrack_api::hub::SubscribeOptions;
use ftrack_api::{ErrorKind, Event, EventHub};
use serde_json::json;

use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, SHORT, config, handle_until, hub, listen};

#[test]
fn events_go_from_hub_to_hub() {
    let server = Server::start();
    let (sender, receiver) = (hub(&server), hub(&server));
    listen(&receiver, "topic=studio.* and data.kind!=other");
    let id = sender
        .publish(Event::new("studio.x").with_data(json!({"kind": "a", "n": 1})))
        .unwrap();
    sender
        .publish(Event::new("studio.x").with_data(json!({"kind": "other"})))
        .unwrap();
    sender.publish(Event::new("other")).unwrap();
    let event = receiver.next(LONG).unwrap().unwrap();
    assert_eq!((event.id(), event.username()), (id.as_str(), Some("ada")));
    assert_eq!(event.data()["n"], 1);
    assert!(event.source()["host"].is_string());
    assert!(receiver.next(SHORT).unwrap().is_none());
    assert!(!receiver.is_own(&event) && sender.is_own(&event));
    sender.flush(LONG).unwrap();
    let counts = sender.counts();
    assert_eq!(
        (counts.published, counts.acknowledged, counts.undelivered),
        (3, 3, 0)
    );
}

#[test]
fn the_publisher_hears_itself_unless_it_does_not_want_to() {
    let server = Server::start();
    let hub = EventHub::new(config(&server).client_token("me--1"));
    hub.connect().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for (name, options) in [
        ("all", SubscribeOptions::new()),
        ("others", SubscribeOptions::new().ignore_own(true)),
    ] {
        let heard = Arc::clone(&heard);
        let options = options.acknowledged(LONG);
        hub.subscribe_with("topic=a", options, move |event| {
            heard
                .lock()
                .unwrap()
                .push(format!("{name} {}", event.data()));
            Ok(None)
        })
        .unwrap();
    }
    let source = json!({"id": "somebody"});
    hub.publish(Event::new("a").with_data(1)).unwrap();
    hub.publish(Event::new("a").with_data(2).with_source(source.clone()))
        .unwrap();
    let caused = Event::new("a")
        .with_data(json!({"clientToken": "me--1"}))
        .with_source(source);
    hub.publish(caused).unwrap();
    handle_until(&hub, || heard.lock().unwrap().len() >= 4);
    let heard = heard.lock().unwrap().join(", ");
    assert_eq!(
        heard,
        r#"all 1, all 2, others 2, all {"clientToken":"me--1"}"#
    );
}

#[test]
fn targets_select_subscribers() {
    let server = Server::start();
    let (sender, receiver) = (hub(&server), hub(&server));
    let heard = Arc::new(Mutex::new(Vec::new()));
    for id in ["one", "two"] {
        let heard = Arc::clone(&heard);
        let options = SubscribeOptions::new()
            .subscriber(json!({"id": id}))
            .acknowledged(LONG);
        receiver
            .subscribe_with("topic=t", options, move |_| {
                heard.lock().unwrap().push(id);
                Ok(None)
            })
            .unwrap();
    }
    sender
        .publish(Event::new("t").with_target("id=two"))
        .unwrap();
    sender
        .publish(Event::new("t").with_target("id=three"))
        .unwrap();
    handle_until(&receiver, || !heard.lock().unwrap().is_empty());
    assert_eq!(*heard.lock().unwrap(), ["two"]);
}

/// Each event is delivered or reported, none twice, although connections break all the time.
#[test]
fn a_burst_loses_nothing_silently() {
    const COUNT: usize = 3_000;
    let server = Server::start();
    let receiver = hub(&server);
    listen(&receiver, "topic=burst");
    let sender = EventHub::new(config(&server));
    let reported = Arc::new(Mutex::new(HashSet::new()));
    let reports = Arc::clone(&reported);
    sender.on_undelivered(move |event, why| {
        assert!(!why.is_empty());
        assert!(
            reports.lock().unwrap().insert(event.id().to_string()),
            "reported twice"
        );
    });
    sender.connect().unwrap();
    server.faults(|faults| faults.cut = 0.006);
    let mut published = HashSet::new();
    for number in 0..COUNT {
        published.insert(
            sender
                .publish(Event::new("burst").with_data(number))
                .unwrap(),
        );
    }
    if let Err(error) = sender.flush(LONG) {
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    }
    server.faults(|faults| faults.cut = 0.0);
    sender.disconnect();
    let counts = sender.counts();
    assert!(counts.reconnects > 0, "no connection was cut");
    let reported = reported.lock().unwrap();
    assert_eq!(counts.acknowledged + counts.undelivered, COUNT as u64);
    assert_eq!(counts.undelivered, reported.len() as u64);
    // What the receiver misses was passed on while its own connection was cut: the server
    // then sends it to no client. Every other event reaches it, once.
    let mut received = HashSet::new();
    let mut missing: HashSet<_> = published.difference(&reported).cloned().collect();
    loop {
        let may_miss = missing.is_empty() || receiver.counts().reconnects > 0;
        let patience = if may_miss { SHORT } else { LONG };
        let Some(event) = receiver.next(patience).unwrap() else {
            break;
        };
        missing.remove(event.id());
        assert!(received.insert(event.id().to_string()), "delivered twice");
    }
    assert!(received.is_subset(&published));
    assert!(missing.is_empty() || receiver.counts().reconnects > 0);
}

#[test]
fn the_receiver_of_a_burst_gets_everything_once() {
    const COUNT: usize = 3_000;
    let server = Server::start();
    let (sender, receiver) = (hub(&server), hub(&server));
    listen(&receiver, "topic=burst");
    let cutting = sender.clone();
    let cutter = thread::spawn(move || {
        for _ in 0..10 {
            // Five connections without any acknowledgement would hand an event back.
            let before = cutting.counts().acknowledged;
            eventually("something is acknowledged", || {
                let now = cutting.counts().acknowledged;
                now > before || now == COUNT as u64
            });
            thread::sleep(Duration::from_millis(20));
            cutting.reconnect().unwrap();
        }
    });
    let publisher = thread::spawn(move || {
        for number in 0..COUNT {
            sender
                .publish(Event::new("burst").with_data(number))
                .unwrap();
        }
        sender.flush(LONG).unwrap();
        assert_eq!(sender.counts().undelivered, 0);
        cutter.join().unwrap();
        sender.counts().reconnects
    });
    let mut seen = vec![0; COUNT];
    for _ in 0..COUNT {
        let event = receiver.next(LONG).unwrap().expect("all events arrive");
        seen[usize::try_from(event.data().as_u64().unwrap()).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| *count == 1));
    assert!(publisher.join().unwrap() > 0);
    assert!(receiver.next(SHORT).unwrap().is_none());
}

#[test]
fn local_events_stay_here() {
    let server = Server::start();
    let hub = hub(&server);
    hub.subscribe("topic=t", |_| Ok(Some(json!("reply"))))
        .unwrap();
    assert_eq!(hub.publish_synchronous(Event::new("t")), ["reply"]);
    hub.publish(Event::new("end")).unwrap();
    hub.flush(LONG).unwrap();
    let counts = hub.counts();
    assert_eq!((counts.published, counts.received), (1, 0));
}

#[test]
fn large_events_pass() {
    let server = Server::start();
    // It sends no heartbeats, and a traced packet takes long on a busy machine.
    server.faults(|faults| faults.heartbeat = Some(600));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    for size in [65_000, 65_536, 200_000, 5_000_000] {
        hub.publish(Event::new("t").with_data("é".repeat(size / 2)))
            .unwrap();
        let event = hub.next(LONG).unwrap().unwrap();
        assert_eq!(event.data().as_str().unwrap().len(), size);
    }
    // Others may send more than this hub does.
    let event = Event::new("t").with_data("x".repeat(20_000_000));
    server.send(&format!(
        "5:::{}",
        json!({"name": "ftrack.event", "args": [event]})
    ));
    assert_eq!(hub.next(LONG).unwrap().unwrap().id(), event.id());
    assert_eq!(hub.counts().reconnects, 0);
}

#[test]
fn events_nobody_waits_for_are_bounded() {
    let server = Server::start();
    let receiver = EventHub::new(config(&server).incoming_limit(10));
    receiver.connect().unwrap();
    listen(&receiver, "topic=t");
    let sender = hub(&server);
    for number in 0..100 {
        sender.publish(Event::new("t").with_data(number)).unwrap();
    }
    eventually("all arrive", || receiver.counts().received == 100);
    assert_eq!(receiver.next(LONG).unwrap().unwrap().data(), 90);
    assert!(receiver.counts().dropped >= 90);
    assert_eq!(receiver.poll(), 9);
}

#[test]
fn events_nobody_handles_are_bounded_in_bytes() {
    const LARGE: usize = 10_000;
    let server = Server::start();
    let receiver = EventHub::new(config(&server).incoming_bytes(10 * LARGE));
    receiver.connect().unwrap();
    listen(&receiver, "topic=t");
    let sender = hub(&server);
    for number in 0..100 {
        let data = json!([number, "x".repeat(LARGE)]);
        sender.publish(Event::new("t").with_data(data)).unwrap();
    }
    eventually("all arrive", || receiver.counts().received == 100);
    let dropped = receiver.counts().dropped;
    assert!(dropped >= 91, "{dropped}");
    let first = receiver.next(LONG).unwrap().unwrap();
    assert_eq!(first.data()[0], dropped - 1);
}
