//! Servers that misbehave.

use std::thread;
use std::time::Duration;

use ftrack_api::{Event, EventHub};
use serde_json::json;

use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, hub, listen};

#[test]
fn garbage_is_survived() {
    let server = Server::start();
    // It is not the silence that ends a connection here.
    server.faults(|faults| faults.heartbeat = Some(300));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let check = |what: &str| {
        hub.publish(Event::new("t").with_data(what)).unwrap();
        let event = hub
            .next(LONG)
            .unwrap()
            .unwrap_or_else(|| panic!("nothing after {what}"));
        assert_eq!(event.data(), what);
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
    let event = json!({"name": "ftrack.event", "args": [Event::new("t").with_data("slow")]});
    let packet = format!("5:::{event}");
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    server.send_raw(&[0x81, 126, length[0], length[1]]);
    for piece in packet.as_bytes().chunks(packet.len() / 20) {
        server.send_raw(piece);
        thread::sleep(Duration::from_millis(250));
    }
    let received = hub.next(LONG).unwrap().unwrap();
    assert_eq!(
        (received.data(), hub.counts().reconnects),
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
