//! A hostile HTTP server: every way to respond wrongly, for every operation of a session. None panics,
//! waits longer than its limit, shows the key, takes nonsense for success, or leaves the session
//! unusable. `docs/RELIABILITY.md` has the outcomes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/generated.rs"]
mod generated;
#[path = "hostile_http/modes.rs"]
mod modes;
#[path = "hostile_http/server.rs"]
mod server;
mod support;

use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::config::{Network, Retry, SchemaCache};
use ftrack_api::session::JOB_SYNC_USERS_LDAP;
use ftrack_api::{Result, Session, SessionBuilder, data};
use ftrack_emulator::Emulator;
use modes::{BOMB, KEY, MODES, REFUSALS, WAITED_OUT};
use serde_json::json;
use server::Hostile;
use support::patiently;

/// How long a request may take if the mode is one that is waited out, and else.
const TIMEOUT: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(120);
/// The most bytes of a response.
const MAX_RESPONSE: u64 = 8 << 20;
/// No operation sends more than two requests; a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(30);

type Operation = fn(&Session) -> Result<()>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("query", |session| {
        session.query("select name from Task")?.all().map(drop)
    }),
    ("count", |session| session.query("Task")?.count().map(drop)),
    ("rows", |session| {
        #[derive(serde::Deserialize)]
        struct Row {
            #[allow(dead_code, reason = "read by serde")]
            name: String,
        }
        let rows = session.query("select name from Task")?.rows::<Row>();
        rows.collect::<Result<Vec<_>>>().map(drop)
    }),
    ("call", |session| {
        let action = json!({ "action": "query", "expression": "select name from Project" });
        session.call(&[action]).map(drop)
    }),
    ("job", |session| {
        session.delayed_job(JOB_SYNC_USERS_LDAP).map(drop)
    }),
    ("commit", |session| {
        session.create("User", data! { "username": "hostile", "is_active": true })?;
        session.commit()
    }),
];

fn builder(server: &Emulator, hostile: &Hostile, timeout: Duration) -> SessionBuilder {
    Session::builder()
        .server_url(hostile.url.as_str())
        .api_key(server.api_key())
        .api_user(server.api_user())
        // The key that responses name: not the session's own, which the emulator has made.
        .header("x-studio", KEY)
        .schema_cache(SchemaCache::Off)
        .timeout(timeout)
        .retry(Retry::off())
        .network(Network::new().max_response(MAX_RESPONSE))
}

/// What the operation comes to. It shows no secret and ends in time.
fn outcome(name: &str, work: impl FnOnce() -> Result<()>) -> String {
    let started = Instant::now();
    let result = work();
    assert!(started.elapsed() < LIMIT, "{name}: {:?}", started.elapsed());
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            let text = format!("{error}\n{error:?}\n{error:#?}");
            assert!(!text.contains(&KEY[..12]), "{name}: {text}");
            assert!(text.len() < 8000, "{name}: {} bytes", text.len());
            format!("**{:?}**", error.kind())
        }
    }
}

/// The outcomes of one mode, on a server of its own.
fn line(mode: &str, respond: server::Respond) -> String {
    let server = Emulator::builder().tasks(5).start().unwrap();
    let hostile = Hostile::before(server.url().trim_start_matches("http://").parse().unwrap());
    let chosen = Some((respond, !REFUSALS.contains(&mode)));
    let timeout = match WAITED_OUT.contains(&mode) {
        true => TIMEOUT,
        false => PATIENCE,
    };
    let builder = || builder(&server, &hostile, timeout);
    let mut cells = Vec::new();
    for (name, operation) in OPERATIONS {
        hostile.set(None);
        let session = patiently(|| builder().open());
        let made = "User where username is hostile";
        hostile.set(chosen);
        let cell = outcome(&format!("{mode}, {name}"), || operation(&session));
        hostile.set(None);
        // The session goes on, and a commit happens once.
        assert!(patiently(|| session.query("Task")?.first()).is_some());
        if *name == "commit" {
            patiently(|| session.commit());
            assert!(session.recorded_operations().is_empty());
            let made = patiently(|| session.query(made)?.all());
            assert_eq!(made.len(), 1, "{mode}: {cell}");
        }
        cells.push(cell);
    }
    hostile.set(chosen);
    cells.push(outcome(&format!("{mode}, open"), || {
        builder().open().map(drop)
    }));
    format!("| {mode} | {} |", cells.join(" | "))
}

/// `FTRACK_GENERATE=1 cargo test --test hostile_http` writes the table again.
#[test]
fn the_table_is_up_to_date() {
    // Compressing it takes longer than a request may.
    LazyLock::force(&BOMB);
    let names: Vec<_> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    let mut table = vec![
        format!(
            "| the server responds with | {} | open |",
            names.join(" | ")
        ),
        format!("|---|{}", "---|".repeat(names.len() + 1)),
    ];
    for some in MODES.chunks(8) {
        table.extend(thread::scope(|scope| {
            let lines = some
                .iter()
                .map(|(mode, respond)| scope.spawn(move || line(mode, *respond)));
            let lines: Vec<_> = lines.collect();
            lines
                .into_iter()
                .map(|line| {
                    line.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect::<Vec<_>>()
        }));
    }
    let table = table.join("\n") + "\n";
    generated::check_table("hostile_http", &table);
}
