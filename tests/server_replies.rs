//! What servers send is checked: kinds of replies, memory, the user's name, and a session that closes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::sync::mpsc;
use std::thread;

use ftrack_api::config::{Network, SchemaCache};
use ftrack_api::transport::{Request, Response, ScriptedTransport, Transport};
use ftrack_api::{Error, ErrorKind, Result, Session, SessionBuilder};
use peak_alloc::PeakAlloc;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn scripted(script: &ScriptedTransport) -> SessionBuilder {
    script.respond(200, r#"[{"version": "4.13.8"}, []]"#);
    Session::builder()
        .server_url("https://studio.example")
        .api_key("key")
        .api_user("ada")
        .schema_cache(SchemaCache::Off)
        .transport(script.clone())
}

#[test]
fn single_replies_are_objects_with_what_was_asked_for() {
    let script = ScriptedTransport::new();
    let session = scripted(&script).open().unwrap();
    for reply in [
        "[true]",
        "[null]",
        "[[]]",
        "[\"x\"]",
        "[{}]",
        "[{\"widget_url\": 7}]",
        "[{\"data\": 1}]",
    ] {
        script.respond(200, reply).respond(200, reply);
        let widget = session.get_widget_url("tasks", None, None).unwrap_err();
        assert_eq!(widget.kind(), ErrorKind::BadResponse, "{reply}: {widget}");
        let job = session.delayed_job("x").unwrap_err();
        assert_eq!(job.kind(), ErrorKind::BadResponse, "{reply}: {job}");
    }
}

#[test]
fn replies_take_at_most_twice_the_memory_of_a_response() {
    const MAX_RESPONSE: u64 = 8 << 20;
    let script = ScriptedTransport::new();
    let session = scripted(&script).network(Network::new().max_response(MAX_RESPONSE));
    let session = session.open().unwrap();
    for unit in ["{\"\":0},", "0,", "[],", "\"\","] {
        let count = (MAX_RESPONSE as usize - 100) / unit.len();
        script.respond(200, format!("[{}0]", unit.repeat(count)));
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let error = session
            .call(&[json!({ "action": "permissions" })])
            .unwrap_err();
        let peak = ALLOCATOR.peak_usage() - before;
        assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
        // The response itself is in a buffer, which grows by doubling.
        assert!(peak < 5 * MAX_RESPONSE as usize, "{unit}: {peak} bytes");
    }
}

#[test]
fn the_user_is_spelled_as_the_server_does() {
    let script = ScriptedTransport::new();
    let information = r#"{"version": "4.13.8", "user_information": {"username": "Ada"}}"#;
    script.respond(200, format!("[{information}, []]"));
    let session = Session::builder()
        .server_url("https://studio.example")
        .api_key("key")
        .api_user(" ada\t")
        .schema_cache(SchemaCache::Off)
        .transport(script)
        .open()
        .unwrap();
    assert_eq!(session.api_user(), "Ada");
    // With a real server: white space does not count, and its spelling is asked for.
    let server = support::emulator();
    let session = support::builder(&server).api_user(format!(" {} ", server.api_user()));
    let session = session.open().unwrap();
    assert_eq!(session.api_user(), server.api_user());
    session.event_hub().connect().unwrap();
}

/// A transport whose connections break when the session closes, as those of HTTP do.
struct Closing {
    under_way: mpsc::Sender<()>,
    closed: std::sync::Mutex<mpsc::Receiver<()>>,
    close: mpsc::Sender<()>,
    inner: ScriptedTransport,
}

impl Transport for Closing {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        if String::from_utf8_lossy(request.body).contains("permissions") {
            self.under_way.send(()).unwrap();
            self.closed.lock().unwrap().recv().unwrap();
            return Err(Error::new(
                ErrorKind::Connection,
                "the connection was closed",
            ));
        }
        self.inner.send(request)
    }

    fn close(&self) {
        self.close.send(()).unwrap();
    }
}

#[test]
fn a_request_under_way_while_the_session_closes_ends_as_closed() {
    let script = ScriptedTransport::new();
    let (under_way, is_under_way) = mpsc::channel();
    let (close, closed) = mpsc::channel();
    let session = scripted(&script).transport(Closing {
        under_way,
        closed: closed.into(),
        close,
        inner: script,
    });
    let session = session.open().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| session.call(&[json!({ "action": "permissions" })]));
        is_under_way.recv().unwrap();
        session.close();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    });
}
