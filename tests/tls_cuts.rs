//! Encrypted connections that break anywhere: in the handshake, in a request, in a response, and
//! ends without notice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod support;

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use ftrack_api::{
    ErrorKind, Event, Result, Session,
    config::{Network, Retry},
    data,
    transport::{Request, Response, Transport},
};
use ftrack_emulator::Emulator;
use support::proxy::{Break, Harm, Proxy, Way};
use support::{Parrot, builder, emulator, open};
use tempfile::NamedTempFile;

/// Waits that no test notices.
const QUICK: Retry = Retry::new()
    .first_wait(Duration::from_millis(1))
    .longest_wait(Duration::from_millis(4));

/// What breaks encrypted bytes, before what decrypts them.
struct Stage {
    proxy: Proxy,
    authority: NamedTempFile,
}

impl Stage {
    fn before(url: &str) -> Self {
        let target: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let (tls, authority) = relay::tls(target);
        Self {
            proxy: Proxy::to(tls),
            authority,
        }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.proxy.address().port())
    }

    fn network(&self) -> Network {
        Network::new().ca_file(self.authority.path())
    }

    fn session(&self, server: &Emulator) -> Session {
        let builder = builder(server).server_url(self.url()).retry(QUICK);
        builder.network(self.network()).open().unwrap()
    }
}

const HARMS: [Harm; 3] = [Harm::Cut, Harm::Reset, Harm::HalfClose];

/// From the first byte of a handshake to beyond the last one of a response.
fn places(way: Way) -> impl Iterator<Item = usize> {
    let (last, step) = match way {
        Way::ToServer => (1500, 97),
        Way::ToClient => (3000, 173),
    };
    (0..last).step_by(step)
}

#[test]
fn queries_are_asked_again_and_commits_are_applied_once_wherever_they_are_cut() {
    let server = emulator();
    let stage = Stage::before(server.url());
    let session = stage.session(&server);
    let mut names = Vec::new();
    let mut happened = 0;
    for way in [Way::ToServer, Way::ToClient] {
        for (number, after) in places(way).enumerate() {
            let harm = HARMS[number % HARMS.len()];
            // Half of them on a connection that is new, with the handshake to be cut.
            if number % 2 == 0 {
                stage.proxy.hang_up();
            }
            stage.proxy.push(Break::new(way, after, harm));
            let found = session.query("Task limit 3").unwrap().all();
            assert_eq!(found.unwrap().len(), 3, "{way:?} {after} {harm:?}");
            let name = format!("cut {way:?} {after}");
            let data = data! { "name": name.as_str(), "short": "cut" };
            session.create("State", data).unwrap();
            session
                .commit()
                .unwrap_or_else(|error| panic!("{way:?} {after} {harm:?}: {error:?}"));
            assert!(session.recorded_operations().is_empty());
            names.push(name);
            happened += usize::from(stage.proxy.clear().is_empty());
        }
    }
    assert!(happened > names.len() / 2, "{happened} of {}", names.len());
    let states = open(&server)
        .query("State where short is cut")
        .unwrap()
        .all()
        .unwrap();
    let mut found: Vec<String> = states.iter().map(|one| one.get("name").unwrap()).collect();
    found.sort();
    names.sort();
    assert_eq!(found, names);
}

#[test]
fn events_survive_cuts_of_encrypted_connections() {
    let server = emulator();
    let stage = Stage::before(server.url());
    let session = stage.session(&server);
    let listener = open(&server);
    let hub = listener.event_hub();
    hub.connect().unwrap();
    let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(Duration::from_secs(20));
    hub.subscribe_with("topic=cut", options, |_| Ok(None))
        .unwrap();
    session.event_hub().connect().unwrap();
    for (number, harm) in HARMS.into_iter().cycle().take(12).enumerate() {
        let way = [Way::ToServer, Way::ToClient][number % 2];
        stage.proxy.push(Break::new(way, number * 61, harm));
        let event = Event::new("cut").with_data(serde_json::json!({ "number": number }));
        session.event_hub().publish(event).unwrap();
        let heard = hub
            .next(Duration::from_secs(20))
            .unwrap()
            .expect("the event");
        assert_eq!(heard.data()["number"], number, "{harm:?}");
        stage.proxy.clear();
    }
}

/// A transport that asks for one thing over HTTP and keeps it to itself.
struct Ends(Box<dyn Transport>);

impl Transport for Ends {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let mut response = self.0.send(request)?;
        let mut text = String::new();
        let read = response.body.read_to_string(&mut text);
        let (kind, message) = match read {
            Ok(_) => (ErrorKind::NotFound, format!("whole: {text}")),
            Err(error) => (ErrorKind::Validation, format!("broken: {error}")),
        };
        Err(ftrack_api::Error::new(kind, message))
    }
}

#[test]
fn an_end_that_nobody_has_announced_is_no_end() {
    // Without a length a response ends with its connection, which anybody can cut.
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    for (headers, cut, expected) in [
        ("", false, ErrorKind::NotFound),
        ("", true, ErrorKind::Validation),
        ("Content-Length: 11\r\n", false, ErrorKind::NotFound),
        // All of it is there: how the connection ends says nothing more.
        ("Content-Length: 11\r\n", true, ErrorKind::NotFound),
        ("Content-Length: 12\r\n", false, ErrorKind::Validation),
        ("Content-Length: 12\r\n", true, ErrorKind::Validation),
    ] {
        let parrot = Parrot::raw(format!("{head}{headers}\r\nhello world"));
        let target = parrot.address().strip_prefix("http://").unwrap();
        let (tls, authority) = relay::tls_ending(target.parse().unwrap(), !cut);
        let outcome = parrot
            .builder()
            .server_url(format!("https://127.0.0.1:{}", tls.port()))
            .network(Network::new().ca_file(authority.path()))
            .retry(Retry::off())
            .wrap_transport(Ends)
            .open();
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), expected, "{headers:?} {cut}: {error}");
    }
}
