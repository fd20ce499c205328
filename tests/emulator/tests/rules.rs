//! What a server does on its own: rules, roll-ups, permissions, keys, and the forms of events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;
#[path = "../../support/end.rs"]
mod end;
#[path = "../../support/steady.rs"]
mod steady;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::{Events, Site};
use end::End;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};
use steady::steadily;

const PROJECT: &str = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";
const SHOT: &str = "bad911de-3bd6-47b9-8b46-3476e237cb36";

fn reference(entity: &Value) -> Value {
    json!({"__entity_type__": entity["__entity_type__"], "id": entity["id"]})
}

fn project() -> Value {
    json!({"__entity_type__": "Project", "id": PROJECT})
}

fn create(entity_type: &str, mut data: Value) -> Value {
    data["__entity_type__"] = json!(entity_type);
    json!({"action": "create", "entity_type": entity_type, "entity_data": data})
}

fn update(entity_type: &str, key: &Value, mut data: Value) -> Value {
    data["__entity_type__"] = json!(entity_type);
    json!({"action": "update", "entity_type": entity_type, "entity_key": key, "entity_data": data})
}

fn kind(site: &Site, name: &str) -> Value {
    site.query(&format!("CustomAttributeType where name is \"{name}\""))[0]["id"].clone()
}

fn menu(values: &[&str], is_multiple: bool) -> String {
    let data: Vec<_> = values
        .iter()
        .map(|value| json!({"menu": value, "value": value}))
        .collect();
    json!({"multiSelect": is_multiple, "data": json!(data).to_string()}).to_string()
}

#[test]
fn what_has_no_thumbnail_shows_a_placeholder() {
    let site = Site::start();
    for entity_type in ["Task", "Project", "AssetVersion", "User"] {
        let query =
            format!("select thumbnail_url from {entity_type} where thumbnail_id is none limit 1");
        let address = site.query(&query)[0]["thumbnail_url"]["url"].clone();
        let mut image = ureq::get(address.as_str().unwrap()).call().unwrap();
        let image = image.body_mut().read_to_vec().unwrap();
        assert!(image.starts_with(b"\x89PNG"), "{entity_type}");
    }
}

