//! `instantiate`: whole, idempotent, in few requests.

use ftrack_api::studio::Template;
use ftrack_api::{Entity, ErrorKind, data, serde_json, serde_json::json};

use crate::support::{Studio, requests};

fn template(json: serde_json::Value) -> Template {
    serde_json::from_value(json).unwrap()
}

/// Sequences with shots with four tasks and an asset each.
fn big(sequences: usize, shots: usize, user: &str) -> Template {
    let task = |name: &str, kind: &str| json!({ "entity_type": "Task", "name": name, "type": kind, "assignees": [user] });
    let shot = |number: usize| {
        json!({
            "entity_type": "Shot", "name": format!("sh{number:04}"), "include": ["shot"],
            "attributes": { "description": "A crane shot." },
            "assets": [{ "name": "plate", "type": "Generic" }],
        })
    };
    let sequence = |number: usize| {
        let shots: Vec<_> = (0..shots).map(shot).collect();
        json!({ "entity_type": "Sequence", "name": format!("sq{number}"), "children": shots })
    };
    let tasks = [
        task("anim", "Animation"),
        task("light", "Lighting"),
        task("comp", "Compositing"),
        task("track", "Tracking"),
    ];
    let sequences: Vec<_> = (0..sequences).map(sequence).collect();
    template(json!({ "groups": { "shot": tasks }, "children": sequences }))
}

#[test]
fn two_thousand_entities_take_four_requests_and_are_made_once() {
    let studio = Studio::new();
    let session = &studio.session;
    let top = studio.create(
        "Folder",
        data! { "name": "big", "parent": studio.project() },
    );
    // 4 sequences, 200 shots, 800 tasks, 200 assets, 800 assignments.
    let template = big(4, 50, session.api_user());
    let mut made = None;
    let look = requests(session, || {
        made = Some(session.instantiate(&template, &top).unwrap());
    });
    assert!(look <= 3, "{look} requests");
    let made = made.unwrap();
    assert_eq!(made.created.len(), 2004);
    assert_eq!(made.contexts.len(), 1004);
    assert_eq!(session.plan().changes.len(), 2004);
    assert_eq!(requests(session, || session.commit().unwrap()), 1);

    let other = studio.other();
    let top = other.get("Folder", top.key()).unwrap().unwrap();
    let look = requests(&other, || {
        let again = other.instantiate(&template, &top).unwrap();
        assert_eq!((again.created.len(), again.contexts.len()), (0, 1004));
    });
    assert!(look <= 3, "{look} requests");
    assert_eq!(other.recorded_operations(), []);
    let shot = other.at("test/big/sq3/sh0049").unwrap();
    assert_eq!(shot.get::<String>("description").unwrap(), "A crane shot.");
    assert_eq!(shot.get::<Vec<Entity>>("assets").unwrap().len(), 1);
    let task = other.at("test/big/sq3/sh0049/comp").unwrap();
    assert_eq!(task.get::<String>("type.name").unwrap(), "Compositing");
    let users: Vec<String> = task.get("assignments.resource.username").unwrap();
    assert_eq!(users, [other.api_user()]);
}

#[test]
fn only_what_is_missing_is_added() {
    let studio = Studio::new();
    let session = &studio.session;
    let top = studio.create(
        "Folder",
        data! { "name": "big", "parent": studio.project() },
    );
    session
        .instantiate(&big(2, 3, session.api_user()), &top)
        .unwrap();
    session.commit().unwrap();
    // Called otherwise, but the same to the server.
    let shot = session.at("test/big/sq0/sh0001").unwrap();
    shot.set("name", "SH0001").unwrap();
    shot.set("description", "Changed by hand.").unwrap();
    session
        .delete(&session.at("test/big/sq1/sh0002/comp").unwrap())
        .unwrap();
    session.commit().unwrap();

    let made = session
        .instantiate(&big(2, 4, session.api_user()), &top)
        .unwrap();
    // A shot with its tasks, asset and assignments in each sequence; a task with its assignment.
    assert_eq!(made.created.len(), 2 * (1 + 4 + 1 + 4) + 2);
    session.commit().unwrap();
    assert_eq!(
        shot.get::<String>("description").unwrap(),
        "Changed by hand."
    );
    assert!(session.at("test/big/sq1/sh0002/comp").is_ok());
    let again = session
        .instantiate(&big(2, 4, session.api_user()), &top)
        .unwrap();
    assert_eq!(again.created.len(), 0);
}

