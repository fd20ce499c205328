//! Every part of every operation replaced by what does not belong there: the response is an error
//! object or a list, never a fault of the server, and never half of a batch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use std::collections::BTreeMap;

use client::Site;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};

const PROJECT: &str = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";
const SQL: &str = "x'; DROP TABLE context; --\" OR 1=1 /* ? ?1 :a %s \\";

/// Operations that succeed as they are, on things that were made for them.
fn operations(site: &Site) -> Vec<Value> {
    let project = json!({"__entity_type__": "Project", "id": PROJECT});
    let folder = site.create("Folder", json!({"name": "hostile", "parent": project}));
    let parent = json!({"__entity_type__": "Folder", "id": folder["id"]});
    let task = site.create("Task", json!({"name": "anim", "parent": parent}));
    let asset = site.create("Asset", json!({"name": "plate", "parent": parent}));
    let version = site.create("AssetVersion", json!({"asset_id": asset["id"]}));
    let component = site.create(
        "FileComponent",
        json!({"name": "main", "version_id": version["id"]}),
    );
    let attribute =
        site.query("select id from CustomAttributeConfiguration where key is customNumber");
    let user = site.query("select id from User where username is jenkins")[0]["id"].clone();
    let role = site.query("select id from SecurityRole limit 1")[0]["id"].clone();
    let list = site.query("select id from TypedContextList limit 1")[0]["id"].clone();
    let text = site.query("select id from CustomAttributeType where name is text")[0]["id"].clone();
    let task_id = &task["id"];
    let with_role = |action: &str| {
        json!({"action": action, "user_id": user, "role_id": role, "new_role_id": role,
            "project_id": PROJECT})
    };
    vec![
        json!({"action": "query", "expression": format!("select name, link from Task where id is {task_id}")}),
        json!({"action": "create", "entity_type": "Task", "entity_key": ["new"], "entity_data": {
            "__entity_type__": "Task", "name": "new", "parent": parent, "bid": 1.5, "description": "d",
            "start_date": {"__type__": "datetime", "value": "2026-01-02T03:04:05"},
            "status_id": "44dd9fb2-4164-11df-9218-0019bb4983d8"}}),
        json!({"action": "create", "entity_type": "Note", "entity_data": {
            "__entity_type__": "Note", "content": "c", "parent_id": task_id, "parent_type": "Task",
            "is_todo": true}}),
        json!({"action": "create", "entity_type": "AssetVersion", "entity_data": {
            "__entity_type__": "AssetVersion", "asset_id": asset["id"], "version": 5}}),
        json!({"action": "update", "entity_type": "Task", "entity_key": [task_id], "entity_data": {
            "__entity_type__": "Task", "bid": 2, "name": "anim", "parent_id": folder["id"],
            "scopes": [], "metadata": [{"__entity_type__": "Metadata", "key": "k", "parent_id": task_id}],
            "end_date": {"__type__": "datetime", "value": "2026-01-02T03:04:05"}}}),
        json!({"action": "update", "entity_type": "ContextCustomAttributeValue",
            "entity_key": [attribute[0]["id"], task_id],
            "entity_data": {"__entity_type__": "ContextCustomAttributeValue", "value": 5}}),
        json!({"action": "delete", "entity_type": "Scope", "entity_key": ["nobody"]}),
        json!({"action": "query_server_information", "values": ["version"]}),
        json!({"action": "search", "expression": "select name from Task", "entity_type": "Task",
            "terms": ["anim"], "context_id": PROJECT, "object_type_ids": []}),
        json!({"action": "parse_query", "expression": "Task where name is x"}),
        json!({"action": "get_widget_url", "name": "info", "theme": "dark",
            "entity_type": "Task", "entity_key": [task_id]}),
        json!({"action": "get_upload_metadata", "component_id": component["id"], "file_name": "a.bin",
            "file_size": 100, "checksum": "1B2M2Y8AsgTpgAmY7PhCfg==", "parts": 3}),
        json!({"action": "generate_signed_url", "component_id": component["id"]}),
        json!({"action": "complete_multipart_upload", "component_id": component["id"], "upload_id": "x",
            "parts": [{"part_number": 1, "e_tag": "x"}]}),
        json!({"action": "encode_media", "component_id": component["id"], "version_id": version["id"],
            "keep_original": true}),
        json!({"action": "reset_remote", "reset_type": "api_key", "entity_type": "User",
            "entity_key": "nobody"}),
        json!({"action": "send_user_invite", "user_id": "nobody"}),
        json!({"action": "send_review_session_invite", "review_session_invitee_id": "nobody"}),
        json!({"action": "delayed_job", "job_type": "SYNC_USERS_LDAP", "data": {}}),
        json!({"action": "permissions"}),
        json!({"action": "compute_rollups", "rollups": [{"rollup": "x", "entity_ids": [task_id]}]}),
        with_role("add_user_security_role"),
        with_role("update_user_security_role"),
        with_role("grant_user_security_role_project"),
        with_role("revoke_user_security_role_project"),
        with_role("remove_user_security_role"),
        json!({"action": "query", "expression":
            format!("select __permissions.status_id.__options, thumbnail_url from Task where id is {task_id}")}),
        json!({"action": "create", "entity_type": "CustomAttributeConfiguration", "entity_data": {
            "__entity_type__": "CustomAttributeConfiguration", "key": "k", "label": "K",
            "entity_type": "task", "object_type_id": "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c",
            "type_id": text, "config": "{\"markdown\": false}", "default": "d",
            "is_hierarchical": false, "project_id": PROJECT}}),
        json!({"action": "update", "entity_type": "CustomAttributeConfiguration",
            "entity_key": [attribute[0]["id"]], "entity_data": {
            "__entity_type__": "CustomAttributeConfiguration", "label": "L", "project_id": null,
            "config": "{\"isdecimal\": true}"}}),
        json!({"action": "create", "entity_type": "ApiKey", "entity_data": {
            "__entity_type__": "ApiKey", "identifier": "ci", "resource_id": user}}),
        json!({"action": "create", "entity_type": "Automation", "entity_data": {
            "__entity_type__": "Automation", "name": "a", "enabled": true}}),
        json!({"action": "update", "entity_type": "TypedContextList", "entity_key": [list], "entity_data": {
            "__entity_type__": "TypedContextList", "items": [{"__entity_type__": "Task", "id": task_id}]}}),
    ]
}

