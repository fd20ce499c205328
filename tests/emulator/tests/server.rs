//! The whole server over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use ftrack_emulator::Emulator;
use ftrack_emulator::schema::compact::Edition;
use ftrack_emulator::schema::hash::schema_hash;
use serde_json::json;

#[test]
fn a_session_starts() {
    let batch = json!([{"action": "query_server_information"}, {"action": "query_schemas"}]);
    let classic = Site::with(Emulator::builder().tasks(0).edition(Edition::Classic));
    let response = classic.call(&batch);
    assert_eq!(
        response[0]["schema_hash"],
        "23a1157b8b1730fd91c76f63dcd67a8f"
    );
    assert_eq!(response[1].as_array().unwrap().len(), 116);
    let site = Site::start();
    let response = site.call(&batch);
    assert_eq!(response[0]["schema_hash"], schema_hash(&response[1]));
    assert_eq!(response[0]["version"], "dev");
    assert_eq!(response[1].as_array().unwrap().len(), 136);
    assert_eq!(site.emulator.requests(), 1);
}

#[test]
fn a_query_returns_what_was_asked_for_and_the_system_attributes() {
    let site = Site::start();
    let rows = site.query("select name, status.state.short from Task limit 2");
    let mut names: Vec<_> = rows[0].as_object().unwrap().keys().cloned().collect();
    names.sort();
    let expected = [
        "__entity_type__",
        "context_type",
        "id",
        "name",
        "object_type_id",
        "project_id",
        "status",
    ];
    assert_eq!(names, expected);
    assert_eq!(rows[0]["__entity_type__"], "Task");
    assert!(rows[0]["status"]["state"]["short"].is_string());
}

#[test]
fn wrong_keys_are_refused() {
    let site = Site::start();
    let strict = ("ftrack-strict-api", "true");
    let wrong = ("ftrack-api-key", "wrong");
    let (status, response) = site.post(&[wrong, strict], "[]");
    assert_eq!(
        (status, &response["exception"]),
        (401, &json!("InvalidCredentialsError"))
    );
    let (status, _) = site.post(&[wrong], "[]");
    assert_eq!(status, 200);
}
