//! Opening a session: credentials, versions, and servers that are none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use ftrack_api::{ErrorKind, Session, config::SchemaCache, transport::ScriptedTransport};
use support::{Parrot, builder, emulator, open, secret};

#[test]
fn a_session_knows_its_server() {
    let server = emulator();
    let session = open(&server);
    assert_eq!(session.server_url(), server.url());
    assert_eq!(session.api_user(), server.api_user());
    assert_eq!(session.schema().entity_types().len(), 136);
    let information = session.server_information();
    assert!(information.is_timezone_support_enabled());
    assert_eq!(information.schema_hash(), Some(session.schema().hash()));
}

#[test]
fn wrong_credentials_are_refused_with_a_remedy() {
    let server = emulator();
    for strict in [false, true] {
        let wrong_key = builder(&server)
            .api_key(secret("s3cret-key"))
            .strict_api(strict)
            .open()
            .unwrap_err();
        let wrong_user = builder(&server)
            .api_user("nobody")
            .strict_api(strict)
            .open()
            .unwrap_err();
        for error in [wrong_key, wrong_user] {
            assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
            assert!(error.to_string().contains("FTRACK_API_KEY"), "{error}");
            assert!(!format!("{error:?}").contains("s3cret-key"), "{error:?}");
            assert_eq!(error.server().unwrap().exception, "InvalidCredentialsError");
        }
    }
}

#[test]
fn slashes_at_the_end_do_not_matter() {
    let server = emulator();
    let session = builder(&server)
        .server_url(format!("{}//", server.url()))
        .open()
        .unwrap();
    assert!(session.query("Project").unwrap().first().unwrap().is_some());
}

#[test]
fn a_server_that_is_not_there() {
    // A port that nothing is given by the system.
    let free = "127.0.0.1:1";
    let unreachable = Session::builder()
        .api_key("k")
        .api_user("u")
        .server_url(format!("http://{free}"));
    let error = unreachable.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains(free), "{error}");
    assert!(error.to_string().contains("nothing listens"), "{error}");

    let nowhere = Session::builder()
        .api_key("k")
        .api_user("u")
        .server_url("http://no-such-host.invalid");
    let error = nowhere.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );
}

#[test]
fn a_server_that_never_responds() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Session::builder()
        .server_url(format!("http://{}", silent.local_addr().unwrap()))
        .api_key("k")
        .api_user("u")
        .timeout(Duration::from_millis(100))
        .open()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("100ms"), "{error}");
}

#[test]
fn responses_that_are_no_responses() {
    let truncated = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{\"version\": \"dev\"";
    for (server, kind, says) in [
        (
            Parrot::new("200 OK", "", "<html>Login s3cret-key</html>"),
            ErrorKind::BadResponse,
            "HTML",
        ),
        (
            Parrot::new("500 Internal Server Error", "", "<html>nginx</html>"),
            ErrorKind::BadResponse,
            "500",
        ),
        (
            Parrot::new("200 OK", "", "[{\"version\":"),
            ErrorKind::BadResponse,
            "cannot be read",
        ),
        (
            Parrot::new("200 OK", "", ""),
            ErrorKind::BadResponse,
            "empty",
        ),
        (
            Parrot::new("200 OK", "", "[]"),
            ErrorKind::BadResponse,
            "0 replies to 2",
        ),
        (
            Parrot::new("200 OK", "", "[null, []]"),
            ErrorKind::BadResponse,
            "is not an object",
        ),
        (
            Parrot::new("200 OK", "", "[{\"version\": \"3.0.0\"}, []]"),
            ErrorKind::Unsupported,
            "3.3.11",
        ),
        (
            Parrot::new("200 OK", "", "[{\"version\": \"dev\"}, {\"a\": 1}]"),
            ErrorKind::BadResponse,
            "schema",
        ),
        (Parrot::raw(truncated), ErrorKind::Connection, "broke off"),
        (
            Parrot::raw("garbage"),
            ErrorKind::Connection,
            "cannot reach",
        ),
        (Parrot::raw(""), ErrorKind::Connection, "cannot reach"),
    ] {
        // `Off` asks for information and schema at once.
        let error = server.builder().open().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error} for {says}");
        assert!(
            !format!("{error:?} {error}").contains("s3cret-key"),
            "{error}"
        );
    }
}

#[test]
fn failures_are_the_same_whatever_the_status() {
    let body = r#"{"exception": "PermissionError", "content": "not you", "error_code": null}"#;
    for status in ["200 OK", "403 Forbidden", "500 Internal Server Error"] {
        let error = Parrot::new(status, "", body).builder().open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission);
        assert!(error.to_string().contains("not you"), "{error}");
        let code: u16 = status[..3].parse().unwrap();
        assert_eq!(error.server().unwrap().status, code);
    }
}

