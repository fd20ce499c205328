//! Proxies, certificates, limits: how a session reaches its server, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::HubConfig;
use ftrack_api::{
    ErrorKind, EventHub, Session, SessionBuilder,
    config::{Network, Retry},
};
use ftrack_emulator::Emulator;
use support::{Parrot, builder, emulator, secret};

fn address(server: &Emulator) -> SocketAddr {
    server
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

fn works(session: &Session) {
    assert_eq!(
        session.query("Task limit 3").unwrap().all().unwrap().len(),
        3
    );
    session.event_hub().connect().unwrap();
}

#[test]
fn requests_and_events_go_through_the_proxy() {
    let server = emulator();
    let (proxy, asked) = relay::proxy();
    let through = |credentials: &str| {
        let network = Network::new().proxy(format!("http://{credentials}{proxy}"));
        builder(&server).network(network).open()
    };
    works(&through(&format!("{}@", relay::CREDENTIALS)).unwrap());
    let asked: Vec<String> = asked.lock().unwrap().clone();
    let target = format!("CONNECT {} ", address(&server));
    assert!(asked.len() >= 3, "{asked:?}");
    assert!(
        asked.iter().all(|head| head.starts_with(&target)),
        "{asked:?}"
    );
    // The proxy receives its own credentials, and nothing that is meant for the server.
    let key = server.api_key();
    assert!(
        asked
            .iter()
            .all(|head| !head.contains(key) && !head.contains("ftrack-user"))
    );

    for credentials in ["", secret("me:wr0ng-pass@")] {
        let error = through(credentials).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        let text = format!("{error} {error:?} {error:#?}");
        assert!(
            text.contains(&proxy.to_string()) && text.contains("proxy"),
            "{text}"
        );
        assert!(!text.contains("wr0ng"), "{text}");
    }
    let direct = Network::new()
        .proxy("http://127.0.0.1:1")
        .no_proxy("127.0.0.0/8");
    works(&builder(&server).network(direct).open().unwrap());
    let gone = Network::new().proxy("http://127.0.0.1:1");
    let error = builder(&server).network(gone).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(
        error.to_string().contains("through the proxy 127.0.0.1:1"),
        "{error}"
    );
}

#[test]
fn a_studio_authority_is_trusted_besides_the_system() {
    let server = emulator();
    let (tls, authority) = relay::tls(address(&server));
    let at = |host: &str| builder(&server).server_url(format!("https://{host}:{}", tls.port()));
    let trusting = || Network::new().ca_file(authority.path());
    works(&at("localhost").network(trusting()).open().unwrap());

    let error = at("localhost").open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("REQUESTS_CA_BUNDLE"), "{error}");
    let (other, certificate) = relay::tls_as(address(&server), &["studio.example"]);
    let error = builder(&server)
        .server_url(format!("https://localhost:{}", other.port()))
        .network(Network::new().ca_file(certificate.path()))
        .open()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(
        error
            .to_string()
            .contains("name that its certificate is for"),
        "{error}"
    );
    // A server that does not speak TLS.
    let plain = builder(&server).server_url(server.url().replace("http", "https"));
    let error = plain.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("scheme"), "{error}");
}

#[test]
fn servers_that_ask_for_a_certificate_get_it() {
    let server = emulator();
    let (tls, authority, client) = relay::mutual_tls(address(&server));
    let url = format!("https://localhost:{}", tls.port());
    let trusting = || Network::new().ca_file(authority.path());
    let at = |network: Network| builder(&server).server_url(&url).network(network);
    let showing = trusting().client_cert(client.path(), client.path());
    works(&at(showing).open().unwrap());

    // Without one, and with one that another authority signed.
    let (_, _, strange) = relay::mutual_tls(address(&server));
    let strange = || trusting().client_cert(strange.path(), strange.path());
    for network in [trusting(), strange()] {
        let error = at(network.clone()).open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("client_cert"), "{error}");
        let config = HubConfig::new(&url, server.api_user(), server.api_key());
        let hub = EventHub::new(config.network(network));
        let error = hub.connect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("client_cert"), "{error}");
    }
}

