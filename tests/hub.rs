//! The event hub over real sockets: what it does, and what it survives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
#[path = "hub/server.rs"]
mod server;
mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::event::{Action, ActionItem, Form, FormField, Launch, Outcome};
use ftrack_api::{ErrorKind, Event, EventHub, HubConfig, HubState, Network, SubscribeOptions};
use serde_json::{Value, json};

use server::Server;
use support::{eventually, secret};

/// Long enough for what should come on a busy machine, short enough to wait for what should not.
const SHORT: Duration = Duration::from_millis(600);
/// For what must happen at last: who waits so long has a fault and not just a busy machine.
const LONG: Duration = Duration::from_secs(120);

const KEY: &str = "hub-key-to-keep";

fn config(server: &Server) -> HubConfig {
    config_for(&server.url())
}

fn config_for(url: &str) -> HubConfig {
    HubConfig::new(url, "ada", secret(KEY)).unwrap()
}

fn hub(server: &Server) -> EventHub {
    let hub = EventHub::new(config(server));
    hub.connect().unwrap();
    hub
}

/// Subscribes so that nothing published afterwards is missed.
fn listen(hub: &EventHub, expression: &str) {
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with(expression, options, |_| Ok(None))
        .unwrap();
}

/// Runs handlers until `condition` holds, and a little longer for what should not come.
#[track_caller]
fn handle_until(hub: &EventHub, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "the events never came");
        hub.wait(Duration::from_millis(10)).unwrap();
    }
    hub.wait(Duration::from_millis(100)).unwrap();
}

/// `disconnect` and `close` are prompt in every state: where they have to give the thread up, the
/// log says so.
#[track_caller]
fn disconnects_promptly(hub: &EventHub) {
    support::trace::listen();
    hub.disconnect();
    assert_eq!(support::trace::logged("left to itself"), []);
    assert_eq!(hub.state(), HubState::Disconnected);
}

#[test]
fn events_go_from_hub_to_hub() {
    let server = Server::start();
    let (sender, receiver) = (hub(&server), hub(&server));
    listen(&receiver, "topic=studio.* and data.kind!=other");
    let id = sender
        .publish(Event::new("studio.x").data(json!({"kind": "a", "n": 1})))
        .unwrap();
    sender
        .publish(Event::new("studio.x").data(json!({"kind": "other"})))
        .unwrap();
    sender.publish(Event::new("other")).unwrap();
    let event = receiver.next(LONG).unwrap().unwrap();
    assert_eq!((event.id(), event.username()), (id.as_str(), Some("ada")));
    assert_eq!(event.get_data()["n"], 1);
    assert!(event.get_source()["host"].is_string());
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
        ("others", SubscribeOptions::new().ignore_own()),
    ] {
        let heard = Arc::clone(&heard);
        let options = options.acknowledged(LONG);
        hub.subscribe_with("topic=a", options, move |event| {
            heard
                .lock()
                .unwrap()
                .push(format!("{name} {}", event.get_data()));
            Ok(None)
        })
        .unwrap();
    }
    let source = json!({"id": "somebody"}).as_object().cloned().unwrap();
    hub.publish(Event::new("a").data(1)).unwrap();
    hub.publish(Event::new("a").data(2).source(source.clone()))
        .unwrap();
    let caused = Event::new("a")
        .data(json!({"clientToken": "me--1"}))
        .source(source);
    hub.publish(caused).unwrap();
    handle_until(&hub, || heard.lock().unwrap().len() >= 4);
    let heard = heard.lock().unwrap().join(", ");
    assert_eq!(
        heard,
        r#"all 1, all 2, others 2, all {"clientToken":"me--1"}"#
    );
}

#[test]
fn handlers_reply_and_requests_get_the_replies() {
    let server = Server::start();
    let (asking, answering) = (hub(&server), hub(&server));
    for (priority, factor) in [(1, 2), (2, 3)] {
        let options = SubscribeOptions::new()
            .priority(priority)
            .acknowledged(LONG);
        answering
            .subscribe_with("topic=calc", options, move |event| {
                let number = event.get_data()["number"].as_i64().unwrap();
                Ok(Some(json!(number * factor)))
            })
            .unwrap();
    }
    let waiting = answering.clone();
    let thread = thread::spawn(move || waiting.wait(None));
    let question = || Event::new("calc").data(json!({"number": 21}));
    let reply = asking.request(question(), LONG).unwrap();
    assert_eq!(
        (reply.topic(), reply.get_data()),
        ("ftrack.meta.reply", &json!(42))
    );
    let replies = thread::scope(|scope| {
        eventually("the other answers too", || asking.counts().received == 2);
        let replies = scope.spawn(|| asking.request_all(question(), LONG).unwrap());
        eventually("both answer", || asking.counts().received == 4);
        asking.disconnect();
        replies.join().unwrap()
    });
    asking.connect().unwrap();
    let answers: Vec<&Value> = replies.iter().map(Event::get_data).collect();
    assert_eq!(answers, [&json!(42), &json!(63)]);
    let got = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&got);
    let publication = asking.publication(question()).on_reply(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    publication.send().unwrap();
    handle_until(&asking, || got.load(Ordering::SeqCst) >= 2);
    assert_eq!(got.load(Ordering::SeqCst), 2);
    let nobody = asking.request(Event::new("nobody"), SHORT).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Timeout);
    server.faults(|faults| faults.refuse_events = true);
    let refused = asking.request(question(), Duration::MAX).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Connection);
    answering.disconnect();
    thread.join().unwrap().unwrap();
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
    sender.publish(Event::new("t").target("id=two")).unwrap();
    sender.publish(Event::new("t").target("id=three")).unwrap();
    handle_until(&receiver, || !heard.lock().unwrap().is_empty());
    assert_eq!(*heard.lock().unwrap(), ["two"]);
}