/// What does not belong anywhere.
fn intruders() -> Vec<Value> {
    let mut deep = json!("deep");
    for _ in 0..60 {
        deep = json!([deep]);
    }
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!(SQL),
        json!("\u{0}\u{ffff}\u{202e}"),
        json!("x".repeat(100_000)),
        json!("("),
        json!([]),
        json!([null]),
        json!(["a", "b", "c", SQL]),
        json!({}),
        json!({SQL: SQL}),
        json!({"__entity_type__": "Task"}),
        json!({"__entity_type__": "Nonsense", "id": SQL}),
        json!({"__entity_type__": "Status", "id": "nobody"}),
        json!({"__type__": "datetime", "value": "9999-99-99T99:99:99"}),
        json!({"__type__": "datetime", "value": "-99999-01-01T00:00:00"}),
        json!({"__type__": "nonsense", "value": {}}),
        deep,
    ]
}

/// The JSON pointers of a value and of everything in it.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                pointers(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointers(inner, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_part_of_every_operation_may_be_anything() {
    let site = Site::with(Emulator::builder().tasks(50));
    let mut expected = BTreeMap::new();
    let strict = [("ftrack-strict-api", "true")];
    for operation in operations(&site) {
        let mut places = Vec::new();
        pointers(&operation, "", &mut places);
        for place in places {
            for intruder in intruders() {
                let mut changed = operation.clone();
                *changed.pointer_mut(&place).unwrap() = intruder;
                let name = format!("marker {}", expected.len());
                let marker = json!({"action": "create", "entity_type": "Folder", "entity_data": {
                    "__entity_type__": "Folder", "name": name, "parent_id": PROJECT}});
                let body = json!([marker, changed]).to_string();
                let (status, response) = site.post(&strict, &body);
                let shown = &body[..body.len().min(2000)];
                let is_error = response["exception"].is_string() && response["content"].is_string();
                assert!(status < 500, "{status} {response}: {shown}");
                assert_eq!(is_error, status >= 400, "{status} {response}: {shown}");
                assert_eq!(response.is_array(), !is_error, "{response}: {shown}");
                expected.insert(name, !is_error);
            }
        }
    }
    let kept = site.query("select name from Folder where name like \"marker %\"");
    let mut kept: Vec<_> = kept
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    kept.sort();
    let accepted = expected.iter().filter(|(_, accepted)| **accepted);
    let accepted: Vec<_> = accepted.map(|(name, _)| name.clone()).collect();
    assert_eq!(
        kept, accepted,
        "a refused batch left something, or an accepted one lost it"
    );
    assert!(
        expected.len() > 1500 && accepted.len() < expected.len() / 2,
        "{}",
        accepted.len()
    );
    assert!(site.query("select id from Task").len() >= 50);
}