#[test]
fn requests_and_events_go_through_a_socks_proxy() {
    let server = emulator();
    let port = address(&server).port();
    let mine = &format!("{}@", relay::CREDENTIALS);
    for (login, credentials) in [(false, ""), (true, mine), (false, mine)] {
        let (proxy, asked) = relay::socks(login, address(&server));
        for (scheme, host) in [("socks5", "127.0.0.1"), ("socks5h", "studio.example")] {
            asked.lock().unwrap().clear();
            let network = Network::new().proxy(format!("{scheme}://{credentials}{proxy}"));
            let url = format!("http://{host}:{port}");
            works(
                &builder(&server)
                    .server_url(url)
                    .network(network)
                    .open()
                    .unwrap(),
            );
            // One for requests, and two to connect the hub; the proxy looks the name up.
            let expected = format!("{host}:{port}");
            assert_eq!(*asked.lock().unwrap(), [(); 3].map(|()| expected.clone()));
        }
    }
    // TLS goes through it as well.
    let (tls, authority) = relay::tls_as(address(&server), &["studio.example"]);
    let (proxy, _) = relay::socks(false, tls);
    let network = Network::new()
        .proxy(format!("socks5://{proxy}"))
        .ca_file(authority.path());
    let secure = builder(&server).server_url("https://studio.example");
    works(&secure.network(network).open().unwrap());
}

#[test]
fn a_socks_proxy_that_refuses_says_why() {
    let server = emulator();
    let (locked, _) = relay::socks(true, address(&server));
    let (http, _) = relay::proxy();
    let gone = "http://127.0.0.1:1";
    for (proxy, url, kind, says) in [
        (
            format!("socks5://{locked}"),
            server.url(),
            ErrorKind::Authentication,
            "requires authentication",
        ),
        (
            format!("socks5://{}@{locked}", secret("me:wr0ng-pass")),
            server.url(),
            ErrorKind::Authentication,
            "user and password",
        ),
        (
            format!("socks5://{}@{locked}", relay::CREDENTIALS),
            gone,
            ErrorKind::Connection,
            "nothing listens",
        ),
        (
            format!("socks5://{http}"),
            server.url(),
            ErrorKind::Timeout,
            "",
        ),
        (
            "socks5://127.0.0.1:1".into(),
            server.url(),
            ErrorKind::Connection,
            "nothing listens",
        ),
    ] {
        // A server that responds may take its time.
        let limit = Duration::from_millis(match kind {
            ErrorKind::Timeout => 500,
            _ => 60_000,
        });
        let network = || {
            let network = Network::new().proxy(proxy.as_str());
            network.connect_timeout(limit)
        };
        let opened = builder(&server)
            .server_url(url)
            .network(network())
            .retry(Retry::off());
        let error = opened.open().unwrap_err();
        let text = format!("{error} {error:?} {error:#?}");
        assert_eq!(error.kind(), kind, "{proxy}: {text}");
        assert!(
            text.contains(says) && !text.contains("wr0ng"),
            "{proxy}: {text}"
        );
        let config = HubConfig::new(url, server.api_user(), server.api_key());
        let config = config.network(network());
        let hub = EventHub::new(config.connect_timeout(limit));
        let error = hub.connect().unwrap_err();
        assert_eq!(error.kind(), kind, "{proxy}: {error}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    }
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"no certificate").unwrap();
    let path = file.path();
    let (tls, authority) = relay::tls("127.0.0.1:1".parse().unwrap());
    for (network, named) in [
        (Network::new().ca_file("/no/such/file"), "/no/such/file"),
        (Network::new().ca_file(path), path.to_str().unwrap()),
        (
            Network::new().client_cert(authority.path(), path),
            path.to_str().unwrap(),
        ),
    ] {
        let error = refused(&tls.to_string(), network);
        assert!(error.contains(named), "{error}");
    }
}

/// What is said of a network that cannot be used.
fn refused(tls: &str, network: Network) -> String {
    let error = Session::builder()
        .server_url(format!("https://{tls}"))
        .api_key("k")
        .api_user("u")
        .network(network)
        .open()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    error.to_string()
}

/// Nobody ever writes into the pipe, and the device has no end.
#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let endless = folder.path().join("endless");
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    let (tls, authority) = relay::tls("127.0.0.1:1".parse().unwrap());
    for path in [&pipe, &endless] {
        for network in [
            Network::new().ca_file(path),
            Network::new().client_cert(path, path),
            Network::new().client_cert(authority.path(), path),
        ] {
            let error = refused(&tls.to_string(), network);
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains("not a regular file"), "{error}");
        }
    }
}

#[test]
fn cookies_that_a_server_sets_come_back_to_it() {
    let cookie = secret("route=set-by-the-server");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let response = |body: &str, more: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let seen = support::read_request(&mut stream);
            let head = format!(
                "Content-Length: {}\r\nConnection: close\r\n{more}",
                body.len()
            );
            let response = format!("HTTP/1.1 503 Busy\r\n{head}\r\n{body}");
            stream.write_all(response.as_bytes()).unwrap();
            String::from_utf8(seen).unwrap()
        };
        let set = format!("Set-Cookie: {cookie}; Path=/; HttpOnly\r\n");
        let elsewhere = "Set-Cookie: a=b; Domain=elsewhere.example\r\n";
        [response("", &(set + elsewhere)), response("", "")]
    });
    let retry = ftrack_api::config::Retry::new().first_wait(Duration::from_millis(1));
    let builder = Session::builder()
        .server_url(url)
        .api_key("k")
        .api_user("u");
    let builder = builder.cookie("own", secret("c00kie-to-keep"));
    let refused = builder.retry(retry.attempts(2)).open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let [first, second] = server.join().unwrap();
    assert!(!first.contains(cookie), "{first}");
    let both = format!("\r\ncookie: own=c00kie-to-keep; {cookie}\r\n");
    assert!(second.contains(&both), "{second}");
}