#[test]
fn a_failing_handler_does_not_stop_the_others() {
    let server = Server::start();
    let hub = hub(&server);
    let reached = Arc::new(AtomicUsize::new(0));
    hub.subscribe("topic=t", |_| anyhow::bail!("broken"))
        .unwrap();
    hub.subscribe("topic=t", |_| panic!("very broken")).unwrap();
    let count = Arc::clone(&reached);
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with("topic=t", options, move |event| {
        count.fetch_add(1, Ordering::SeqCst);
        event.stop();
        Ok(None)
    })
    .unwrap();
    hub.subscribe("topic=t", |_| panic!("stopped before"))
        .unwrap();
    hub.publish(Event::new("t")).unwrap();
    hub.publish(Event::new("t")).unwrap();
    handle_until(&hub, || reached.load(Ordering::SeqCst) >= 2);
    assert_eq!(
        (reached.load(Ordering::SeqCst), hub.counts().failed_handlers),
        (2, 4)
    );
}

#[test]
fn unsubscribed_means_not_called() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=end");
    let guard = hub
        .subscribe_scoped("topic=t", |_| panic!("unsubscribed"))
        .unwrap();
    let id = guard.id().clone();
    hub.publish(Event::new("t")).unwrap();
    hub.publish(Event::new("end")).unwrap();
    hub.flush(LONG).unwrap();
    drop(guard);
    assert_eq!(
        hub.unsubscribe(&id).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // "t" has arrived, but its subscriber is gone.
    assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), "end");
    eventually("the server is told", || {
        server
            .packets()
            .iter()
            .any(|packet| packet.contains("ftrack.meta.unsubscribe"))
    });
}

#[test]
fn a_refused_subscription_is_an_error() {
    let server = Server::start();
    let hub = hub(&server);
    server.faults(|faults| faults.refuse_subscriptions = true);
    let options = SubscribeOptions::new()
        .acknowledged(LONG)
        .subscriber(json!({"id": "me"}));
    let error = hub
        .subscribe_with("topic=t", options, |_| Ok(None))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.to_string().contains("not today"), "{error}");
    assert!(hub.get_subscriber_by_identifier("me").is_none());
}

#[test]
fn sends_credentials_headers_and_cookies_where_they_belong() {
    let server = Server::start();
    let config = config(&server)
        .header("x-studio", secret("h3ader-to-keep"))
        .unwrap()
        .cookie("own", secret("c00kie-to-keep"))
        .unwrap();
    let hub = EventHub::new(config);
    hub.connect().unwrap();
    let (handshakes, upgrades) = server.requests();
    for expected in [
        "ftrack-user: ada",
        "ftrack-api-key: hub-key-to-keep",
        "x-studio: h3ader-to-keep",
        "cookie: own=c00kie-to-keep\r",
    ] {
        assert!(
            handshakes[0].contains(expected),
            "{expected}: {}",
            handshakes[0]
        );
    }
    for expected in [
        "x-studio: h3ader-to-keep",
        "cookie: own=c00kie-to-keep; route=7",
    ] {
        assert!(
            upgrades[0].contains(expected),
            "{expected}: {}",
            upgrades[0]
        );
    }
    assert!(!upgrades[0].contains(KEY));
}

#[test]
fn needs_a_connection_for_what_needs_one() {
    let server = Server::start();
    let hub = EventHub::new(config(&server));
    let errors = [
        hub.publish(Event::new("t")).unwrap_err(),
        hub.wait(SHORT).unwrap_err(),
        hub.next(SHORT).unwrap_err(),
        hub.request(Event::new("t"), SHORT).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(error.to_string().contains("call connect first"), "{error}");
    }
    assert_eq!(hub.poll(), 0);
    hub.disconnect();
    assert_eq!(server.accepted(), 0);
}

#[test]
fn subscriptions_survive_a_lost_connection() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    listen(&hub, "topic=ftrack.meta.*");
    let mut topics = Vec::new();
    server.cut_all();
    hub.wait(Duration::ZERO).unwrap();
    for _ in 0..2 {
        let event = hub.next(LONG).unwrap().unwrap();
        topics.push(event.topic().to_string());
        let reason = event.get_data()["reason"].as_str();
        assert_eq!(
            reason.is_some_and(|reason| !reason.is_empty()),
            event.topic() == "ftrack.meta.disconnected"
        );
    }
    assert_eq!(
        topics,
        ["ftrack.meta.disconnected", "ftrack.meta.connected"]
    );
    hub.publish(Event::new("t")).unwrap();
    assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), "t");
    assert_eq!(hub.counts().reconnects, 1);
    hub.reconnect().unwrap();
    assert!(hub.connected());
    hub.publish(Event::new("t")).unwrap();
    for topic in ["ftrack.meta.disconnected", "ftrack.meta.connected", "t"] {
        assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), topic);
    }
    hub.disconnect();
    assert_eq!(hub.poll(), 1, "the loss is told");
    hub.connect().unwrap();
    server.stop();
    eventually("the loss is noticed", || {
        hub.state() == HubState::Reconnecting
    });
    hub.disconnect();
    assert_eq!(hub.poll(), 2, "it is told once");
}

#[test]
fn a_server_may_restart() {
    let mut server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    server.stop();
    eventually("the loss is noticed", || {
        hub.state() == HubState::Reconnecting
    });
    for number in 0..10 {
        hub.publish(Event::new("t").data(number)).unwrap();
    }
    assert_eq!(hub.unacknowledged(), 10);
    server.restart();
    let numbers: Vec<Value> = (0..10)
        .map(|_| hub.next(LONG).unwrap().unwrap().get_data().clone())
        .collect();
    assert_eq!(numbers, (0..10).map(Value::from).collect::<Vec<_>>());
    hub.disconnect();
    hub.connect().unwrap();
    hub.publish(Event::new("t").data("again")).unwrap();
    assert_eq!(hub.next(LONG).unwrap().unwrap().get_data(), "again");
}

