//! What the doctor says of servers that work, and of those that do not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod support;

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use ftrack_api::doctor::{CheckStatus, Report, examine};
use ftrack_api::{
    Session, SessionBuilder,
    config::{Network, SchemaCache},
    transport::ScriptedTransport,
};
use ftrack_emulator::faults::Fault;
use support::proxy::{Break, Harm, Proxy, Way};
use support::{Parrot, builder, emulator, eventually, open, secret};

const ALL: [&str; 10] = [
    "configuration",
    "name resolution",
    "connection",
    "proxy",
    "tls",
    "response",
    "clock",
    "credentials",
    "schema cache",
    "event server",
];

/// The report, of which everything before `name` passed, and `name` says all of `words`; what
/// comes behind is as `rest` says.
#[track_caller]
fn check(builder: SessionBuilder, name: &str, words: &[&str]) -> Report {
    let report = examine(builder);
    let text = report.to_string();
    let names: Vec<_> = report.checks().iter().map(|check| check.name).collect();
    assert_eq!(names, ALL, "{text}");
    let failure = report
        .first_failure()
        .unwrap_or_else(|| panic!("healthy:\n{text}"));
    assert_eq!(failure.name, name, "{text}");
    let said = format!("{} {}", failure.finding, failure.remedy.as_deref().unwrap());
    for word in words {
        assert!(said.contains(word), "{word}: {text}");
    }
    assert!(!report.is_healthy());
    report
}

fn status(report: &Report, name: &str) -> CheckStatus {
    report.check(name).unwrap().status
}

#[test]
fn a_healthy_server() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let cached = || builder(&server).schema_cache(SchemaCache::Dir(folder.path().into()));
    let report = examine(cached());
    let text = report.to_string();
    assert!(report.is_healthy(), "{text}");
    let passed = |name: &&str| status(&report, name) == CheckStatus::Passed;
    assert!(ALL.iter().all(passed), "{text}");
    assert!(text.contains("nothing is cached yet"), "{text}");
    assert!(text.contains("no") && text.contains(server.url()), "{text}");
    for secret in [server.api_key(), &server.api_key()[..12]] {
        assert!(!format!("{text} {report:?}").contains(secret), "{text}");
    }
    drop(cached().open().unwrap());
    let report = examine(cached());
    let cache = report.check("schema cache").unwrap();
    assert!(
        cache.finding.contains("old, is the server's schema"),
        "{cache}"
    );

    std::fs::write(folder.path().join("ftrack_api_schema_cache.json"), "[]").unwrap();
    let report = examine(cached());
    let cache = report.check("schema cache").unwrap();
    assert_eq!(cache.status, CheckStatus::Warning, "{cache}");
    assert!(report.is_healthy() && cache.remedy.is_some(), "{cache}");
    // It has changed nothing, and left no connection to the event server.
    drop(open(&server));
    eventually("no connection is left", || {
        server.events().connections() == 0
    });
}

#[test]
fn wrong_credentials() {
    let server = emulator();
    for wrong in [
        builder(&server).api_key(secret("wr0ng-key")),
        builder(&server).api_user("nobody"),
    ] {
        let report = check(wrong, "credentials", &["API keys"]);
        assert_eq!(status(&report, "event server"), CheckStatus::Skipped);
        assert!(
            !format!("{report} {report:?}").contains("wr0ng"),
            "{report}"
        );
    }
}

#[test]
fn nothing_is_configured() {
    // The variables of this process may say something: the example runs without them.
    let run = |set: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "-qp", "ftrack-examples", "--bin", "doctor"]);
        for name in [
            "FTRACK_SERVER",
            "FTRACK_API_KEY",
            "FTRACK_APIKEY",
            "FTRACK_API_USER",
        ] {
            command.env_remove(name);
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = command.envs(set.iter().copied()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), format!("{text}{errors}"))
    };
    let (code, text) = run(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no server URL is set"), "{text}");
    assert!(text.contains("Start with: configuration."), "{text}");
    let server = emulator();
    // Without a key the network can be looked at all the same.
    let (code, text) = run(&[("FTRACK_SERVER", server.url())]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no API key is set"), "{text}");
    assert!(text.contains("ok  response         status"), "{text}");
    let (code, text) = run(&[
        ("FTRACK_SERVER", server.url()),
        ("FTRACK_API_KEY", server.api_key()),
        ("FTRACK_API_USER", server.api_user()),
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains(server.api_key()), "{text}");
}

fn somewhere(url: impl Into<String>) -> SessionBuilder {
    Session::builder()
        .server_url(url)
        .api_key("k")
        .api_user("u")
        .schema_cache(SchemaCache::Off)
}

#[test]
fn servers_that_are_not_there() {
    // A port that nothing is given by the system.
    let free = "127.0.0.1:1";
    let report = check(
        somewhere(format!("http://{free}")),
        "connection",
        &[free, "port"],
    );
    assert_eq!(status(&report, "response"), CheckStatus::Skipped);
    let unknown = somewhere("https://no-such-host.invalid");
    check(unknown, "name resolution", &["no-such-host.invalid", "VPN"]);
    let no_url = somewhere("ftp://a");
    let report = check(no_url, "configuration", &["ftp://a"]);
    assert_eq!(status(&report, "event server"), CheckStatus::Skipped);
}

#[test]
fn servers_that_do_not_respond() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let started = Instant::now();
    // A busy machine needs a part of it to connect.
    let limit = Duration::from_secs(3);
    check(
        somewhere(url).timeout(limit),
        "response",
        &["no response within 3s"],
    );
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "it has a limit"
    );
    let page = Parrot::new("200 OK", "", "<html>Welcome</html>");
    check(
        page.builder(),
        "credentials",
        &["HTML", "check that the URL"],
    );
}

