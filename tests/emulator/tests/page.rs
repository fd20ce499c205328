//! The start page and the key that can only read, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};

fn get(site: &Site, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let mut request = agent.get(format!("{}{path}", site.emulator.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().unwrap();
    let body = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), body)
}

#[test]
fn the_page_shows_figures_and_requests_and_the_key_only_when_asked() {
    let site = Site::start();
    site.query("select name from Task where name is \"a secret\"");
    let evil = [("ftrack-user", "<script>x</script>")];
    site.post(&evil, r#"[{"action": "<script>"}]"#);
    let (status, page) = get(&site, "/", &[]);
    assert_eq!(status, 200);
    let url = site.emulator.url();
    for text in [
        &format!("export FTRACK_SERVER={url}"),
        "export FTRACK_API_USER=jenkins",
        "query Task",
        "<li><span>Task</span><b>",
        "<li><span>Project</span><b>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for text in ["<script", "a secret", site.emulator.api_key()] {
        assert!(!page.contains(text), "{text}");
    }
    let (_, page) = get(&site, "/?show-key=1", &[]);
    assert!(page.contains(&format!("FTRACK_API_KEY={}", site.emulator.api_key())));
    let (status, page) = get(&site, "/?show-key=1", &[("host", "evil.example")]);
    assert_eq!(status, 403);
    assert!(!page.contains(site.emulator.api_key()));
}

#[test]
fn a_key_that_can_only_read_reads_and_changes_nothing() {
    let site = Site::with(Emulator::builder().tasks(0).read_only_key("glasses"));
    let reading = ("ftrack-api-key", "glasses");
    let strict = ("ftrack-strict-api", "true");
    let ask = |operation: &Value| site.post(&[reading, strict], &json!([operation]).to_string());
    let id = site.query("select id from Task limit 1")[0]["id"].clone();
    for operation in [
        json!({"action": "query", "expression": "Task limit 1"}),
        json!({"action": "query_server_information"}),
        json!({"action": "query_schemas"}),
    ] {
        let (status, response) = ask(&operation);
        assert_eq!(status, 200);
        assert!(response[0]["exception"].is_null() && response.is_array());
    }
    for operation in [
        json!({"action": "create", "entity_type": "User", "entity_data": {}}),
        json!({"action": "update", "entity_type": "Task", "entity_key": [id],
            "entity_data": {"name": "renamed"}}),
        json!({"action": "delete", "entity_type": "Task", "entity_key": [id]}),
        json!({"action": "get_upload_metadata", "component_id": "x", "file_size": 1}),
        json!({"action": "complete_multipart_upload"}),
        json!({"action": "encode_media", "component_id": "x"}),
        json!({"action": "reset_remote", "reset_type": "api_key", "entity_type": "User"}),
        json!({"action": "delayed_job"}),
        json!({}),
    ] {
        let (status, response) = ask(&operation);
        assert_eq!(
            (status, &response["exception"]),
            (403, &json!("PermissionError")),
            "{operation}"
        );
    }
    assert_eq!(
        site.query(&format!(
            "Task where name is renamed and id is {}",
            id.as_str().unwrap()
        ))
        .len(),
        0
    );

    site.emulator.site().files.write("x", b"data").unwrap();
    let path = |what: &str| format!("/component/{what}?id=x&username=jenkins&apiKey=glasses");
    assert_eq!(get(&site, &path("get"), &[]), (200, "data".to_owned()));
    assert_eq!(get(&site, &path("remove"), &[]).0, 403);
    assert_eq!(get(&site, &path("get"), &[]).0, 200);
    let handshake = "/socket.io/1/?api_user=jenkins&api_key=glasses";
    assert_eq!(get(&site, handshake, &[]).0, 200);

    // It belongs to one user, and differs from the other key.
    let other = site.query("select username from User where username is_not jenkins limit 1");
    let other = other[0]["username"].as_str().unwrap();
    let (status, _) = site.post(&[reading, strict, ("ftrack-user", other)], "[]");
    assert_eq!(status, 401);
    let same = Emulator::builder().tasks(0).api_key("a").read_only_key("a");
    assert!(same.start().is_err());
}