#[test]
fn connecting_in_the_background_queues_what_is_published() {
    let mut server = Server::start();
    let hub = EventHub::new(config(&server));
    server.stop();
    hub.connect_in_background().unwrap();
    for number in 0..100 {
        hub.publish(Event::new("t").data(number)).unwrap();
    }
    hub.listen("topic=t").unwrap();
    thread::sleep(SHORT);
    assert_eq!(hub.state(), HubState::Connecting);
    server.restart();
    for number in 0..100 {
        assert_eq!(hub.next(LONG).unwrap().unwrap().get_data(), number);
    }
}

/// Each event is delivered or reported, none twice, although connections break all the time.
#[test]
fn a_burst_loses_nothing_silently() {
    const COUNT: usize = 10_000;
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
    server.faults(|faults| faults.cut = 0.002);
    let mut published = HashSet::new();
    for number in 0..COUNT {
        published.insert(sender.publish(Event::new("burst").data(number)).unwrap());
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
    // sends it to nobody then. Every other event reaches it, once.
    let mut received = HashSet::new();
    while let Some(event) = receiver.next(SHORT).unwrap() {
        assert!(received.insert(event.id().to_string()), "delivered twice");
    }
    assert!(received.is_subset(&published));
    if receiver.counts().reconnects == 0 {
        let both: HashSet<_> = received.union(&reported).cloned().collect();
        assert_eq!(both.len(), COUNT);
    }
}

#[test]
fn the_receiver_of_a_burst_gets_everything_once() {
    const COUNT: usize = 10_000;
    let server = Server::start();
    let (sender, receiver) = (hub(&server), hub(&server));
    listen(&receiver, "topic=burst");
    let cutting = sender.clone();
    let cutter = thread::spawn(move || {
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(20));
            cutting.reconnect().unwrap();
        }
    });
    let publisher = thread::spawn(move || {
        for number in 0..COUNT {
            sender.publish(Event::new("burst").data(number)).unwrap();
        }
        sender.flush(LONG).unwrap();
        assert_eq!(sender.counts().undelivered, 0);
        cutter.join().unwrap();
        sender.counts().reconnects
    });
    let mut seen = vec![0; COUNT];
    for _ in 0..COUNT {
        let event = receiver.next(LONG).unwrap().expect("all events arrive");
        seen[usize::try_from(event.get_data().as_u64().unwrap()).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| *count == 1));
    assert!(publisher.join().unwrap() > 0);
    assert!(receiver.next(SHORT).unwrap().is_none());
}

