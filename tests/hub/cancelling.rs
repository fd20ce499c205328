//! Cancel tokens end the waits of their thread.

use std::thread;
use std::time::Duration;

use ftrack_api::hub::SubscribeOptions;
use ftrack_api::{CancelToken, ErrorKind, Event, EventHub, Result};

use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, config, hub};

/// What waits for ever on a server that does not respond.
type Wait = fn(&EventHub) -> Result<()>;

const WAITS: [(&str, Wait); 6] = [
    ("wait", |hub| hub.wait(None)),
    ("next", |hub| hub.next(None).map(drop)),
    ("request", |hub| {
        hub.request(Event::new("t"), Duration::MAX).map(drop)
    }),
    ("request_all", |hub| {
        hub.request_all(Event::new("t"), Duration::MAX).map(drop)
    }),
    ("flush", |hub| hub.flush(Duration::MAX)),
    ("subscribe", |hub| {
        let options = SubscribeOptions::new().acknowledged(Duration::MAX);
        hub.subscribe_with("topic=t", options, |_| Ok(None))
            .map(drop)
    }),
];

#[test]
fn a_token_ends_every_wait_of_its_thread() {
    let server = Server::start();
    let hub = hub(&server);
    server.faults(|faults| faults.frozen = true);
    hub.publish(Event::new("t")).unwrap();
    for (name, wait) in WAITS {
        // Cancelled before, and meanwhile.
        let token = CancelToken::new();
        token.cancel();
        let error = token.run(|| wait(&hub)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{name}: {error}");
        let token = CancelToken::new();
        let waiting = {
            let (token, hub) = (token.clone(), hub.clone());
            thread::spawn(move || token.run(|| wait(&hub)))
        };
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished(), "{name}");
        token.cancel();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{name}: {error}");
    }
    // Others go on.
    server.faults(|faults| faults.frozen = false);
    hub.reconnect().unwrap();
    hub.flush(LONG).unwrap();
}

#[test]
fn a_token_ends_the_wait_for_room_and_for_a_connection() {
    let server = Server::start();
    let full = EventHub::new(config(&server).outgoing_limit(1).publish_timeout(LONG));
    full.connect().unwrap();
    server.faults(|faults| faults.deaf = true);
    full.publish(Event::new("t")).unwrap();
    let token = CancelToken::new();
    let publishing = {
        let (token, full) = (token.clone(), full.clone());
        thread::spawn(move || token.run(|| full.publish(Event::new("t"))))
    };
    thread::sleep(Duration::from_millis(20));
    token.cancel();
    let error = publishing.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(full.unacknowledged(), 1);

    server.faults(|faults| faults.stall_handshake = true);
    let hub = EventHub::new(config(&server));
    let token = CancelToken::new();
    let before = server.requests().0.len();
    let connecting = {
        let (token, hub) = (token.clone(), hub.clone());
        thread::spawn(move || token.run(|| hub.connect()))
    };
    eventually("the handshake is sent", || {
        server.requests().0.len() > before || connecting.is_finished()
    });
    token.cancel();
    let error = connecting.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(hub.state(), ftrack_api::hub::HubState::Disconnected);
}
