//! Creating, changing and deleting, with their side effects.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use serde_json::{Value, json};

const JENKINS: &str = "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb";
const PROJECT: &str = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";

fn reference(entity: &Value) -> Value {
    json!({"__entity_type__": entity["__entity_type__"], "id": entity["id"]})
}

fn project() -> Value {
    json!({"__entity_type__": "Project", "id": PROJECT})
}

fn one(site: &Site, expression: &str) -> Value {
    let rows = site.query(expression);
    assert_eq!(rows.len(), 1, "{expression}: {rows:?}");
    rows[0].clone()
}

#[test]
fn a_new_task_gets_its_defaults() {
    let site = Site::start();
    let folder = site.create("Folder", json!({"name": "new", "parent": project()}));
    let task = site.create(
        "Task",
        json!({"name": "anim", "parent": reference(&folder)}),
    );
    assert_eq!(task["project_id"], PROJECT);
    assert_eq!(
        (&task["bid"], &task["description"]),
        (&json!(0.0), &json!(""))
    );
    assert_eq!(task["context_type"], "task");
    assert_eq!(task["priority_id"], "9661b320-3a0c-11e2-81c1-0800200c9a66");
    assert_eq!(task["parent"], reference(&folder));
    assert!(task["status_id"].is_string() && task["type_id"].is_string());
    // What has no value is left out, and so are empty collections.
    for name in ["end_date", "sort", "thumbnail_id", "notes"] {
        assert!(task.get(name).is_none(), "{name}");
    }
    let id = task["id"].as_str().unwrap();
    let link = one(&site, &format!("select link from Task where id is {id}"));
    let names: Vec<_> = link["link"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].clone())
        .collect();
    assert_eq!(names, ["Tests (do not delete)", "new", "anim"]);
    assert_eq!(link["link"][1]["type"], "TypedContext");
}

#[test]
fn names_are_unique_below_a_parent_but_not_for_assets() {
    let site = Site::start();
    let folder = site.create("Folder", json!({"name": "Unique", "parent": project()}));
    let twin = json!([{"action": "create", "entity_type": "Folder", "entity_data":
        {"__entity_type__": "Folder", "name": "UNIQUE", "parent": project()}}]);
    assert_eq!(site.refused(&twin).0, "IntegrityError");
    let asset =
        |name: &str| site.create("Asset", json!({"name": name, "parent": reference(&folder)}));
    assert_ne!(asset("a")["id"], asset("a")["id"]);
    let user = json!({"username": "twice", "email": null});
    site.create("User", user.clone());
    let again = json!([{"action": "create", "entity_type": "User", "entity_data": user}]);
    assert_eq!(site.refused(&again).0, "IntegrityError");
    site.create("User", json!({}));
    site.create("User", json!({}));
}

#[test]
fn a_refused_batch_leaves_nothing_behind() {
    let site = Site::start();
    let batch = json!([
        {"action": "create", "entity_type": "Folder", "entity_data": {"name": "half", "parent": project()}},
        {"action": "create", "entity_type": "AssetVersion", "entity_data": {"comment": "no asset"}},
    ]);
    let (exception, content) = site.refused(&batch);
    assert_eq!(exception, "ValidationError");
    assert!(content.contains("asset"), "{content}");
    assert!(site.query("Folder where name is half").is_empty());
    // Completed later in the same batch it is accepted.
    let folder = site.create("Folder", json!({"name": "whole", "parent": project()}));
    let asset = site.create("Asset", json!({"name": "a", "parent": reference(&folder)}));
    let response = site.call(&json!([
        {"action": "create", "entity_type": "AssetVersion", "entity_key": ["v1"], "entity_data": {"id": "v1"}},
        {"action": "update", "entity_type": "AssetVersion", "entity_key": ["v1"],
         "entity_data": {"asset": reference(&asset)}},
    ]));
    assert_eq!(response[0]["data"]["version"], 1, "{response}");
}

#[test]
fn versions_are_numbered_and_know_the_latest() {
    let site = Site::start();
    let asset = site.create("Asset", json!({"name": "a", "parent": project()}));
    let version = |data: Value| site.create("AssetVersion", data);
    let first = version(json!({"asset": reference(&asset), "asset_id": asset["id"]}));
    let second = version(json!({"asset": reference(&asset), "version": 0}));
    let text = version(json!({"asset": reference(&asset), "version": "0"}));
    assert_eq!(
        (&first["version"], &second["version"], &text["version"]),
        (&json!(1), &json!(2), &json!(0))
    );
    assert_eq!(first["user_id"], JENKINS);
    let rows = site.query(&format!(
        "select version, is_latest_version, link from AssetVersion where asset_id is {} order by version",
        asset["id"].as_str().unwrap()
    ));
    let latest: Vec<_> = rows
        .iter()
        .map(|row| row["is_latest_version"].clone())
        .collect();
    assert_eq!(latest, [false, false, true]);
    assert_eq!(rows[2]["link"].as_array().unwrap().len(), 2);
    let found = one(
        &site,
        &format!(
            "select latest_version.version from Asset where id is {}",
            asset["id"].as_str().unwrap()
        ),
    );
    assert_eq!(found["latest_version"]["version"], 2);
}