#[test]
fn garbage_is_survived() {
    let server = Server::start();
    // It is not the silence that ends a connection here.
    server.faults(|faults| faults.heartbeat = Some(300));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let check = |what: &str| {
        hub.publish(Event::new("t").data(what)).unwrap();
        let event = hub
            .next(LONG)
            .unwrap()
            .unwrap_or_else(|| panic!("nothing after {what}"));
        assert_eq!(event.get_data(), what);
    };
    for packet in [
        "2::",
        "nonsense",
        "5:::{",
        "5:::{\"name\":\"ftrack.event\",\"args\":[7]}",
        "6:::99999",
        "6:::",
        "9::",
        "7:::1+0",
        "1::",
        "1::/chat",
        "4:::[]",
    ] {
        server.send(packet);
        check(packet);
    }
    assert_eq!((hub.counts().reconnects, server.controls()), (0, 0));
    for (what, bytes) in [
        ("binary", vec![0x82, 2, 1, 2]),
        ("ping", vec![0x89, 0]),
        ("pong", vec![0x8a, 0]),
    ] {
        server.send_raw(&bytes);
        check(what);
    }
    assert_eq!(hub.counts().reconnects, 0);
    for (what, bytes) in [
        ("invalid UTF-8", vec![0x81, 2, 0xff, 0xfe]),
        ("reserved bits", vec![0xf1, 0]),
        ("masked", vec![0x81, 0x81, 1, 2, 3, 4, 5]),
        ("continuation of nothing", vec![0x80, 1, 65]),
        (
            "a frame of exabytes",
            vec![0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        ),
        ("an empty frame", vec![0x81, 0]),
        ("a close frame", vec![0x88, 0]),
        (
            "not a frame at all",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(10),
        ),
    ] {
        let before = hub.counts().reconnects;
        server.send_raw(&bytes);
        eventually(what, || hub.counts().reconnects > before);
        check(what);
    }
}

#[test]
fn refused_connections_say_why() {
    let server = Server::start();
    let answer = |status: &str, body: &str| {
        let length = body.len();
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
    };
    for (handshake, kind, expected) in [
        (
            answer("401 Unauthorized", ""),
            ErrorKind::Authentication,
            "status 401; check the API user and the API key",
        ),
        (answer("500 Oops", ""), ErrorKind::Connection, "status 500"),
        (answer("200 OK", "<html>"), ErrorKind::BadResponse, "<html>"),
        (
            answer("200 OK", "a:1:2:xhr-polling"),
            ErrorKind::Unsupported,
            "not websocket",
        ),
        (
            Some(b"\x00\x01\x02".to_vec()),
            ErrorKind::Connection,
            "not HTTP",
        ),
        (Some(Vec::new()), ErrorKind::Connection, "closed"),
        (
            Some(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort".to_vec()),
            ErrorKind::Connection,
            "closed",
        ),
        (
            answer("302 Found\r\nLocation: https://other", ""),
            ErrorKind::Connection,
            "https://other",
        ),
    ] {
        server.faults(|faults| faults.handshake = handshake);
        let hub = EventHub::new(config(&server));
        let error = hub.connect().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert_eq!(hub.connection_error().unwrap().to_string(), text);
        assert!(
            text.contains(expected) && text.contains(&server.address().to_string()),
            "{text}"
        );
        assert!(!format!("{error:?}").contains(KEY));
    }
    server.faults(|faults| faults.handshake = None);
    for (upgrade, kind) in [
        (answer("200 OK", "hello"), ErrorKind::Connection),
        (
            Some(b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: wrong\r\n\r\n".to_vec()),
            ErrorKind::BadResponse,
        ),
    ] {
        server.faults(|faults| faults.upgrade = upgrade);
        let error = EventHub::new(config(&server)).connect().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    server.faults(|faults| {
        faults.upgrade = None;
        faults.greeting = Some("7:::1+0");
    });
    let error = EventHub::new(config(&server)).connect().unwrap_err();
    assert!(error.to_string().contains("1+0"), "{error}");
    server.stop();
    let error = EventHub::new(config(&server)).connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[test]
fn a_refusing_server_is_tried_again_after_the_first_success() {
    let server = Server::start();
    let hub = EventHub::new(config(&server).reconnect_attempts(3));
    let reported = Arc::new(AtomicUsize::new(0));
    let reports = Arc::clone(&reported);
    hub.on_undelivered(move |_, why| {
        assert!(why.contains("gave up"), "{why}");
        reports.fetch_add(1, Ordering::SeqCst);
    });
    hub.connect().unwrap();
    server.faults(|faults| faults.handshake = Some(b"HTTP/1.1 503 Busy\r\n\r\n".to_vec()));
    server.cut_all();
    eventually("the loss is noticed", || {
        hub.state() == HubState::Reconnecting
    });
    hub.publish(Event::new("t")).unwrap();
    let error = hub.wait(None).unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(reported.load(Ordering::SeqCst), 1);
    assert_eq!(hub.state(), HubState::Disconnected);
    server.faults(|faults| faults.handshake = None);
    hub.connect().unwrap();
}

#[test]
fn disconnecting_is_prompt_in_every_state() {
    let server = Server::start();
    let stuck = |config: HubConfig| {
        let hub = EventHub::new(config);
        let connecting = hub.clone();
        let thread = thread::spawn(move || connecting.connect());
        eventually("it begins", || hub.state() == HubState::Connecting);
        thread::sleep(Duration::from_millis(100));
        disconnects_promptly(&hub);
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    stuck(config_for(&format!("https://{address}")));
    for scheme in ["http", "https", "socks5"] {
        let network = Network::new().proxy(format!("{scheme}://{address}"));
        stuck(config(&server).network(network).unwrap());
    }
    let connecting = |change: fn(&mut server::Faults)| {
        server.faults(|faults| {
            *faults = server::Faults::default();
            change(faults);
        });
        stuck(config(&server));
    };
    connecting(|faults| faults.stall_handshake = true);
    connecting(|faults| faults.stall_upgrade = true);
    connecting(|faults| faults.greeting = Some("8::"));
    // Before the thread has begun.
    let hasty = EventHub::new(config_for(&format!("http://{address}")));
    for _ in 0..20 {
        hasty.connect_in_background().unwrap();
        disconnects_promptly(&hasty);
    }
    server.faults(|faults| *faults = server::Faults::default());
    let connected = hub(&server);
    disconnects_promptly(&connected);
    connected.connect().unwrap();
    server.faults(|faults| faults.frozen = true);
    connected.publish(Event::new("t")).unwrap();
    disconnects_promptly(&connected);
    assert_eq!(connected.counts().undelivered, 1);
    server.faults(|faults| {
        faults.frozen = false;
        faults.unread = true;
    });
    connected.connect().unwrap();
    // More than the system takes for a server that does not read.
    let large = Event::new("t").data("x".repeat(15_000_000));
    connected.publish(large).unwrap();
    disconnects_promptly(&connected);
    assert_eq!(connected.counts().undelivered, 2);
    server.faults(|faults| faults.unread = false);
    connected.connect().unwrap();
    server.stop();
    eventually("the loss is noticed", || {
        connected.state() == HubState::Reconnecting
    });
    disconnects_promptly(&connected);
}

#[test]
fn a_host_that_does_not_answer_times_out_or_is_given_up() {
    // A listener whose backlog is full drops what comes on Linux; elsewhere it may refuse.
    let config = config_for("http://192.0.2.1:9");
    let hub = EventHub::new(config.connect_timeout(SHORT));
    let start = Instant::now();
    let error = hub.connect().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connection),
        "{error}"
    );
    // The system tries for two minutes.
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn disconnecting_from_a_handler_ends_the_wait() {
    let server = Server::start();
    let hub = hub(&server);
    let own = hub.clone();
    let options = SubscribeOptions::new().acknowledged(LONG);
    let stopper = options.clone().subscriber(json!({"id": "stopper"}));
    hub.subscribe_with("topic=stop", stopper, move |_| {
        disconnects_promptly(&own);
        Ok(Some(json!("cannot be sent any more")))
    })
    .unwrap();
    hub.publish(Event::new("stop")).unwrap();
    hub.wait(None).unwrap();
    hub.connect().unwrap();
    let own = hub.clone();
    hub.subscribe_with("topic=close", options, move |_| {
        own.close();
        assert!(own.get_subscriber_by_identifier("stopper").is_none());
        Ok(None)
    })
    .unwrap();
    hub.publish(Event::new("close")).unwrap();
    hub.wait(None).unwrap();
    assert_eq!(hub.counts().failed_handlers, 0);
}

#[test]
fn waiting_outlasts_a_lost_connection() {
    let server = Server::start();
    let hub = hub(&server);
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    hub.subscribe("topic=t", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    })
    .unwrap();
    let waiting = hub.clone();
    let thread = thread::spawn(move || waiting.wait(None));
    for round in 1..4 {
        server.cut_all();
        eventually("it connects again", || hub.counts().reconnects == round);
        hub.publish(Event::new("t")).unwrap();
        let expected = usize::try_from(round).unwrap();
        eventually("it is heard", || heard.load(Ordering::SeqCst) == expected);
    }
    assert!(!thread.is_finished());
    hub.disconnect();
    thread.join().unwrap().unwrap();
}

#[test]
fn polling_never_waits() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let waiting = hub.clone();
    let poll = || {
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(hub.poll(), 0);
        }
        assert!(start.elapsed() < Duration::from_secs(20));
    };
    hub.poll();
    poll();
    let thread = thread::spawn(move || waiting.wait(None));
    poll();
    server.faults(|faults| faults.frozen = true);
    hub.publish(Event::new("t")).unwrap();
    poll();
    hub.disconnect();
    thread.join().unwrap().unwrap();
    hub.poll();
    poll();
}

#[test]
fn local_events_stay_here() {
    let server = Server::start();
    let hub = hub(&server);
    hub.subscribe("topic=t", |_| Ok(Some(json!("answer"))))
        .unwrap();
    assert_eq!(hub.publish_synchronous(Event::new("t")), ["answer"]);
    hub.publish(Event::new("end")).unwrap();
    hub.flush(LONG).unwrap();
    let counts = hub.counts();
    assert_eq!((counts.published, counts.received), (1, 0));
}

#[test]
fn disconnecting_hands_back_everything_before_it_returns() {
    const COUNT: usize = 20_000;
    let server = Server::start();
    let hub = hub(&server);
    server.faults(|faults| faults.deaf = true);
    let reported = Arc::new(AtomicUsize::new(0));
    let reports = Arc::clone(&reported);
    hub.on_undelivered(move |_, _| {
        reports.fetch_add(1, Ordering::SeqCst);
    });
    for number in 0..COUNT {
        hub.publish(Event::new("t").data(number)).unwrap();
    }
    hub.disconnect();
    assert_eq!(reported.load(Ordering::SeqCst), COUNT);
}

#[test]
fn disconnecting_ends_what_others_wait_for() {
    let server = Server::start();
    let hub = hub(&server);
    server.faults(|faults| faults.frozen = true);
    hub.publish(Event::new("t")).unwrap();
    let forever = Duration::MAX;
    thread::scope(|scope| {
        let flush = scope.spawn(|| hub.flush(forever));
        let request = scope.spawn(|| hub.request(Event::new("t"), forever));
        let several = scope.spawn(|| hub.request_all(Event::new("t"), forever));
        let next = scope.spawn(|| hub.next(None));
        let subscribe = scope.spawn(|| {
            let options = SubscribeOptions::new().acknowledged(forever);
            hub.subscribe_with("topic=t", options, |_| Ok(None))
        });
        eventually("all is published", || hub.unacknowledged() == 3);
        thread::sleep(SHORT);
        disconnects_promptly(&hub);
        for error in [
            flush.join().unwrap().unwrap_err(),
            request.join().unwrap().unwrap_err(),
            subscribe.join().unwrap().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        }
        assert!(several.join().unwrap().unwrap().is_empty());
        assert!(next.join().unwrap().unwrap().is_none());
    });
    assert_eq!(hub.counts().undelivered, 3);
}

#[test]
fn flushing_tells_of_what_was_handed_back() {
    let server = Server::start();
    let hub = hub(&server);
    hub.flush(LONG).unwrap();
    server.faults(|faults| faults.refuse_events = true);
    hub.publish(Event::new("t")).unwrap();
    eventually("it is refused", || hub.counts().undelivered == 1);
    let error = hub.flush(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    hub.flush(LONG).unwrap();
    server.faults(|faults| faults.deaf = true);
    hub.publish(Event::new("t")).unwrap();
    hub.disconnect();
    let error = hub.flush(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[test]
fn the_last_handle_reports_what_was_not_delivered() {
    let server = Server::start();
    let hub = hub(&server);
    server.faults(|faults| faults.deaf = true);
    let reported = Arc::new(Mutex::new(Vec::new()));
    let reports = Arc::clone(&reported);
    hub.on_undelivered(move |event, _| reports.lock().unwrap().push(event.id().to_string()));
    let id = hub.publish(Event::new("t")).unwrap();
    drop(hub);
    assert_eq!(*reported.lock().unwrap(), [id]);
}

#[test]
fn connecting_does_not_end_a_hub_that_goes_on_trying() {
    let mut server = Server::start();
    let hub = EventHub::new(config(&server).connect_timeout(SHORT));
    server.stop();
    hub.connect_in_background().unwrap();
    hub.listen("topic=t").unwrap();
    hub.publish(Event::new("t")).unwrap();
    let errors = [
        hub.connect().unwrap_err(),
        hub.reconnect().unwrap_err(),
        hub.flush(SHORT).unwrap_err(),
        hub.request(Event::new("t"), SHORT).unwrap_err(),
    ];
    let why = hub.connection_error().unwrap().to_string();
    assert!(why.contains(&server.address().to_string()), "{why}");
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains(&why), "{error}");
    }
    server.restart();
    assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), "t");
    hub.connect().unwrap();
    assert!(hub.connection_error().is_none());
}

#[test]
fn closing_while_others_publish_and_wait() {
    let server = Server::start();
    let hub = EventHub::new(config(&server).outgoing_limit(100));
    hub.connect().unwrap();
    server.faults(|faults| faults.deaf = true);
    let publishers: Vec<_> = (0..3)
        .map(|_| {
            let hub = hub.clone();
            thread::spawn(move || {
                let mut published = 0_u64;
                while hub.publish(Event::new("t")).is_ok() {
                    published += 1;
                }
                published
            })
        })
        .collect();
    let waiting = hub.clone();
    let waiter = thread::spawn(move || waiting.wait(None));
    thread::sleep(SHORT);
    disconnects_promptly(&hub);
    let start = Instant::now();
    let published: u64 = publishers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    // They do not wait for room any more, which they would for half a minute.
    assert!(start.elapsed() < Duration::from_secs(20));
    waiter.join().unwrap().unwrap();
    let counts = hub.counts();
    assert_eq!(
        (counts.published, counts.undelivered),
        (published, published)
    );
    assert_eq!(hub.unacknowledged(), 0);
}

#[test]
fn a_full_queue_is_an_error_after_a_while() {
    let server = Server::start();
    let config = config(&server).outgoing_limit(5).publish_timeout(SHORT);
    let hub = EventHub::new(config);
    hub.connect().unwrap();
    server.faults(|faults| faults.deaf = true);
    for _ in 0..5 {
        hub.publish(Event::new("t")).unwrap();
    }
    assert_eq!(
        hub.publish(Event::new("t")).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!(hub.flush(SHORT).unwrap_err().kind(), ErrorKind::Timeout);
    let huge = Event::new("t").data("x".repeat(17 << 20));
    assert_eq!(hub.publish(huge).unwrap_err().kind(), ErrorKind::Validation);
    let nobody = Event::new("t").target("not an expression");
    let error = hub.publish(nobody).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax);
    assert_eq!(hub.counts().published, 5);
}

#[test]
fn large_events_pass() {
    let server = Server::start();
    // It sends no heartbeats, and a traced packet takes long on a busy machine.
    server.faults(|faults| faults.heartbeat = Some(600));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    for size in [65_000, 65_536, 200_000, 5_000_000] {
        hub.publish(Event::new("t").data("é".repeat(size / 2)))
            .unwrap();
        let event = hub.next(LONG).unwrap().unwrap();
        assert_eq!(event.get_data().as_str().unwrap().len(), size);
    }
    // Others may send more than this hub does.
    let event = Event::new("t").data("x".repeat(20_000_000));
    server.send(&format!(
        "5:::{}",
        json!({"name": "ftrack.event", "args": [event]})
    ));
    assert_eq!(hub.next(LONG).unwrap().unwrap().id(), event.id());
    assert_eq!(hub.counts().reconnects, 0);
}

#[test]
fn silence_is_noticed() {
    let server = Server::start();
    server.faults(|faults| faults.heartbeat = Some(1));
    let _hub = hub(&server);
    server.faults(|faults| faults.frozen = true);
    eventually("the hub gives the silent connection up", || {
        server.accepted() > 1
    });
}

#[test]
fn a_packet_may_arrive_slowly() {
    let server = Server::start();
    // Three seconds of silence are too many.
    server.faults(|faults| faults.heartbeat = Some(1));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let event = json!({"name": "ftrack.event", "args": [Event::new("t").data("slow")]});
    let packet = format!("5:::{event}");
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    server.send_raw(&[0x81, 126, length[0], length[1]]);
    for piece in packet.as_bytes().chunks(packet.len() / 20) {
        server.send_raw(piece);
        thread::sleep(Duration::from_millis(250));
    }
    let received = hub.next(LONG).unwrap().unwrap();
    assert_eq!(
        (received.get_data(), hub.counts().reconnects),
        (&json!("slow"), 0)
    );
}

/// A reset may be the end of a server, see `hub/farewell.rs`.
#[test]
fn what_is_on_its_way_meets_no_closed_socket() {
    let server = Server::start();
    // It does not hear that the hub leaves.
    server.faults(|faults| faults.unread = true);
    let leaves = |what: &str, start: &[u8], leave: fn(&EventHub)| {
        let hub = hub(&server);
        let bytes = [start, &vec![b'x'; 20_000_000]].concat();
        thread::scope(|scope| {
            let sending = scope.spawn(|| server.send_raw(&bytes));
            leave(&hub);
            assert!(sending.join().unwrap(), "{what}");
        });
        server.cut_all();
    };
    let huge = [0x81, 127, 0, 0, 0, 0, 5, 0, 0, 0];
    leaves("disconnecting", &huge, EventHub::disconnect);
    leaves("reconnecting", &huge, |hub| hub.reconnect().unwrap());
    leaves("garbage", b"garbage", |hub| {
        eventually("another connection", || hub.counts().reconnects > 0);
    });
}

#[test]
fn patience_may_be_endless() {
    let server = Server::start();
    let config = config(&server).connect_timeout(Duration::MAX);
    let hub = EventHub::new(config.publish_timeout(Duration::MAX));
    hub.connect().unwrap();
    hub.subscribe("topic=t", |event| Ok(Some(event.get_data().clone())))
        .unwrap();
    let other = hub.clone();
    let waiting = std::thread::spawn(move || other.wait(Duration::MAX));
    let reply = hub.request(Event::new("t").data(1), Duration::MAX).unwrap();
    assert_eq!(reply.get_data(), 1);
    hub.flush(Duration::MAX).unwrap();
    hub.disconnect();
    waiting.join().unwrap().unwrap();
}

#[test]
fn events_nobody_waits_for_are_bounded() {
    let server = Server::start();
    let receiver = EventHub::new(config(&server).incoming_limit(10));
    receiver.connect().unwrap();
    listen(&receiver, "topic=t");
    let sender = hub(&server);
    for number in 0..100 {
        sender.publish(Event::new("t").data(number)).unwrap();
    }
    eventually("all arrive", || receiver.counts().received == 100);
    assert_eq!(receiver.next(LONG).unwrap().unwrap().get_data(), 90);
    assert!(receiver.counts().dropped >= 90);
    assert_eq!(receiver.poll(), 9);
}

#[test]
fn an_action_is_discovered_launched_and_fails_visibly() {
    struct Rename {
        for_everybody: bool,
    }
    impl Action for Rename {
        fn item(&self) -> ActionItem {
            ActionItem::new("studio.rename", "Rename")
        }
        fn for_everybody(&self) -> bool {
            self.for_everybody
        }
        fn launch(&self, launch: &Launch) -> anyhow::Result<Outcome> {
            let Some(name) = launch.value("name") else {
                let field = FormField::number("name", "New number");
                return Ok(Form::new("Rename").field(field).into());
            };
            anyhow::ensure!(name != 0, "no name");
            let user = launch.username.as_deref().unwrap_or_default();
            Ok(Outcome::success(format!("{user} makes it {name}")))
        }
    }
    let server = Server::start();
    let (web, host) = (hub(&server), hub(&server));
    let for_everybody = false;
    let registration = host.register_action(Rename { for_everybody }).unwrap();
    let waiting = host.clone();
    let thread = thread::spawn(move || waiting.wait(None));
    eventually("both subscriptions stand", || {
        server
            .packets()
            .iter()
            .filter(|packet| packet.contains("ftrack.action."))
            .count()
            == 2
    });
    let discover = Event::new("ftrack.action.discover").data(json!({"selection": []}));
    let item = web.request(discover, LONG).unwrap();
    assert_eq!(
        item.get_data()["items"][0]["actionIdentifier"],
        "studio.rename"
    );
    let launch = |values: Value| {
        let data = json!({"actionIdentifier": "studio.rename", "values": values});
        let reply = web
            .request(Event::new("ftrack.action.launch").data(data), LONG)
            .unwrap();
        reply.get_data().clone()
    };
    assert_eq!(
        launch(json!({"name": 7})),
        json!({"success": true, "message": "ada makes it 7"})
    );
    assert_eq!(
        launch(json!({"name": 0})),
        json!({"success": false, "message": "no name"})
    );
    assert_eq!(
        launch(json!({}))["items"],
        json!([{"type": "number", "name": "name", "label": "New number"}])
    );
    // Another user sees it only if everybody does.
    let bob = json!({"user": {"username": "bob"}});
    let discover = || {
        Event::new("ftrack.action.discover")
            .data(json!({"selection": []}))
            .source(bob.as_object().cloned().unwrap())
    };
    let nobody = web.request(discover(), SHORT).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Timeout);
    drop(registration);
    let for_everybody = true;
    let registration = host.register_action(Rename { for_everybody }).unwrap();
    eventually("it is offered", || web.request(discover(), SHORT).is_ok());
    drop(registration);
    host.close();
    thread.join().unwrap().unwrap();
}