#[test]
fn metadata_and_custom_attributes_arrive_below_a_new_parent() {
    let studio = Studio::new();
    let session = &studio.session;
    let parent = session.create(
        "Sequence",
        data! { "name": "sq9", "parent": studio.project() },
    );
    let template = template(json!({ "children": [{
        "entity_type": "Shot", "name": "sh1", "status": "Normal",
        "attributes": { "metadata": { "lens": "35" }, "custom_attributes": { "fstart": 1001 } },
        "children": [{
            "entity_type": "Task", "name": "roto",
            "attributes": { "start_date": "2026-03-04", "end_date": "2026-03-06T18:30:00" },
        }],
    }]}));
    session.instantiate(&template, &parent.unwrap()).unwrap();
    session.commit().unwrap();
    let shot = studio.other().at("test/sq9/sh1").unwrap();
    assert_eq!(
        shot.metadata().unwrap().get("lens").unwrap().as_deref(),
        Some("35")
    );
    assert_eq!(
        shot.custom_attributes()
            .unwrap()
            .get::<i64>("fstart")
            .unwrap(),
        1001
    );
    assert_eq!(shot.get::<String>("status.name").unwrap(), "Normal");
    let task = studio.other().at("test/sq9/sh1/roto").unwrap();
    let dates: (jiff::civil::DateTime, jiff::civil::DateTime) =
        task.get_many(["start_date", "end_date"]).unwrap();
    let day = |day, hour, minute| jiff::civil::date(2026, 3, day).at(hour, minute, 0, 0);
    assert_eq!(dates, (day(4, 0, 0), day(6, 18, 30)));
}

#[test]
fn a_second_call_before_the_commit_records_nothing() {
    let studio = Studio::new();
    let session = &studio.session;
    let top = session.create(
        "Folder",
        data! { "name": "top", "parent": studio.project() },
    );
    let template = big(1, 2, session.api_user());
    for parent in [top.unwrap(), studio.project()] {
        let first = session.instantiate(&template, &parent).unwrap();
        assert_eq!(first.created.len(), 1 + 2 * (1 + 4 + 1 + 4));
        let again = session.instantiate(&template, &parent).unwrap();
        assert_eq!(again.created, []);
        assert_eq!(again.contexts, first.contexts);
    }
    session.commit().unwrap();
}

#[test]
fn a_name_that_two_types_have_is_refused() {
    let studio = Studio::new();
    let session = &studio.session;
    for _ in 0..2 {
        studio.create(
            "Type",
            data! { "name": "Twin", "sort": 1, "is_billable": true },
        );
    }
    let template = template(json!({ "children": [
        { "entity_type": "Task", "name": "a", "type": "twin" },
    ]}));
    let error = session
        .instantiate(&template, &studio.project())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MultipleFound, "{error}");
    assert!(error.to_string().contains("`attributes`"), "{error}");
    assert!(session.plan().is_empty());
}

#[test]
fn what_cannot_be_made_leaves_nothing_recorded() {
    let studio = Studio::new();
    let session = &studio.session;
    let top = studio.create(
        "Folder",
        data! { "name": "top", "parent": studio.project() },
    );
    studio.create("Folder", data! { "name": "SH1", "parent": &top });
    let ok = json!({ "entity_type": "Shot", "name": "first", "attributes": { "metadata": { "a": "b" } } });
    let check = |node: serde_json::Value, kind: ErrorKind, expected: &str| {
        let template = template(json!({ "children": [ok, node] }));
        let error = session.instantiate(&template, &top).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(session.recorded_operations().is_empty(), "{expected}");
    };
    let node = |name: &str, value: serde_json::Value| {
        let mut node = json!({ "entity_type": "Task", "name": "x" });
        node[name] = value;
        node
    };
    check(
        json!({ "entity_type": "Shot", "name": "sh1" }),
        ErrorKind::Validation,
        "\"sh1\" should be a Shot, but Folder(",
    );
    for (kind, expected) in [
        ("Project", "create it, and instantiate"),
        ("Asset", "among the `assets`"),
        ("Appointment", "among the `assignees`"),
        ("Note", "such as sequences"),
    ] {
        check(
            node("entity_type", json!(kind)),
            ErrorKind::Validation,
            expected,
        );
    }
    check(
        node("attributes", json!({ "name": "y" })),
        ErrorKind::Validation,
        "has name among its attributes",
    );
    check(
        node("attributes", json!({ "start_date": "soon" })),
        ErrorKind::WrongType,
        "x of the template: start_date",
    );
    check(
        node("type", json!("Animatoin")),
        ErrorKind::NotFound,
        "did you mean \"animation\"?",
    );
    check(
        node("status", json!("Fine")),
        ErrorKind::NotFound,
        "no Status with the name \"Fine\"",
    );
    check(
        node("assignees", json!(["nobody"])),
        ErrorKind::NotFound,
        "\"nobody\"",
    );
    check(
        node("entity_type", json!("Tsk")),
        ErrorKind::UnknownType,
        "Task",
    );
    check(
        node("attributes", json!({ "bdi": 1 })),
        ErrorKind::UnknownAttribute,
        "bid",
    );
    check(
        node("attributes", json!({ "bid": "much" })),
        ErrorKind::WrongType,
        "bid",
    );
    let version = session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let error = session
        .instantiate(&Template::default(), &version)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
}
