//! Connections that are not there yet: hosts with several addresses, and what is broken off.
//!
//! On Linux only: elsewhere `127.0.0.2` is not this machine, and a full queue refuses.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod support;

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::HubConfig;
use ftrack_api::{
    CancelToken, ErrorKind, Event, EventHub, Session, SessionBuilder,
    config::{Network, Retry},
};
use ftrack_emulator::Emulator;
use socket2::{Domain, Socket, Type};
use support::proxy::Proxy;
use support::{builder, emulator, eventually, open};

/// Less than a connection may take, which is 15 seconds, and enough for a busy machine.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A port at which connections are neither accepted nor refused.
struct Hole {
    address: SocketAddr,
    /// Those that fill the queue, and the port.
    _sockets: Vec<Socket>,
}

impl Hole {
    fn at(address: SocketAddr) -> Self {
        let socket = || Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        let listener = socket();
        listener.set_reuse_address(true).unwrap();
        eventually("the port is free", || {
            listener.bind(&address.into()).is_ok()
        });
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let filler = socket();
            filler.set_nonblocking(true).unwrap();
            // It is under way, and stays so.
            let _ = filler.connect(&address.into());
            sockets.push(filler);
        }
        Self {
            address,
            _sockets: sockets,
        }
    }

    fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn session_on(url: &str) -> SessionBuilder {
    Session::builder()
        .server_url(url)
        .api_key("k")
        .api_user("u")
        .retry(Retry::off())
        .schema_cache(ftrack_api::config::SchemaCache::Off)
}

fn port(server: &Emulator) -> u16 {
    server.url().rsplit(':').next().unwrap().parse().unwrap()
}

/// Three addresses with the same port: one that accepts, one that refuses, one that does neither.
fn addresses(server: &Emulator) -> (Hole, [IpAddr; 3]) {
    let silent = Hole::at(format!("127.0.0.2:{}", port(server)).parse().unwrap());
    let address = |text: &str| text.parse().unwrap();
    let all = [
        address("127.0.0.1"),
        address("127.0.0.3"),
        silent.address.ip(),
    ];
    (silent, all)
}

#[test]
fn whichever_order_the_addresses_come_in_the_one_that_accepts_is_taken() {
    let server = emulator();
    let (_silent, [accepts, refuses, silent]) = addresses(&server);
    let localhost: IpAddr = "::1".parse().unwrap();
    for order in [
        vec![accepts, refuses, silent],
        vec![accepts, silent, refuses],
        vec![refuses, accepts, silent],
        vec![refuses, silent, accepts],
        vec![silent, accepts, refuses],
        vec![silent, refuses, accepts],
        vec![localhost, silent, accepts],
        vec![silent, silent, silent, localhost, refuses, accepts],
    ] {
        let network = Network::new().resolve_to("Studio.example", order.clone());
        // Who waited for the silent one would fail, or wait for ever.
        let network = network.connect_timeout(Duration::from_secs(3600));
        let session = builder(&server)
            .server_url(format!("http://studio.example:{}", port(&server)))
            .network(network)
            .open()
            .unwrap();
        let tasks = session.query("Task limit 3").unwrap().all().unwrap();
        assert_eq!(tasks.len(), 3);
        session.event_hub().connect().unwrap();
    }
}

#[test]
fn addresses_of_a_proxy_are_tried_as_well() {
    let server = emulator();
    let (proxy, asked) = relay::proxy();
    let silent = Hole::at(format!("127.0.0.2:{}", proxy.port()).parse().unwrap());
    let network = Network::new()
        .proxy(format!(
            "http://{}@proxy.example:{}",
            relay::CREDENTIALS,
            proxy.port()
        ))
        .resolve_to("proxy.example", [silent.address.ip(), proxy.ip()]);
    let session = builder(&server).network(network).open().unwrap();
    session.event_hub().connect().unwrap();
    assert!(asked.lock().unwrap().len() >= 3);
}

#[test]
fn when_no_address_accepts_the_error_says_so_in_time() {
    let server = emulator();
    let (_silent, [_, refuses, silent]) = addresses(&server);
    let url = format!("http://studio.example:{}", port(&server));
    for (addresses, kind, says) in [
        (
            vec![refuses, refuses],
            ErrorKind::Connection,
            "nothing listens",
        ),
        (
            vec![silent, refuses],
            ErrorKind::Timeout,
            "timed out while connecting",
        ),
        (
            vec![refuses, silent],
            ErrorKind::Timeout,
            "timed out while connecting",
        ),
        (vec![], ErrorKind::Connection, "address"),
    ] {
        let limit = match kind {
            ErrorKind::Timeout => Duration::from_millis(400),
            _ => Duration::from_secs(120),
        };
        let started = Instant::now();
        let network = || {
            let network = Network::new().connect_timeout(limit);
            network.resolve_to("studio.example", addresses.clone())
        };
        let error = session_on(&url).network(network()).open().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        let config = HubConfig::new(&url, "u", "k");
        let config = config.network(network()).connect_timeout(limit);
        let error = EventHub::new(config).connect().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(started.elapsed() < MAX_WAIT, "{addresses:?}");
    }
    let error = session_on("http://no-such-host.invalid")
        .open()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.to_string().contains("no such host"), "{error}");
}

#[test]
fn cancelling_ends_a_connection_under_way() {
    let hole = Hole::new();
    let proxied = Network::new().proxy(format!("http://{}", hole.address));
    let socks = Network::new().proxy(format!("socks5://{}", hole.address));
    for (url, network) in [
        (hole.url(), Network::new()),
        ("http://studio.example".to_owned(), proxied),
        ("http://studio.example".to_owned(), socks),
    ] {
        let token = CancelToken::new();
        let (button, builder) = (token.clone(), session_on(&url).network(network));
        let asking = thread::spawn(move || token.run(|| builder.open().unwrap_err()));
        thread::sleep(Duration::from_millis(100));
        assert!(!asking.is_finished(), "the connection is under way");
        let cancelled = Instant::now();
        button.cancel();
        let error = asking.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(cancelled.elapsed() < MAX_WAIT);
    }
}

#[test]
fn closing_ends_connections_under_way() {
    let server = emulator();
    let proxy = Proxy::before(server.url());
    let session = builder(&server).server_url(proxy.url()).open().unwrap();
    // The server ends, and what takes its place does not respond.
    proxy.stop();
    let hole = Hole::at(proxy.address());
    let task = {
        let session = session.clone();
        thread::spawn(move || session.query("Task").unwrap().all().unwrap_err())
    };
    let hub = {
        let hub = session.event_hub().clone();
        thread::spawn(move || hub.connect().unwrap_err())
    };
    thread::sleep(Duration::from_millis(200));
    assert!(
        !task.is_finished() && !hub.is_finished(),
        "both are under way"
    );
    let closing = Instant::now();
    session.close();
    for thread in [task, hub] {
        let error = thread.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
    assert!(closing.elapsed() < MAX_WAIT);
    drop(hole);
}

#[test]
fn a_request_after_a_cancelled_one_is_as_good_as_any() {
    let server = emulator();
    let session = open(&server);
    session.event_hub().connect().unwrap();
    for _ in 0..20 {
        let token = CancelToken::new();
        let button = token.clone();
        let (asked, session) = (session.clone(), session.clone());
        let asking = thread::spawn(move || token.run(|| asked.query("Task")?.all().map(drop)));
        button.cancel();
        if let Err(error) = asking.join().unwrap() {
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        }
        session.query("Task limit 3").unwrap().all().unwrap();
    }
    session.event_hub().publish(Event::new("fine")).unwrap();
}