#[test]
fn tls_and_its_certificates() {
    let server = Server::start();
    let (address, certificate) = relay::tls(server.address());
    let url = format!("https://localhost:{}", address.port());
    let config = || config_for(&url);
    let error = EventHub::new(config()).connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    let trusting = || Network::new().ca_file(certificate.path());
    let hub = EventHub::new(config().network(trusting()).unwrap());
    hub.connect().unwrap();
    listen(&hub, "topic=t");
    for size in [10, 70_000, 3_000_000] {
        hub.publish(Event::new("t").data("x".repeat(size))).unwrap();
        let event = hub.next(LONG).unwrap().unwrap();
        assert_eq!(event.get_data().as_str().unwrap().len(), size);
    }
    server.cut_all();
    for number in 0..1000 {
        hub.publish(Event::new("t").data(json!([number, "x".repeat(2000)])))
            .unwrap();
    }
    for number in 0..1000 {
        assert_eq!(hub.next(LONG).unwrap().unwrap().get_data()[0], number);
    }
    assert_eq!(hub.counts().undelivered, 0);
    disconnects_promptly(&hub);
    // The name in the certificate is another.
    let (address, certificate) = relay::tls_as(server.address(), &["studio.example"]);
    let url = format!("https://localhost:{}", address.port());
    let config = config_for(&url);
    let network = Network::new().ca_file(certificate.path());
    let error = EventHub::new(config.network(network).unwrap())
        .connect()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
}

