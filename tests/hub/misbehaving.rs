//! Servers that misbehave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::{ErrorKind, Event, EventHub};
use serde_json::json;

use crate::server::Faults;
use crate::server::Server;
use crate::support::end::End;
use crate::support::{eventually, secret};
use crate::{KEY, LONG, SHORT, config, disconnects_promptly, hub, listen};

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
    assert!((0..5).any(|_| arrives_slowly()), "it never came steadily");
}

/// False if the machine held it up for longer than was meant.
fn arrives_slowly() -> bool {
    let server = Server::start();
    // Three seconds of silence are too many.
    server.faults(|faults| faults.heartbeat = Some(1));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let event = json!({"name": "ftrack.event", "args": [Event::new("t").with_data("slow")]});
    let packet = format!("5:::{event}");
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    let (mut sent, mut longest) = (Instant::now(), Duration::ZERO);
    server.send_raw(&[0x81, 126, length[0], length[1]]);
    for piece in packet.as_bytes().chunks(packet.len() / 20) {
        server.send_raw(piece);
        longest = longest.max(sent.elapsed());
        sent = Instant::now();
        thread::sleep(Duration::from_millis(250));
    }
    if longest > Duration::from_millis(1500) {
        return false;
    }
    let received = hub.next(LONG).unwrap().unwrap();
    assert_eq!(
        (received.data(), hub.counts().reconnects),
        (&json!("slow"), 0)
    );
    true
}

/// A reset may be the end of a server, see `hub/linger.rs`.
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

/// Frames without content that never complete a packet.
#[test]
fn a_packet_without_end_holds_nobody_up() {
    let server = Server::start();
    server.faults(|faults| faults.heartbeat = Some(300));
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = End(&is_over);
        scope.spawn(|| {
            server.send_raw(&[0x01, 1, b'5']);
            let frames = [0x00, 0x00].repeat(32 * 1024);
            while !is_over.load(Ordering::SeqCst) && server.send_raw(&frames) {
                std::hint::spin_loop();
            }
        });
        let start = Instant::now();
        hub.wait(Duration::from_secs(2)).unwrap();
        hub.publish(Event::new("t")).unwrap();
        // The frames would go on for minutes.
        assert!(start.elapsed() < Duration::from_secs(20));
        disconnects_promptly(&hub);
        drop(over);
    });
}

/// The headers of the frames count as well: of frames that have little else, no packet would ever be
/// too large.
#[test]
fn a_packet_of_too_many_frames_ends_the_connection() {
    let server = Server::start();
    server.faults(|faults| faults.heartbeat = Some(300));
    let hub = hub(&server);
    // The server has sent all that it sends by itself.
    listen(&hub, "topic=t");
    server.send_raw(&[0x01, 1, b'5']);
    // What they hold is less than 100 MiB, and they themselves are more.
    let frame = [&[0x00, 126, 3, 232], &[b' '; 1000][..]].concat();
    let frames = frame.repeat(1045);
    for _ in 0..100 {
        server.send_raw(&frames);
    }
    eventually("another connection", || hub.counts().reconnects > 0);
}

/// It was ten seconds, whatever the configuration said.
#[test]
fn the_time_to_connect_bounds_the_wait_for_the_server_to_accept() {
    let (hasty, patient) = (Server::start(), Server::start());
    let wait = |server: &Server, timeout: Duration| {
        server.faults(|faults| faults.greeting = Some("8::"));
        let hub = EventHub::new(config(server).connect_timeout(timeout));
        hub.connect_in_background().unwrap();
        hub
    };
    let hasty_hub = wait(&hasty, Duration::from_millis(500));
    let patient_hub = wait(&patient, LONG);
    eventually("both have a websocket", || {
        hasty.accepted() > 0 && patient.accepted() > 0
    });
    eventually("two more", || hasty.accepted() > 2);
    assert_eq!(patient.accepted(), 1);
    let why = hasty_hub.connection_error().unwrap();
    assert_eq!(why.kind(), ErrorKind::Timeout, "{why}");
    assert!(patient_hub.connection_error().is_none());
}

fn response(status: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    Some(text.into_bytes())
}