#[test]
fn certificates_that_nobody_vouches_for() {
    let server = emulator();
    let target = server.url().trim_start_matches("http://").parse().unwrap();
    let (address, authority) = relay::tls(target);
    let url = format!("https://localhost:{}", address.port());
    let secure = || builder(&server).server_url(url.clone());
    let report = check(secure(), "tls", &["REQUESTS_CA_BUNDLE"]);
    assert_eq!(status(&report, "credentials"), CheckStatus::Skipped);
    let trusting = secure().network(Network::new().ca_file(authority.path()));
    let report = examine(trusting);
    assert!(report.is_healthy(), "{report}");
    assert!(
        report.check("tls").unwrap().finding.contains("trusted"),
        "{report}"
    );
}

#[test]
fn clocks_that_are_wrong() {
    let late = "Date: Tue, 24 Nov 2020 10:00:00 GMT\r\n";
    let information = r#"[{"version": "dev", "schema_hash": "x"}]"#;
    let report = examine(Parrot::new("200 OK", late, information).builder());
    let clock = report.check("clock").unwrap();
    assert_eq!(clock.status, CheckStatus::Warning, "{report}");
    assert!(clock.finding.contains("ahead of the server's"), "{report}");
    assert!(clock.remedy.as_ref().unwrap().contains("NTP"), "{report}");
    assert_eq!(
        status(&report, "credentials"),
        CheckStatus::Passed,
        "{report}"
    );
    assert_eq!(report.first_failure().unwrap().name, "event server");
}

#[test]
fn event_servers_that_refuse() {
    let server = emulator();
    server
        .faults()
        .push(Fault::bad_gateway().at("/socket.io/").times(5));
    check(builder(&server), "event server", &["502", "WebSocket"]);
}

#[test]
fn proxies() {
    let server = emulator();
    let (address, _asked) = relay::proxy();
    let by = |url: String| builder(&server).network(Network::new().proxy(url));
    let report = examine(by(format!("http://{}@{address}", relay::CREDENTIALS)));
    assert!(report.is_healthy(), "{report}");
    assert!(
        report
            .check("proxy")
            .unwrap()
            .finding
            .contains(&address.to_string()),
        "{report}"
    );
    // An HTTP server is no SOCKS proxy.
    let other = server.url().replace("http://", "socks5://");
    check(by(other), "proxy", &["SOCKS 5"]);
    let report = check(
        by(format!("http://{}@{address}", secret("me:wr0ng-pass"))),
        "proxy",
        &["password"],
    );
    assert!(
        !format!("{report} {report:?}").contains("wr0ng"),
        "{report}"
    );
    check(
        by("http://127.0.0.1:1".to_owned()),
        "connection",
        &["127.0.0.1:1"],
    );
    check(
        by("http://no-such-proxy.invalid:1".to_owned()),
        "name resolution",
        &["of the proxy"],
    );
}

/// A connection that breaks at any point is a finding, never a panic or a hang.
#[test]
fn connections_that_break() {
    let server = emulator();
    let proxy = Proxy::before(server.url());
    for after in [0, 10, 100, 300, 800] {
        for way in [Way::ToServer, Way::ToClient] {
            proxy.push(Break::new(way, after, Harm::Reset));
            let behind = builder(&server).server_url(proxy.url());
            let report = examine(behind.timeout(Duration::from_secs(5)));
            assert_eq!(report.checks().len(), ALL.len(), "{report}");
            proxy.clear();
        }
    }
}

#[test]
fn a_transport_of_the_program_is_asked() {
    let script = ScriptedTransport::new();
    script.respond(200, r#"[{"version": "4.13.8"}]"#);
    let report = examine(somewhere("http://127.0.0.1:1").transport(script.clone()));
    assert_eq!(status(&report, "connection"), CheckStatus::Skipped);
    assert!(
        report
            .check("credentials")
            .unwrap()
            .finding
            .contains("4.13.8"),
        "{report}"
    );
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn socks_proxies_and_addresses_by_hand() {
    let server = emulator();
    let target: std::net::SocketAddr = server
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let (address, asked) = relay::socks(false, target);
    let at_studio = |network: Network| {
        let url = format!("http://studio.example:{}", target.port());
        builder(&server).server_url(url).network(network)
    };
    let through = Network::new().proxy(format!("socks5://{address}"));
    let report = examine(at_studio(through));
    assert!(report.is_healthy(), "{report}");
    let finding = &report.check("proxy").unwrap().finding;
    assert!(finding.contains(&address.to_string()), "{report}");
    assert!(!asked.lock().unwrap().is_empty());
    let by_hand = Network::new().resolve_to("studio.example", [target.ip()]);
    let report = examine(at_studio(by_hand));
    assert!(report.is_healthy(), "{report}");
    let finding = &report.check("name resolution").unwrap().finding;
    assert!(finding.contains("resolve_to"), "{report}");
}