#[test]
fn proxies() {
    let server = Server::start();
    let (address, asked) = relay::proxy();
    let by = |url: &str| Network::new().proxy(url);
    let through = |config: HubConfig, network: Network| {
        let hub = EventHub::new(config.network(network).unwrap());
        hub.connect().map(|()| hub)
    };
    let error = through(config(&server), by(&format!("http://me:wrong@{address}"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(
        error.to_string().contains("proxy") && !error.to_string().contains("wrong"),
        "{error}"
    );
    let hub = through(
        config(&server),
        by(&format!("http://{}@{address}", relay::CREDENTIALS)),
    )
    .unwrap();
    listen(&hub, "topic=t");
    hub.publish(Event::new("t")).unwrap();
    assert!(hub.next(LONG).unwrap().is_some());
    let asked = asked.lock().unwrap();
    assert!(
        asked
            .last()
            .unwrap()
            .starts_with(&format!("CONNECT {} ", server.address()))
    );
    assert!(asked.iter().all(|head| !head.contains(KEY)));
    let (tls, trusted) = relay::tls(server.address());
    let secure = config_for(&format!("https://{tls}"));
    let trusting = |url: &str| by(url).ca_file(trusted.path());
    drop(asked);
    through(
        secure.clone(),
        trusting(&format!("http://{}@{address}", relay::CREDENTIALS)),
    )
    .unwrap();
    let (encrypted, certificate) = relay::tls(address);
    let both = tempfile::NamedTempFile::new().unwrap();
    let files = [certificate.path(), trusted.path()];
    let text = files
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    std::fs::write(both.path(), text).unwrap();
    let network = by(&format!(
        "https://{}@localhost:{}",
        relay::CREDENTIALS,
        encrypted.port()
    ));
    through(secure, network.ca_file(both.path())).unwrap();
    let gone = through(config(&server), by("http://127.0.0.1:1")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Connection);
}

#[cfg(target_os = "linux")]
mod threads {
    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

    use super::*;

    /// The processor time of this process's hub threads, in ticks of a hundredth of a second.
    fn hub_threads() -> Vec<u64> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let stats =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let ours = stats.filter(|stat| stat.contains("(ftrack-event-hu)"));
        ours.map(|stat| processor_time(&stat)).collect()
    }

    /// Runs the named test alone in a process of its own, where no other hub has a thread.
    fn alone(name: &str, test: impl Fn()) {
        if std::env::var_os("HUB_TEST_ALONE").is_some() {
            return test();
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("HUB_TEST_ALONE", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[test]
    fn there_is_one_from_connect_to_the_last_handle() {
        alone(
            "threads::there_is_one_from_connect_to_the_last_handle",
            || {
                let server = Server::start();
                let hub = EventHub::new(config(&server));
                hub.subscribe("topic=t", |_| Ok(Some(json!(1)))).unwrap();
                assert_eq!(hub.publish_synchronous(Event::new("t")), [1]);
                assert_eq!(hub_threads().len(), 0);
                hub.connect().unwrap();
                let clone = hub.clone();
                drop(hub);
                assert_eq!(hub_threads().len(), 1);
                clone.reconnect().unwrap();
                clone.connect().unwrap();
                assert_eq!(hub_threads().len(), 1);
                drop(clone);
                eventually("the thread ends", || hub_threads().is_empty());
            },
        );
    }

    /// The processor time of this thread, in the same ticks.
    fn own_time() -> u64 {
        processor_time(&std::fs::read_to_string("/proc/thread-self/stat").unwrap())
    }

    fn processor_time(stat: &str) -> u64 {
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// How often each hub thread of this process has gone to sleep.
    fn sleeps() -> Vec<u64> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let statuses =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
        let ours = statuses.filter(|status| status.contains("ftrack-event-hu"));
        let count = |status: String| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse().unwrap()
        };
        ours.map(count).collect()
    }

    #[test]
    fn a_caller_who_waits_does_the_work_of_the_thread() {
        const COUNT: u64 = 200;
        alone(
            "threads::a_caller_who_waits_does_the_work_of_the_thread",
            || {
                let server = Server::start();
                let receiver = hub(&server);
                listen(&receiver, "topic=t");
                let quiet = sleeps()[0];
                let sender = hub(&server);
                let publisher = std::thread::spawn(move || {
                    for number in 0..COUNT {
                        sender.publish(Event::new("t").data(number)).unwrap();
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    sender.flush(LONG).unwrap();
                });
                for number in 0..COUNT {
                    let event = receiver.next(LONG).unwrap().unwrap();
                    assert_eq!(event.get_data(), number);
                }
                publisher.join().unwrap();
                eventually("the sender's thread ends", || sleeps().len() == 1);
                let woken = sleeps()[0] - quiet;
                assert!(woken < COUNT / 2, "{woken} times for {COUNT} events");
            },
        );
    }

    /// A debugger, a shell or a machine that sleeps holds the process up until the time is over;
    /// what has come by then is there.
    #[test]
    fn a_process_that_stood_still_looks_at_what_has_come() {
        const NAME: &str = "threads::a_process_that_stood_still_looks_at_what_has_come";
        if let Ok(url) = std::env::var("HUB_TEST_URL") {
            let hub = EventHub::new(config_for(&url));
            hub.connect().unwrap();
            listen(&hub, "topic=t");
            thread::spawn(|| {
                thread::sleep(SHORT);
                kill_process(getpid(), Signal::STOP).unwrap();
            });
            assert!(hub.next(Duration::from_secs(5)).unwrap().is_some());
            return;
        }
        let server = Server::start();
        let mut still = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("HUB_TEST_URL", server.url())
            .spawn()
            .unwrap();
        let process = Pid::from_child(&still);
        waitpid(Some(process), WaitOptions::UNTRACED).unwrap();
        hub(&server).publish(Event::new("t")).unwrap();
        thread::sleep(Duration::from_secs(6));
        kill_process(process, Signal::CONT).unwrap();
        assert!(still.wait().unwrap().success());
    }

    #[test]
    fn an_idle_hub_needs_no_processor() {
        alone("threads::an_idle_hub_needs_no_processor", || {
            let server = Server::start();
            let idle = hub(&server);
            listen(&idle, "topic=t");
            let (before, asleep) = ((hub_threads()[0], own_time()), sleeps()[0]);
            idle.wait(Duration::from_secs(3)).unwrap();
            // It would take three hundred, or wake up every few milliseconds.
            let took = (hub_threads()[0] - before.0, own_time() - before.1);
            assert!(took.0 < 10 && took.1 < 10, "{took:?}");
            assert!(sleeps()[0] - asleep < 10);
        });
    }
}