#[test]
fn date_times_are_echoed_as_sent_and_kept_in_seconds() {
    let site = Site::start();
    let sent = json!({"__type__": "datetime", "value": "2026-11-23T07:03:24.987654+02:00"});
    let log = site.create(
        "Timelog",
        json!({"start": sent, "duration": 10, "context": project()}),
    );
    assert_eq!(log["start"], sent);
    let kept = one(
        &site,
        &format!(
            "select start from Timelog where id is {}",
            log["id"].as_str().unwrap()
        ),
    );
    assert_eq!(kept["start"]["value"], "2026-11-23T05:03:24");
}

#[test]
fn metadata_is_set_as_a_whole() {
    let site = Site::start();
    let folder = site.create("Folder", json!({"name": "meta", "parent": project()}));
    let id = folder["id"].clone();
    let row = |key: &str| json!({"__entity_type__": "Metadata", "key": key, "parent_id": id});
    let create = |key: &str| {
        json!({"action": "create", "entity_type": "Metadata", "entity_key": [id, key], "entity_data":
            {"key": key, "parent_id": id, "parent_type": "Folder", "value": "1"}})
    };
    let set = |rows: Value| json!({"action": "update", "entity_type": "Folder", "entity_key": [id], "entity_data": {"metadata": rows}});
    site.call(&json!([
        create("a"),
        create("b"),
        set(json!([row("a"), row("b")]))
    ]));
    let response = site.call(&json!([
        set(json!([row("b")])),
        {"action": "delete", "entity_type": "Metadata", "entity_key": [id, "a"]},
    ]));
    assert_eq!(response[1]["data"], true, "{response}");
    let rows = site.query(&format!(
        "select metadata from Folder where id is {}",
        id.as_str().unwrap()
    ));
    let metadata = rows[0]["metadata"].as_array().unwrap();
    assert_eq!(metadata.len(), 1);
    assert_eq!(
        (&metadata[0]["key"], &metadata[0]["parent_type"]),
        (&json!("b"), &json!("Folder"))
    );
}

#[test]
fn custom_attributes_are_dense_and_checked() {
    let site = Site::start();
    let shot = site.create("Shot", json!({"name": "ca", "parent": project()}));
    let id = shot["id"].as_str().unwrap();
    let expression = format!("select custom_attributes from Shot where id is {id}");
    let value = |key: &str| {
        let rows = site.query(&expression);
        let list = rows[0]["custom_attributes"].as_array().unwrap().clone();
        list.into_iter()
            .find(|row| row["key"] == key)
            .unwrap_or_else(|| panic!("{key}: {rows:?}"))
    };
    let fstart = value("fstart");
    assert_eq!(fstart["value"], Value::Null);
    assert_eq!(value("htest")["value"], Value::Null);
    let key = json!([fstart["configuration_id"], id]);
    site.update("ContextCustomAttributeValue", &key, json!({"value": 1001}));
    assert_eq!(value("fstart")["value"], 1001);
    let wrong = json!([{"action": "update", "entity_type": "ContextCustomAttributeValue",
        "entity_key": key, "entity_data": {"value": "test"}}]);
    let (exception, content) = site.refused(&wrong);
    assert_eq!(exception, "ValidationError");
    assert!(
        content.contains("\"fstart\" must be of type number. Got \"test\""),
        "{content}"
    );
    let stored = format!("CustomAttributeValue where entity_id is {id}");
    assert_eq!(site.query(&stored).len(), 1);
    let task = site.create("Task", json!({"name": "t", "parent": reference(&shot)}));
    let foreign = json!([{"action": "update", "entity_type": "ContextCustomAttributeValue",
        "entity_key": [fstart["configuration_id"], task["id"]], "entity_data": {"value": 1}}]);
    assert!(site.refused(&foreign).1.contains("does not apply"));
}

