//! What a traced session prints: everything, but no secret.
//!
//! Alone in its file, because the logger is the process's own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod support;

use std::sync::atomic::Ordering;

use ftrack_api::{Entity, Session, config::Network, data};
use support::{LICENCE, builder, emulator, read, trace, upload};

#[test]
fn keys_and_cookies_are_in_no_line_of_a_traced_run() {
    let server = emulator();
    let (cookie, header) = ("c00kie-value-to-hide", "h3ader-value-to-hide");
    let basic = "bWU6cHIweHktcGFzcw==";
    let wrong = "wr0ng-key-to-hide";
    let secrets = [
        server.api_key(),
        cookie,
        header,
        wrong,
        relay::CREDENTIALS,
        basic,
    ];
    // From here on a line with one of them ends this process.
    for secret in secrets {
        trace::keep(secret);
    }
    let (proxy, asked) = relay::proxy();
    let open = || {
        builder(&server)
            .cookie("studio", cookie)
            .header("x-studio", header)
    };
    let session = open().open().unwrap();
    session.event_hub().connect().unwrap();
    session
        .ensure("User", data! { "username": "traced" }, "")
        .unwrap();
    session.query("Task limit 3").unwrap().all().unwrap();
    let file = files(&session);
    // The proxy is given its own password, which is as secret as the key.
    let network = Network::new().proxy(format!("http://{}@{proxy}", relay::CREDENTIALS));
    let through = open().network(network).open().unwrap();
    through.query("Task limit 3").unwrap().all().unwrap();
    through.event_hub().connect().unwrap();
    through.close();
    assert!(asked.lock().unwrap().len() >= 3);
    let gone = session
        .location("ftrack.server")
        .unwrap()
        .accessor()
        .unwrap()
        .open(&file.id());
    let gone = gone.err().unwrap();
    let refused = open().api_key(wrong).open().unwrap_err();
    session.close();

    let lines = trace::LINES.load(Ordering::Relaxed);
    assert!(lines > 100, "{lines} lines: the trace is not on");
    let shown = format!("{session:?} {refused} {refused:?} {gone:?}");
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is printed");
    }
}

/// To the server's storage, back and gone: the key stands in these addresses.
fn files(session: &Session) -> Entity {
    let component = upload(session, LICENCE.as_ref());
    let server = session.location("ftrack.server").unwrap();
    let text = String::from_utf8(read(&server, &component)).unwrap();
    assert!(text.contains("MIT"));
    server.remove_component(&component).unwrap();
    server.open(&component).err().unwrap();
    component
}