#[test]
fn a_server_that_repeats_the_key_is_not_quoted() {
    let long = format!("<html>{}s3cret-key</html>", "-".repeat(289));
    let failure = r#"{"exception": "ValidationError", "content": "the key s3cret-key is odd"}"#;
    for body in [long.as_str(), failure] {
        let error = Parrot::new("200 OK", "", body)
            .builder()
            .open()
            .unwrap_err();
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn redirects_are_not_followed_with_the_key() {
    let other = Parrot::new("200 OK", "", "[]");
    let location = format!("Location: {}/api\r\n", other.address());
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        let server = Parrot::new(status, &location, "");
        let error = server.builder().open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(other.address()), "{error}");
        assert_eq!(error.status(), status[..3].parse().ok());
        assert_eq!((server.count(), other.count()), (1, 0));
    }
}

#[test]
fn the_longest_times_are_no_trouble() {
    let server = support::emulator();
    let network = ftrack_api::config::Network::new();
    let session = support::builder(&server)
        .timeout(Duration::MAX)
        .network(
            network
                .connect_timeout(Duration::MAX)
                .idle_timeout(Duration::MAX),
        )
        .retry(ftrack_api::config::Retry::new().deadline(Duration::MAX))
        .open()
        .unwrap();
    let component = support::upload(&session, support::LICENCE.as_ref());
    let storage = session.location("ftrack.server").unwrap();
    assert!(support::read(&storage, &component).starts_with(b"MIT"));
    storage.remove_component(&component).unwrap();
    let gone = storage
        .accessor()
        .unwrap()
        .open(&component.id())
        .err()
        .unwrap();
    let gone: ftrack_api::Error = gone.downcast().unwrap();
    assert_eq!(
        (gone.kind(), gone.status()),
        (ErrorKind::NotFound, Some(404))
    );
}

#[test]
fn one_request_opens_a_session() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let cached = || builder(&server).schema_cache(SchemaCache::Dir(folder.path().into()));
    assert_eq!(cached().open().unwrap().statistics().requests, 1);
    let warm = cached().open().unwrap();
    assert_eq!(warm.statistics().requests, 1);
    assert!(
        warm.statistics().bytes_received < 1000,
        "the schema was fetched again"
    );
    assert_eq!(warm.schema().entity_types().len(), 136);
    let file = folder.path().join("ftrack_api_schema_cache.json");
    let text = std::fs::read(&file).unwrap();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert_eq!(cached().open().unwrap().statistics().requests, 2);
    assert_eq!(
        std::fs::read(&file).unwrap(),
        text,
        "the bad file is replaced"
    );
}

#[test]
fn a_closed_session_says_so() {
    let server = emulator();
    let session = open(&server);
    let task = session
        .query("select name from Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    session.close();
    session.close();
    assert!(session.is_closed());
    assert_eq!(
        task.get::<String>("name").unwrap(),
        task.get::<String>("name").unwrap()
    );
    let closed = |error: ftrack_api::Error| assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    closed(task.get::<String>("description").unwrap_err());
    closed(task.set("name", "x").unwrap_err());
    closed(session.query("Task").unwrap().all().unwrap_err());
    closed(session.create("Task", ftrack_api::Data::new()).unwrap_err());
    closed(session.commit().unwrap_err());
    closed(session.delete(&task).unwrap_err());
    closed(session.get("User", "somebody").unwrap_err());
    closed(session.call(&[]).unwrap_err());
}

#[test]
fn a_transport_can_be_handed_in() {
    let script = ScriptedTransport::new();
    script.respond(
        200,
        r#"[{"version": "dev", "schema_hash": "x"},
        [{"id": "A", "primary_key": ["id"], "default_projections": ["id"],
          "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}]]"#,
    );
    script.respond(
        200,
        r#"[{"action": "query", "data": [{"__entity_type__": "A", "id": "a", "n": 7}]}]"#,
    );
    let session = Session::builder()
        .server_url("https://studio.example")
        .api_key("k")
        .api_user("u")
        .schema_cache(SchemaCache::Off)
        .transport(script.clone())
        .open()
        .unwrap();
    let found = session.query("select n from A").unwrap().one().unwrap();
    assert_eq!(found.get::<u8>("n").unwrap(), 7);
    assert!(script.requests()[1].contains("select n from A offset 0 limit 2"));
}

#[test]
fn sessions_and_entities_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Session>();
    crosses::<ftrack_api::Entity>();
    crosses::<ftrack_api::Query>();
}