#[test]
fn cookies_that_an_event_server_sets_are_not_shown() {
    let cookie = "set-by-the-event-server";
    let set = format!("Set-Cookie: route={cookie}; Path=/\r\n");
    let moved = format!("{set}Location: https://elsewhere/{cookie}\r\n");
    for (status, headers) in [("200 OK", &set), ("302 Found", &moved)] {
        let parrot = Parrot::new(status, headers, &format!("no handshake for {cookie}"));
        let config = HubConfig::new(parrot.address(), "u", "k-to-hide");
        let error = EventHub::new(config).connect().unwrap_err();
        let text = format!("{error:?} {error}");
        assert!(
            text.contains("(secret)") && !text.contains(cookie),
            "{text}"
        );
    }
}

/// A builder for a parrot with limits of its own.
fn limited(parrot: &Parrot, network: Network) -> SessionBuilder {
    parrot.builder().network(network)
}

#[test]
fn responses_are_limited_in_size_even_when_compressed() {
    let plain = format!("[\"{}\"]", "x".repeat(5_000_000));
    let parrot = Parrot::new("200 OK", "", &plain);
    let small = || Network::new().max_response(1_000_000);
    let error = limited(&parrot, small()).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
    assert!(error.to_string().contains("1000000 bytes"), "{error}");

    // A thousandfold: a hundred megabytes of blanks in a hundred kilobytes.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"[").unwrap();
    for _ in 0..100 {
        packed.write_all(&vec![b' '; 1_000_000]).unwrap();
    }
    let packed = packed.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let parrot = Parrot::raw([head.as_bytes(), &packed].concat());
    let error = limited(&parrot, small()).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
    assert!(error.to_string().contains("larger"), "{error}");
}

#[test]
fn responses_are_limited_in_depth() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"data\":", "}]")] {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        for body in [format!("{open}1{close}"), format!("[{open}1{close}]"), open] {
            let error = Parrot::new("200 OK", "", &body)
                .builder()
                .open()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
        }
    }
}

#[test]
fn deep_rows_do_not_overflow_the_stack() {
    let server = emulator();
    let script = ftrack_api::transport::ScriptedTransport::new();
    let session = {
        let schema = bytes_of_opening(&server);
        script.respond(200, schema);
        builder(&server).transport(script.clone()).open().unwrap()
    };
    for (open, close) in [
        ("[", "]"),
        ("{\"a\":", "}"),
        (
            "{\"__entity_type__\":\"Task\",\"id\":\"a\",\"parent\":",
            "}",
        ),
    ] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for body in [
            format!(
                "[{{\"action\":\"query\",\"data\":[{{\"__entity_type__\":\"Task\",\"id\":\"a\",\"name\":{deep}}}]}}]"
            ),
            format!("[{{\"action\":\"query\",\"data\":{deep}}}]"),
            format!("[{{\"action\":\"query\",\"unknown\":{deep},\"data\":[]}}]"),
            format!("[{{\"action\":\"query\",\"metadata\":{deep},\"data\":[]}}]"),
        ] {
            #[derive(serde::Deserialize)]
            struct Row {
                #[allow(dead_code, reason = "read, not used")]
                name: Option<String>,
            }
            script.respond(200, body.clone()).respond(200, body);
            // Either skipped or refused, and never a crash.
            let _ = session.query_raw("Task");
            let _ = session
                .query("select name from Task")
                .unwrap()
                .rows::<Row>()
                .next();
        }
    }
}

/// The bytes that a server sends when a session opens.
fn bytes_of_opening(server: &Emulator) -> Vec<u8> {
    let actions = r#"[{"action": "query_server_information"}, {"action": "query_schemas"}]"#;
    let headers = [
        ("ftrack-user", server.api_user()),
        ("ftrack-api-key", server.api_key()),
    ];
    support::post(server.url(), headers, actions.as_bytes()).1
}

#[test]
fn silence_within_a_response_has_its_own_limit() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let started = Instant::now();
    let error = Session::builder()
        .server_url(url)
        .api_key("k")
        .api_user("u")
        .network(Network::new().idle_timeout(Duration::from_millis(100)))
        .open()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("silent"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
}