/// What a server may do instead of a handshake and a websocket, and the error that follows;
/// docs/RELIABILITY.md has the same table.
#[test]
fn every_way_to_refuse_a_connection_is_an_error_of_its_kind() {
    type Change = fn(&mut Faults);
    let modes: [(&str, Change, ErrorKind); 14] = [
        (
            "rejects the credentials",
            |faults| faults.handshake = response("401 Unauthorized", ""),
            ErrorKind::Authentication,
        ),
        (
            "fails",
            |faults| faults.handshake = response("503 Busy", ""),
            ErrorKind::Connection,
        ),
        (
            "redirects",
            |faults| faults.handshake = response("302 Found\r\nLocation: https://other", ""),
            ErrorKind::Connection,
        ),
        (
            "sends a page",
            |faults| faults.handshake = response("200 OK", "<html>"),
            ErrorKind::BadResponse,
        ),
        (
            "offers no websocket",
            |faults| faults.handshake = response("200 OK", "a:1:2:xhr-polling"),
            ErrorKind::Unsupported,
        ),
        (
            "sends a body without end",
            |faults| {
                let body = "x".repeat(100_000);
                let text = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
                faults.handshake = Some(text.into_bytes());
            },
            ErrorKind::BadResponse,
        ),
        (
            "sends no HTTP",
            |faults| faults.handshake = Some(b"\x00\x01\x02".to_vec()),
            ErrorKind::Connection,
        ),
        (
            "cuts the body short",
            |faults| {
                faults.handshake =
                    Some(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort".to_vec());
            },
            ErrorKind::Connection,
        ),
        (
            "does not respond",
            |faults| faults.stall_handshake = true,
            ErrorKind::Timeout,
        ),
        (
            "does not upgrade",
            |faults| faults.upgrade = response("200 OK", "hello"),
            ErrorKind::Connection,
        ),
        (
            "upgrades another request",
            |faults| {
                faults.upgrade =
                    Some(b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: wrong\r\n\r\n".to_vec());
            },
            ErrorKind::BadResponse,
        ),
        (
            "does not respond to the upgrade",
            |faults| faults.stall_upgrade = true,
            ErrorKind::Timeout,
        ),
        (
            "rejects the websocket",
            |faults| faults.greeting = Some("7:::1+0"),
            ErrorKind::Connection,
        ),
        (
            "does not accept the connection",
            |faults| faults.greeting = Some("8::"),
            ErrorKind::Timeout,
        ),
    ];
    let server = Server::start();
    for (mode, change, kind) in modes {
        server.faults(|faults| {
            *faults = Faults::default();
            change(faults);
        });
        let patience = match kind {
            ErrorKind::Timeout => SHORT,
            _ => LONG,
        };
        let hub = EventHub::new(config(&server).connect_timeout(patience));
        let error = hub.connect().unwrap_err();
        assert_eq!(error.kind(), kind, "a server that {mode}: {error}");
        let address = server.address().to_string();
        assert!(
            error.to_string().contains(&address) || kind == ErrorKind::Timeout,
            "{error}"
        );
        disconnects_promptly(&hub);
    }
}

/// What a server sends may repeat what it was sent.
#[test]
fn the_key_is_shown_nowhere_even_if_the_server_repeats_it() {
    const COOKIE: &str = "c00kie-to-keep";
    let server = Server::start();
    crate::support::trace::listen();
    let refuse = |change: &dyn Fn(&mut Faults)| {
        server.faults(|faults| {
            *faults = Faults::default();
            change(faults);
        });
        let hub = EventHub::new(config(&server).cookie("studio", secret(COOKIE)));
        let error = hub.connect().unwrap_err();
        let trouble = hub.connection_error().unwrap();
        for text in [
            error.to_string(),
            format!("{error:?}"),
            format!("{trouble:?}"),
        ] {
            // Not the start of one either.
            for kept in [&KEY[..6], &COOKIE[..6], "l0gin"] {
                assert!(!text.contains(kept), "{text}");
            }
        }
    };
    let login = "302 Found\r\nLocation: https://other/?session=l0gin";
    refuse(&|faults| faults.handshake = response(login, ""));
    for echoed in [KEY, COOKIE] {
        let redirect = format!("302 Found\r\nLocation: https://other/{echoed}");
        refuse(&|faults| faults.handshake = response(&redirect, ""));
        refuse(&|faults| faults.upgrade = response(&redirect, ""));
        refuse(&|faults| faults.handshake = response("200 OK", echoed));
        refuse(&|faults| faults.handshake = response("200 OK", &format!("<p>\n{echoed}")));
        refuse(&|faults| faults.handshake = response("200 OK", &format!("a:1:2:{echoed}")));
        for before in [285, 290, 299] {
            let long = format!("{}{echoed}", "x".repeat(before));
            refuse(&|faults| faults.handshake = response("200 OK", &long));
        }
        let greeting: &'static str = format!("7:::{echoed}").leak();
        refuse(&|faults| faults.greeting = Some(greeting));
    }
    server.faults(|faults| *faults = Faults::default());
    let hub = hub(&server);
    let reasons = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let reported = std::sync::Arc::clone(&reasons);
    hub.on_undelivered(move |_, why| reported.lock().unwrap().push(why.to_string()));
    server.faults(|faults| faults.deaf = true);
    hub.publish(Event::new("t")).unwrap();
    eventually("it is sent", || {
        server
            .packets()
            .iter()
            .any(|packet| packet.contains("\"t\""))
    });
    for number in 1..5 {
        let rejection = json!([{"success": false, "message": KEY}]);
        server.send(&format!("6:::{number}+{rejection}"));
    }
    for packet in [
        format!("9:::{KEY}"),
        format!("7:::{KEY}"),
        format!("5:::{KEY}"),
        format!("6:::{KEY}"),
    ] {
        server.send(&packet);
    }
    eventually("it is handed back", || hub.counts().undelivered == 1);
    hub.poll();
    let reasons = reasons.lock().unwrap();
    assert!(reasons.iter().all(|why| !why.contains(KEY)), "{reasons:?}");
    assert_eq!(crate::support::trace::logged(KEY), []);
}