#[test]
fn notes_have_recipients_labels_and_replies() {
    let site = Site::start();
    let folder = site.create("Folder", json!({"name": "noted", "parent": project()}));
    let label = site.query("NoteLabel limit 1")[0].clone();
    let note = json!({"__entity_type__": "Note", "id": "n1"});
    site.call(&json!([
        {"action": "create", "entity_type": "Note", "entity_data": {"id": "n1", "content": "hello"}},
        {"action": "create", "entity_type": "NoteLabelLink", "entity_data": {"note_id": "n1", "label_id": label["id"]}},
        {"action": "update", "entity_type": "Folder", "entity_key": [folder["id"]], "entity_data": {"notes": [note]}},
        {"action": "update", "entity_type": "Note", "entity_key": ["n1"], "entity_data": {"recipients": []}},
        {"action": "create", "entity_type": "Note", "entity_data": {"id": "n2", "content": "reply"}},
        {"action": "update", "entity_type": "Note", "entity_key": ["n1"],
         "entity_data": {"replies": [{"__entity_type__": "Note", "id": "n2"}]}},
    ]));
    let found = one(
        &site,
        "select parent_id, parent_type, category_id, author.id, recipients.resource_id, replies \
        from Note where id is n1",
    );
    assert_eq!(
        (&found["parent_id"], &found["parent_type"]),
        (&folder["id"], &json!("Folder"))
    );
    assert_eq!(found["category_id"], label["id"]);
    assert_eq!(found["author"]["id"], JENKINS);
    assert_eq!(found["recipients"][0]["resource_id"], JENKINS);
    assert_eq!(found["replies"][0]["id"], "n2");
    let id = folder["id"].as_str().unwrap();
    let notes = one(&site, &format!("select notes from Folder where id is {id}"));
    assert_eq!(notes["notes"].as_array().unwrap().len(), 1);
    site.delete("Folder", &json!([id]));
    assert!(site.query("Note where id in (n1, n2)").is_empty());
}

#[test]
fn deleting_takes_what_belongs_to_it() {
    let site = Site::start();
    let counted = [
        "Task",
        "Asset",
        "AssetVersion",
        "Component",
        "ComponentLocation",
        "Timelog",
        "Note",
        "Appointment",
    ];
    let count = |name: &str, criteria: &str| {
        let rows = site.query(&format!("select count(id) from {name} {criteria}"));
        rows[0]["count_id"].as_i64().unwrap()
    };
    let shot = site.query("select id from Shot where assets.versions.components any () limit 1")[0]
        ["id"]
        .clone();
    let before: Vec<_> = counted.iter().map(|name| count(name, "")).collect();
    site.delete("Shot", &json!([shot]));
    site.delete("Shot", &json!([shot]));
    let after: Vec<_> = counted.iter().map(|name| count(name, "")).collect();
    assert!(
        after[2] < before[2] && after[3] < before[3],
        "{before:?} {after:?}"
    );
    let projects = site.query("Project");
    for project in &projects {
        site.delete("Project", &json!([project["id"]]));
    }
    for name in counted {
        assert!(count(name, "") <= 5, "{name}: {}", count(name, ""));
    }
    let held = site.query("select location_id from ComponentLocation limit 1");
    if let Some(location) = held.first() {
        let delete = json!([{"action": "delete", "entity_type": "Location", "entity_key": [location["location_id"]]}]);
        assert_eq!(site.refused(&delete).0, "IntegrityError");
    }
}

#[test]
fn components_are_what_they_were_created_as() {
    let site = Site::start();
    let response = site.call(&json!([
        {"action": "create", "entity_type": "FileComponent", "entity_data": {"id": "c1", "name": "data", "file_type": ".json", "size": 13}},
        {"action": "create", "entity_type": "ComponentLocation", "entity_data": {"id": "l1", "resource_identifier": "c1",
         "component": {"__entity_type__": "FileComponent", "id": "c1"}}},
    ]));
    let expected = json!({
        "__entity_type__": "FileComponent", "id": "c1", "name": "data", "file_type": ".json", "size": 13,
        "system_type": "file",
        "component_locations": [{
            "__entity_type__": "ComponentLocation", "id": "l1", "resource_identifier": "c1", "component_id": "c1",
            "component": {"__entity_type__": "FileComponent", "id": "c1"}}],
    });
    let mut data = response[0]["data"].clone();
    data["component_locations"][0]
        .as_object_mut()
        .unwrap()
        .remove("location_id");
    data["component_locations"][0]["component"]
        .as_object_mut()
        .unwrap()
        .retain(|key, _| key == "id" || key == "__entity_type__");
    assert_eq!(data, expected);
    let plain = site.create("Component", json!({"name": "plain"}));
    assert_eq!(
        one(
            &site,
            &format!("Component where id is {}", plain["id"].as_str().unwrap())
        )["__entity_type__"],
        "Component"
    );
    site.delete("Component", &json!(["c1"]));
    assert!(site.query("FileComponent where id is c1").is_empty());
}

