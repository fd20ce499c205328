//! Connecting: credentials, refusals, networks, and lost connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ftrack_api::hub::{HubConfig, HubState};
use ftrack_api::{ErrorKind, Event, EventHub, config::Network};
use serde_json::{Value, json};

use crate::relay;
use crate::server::Server;
use crate::support::{eventually, secret};
use crate::{KEY, LONG, SHORT, config, config_for, disconnects_promptly, hub, listen};

#[test]
fn sends_credentials_headers_and_cookies_where_they_belong() {
    let server = Server::start();
    let config = config(&server)
        .header("x-studio", secret("h3ader-to-keep"))
        .cookie("own", secret("c00kie-to-keep"));
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
fn a_server_may_restart() {
    let mut server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    server.stop();
    eventually("the loss is noticed", || {
        hub.state() == HubState::Reconnecting
    });
    for number in 0..10 {
        hub.publish(Event::new("t").with_data(number)).unwrap();
    }
    assert_eq!(hub.unacknowledged(), 10);
    server.restart();
    let numbers: Vec<Value> = (0..10)
        .map(|_| hub.next(LONG).unwrap().unwrap().data().clone())
        .collect();
    assert_eq!(numbers, (0..10).map(Value::from).collect::<Vec<_>>());
    hub.disconnect();
    hub.connect().unwrap();
    hub.publish(Event::new("t").with_data("again")).unwrap();
    assert_eq!(hub.next(LONG).unwrap().unwrap().data(), "again");
}

#[test]
fn connecting_in_the_background_queues_what_is_published() {
    let mut server = Server::start();
    let hub = EventHub::new(config(&server));
    server.stop();
    hub.connect_in_background().unwrap();
    for number in 0..100 {
        hub.publish(Event::new("t").with_data(number)).unwrap();
    }
    hub.listen("topic=t").unwrap();
    eventually("an attempt has failed", || hub.connection_error().is_some());
    assert_eq!(hub.state(), HubState::Connecting);
    server.restart();
    for number in 0..100 {
        assert_eq!(hub.next(LONG).unwrap().unwrap().data(), number);
    }
}

#[test]
fn refused_connections_say_why() {
    let server = Server::start();
    let response = |status: &str, body: &str| {
        let length = body.len();
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
    };
    for (handshake, kind, expected) in [
        (
            response("401 Unauthorized", ""),
            ErrorKind::Authentication,
            "status 401; check the API user and the API key",
        ),
        (
            response("500 Oops", ""),
            ErrorKind::Connection,
            "status 500",
        ),
        (
            response("200 OK", "<html>"),
            ErrorKind::BadResponse,
            "<html>",
        ),
        (
            response("200 OK", "a:1:2:xhr-polling"),
            ErrorKind::Unsupported,
            "does not offer websockets",
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
            response("302 Found\r\nLocation: https://other", ""),
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
        (response("200 OK", "hello"), ErrorKind::Connection),
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
fn a_host_that_does_not_respond_times_out_or_is_given_up() {
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
fn connecting_does_not_end_a_hub_that_goes_on_trying() {
    let mut server = Server::start();
    // An attempt must fail before, on a busy machine too.
    let hub = EventHub::new(config(&server).connect_timeout(Duration::from_secs(3)));
    server.stop();
    hub.connect_in_background().unwrap();
    hub.listen("topic=t").unwrap();
    hub.publish(Event::new("t")).unwrap();
    eventually("an attempt has failed", || hub.connection_error().is_some());
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
fn tls_and_its_certificates() {
    let server = Server::start();
    let (address, certificate) = relay::tls(server.address());
    let url = format!("https://localhost:{}", address.port());
    let config = || config_for(&url);
    let error = EventHub::new(config()).connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    let trusting = || Network::new().ca_file(certificate.path());
    let hub = EventHub::new(config().network(trusting()));
    hub.connect().unwrap();
    listen(&hub, "topic=t");
    for size in [10, 70_000, 3_000_000] {
        hub.publish(Event::new("t").with_data("x".repeat(size)))
            .unwrap();
        let event = hub.next(LONG).unwrap().unwrap();
        assert_eq!(event.data().as_str().unwrap().len(), size);
    }
    server.cut_all();
    for number in 0..1000 {
        hub.publish(Event::new("t").with_data(json!([number, "x".repeat(2000)])))
            .unwrap();
    }
    for number in 0..1000 {
        assert_eq!(hub.next(LONG).unwrap().unwrap().data()[0], number);
    }
    assert_eq!(hub.counts().undelivered, 0);
    disconnects_promptly(&hub);
    // The name in the certificate is another.
    let (address, certificate) = relay::tls_as(server.address(), &["studio.example"]);
    let url = format!("https://localhost:{}", address.port());
    let config = config_for(&url);
    let network = Network::new().ca_file(certificate.path());
    let error = EventHub::new(config.network(network))
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
        let hub = EventHub::new(config.network(network));
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