#[test]
fn permissions_list_the_statuses_that_the_workflow_allows() {
    let site = Site::start();
    let names = |ids: &Value| -> Vec<String> {
        let ids = ids.as_array().unwrap();
        let name = |id: &Value| {
            site.query(&format!("select name from Status where id is {id}"))[0]["name"].clone()
        };
        ids.iter()
            .map(|id| name(id).as_str().unwrap().to_owned())
            .collect()
    };
    for projection in [
        "__permissions",
        "__permissions.status_id",
        "__permissions.status_id.__options",
    ] {
        for (filter, expected) in [
            (
                "Task where type.name is Animation and project.name is_not test",
                &[
                    "Not started",
                    "In progress",
                    "Awaiting approval",
                    "Approved",
                ][..],
            ),
            (
                "Task where type.name is Tracking and project.name is_not test",
                &["Not started", "In progress", "Approved"],
            ),
            (
                "TypedContext where object_type.name is Shot",
                &["Normal", "Omitted", "On Hold"],
            ),
            ("AssetVersion", &["Approved", "Pending"]),
        ] {
            let found = site.query(&format!(
                "select {projection}, status_id from {filter} limit 1"
            ));
            let mut options = names(&found[0]["__permissions"]["status_id"]["__options"]);
            let mut expected: Vec<_> = expected.iter().map(|it| (*it).to_owned()).collect();
            options.sort();
            expected.sort();
            assert_eq!(options, expected, "{filter}");
        }
    }
    let tasks = site.query("select parent.__permissions.status_id from Task where parent.object_type.name is Shot limit 1");
    assert_eq!(
        tasks[0]["parent"]["__permissions"]["status_id"]["__options"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    for wrong in [
        "select __permissions.name from Task",
        "select __permissions.status_id.x from Task",
        "select __permissions from User",
        "select __permissions.status_id.__options.x from Task",
        "Task where __permissions.status_id is x",
        "select name from Task order by __permissions.status_id",
    ] {
        let (exception, _) = site.refused(&json!([{"action": "query", "expression": wrong}]));
        assert_eq!(exception, "ValidationError", "{wrong}");
    }
}

#[test]
fn status_rules_say_which_status_may_follow_which() {
    let site = Site::start();
    let task = &site
        .query("select id, status_id, project.project_schema_id, object_type_id from Task limit 1")
        [0];
    let options = || {
        let query = format!(
            "select __permissions.status_id from Task where id is {}",
            task["id"]
        );
        let found = &site.query(&query)[0]["__permissions"]["status_id"]["__options"];
        let options = found.as_array().unwrap();
        options
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = options();
    let wanted = before.iter().find(|id| **id != task["status_id"]).unwrap();
    let group = site.create(
        "TypedContextStatusRuleGroup",
        json!({"status_id": wanted, "schema_id": task["project"]["project_schema_id"],
            "entity_type": "task", "object_type_id": task["object_type_id"]}),
    );
    assert_eq!(options().len(), before.len() - 1);
    let change = update("Task", &json!([task["id"]]), json!({"status_id": wanted}));
    let (exception, _) = site.refused(&json!([change]));
    assert_eq!(exception, "PermissionError");
    // Only after another status.
    site.create(
        "StatusRule",
        json!({"status_id": task["status_id"], "status_rule_group_id": group["id"]}),
    );
    assert_eq!(options(), before);
    site.update("Task", &json!([task["id"]]), json!({"status_id": wanted}));
}

#[test]
fn a_global_key_acts_as_any_active_user() {
    let site = Site::with(Emulator::builder().tasks(0).global_key("for everybody"));
    let batch = json!([{"action": "query_server_information", "values": ["user_information"]}]);
    let ask = |user: &str, key: &str| {
        let headers = [("ftrack-user", user), ("ftrack-api-key", key)];
        site.post(&headers, &batch.to_string()).1
    };
    for user in ["jenkins", "mei.tanaka", "MEI.TANAKA"] {
        let response = ask(user, "for everybody");
        let name = response[0]["user_information"]["username"]
            .as_str()
            .unwrap();
        assert!(name.eq_ignore_ascii_case(user), "{response}");
    }
    site.create("User", json!({"username": "former", "is_active": false}));
    for (user, key) in [
        ("former", "for everybody"),
        ("nobody", "for everybody"),
        ("", "for everybody"),
        ("jenkins", ""),
        ("jenkins", "for everybody else"),
        ("jenkins' OR 1=1 --", "for everybody"),
    ] {
        assert_eq!(
            ask(user, key)["exception"],
            "InvalidCredentialsError",
            "{user} {key}"
        );
    }
    for builder in [
        Emulator::builder().global_key(""),
        Emulator::builder().global_key("k").read_only_key("k"),
    ] {
        assert!(builder.tasks(0).start().is_err());
    }
}

#[test]
fn actions_that_are_not_there_have_the_text_that_clients_look_for() {
    let site = Site::start();
    for action in [
        "storage_usage",
        "convert_entity",
        "assume_user",
        "'; DROP TABLE context; --",
    ] {
        let (_, content) = site.refused(&json!([{"action": action, "entity_type": 5}]));
        assert_eq!(content, format!("Invalid action u'{action}'"));
    }
}

#[test]
fn configurations_of_custom_attributes_keep_their_rules() {
    let site = Site::start();
    let [text, number, enumerator] = ["text", "number", "enumerator"].map(|name| kind(&site, name));
    let base = |key: &str, type_id: &Value, entity_type: &str, config: String| json!({"key": key, "label": key, "type_id": type_id, "entity_type": entity_type, "config": config});
    let configuration = "CustomAttributeConfiguration";
    let global = site.create(configuration, base("mood", &text, "show", "{}".into()));
    let mut local = base("local_mood", &text, "show", "{}".into());
    local["project_id"] = json!(PROJECT);
    site.create(configuration, local);
    let mut of_users = base("nick", &text, "user", "{}".into());
    of_users["project_id"] = json!(PROJECT);
    for operation in [
        update(
            configuration,
            &json!([global["id"]]),
            json!({"project_id": PROJECT}),
        ),
        update(
            configuration,
            &json!([global["id"]]),
            json!({"type_id": number}),
        ),
        create(configuration, of_users),
        create(
            configuration,
            base("menu", &enumerator, "show", "{}".into()),
        ),
        create(
            configuration,
            base("menu", &enumerator, "show", menu(&[], false)),
        ),
        create(
            configuration,
            base("menu", &enumerator, "show", "no JSON".into()),
        ),
        create(
            configuration,
            base("menu", &enumerator, "show", json!({"data": 5}).to_string()),
        ),
    ] {
        let (exception, _) = site.refused(&json!([operation]));
        assert_eq!(exception, "ValidationError", "{operation}");
    }
    site.update(
        configuration,
        &json!([global["id"]]),
        json!({"label": "Mood", "type_id": text, "project_id": null}),
    );

    let several = site.create(
        configuration,
        base("several", &enumerator, "show", menu(&["a", "b"], true)),
    );
    let whole = site.create(
        configuration,
        base(
            "whole",
            &number,
            "show",
            json!({"isdecimal": false}).to_string(),
        ),
    );
    let decimal = site.create(
        configuration,
        base(
            "decimal",
            &number,
            "show",
            json!({"isdecimal": true}).to_string(),
        ),
    );
    let value = |configuration: &Value, value: Value| {
        update(
            "ContextCustomAttributeValue",
            &json!([configuration["id"], PROJECT]),
            json!({"value": value}),
        )
    };
    for operation in [
        value(&several, json!(["a", "b"])),
        value(&several, json!("a")),
        value(&several, json!([])),
        value(&several, Value::Null),
        value(&whole, json!(5)),
        value(&whole, json!(5.0)),
        value(&decimal, json!(5.5)),
    ] {
        site.done(&operation);
    }
    for operation in [
        value(&several, json!(["a", "c"])),
        value(&several, json!("c")),
        value(&several, json!("x'; DROP TABLE context; --")),
        value(&several, json!([1])),
        value(&several, json!({"a": 1})),
        value(&whole, json!(5.5)),
        value(&whole, json!("5")),
    ] {
        let (exception, _) = site.refused(&json!([operation]));
        assert_eq!(exception, "ValidationError", "{operation}");
    }
}

#[test]
fn links_to_versions_have_a_type_of_their_own() {
    let site = Site::start();
    let shot = site.query("select id from Shot limit 1")[0]["id"].clone();
    for (number, (word, target)) in [
        ("assetversion", "AssetVersion"),
        ("asset_version", "AssetVersion"),
        ("AssetVersion", "AssetVersion"),
        ("asset", "Asset"),
        ("user", "User"),
        ("task", "Context"),
    ]
    .into_iter()
    .enumerate()
    {
        let configuration = site.create(
            "CustomAttributeLinkConfiguration",
            json!({"key": format!("l{number}"), "entity_type": "task", "object_type_id": SHOT, "entity_type_to": word}),
        );
        let source = if target == "Context" { "Task" } else { target };
        let to = site.query(&format!("select id from {source} limit 1"))[0]["id"].clone();
        site.create(
            "CustomAttributeLink",
            json!({"configuration_id": configuration["id"], "from_id": shot, "to_id": to}),
        );
        let found = site.query(&format!(
            "select from_id from {target}CustomAttributeLink where configuration_id is {}",
            configuration["id"]
        ));
        assert_eq!(found.len(), 1, "{word}");
        assert_eq!(
            found[0]["__entity_type__"],
            format!("{target}CustomAttributeLink")
        );
    }
}

#[test]
fn an_explicit_null_is_kept_apart_from_nothing() {
    let site = Site::start();
    let base = |name: &str| json!({"name": name, "parent": project()});
    let plain = site.create("Task", base("plain"));
    assert_eq!(
        (&plain["description"], &plain["bid"]),
        (&json!(""), &json!(0.0))
    );
    assert!(plain["status_id"].is_string());
    let mut data = base("explicit");
    for name in ["description", "bid", "status_id"] {
        data[name] = Value::Null;
    }
    site.create("Task", data);
    let seen = site.query("select description, bid, status_id from Task where name is explicit");
    for name in ["description", "bid", "status_id"] {
        assert_eq!(seen[0][name], Value::Null, "{name}");
    }
    site.update("Task", &json!([plain["id"]]), json!({"status_id": null}));
    let seen = site.query("select status_id from Task where name is plain");
    assert_eq!(seen[0]["status_id"], Value::Null);
    // A required value cannot be nothing.
    let (exception, _) = site.refused(&json!([create(
        "Note",
        json!({"content": "n", "user_id": null})
    )]));
    assert_eq!(exception, "ValidationError");
}

#[test]
fn bids_and_dates_roll_up_to_what_only_groups() {
    let site = Site::start();
    let folder = site.create("Folder", json!({"name": "roll", "parent": project()}));
    let shot = site.create("Shot", json!({"name": "sh", "parent": reference(&folder)}));
    let task = |name: &str, bid: f64, start: &str, end: &str| {
        site.create("Task", json!({"name": name, "parent": reference(&shot), "bid": bid, "start_date": start, "end_date": end}))
    };
    let one = task("one", 10.0, "2026-03-02", "2026-03-05");
    task("two", 5.0, "2026-03-01", "2026-03-04");
    let check = |bid: f64, start: Value, end: Value| {
        for name in ["roll", "sh"] {
            let query = format!(
                "select bid, start_date, end_date from TypedContext where name is {name} and project_id is \"{PROJECT}\""
            );
            let found = &site.query(&query)[0];
            assert_eq!(found["bid"], bid, "{name}");
            assert_eq!(
                (&found["start_date"]["value"], &found["end_date"]["value"]),
                (&start, &end),
                "{name}"
            );
        }
    };
    let day = |day: &str| json!(format!("2026-03-{day}T00:00:00"));
    check(15.0, day("01"), day("05"));
    site.update(
        "Task",
        &json!([one["id"]]),
        json!({"bid": 1.0, "end_date": "2026-03-09"}),
    );
    check(6.0, day("01"), day("09"));
    site.delete("Task", &json!([one["id"]]));
    check(5.0, day("01"), day("04"));
    site.update("Shot", &json!([shot["id"]]), json!({"parent": project()}));
    let found = site.query("select bid, end_date from Folder where name is roll");
    assert_eq!(
        (&found[0]["bid"], &found[0]["end_date"]),
        (&json!(0.0), &Value::Null)
    );
    // The demo studio is as if it had been made this way.
    let shots =
        site.query("select bid, children.bid from Shot where project.name is_not test limit 20");
    let below = |shot: &Value| -> f64 {
        let children = shot["children"].as_array().unwrap().iter();
        children.filter_map(|it| it["bid"].as_f64()).sum()
    };
    assert!(shots.iter().all(|shot| shot["bid"] == below(shot)));
    assert!(shots.iter().any(|shot| shot["bid"] != 0.0));
}

#[test]
fn events_have_the_forms_that_handlers_parse() {
    let site = Site::start();
    let mut attributes = Vec::new();
    for (name, config, value, text) in [
        ("boolean", "{}".to_owned(), json!(true), "1"),
        (
            "number",
            json!({"isdecimal": false}).to_string(),
            json!(256),
            "256",
        ),
        (
            "number",
            json!({"isdecimal": true}).to_string(),
            json!(24.5),
            "24.5",
        ),
        ("text", "{}".to_owned(), json!("word"), "word"),
        (
            "enumerator",
            menu(&["a", "b"], true),
            json!(["a", "b"]),
            "a, b",
        ),
        (
            "date",
            "{}".to_owned(),
            json!({"__type__": "datetime", "value": "2024-10-29T22:00:00"}),
            "2024-10-29T22:00:00",
        ),
    ] {
        let key = format!("key_{}", attributes.len());
        let made = site.create(
            "CustomAttributeConfiguration",
            json!({"key": key, "label": key,
            "type_id": kind(&site, name), "entity_type": "show", "config": config}),
        );
        attributes.push((key, made["id"].clone(), value, text));
    }
    let mut events = Events::subscribe(&site, "topic=ftrack.update");
    for (key, id, value, text) in attributes {
        site.update(
            "ContextCustomAttributeValue",
            &json!([id, PROJECT]),
            json!({"value": value}),
        );
        let event = events.next();
        let entity = &event["data"]["entities"][0];
        assert_eq!(
            (&entity["entityType"], &entity["keys"]),
            (&json!("show"), &json!([key]))
        );
        assert_eq!(entity["changes"][&key]["new"], *text);
    }
    let task = site.query("select id from Task limit 1")[0]["id"].clone();
    site.update(
        "Task",
        &json!([task]),
        json!({"end_date": "2031-10-29T22:00:00"}),
    );
    let event = events.next();
    let entities = event["data"]["entities"].as_array().unwrap();
    let changed = entities.iter().find(|it| it["entityId"] == task).unwrap();
    assert_eq!(changed["changes"]["enddate"]["new"], "2031-10-29T22:00:00");
}

#[test]
fn changes_of_members_name_what_they_are_about() {
    let site = Site::start();
    let list = site.query("select id, project_id from TypedContextList limit 1")[0].clone();
    let task = site.query("select id from Task limit 1")[0]["id"].clone();
    let role = site.query("select id, user_id from UserSecurityRole limit 1")[0]["id"].clone();
    let mut events = Events::subscribe(&site, "topic=ftrack.update");
    for (entity_type, data, about) in [
        (
            "ListObject",
            json!({"list_id": list["id"], "entity_id": task}),
            &task,
        ),
        (
            "UserSecurityRoleProject",
            json!({"user_security_role_id": role, "project_id": PROJECT}),
            &role,
        ),
    ] {
        site.create(entity_type, data);
        let event = events.next();
        let entity = &event["data"]["entities"][0];
        let parents = entity["parents"].as_array().unwrap();
        assert!(
            parents.iter().any(|it| it["entityId"] == *about),
            "{entity}"
        );
        assert_eq!(parents[0]["entityId"], entity["entityId"]);
        assert_eq!(parents.last().unwrap()["entityType"], "show", "{entity}");
    }
}

#[test]
fn changes_of_scopes_are_announced_with_both_ends() {
    let site = Site::start();
    let task = site
        .query("select id from Task where project.name is_not test and not scopes any () limit 1")
        [0]["id"]
        .clone();
    let scopes = site.query("select id from Scope");
    let (one, other) = (&scopes[0]["id"], &scopes[1]["id"]);
    let mut events = Events::subscribe(&site, "topic=ftrack.update");
    for (set, expected) in [
        (vec![one], vec![("add", one)]),
        (vec![other], vec![("remove", one), ("add", other)]),
        (vec![other, one], vec![("add", one)]),
        (vec![], vec![("remove", one), ("remove", other)]),
    ] {
        let set: Vec<_> = set
            .iter()
            .map(|id| json!({"__entity_type__": "Scope", "id": id}))
            .collect();
        site.update("Task", &json!([task]), json!({"scopes": set}));
        let event = events.next();
        let entities = event["data"]["entities"].as_array().unwrap();
        let mut seen = Vec::new();
        for entity in entities {
            let parents = entity["parents"].as_array().unwrap();
            assert_eq!(entity["entityType"], "contextscope");
            assert_eq!(parents[0]["entityId"], entity["entityId"]);
            assert_eq!(parents[1]["entity_type"], "Scope");
            assert_eq!(parents[2]["entityId"], task);
            assert_eq!(parents.last().unwrap()["entityType"], "show");
            let values = &entity["changes"]["scope_id"];
            let (value, none) = match entity["action"] == "add" {
                true => (&values["new"], &values["old"]),
                false => (&values["old"], &values["new"]),
            };
            assert_eq!((value, none), (&parents[1]["entityId"], &Value::Null));
            seen.push((entity["action"].as_str().unwrap(), value));
        }
        seen.sort_by_key(|(action, id)| (*action, id.to_string()));
        let mut expected = expected;
        expected.sort_by_key(|(action, id)| (*action, id.to_string()));
        assert_eq!(seen, expected);
    }
}

#[test]
fn members_that_leave_a_collection_are_announced() {
    let site = Site::start();
    let tasks = site.query("select id from Task limit 2");
    let list = site.query("select id from TypedContextList limit 1")[0]["id"].clone();
    let items = |tasks: &[Value]| {
        let tasks = tasks
            .iter()
            .map(|task| json!({"__entity_type__": "Task", "id": task["id"]}));
        json!({"items": tasks.collect::<Vec<_>>()})
    };
    site.update("TypedContextList", &json!([list]), items(&tasks));
    let mut events = Events::subscribe(&site, "topic=ftrack.update");
    site.update("TypedContextList", &json!([list]), items(&tasks[..1]));
    let event = events.next();
    let entities = event["data"]["entities"].as_array().unwrap();
    assert_eq!(entities.len(), 1, "{event}");
    assert_eq!(entities[0]["action"], "remove");
    let mut changes = entities[0]["changes"].as_object().unwrap().values();
    assert!(changes.any(|change| change["old"] == tasks[1]["id"]));
    let parents = entities[0]["parents"].as_array().unwrap();
    assert!(parents.iter().any(|it| it["entityId"] == tasks[1]["id"]));
    let left = site.query(&format!("ListObject where list_id is {list}"));
    assert_eq!(left.len(), 1);
}

/// What no source says, as docs/EVIDENCE.md lists it.
#[test]
fn a_resource_may_be_assigned_twice() {
    let site = Site::start();
    let user = site.query("select id from User where username is jenkins")[0]["id"].clone();
    let task = site.create("Task", json!({"name": "twice", "parent": project()}));
    let assignment = json!({"context_id": task["id"], "resource_id": user, "type": "assignment"});
    let one = site.create("Appointment", assignment.clone());
    let other = site.create("Appointment", assignment);
    assert_ne!(one["id"], other["id"]);
    let found = |what: &str| {
        let query = format!("select {what} from Task where id is {}", task["id"]);
        let rows = site.query(&query)[0][what].as_array().unwrap().clone();
        rows.len()
    };
    assert_eq!(found("appointments"), 2);
    assert_eq!(found("assignments"), 2);
    site.delete("Appointment", &json!([one["id"]]));
    assert_eq!(found("assignments"), 1);
    // The key is still unique.
    let again = json!({"id": other["id"], "context_id": task["id"], "resource_id": user,
        "type": "assignment"});
    let (exception, _) = site.refused(&json!([create("Appointment", again)]));
    assert!(
        exception.contains("Integrity") || exception.contains("Duplicate"),
        "{exception}"
    );
}

#[test]
fn a_status_outside_the_workflow_is_accepted() {
    let site = Site::start();
    let task = &site.query("select id, __permissions.status_id from Task limit 1")[0];
    let allowed = task["__permissions"]["status_id"]["__options"]
        .as_array()
        .unwrap();
    let statuses = site.query("select id from Status");
    let outside = statuses
        .iter()
        .find(|status| !allowed.contains(&status["id"]))
        .unwrap();
    site.update(
        "Task",
        &json!([task["id"]]),
        json!({"status_id": outside["id"]}),
    );
    let query = format!(
        "select status_id, __permissions.status_id from Task where id is {}",
        task["id"]
    );
    let found = &site.query(&query)[0];
    assert_eq!(found["status_id"], outside["id"]);
    // It does not become one of the workflow by that.
    assert_eq!(
        found["__permissions"]["status_id"]["__options"].as_array(),
        Some(allowed)
    );
    // A status must exist all the same.
    site.refused(&json!([update(
        "Task",
        &json!([task["id"]]),
        json!({"status_id": "nobody"})
    )]));
}

/// Readers neither wait for each other nor for a writer, nor the writer for them.
#[test]
fn readers_and_a_writer_make_progress_beside_each_other() {
    let site = Site::with(Emulator::builder().tasks(2000));
    let is_over = AtomicBool::new(false);
    let seconds = std::env::var("FTRACK_EMULATOR_LOAD_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(2);
    let reads: [AtomicUsize; 32] = Default::default();
    let fewest = || {
        reads
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .min()
    };
    let writes = std::thread::scope(|scope| {
        let over = End(&is_over);
        for count in &reads {
            let (site, is_over) = (&site, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(
                        site.query("select name, status.name from Task limit 50")
                            .len(),
                        50
                    );
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let patience = end + Duration::from_secs(60);
        let mut writes = 0;
        // A busy machine needs longer until all have had their turn.
        while Instant::now() < end || (fewest() == Some(0) && Instant::now() < patience) {
            site.create(
                "Folder",
                json!({"name": format!("w{writes}"), "parent": project()}),
            );
            writes += 1;
        }
        drop(over);
        writes
    });
    let reads = reads.map(AtomicUsize::into_inner);
    println!(
        "{} reads by 32 readers (fewest {:?}), {writes} writes",
        reads.iter().sum::<usize>(),
        reads.iter().min()
    );
    assert!(
        reads.iter().all(|count| *count > 0) && writes > 0,
        "{reads:?} {writes}"
    );
}

#[test]
fn a_slow_query_does_not_hold_up_the_rest() {
    steadily(|| {
        let site = Site::start();
        // Of every context all that is below each of its ancestors: longer than what comes beside it.
        let slow = "select id from TypedContext where ancestors.descendants.time_logged > 1e12";
        let begun = Instant::now();
        let (slow, quick) = std::thread::scope(|scope| {
            let slow = scope.spawn(|| {
                site.query(slow);
                begun.elapsed()
            });
            std::thread::sleep(Duration::from_millis(50));
            site.create("Folder", json!({"name": "quick", "parent": project()}));
            assert_eq!(site.query("Folder where name is quick").len(), 1);
            let quick = begun.elapsed();
            (slow.join().unwrap(), quick)
        });
        assert!(quick < slow, "{quick:?} {slow:?}");
    });
}