#[test]
fn every_attribute_of_every_type_refuses_what_it_cannot_hold() {
    let site = Site::with(Emulator::builder().tasks(50));
    let schemas = site.call(&json!([{"action": "query_schemas"}]));
    let strict = [("ftrack-strict-api", "true")];
    for schema in schemas[0].as_array().unwrap() {
        let name = schema["id"].as_str().unwrap();
        for attribute in schema["properties"].as_object().unwrap().keys() {
            for intruder in [json!(SQL), json!([{}]), json!({"id": []}), json!(-1.5)] {
                let body = json!([
                    {"action": "create", "entity_type": name,
                        "entity_data": {"__entity_type__": name, attribute: intruder}},
                    {"action": "query", "expression": "select x from Nonsense"},
                ]);
                let (status, response) = site.post(&strict, &body.to_string());
                assert!(
                    (400..500).contains(&status),
                    "{status} {name}.{attribute} {intruder}: {response}"
                );
            }
            let quoted = "\"x'; --\\\" OR 1=1\"";
            for criteria in [
                format!("{attribute} is {quoted}"),
                format!("{attribute} > -1.5 or {attribute} is none"),
                format!("{attribute} any (id is {quoted}) or {attribute} has (id in ({quoted}))"),
                format!("{attribute}.{attribute} like {quoted} order by {attribute}"),
            ] {
                let expression = format!("select {attribute} from {name} where {criteria} limit 1");
                let body = json!([{"action": "query", "expression": expression}]);
                let (status, response) = site.post(&strict, &body.to_string());
                assert!(status < 500, "{status} {expression}: {response}");
            }
        }
    }
}

#[test]
fn addresses_of_files_and_events_may_be_anything() {
    let site = Site::with(Emulator::builder().tasks(50));
    let long = "a".repeat(5000);
    // A refusal may leave a body unread and its connection closed: none is used twice.
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections(0)
        .build();
    let agent: ureq::Agent = config.into();
    let login = format!(
        "username={}&apiKey={}",
        site.emulator.api_user(),
        site.emulator.api_key()
    );
    for part in [
        "",
        "nobody",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "%ff%fe",
        "%27%3B--",
        "{}",
        &long,
    ] {
        for path in [
            format!("/component/get?{login}&id={part}"),
            format!("/component/get?{login}&id={part}&id={part}"),
            format!("/component/thumbnail?{login}&id=x&size={part}"),
            format!("/component/thumbnail?{login}&id={part}&size=-1"),
            format!("/component/remove?{login}&id={part}"),
            format!("/component/get?username={part}&apiKey={part}&id={part}"),
            format!("/component/upload/{part}?signature={part}&expires={part}"),
            format!("/component/signed/{part}?signature={part}"),
            format!("/socket.io/1/?api_user={part}&api_key={part}"),
            format!("/socket.io/1/websocket/{part}"),
            format!("/widget/{part}?token={part}"),
            format!("/{part}"),
        ] {
            let url = format!("{}{path}", site.emulator.url());
            for status in [
                agent.get(&url).call(),
                agent.put(&url).send("x"),
                agent.post(&url).send("x"),
            ] {
                let status = status
                    .unwrap_or_else(|error| panic!("{path}: {error}"))
                    .status()
                    .as_u16();
                assert!(status < 500, "{status} {path}");
            }
        }
    }
    assert_eq!(site.query("select id from Project limit 1").len(), 1);
}

#[test]
fn packets_of_the_event_server_may_be_anything() {
    let site = Site::with(Emulator::builder().tasks(50));
    let event =
        |event: Value| format!("5:1+::{}", json!({"name": "ftrack.event", "args": [event]}));
    let subscribe = |subscription: &str| {
        event(json!({"topic": "ftrack.meta.subscribe", "id": "1",
            "data": {"subscriber": {"id": "s"}, "subscription": subscription}}))
    };
    let mut packets: Vec<String> = [
        "",
        ":",
        "::::",
        "5",
        "5:::",
        "5:::{",
        "5:::[]",
        "6:::x+[",
        "9::",
        "\u{0}",
        "5:1+::null",
    ]
    .map(str::to_owned)
    .to_vec();
    for intruder in intruders() {
        packets.push(format!("5:2+::{intruder}"));
        packets.push(event(intruder.clone()));
        packets.push(event(
            json!({"topic": intruder, "data": intruder, "id": intruder, "target": intruder}),
        ));
        packets.push(event(
            json!({"topic": "ftrack.meta.subscribe", "data": intruder}),
        ));
        packets.push(event(
            json!({"topic": "ftrack.meta.unsubscribe", "data": {"subscriber": intruder}}),
        ));
        packets.push(event(
            json!({"topic": "x", "target": "id=x", "source": intruder, "data": {}}),
        ));
    }
    for expression in [
        "(",
        ")",
        "topic=",
        "not",
        "a=b and",
        "topic=x or (",
        &"(".repeat(100_000),
        &"not ".repeat(50_000),
        SQL,
    ] {
        packets.push(subscribe(expression));
        packets.push(event(
            json!({"topic": "x", "data": {}, "target": expression}),
        ));
    }
    for packet in packets {
        let mut socket = client::events(&site);
        // The server may hang up; the next connection must work all the same.
        let _ = socket.send(packet.into());
        let _ = socket.close(None);
    }
    let mut socket = client::events(&site);
    socket.send(subscribe("topic=still.alive").into()).unwrap();
    socket
        .send(event(json!({"topic": "still.alive", "id": "2", "data": {"n": 1}})).into())
        .unwrap();
    let arrived = (0..10).any(|_| {
        socket
            .read()
            .unwrap()
            .to_text()
            .unwrap()
            .contains("\"n\":1")
    });
    assert!(arrived);
}
