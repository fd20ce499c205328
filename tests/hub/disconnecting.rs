//! Disconnecting, and what becomes of events that were not acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::{HubConfig, HubState, SubscribeOptions};
use ftrack_api::{ErrorKind, Event, EventHub, config::Network};

use crate::server;
use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, SHORT, config, config_for, disconnects_promptly, hub};

#[test]
fn disconnecting_is_prompt_in_every_state() {
    let server = Server::start();
    let stuck = |config: HubConfig, has_begun: &dyn Fn() -> bool| {
        let hub = EventHub::new(config);
        let connecting = hub.clone();
        let thread = thread::spawn(move || connecting.connect());
        eventually("it begins", has_begun);
        disconnects_promptly(&hub);
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let address = silent.local_addr().unwrap();
    let accepted = std::cell::RefCell::new(Vec::new());
    let accepts = || {
        let connection = silent.accept().ok();
        let is_there = connection.is_some();
        accepted.borrow_mut().extend(connection);
        is_there
    };
    stuck(config_for(&format!("https://{address}")), &accepts);
    for scheme in ["http", "https", "socks5"] {
        let network = Network::new().proxy(format!("{scheme}://{address}"));
        stuck(config(&server).network(network), &accepts);
    }
    let connecting = |change: fn(&mut server::Faults), begun: fn(&Server) -> usize| {
        server.faults(|faults| {
            *faults = server::Faults::default();
            change(faults);
        });
        let before = begun(&server);
        stuck(config(&server), &|| begun(&server) > before);
    };
    let upgrades = |server: &Server| server.requests().1.len();
    connecting(
        |faults| faults.stall_handshake = true,
        |server| server.requests().0.len(),
    );
    connecting(|faults| faults.stall_upgrade = true, upgrades);
    connecting(|faults| faults.greeting = Some("8::"), upgrades);
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
    let large = Event::new("t").with_data("x".repeat(15_000_000));
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
        hub.publish(Event::new("t").with_data(number)).unwrap();
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
        eventually("everything is sent", || {
            let packets = server.packets();
            let is_ours = |packet: &&String| packet.contains("topic=t\"");
            hub.unacknowledged() == 3 && packets.iter().filter(is_ours).count() == 1
        });
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
    eventually("the queue is full", || hub.unacknowledged() == 100);
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
    let huge = Event::new("t").with_data("x".repeat(17 << 20));
    assert_eq!(hub.publish(huge).unwrap_err().kind(), ErrorKind::Validation);
    let nobody = Event::new("t").with_target("not an expression");
    let error = hub.publish(nobody).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax);
    assert_eq!(hub.counts().published, 5);
}