#[test]
fn moving_takes_the_project_along_and_refuses_rings() {
    let site = Site::start();
    let other = site.query(&format!("Project where id is_not {PROJECT} limit 1"))[0].clone();
    let top = site.create("Folder", json!({"name": "top", "parent": project()}));
    let inner = site.create(
        "Folder",
        json!({"name": "inner", "parent": reference(&top)}),
    );
    let task = site.create("Task", json!({"name": "t", "parent": reference(&inner)}));
    let ring = json!([{"action": "update", "entity_type": "Folder", "entity_key": [top["id"]],
        "entity_data": {"parent": reference(&inner)}}]);
    assert!(site.refused(&ring).1.contains("below itself"));
    site.update(
        "Folder",
        &json!([top["id"]]),
        json!({"parent": reference(&other)}),
    );
    let moved = one(
        &site,
        &format!(
            "select project_id from Task where id is {}",
            task["id"].as_str().unwrap()
        ),
    );
    assert_eq!(moved["project_id"], other["id"]);
}

#[test]
fn statuses_leave_a_trace_and_timers_are_alone() {
    let site = Site::start();
    let task = site
        .query("select status_id from Task where status.name is_not \"In progress\" limit 1")[0]
        .clone();
    let status = json!({"__entity_type__": "Status", "id": "44ddd0fe-4164-11df-9218-0019bb4983d8"});
    let response = site.update("Task", &json!([task["id"]]), json!({"status": status}));
    assert_eq!(response["status"], status);
    let id = task["id"].as_str().unwrap();
    let trace = site.query(&format!("select from_status_id, status_id, user_id from StatusChange where parent_id is {id} order by date descending"));
    assert!(
        trace
            .iter()
            .any(|row| row["from_status_id"] == task["status_id"]
                && row["status_id"] == status["id"]
                && row["user_id"] == JENKINS)
    );
    site.create("Timer", json!({"context": null}));
    let second = json!([{"action": "create", "entity_type": "Timer", "entity_data": {}}]);
    assert!(site.refused(&second).1.contains("DuplicateEntryError"));
}

#[test]
fn wrong_data_is_refused_by_name() {
    let site = Site::start();
    let create = |entity_type: &str, data: Value| json!([{"action": "create", "entity_type": entity_type, "entity_data": data}]);
    let cases = [
        (create("Tusk", json!({})), "did you mean Task?"),
        (create("Task", json!({"nmae": "x"})), "did you mean name?"),
        (
            create("Task", json!({"name": ["x"]})),
            "Task.name must be text",
        ),
        (
            create("Task", json!({"name": "x", "bid": "much"})),
            "Task.bid must be a number",
        ),
        (
            create("Task", json!({"name": "x"})),
            "needs a value for parent",
        ),
        (
            create("Task", json!({"name": "x", "parent_id": "nowhere"})),
            "does not exist: nowhere",
        ),
        (
            create(
                "Task",
                json!({"name": "x", "parent": {"__entity_type__": "User", "id": "a"}}),
            ),
            "must be a Context",
        ),
        (
            create("Task", json!({"name": "x", "parent": 5})),
            "must be a reference",
        ),
        (
            create("Task", json!({"name": "x", "start_date": "soon"})),
            "date-time",
        ),
        (create("Task", json!({"time_logged": 5})), "is calculated"),
        (
            create("Context", json!({"name": "x"})),
            "is not created itself",
        ),
        (
            create("Metadata", json!({"key": "x"})),
            "needs a value for parent_id",
        ),
        (create("Task", json!(5)), "lacks its entity_data"),
        (
            json!([{"action": "update", "entity_type": "Task", "entity_key": ["x"], "entity_data": {}}]),
            "no Task x",
        ),
        (
            json!([{"action": "update", "entity_type": "Task", "entity_key": ["x", "y"], "entity_data": {}}]),
            "list of 1",
        ),
        (
            json!([{"action": "delete", "entity_type": "Task"}]),
            "lacks its entity_key",
        ),
        (
            json!([{"action": "frobnicate"}]),
            "Invalid action u'frobnicate'",
        ),
        (json!([5]), "\"action\""),
        (json!({"action": "query"}), "list of operations"),
    ];
    for (operations, expected) in cases {
        let (_, content) = site.refused(&operations);
        assert!(content.contains(expected), "{operations}: {content}");
    }
}
