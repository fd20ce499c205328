//! An inverse leaves everything as it was.

use ftrack_api::studio::Inverse;
use ftrack_api::{Entity, ErrorKind, Session, data, serde_json};

use crate::support::{LICENCE, Studio, open, requests, upload};

/// What the server has of everything that the plans below touch.
fn rows(studio: &Studio) -> Vec<String> {
    let mut rows = Vec::new();
    for query in [
        "select id, name, bid, description, status_id, parent_id, start_date, end_date from TypedContext",
        "select id, object_type_id, priority_id, sort, thumbnail_id, type_id from TypedContext",
        "select id, name, context_id, type_id from Asset",
        "select id, comment, status_id, is_published, version, task_id, thumbnail_id, user_id, date from AssetVersion",
        "select id, name, size, file_type, version_id, container_id from Component",
        "select id, component_id, location_id, resource_identifier from ComponentLocation \
         where location.name is_not ftrack.server",
        "select id, context_id, resource_id, type from Appointment",
        "select id, content, parent_id, in_reply_to_id, user_id, date from Note",
        "select note_id, resource_id from Recipient",
        "select note_id, label_id from NoteLabelLink",
        "select id, context_id, user_id, duration, comment from Timelog",
        "select parent_id, key, value from Metadata",
        "select configuration_id, entity_id, value from CustomAttributeValue",
        "select id, from_id, to_id from TypedContextLink",
        "select id, from_id, to_id from AssetVersionLink",
        "select id, configuration_id, from_id, to_id from CustomAttributeLink",
        "select id, list_id, entity_id from ListObject",
        "select id, review_session_id, version_id from ReviewSessionObject",
    ] {
        // Nothing of it is kept in the session.
        for row in studio
            .session
            .query(query)
            .unwrap()
            .rows::<serde_json::Value>()
        {
            rows.push(row.unwrap().to_string());
        }
    }
    rows.sort();
    rows
}

#[test]
fn a_plan_and_its_inverse_leave_everything_as_it_was() {
    let studio = Studio::new();
    let before = rows(&studio);
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..25 {
        let session = open(&studio.server);
        let query = "select name, bid, description, status_id, start_date from Task where project.name is test";
        let tasks = session.query(query).unwrap().all().unwrap();
        let statuses = session
            .query("select id from Status")
            .unwrap()
            .all()
            .unwrap();
        let user = session.user().unwrap();
        let list = session
            .query("select id from TypedContextList")
            .unwrap()
            .first()
            .unwrap()
            .unwrap();
        list.collection("items").unwrap().all().unwrap();
        let project = session.at("test").unwrap();
        for number in 0..random.usize(1..12) {
            let task = &tasks[random.usize(0..tasks.len())];
            match random.usize(0..7) {
                0 => task.set("bid", random.u32(0..100_000)).unwrap(),
                1 => task.set("description", format!("d{round}")).unwrap(),
                2 => task
                    .set("status_id", statuses[random.usize(0..statuses.len())].id())
                    .unwrap(),
                3 => task.set("name", format!("n{round}_{number}")).unwrap(),
                4 => {
                    let data = data! { "name": format!("c{round}_{number}"), "parent": &project,
                    "metadata": serde_json::json!({ "a": "b" }) };
                    let new = session.create("Task", data).unwrap();
                    let data = data! { "context": &new, "resource": &user, "type": "assignment" };
                    session.create("Appointment", data).unwrap();
                }
                5 => list
                    .collection("items")
                    .unwrap()
                    .push(task)
                    .unwrap_or_default(),
                _ => task
                    .set("start_date", jiff::civil::date(2026, 3, 4).at(1, 2, 3, 0))
                    .unwrap(),
            }
        }
        let inverse = session.plan().inverse(&session).unwrap();
        let kept = Inverse::from_json(&inverse.to_json()).unwrap();
        assert_eq!(kept, inverse);
        session.commit().unwrap();
        let other = open(&studio.server);
        other.undo(&kept).unwrap();
        other.commit().unwrap();
        assert_eq!(rows(&studio), before, "round {round}");
    }
}

#[test]
fn what_somebody_changed_meanwhile_is_not_undone() {
    let studio = Studio::new();
    let session = &studio.session;
    let tasks = session
        .query("select bid, description from Task limit 2")
        .unwrap()
        .all()
        .unwrap();
    tasks[0].set("bid", 11).unwrap();
    tasks[1].set("description", "x").unwrap();
    let inverse = session.plan().inverse(session).unwrap();
    session.commit().unwrap();
    let other = studio.other();
    other
        .update("Task", tasks[0].key(), data! { "bid": 12 })
        .unwrap();
    other.commit().unwrap();
    let error = session.undo(&inverse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("is 12, not 11"), "{error}");
    assert!(session.recorded_operations().is_empty());
    // What is not loaded is read.
    let fresh = studio.other();
    fresh
        .update("Task", tasks[0].key(), data! { "bid": 13 })
        .unwrap();
    let inverse = fresh.plan().inverse(&fresh).unwrap();
    fresh.commit().unwrap();
    fresh.undo(&inverse).unwrap();
    fresh.commit().unwrap();
    fresh
        .refresh(fresh.get("Task", tasks[0].key()).unwrap().unwrap())
        .unwrap();
    let task = fresh.get("Task", tasks[0].key()).unwrap().unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 12.0);
    fresh
        .update(
            "Task",
            uuid::Uuid::new_v4().to_string(),
            data! { "bid": 13 },
        )
        .unwrap();
    let error = fresh.plan().inverse(&fresh).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(Inverse::from_json(&serde_json::json!({ "steps": [1], "version": 1 })).is_err());
}

#[test]
fn what_others_have_made_below_a_new_entity_is_not_deleted() {
    let studio = Studio::new();
    let session = &studio.session;
    let data = data! { "name": "sq9", "parent": studio.project() };
    let sequence = session.create("Sequence", data).unwrap();
    let data = data! { "name": "sh1", "parent": &sequence };
    session.create("Shot", data).unwrap();
    let inverse = session.plan().inverse(session).unwrap();
    session.commit().unwrap();
    let other = studio.other();
    let shot = other.at("test/sq9/sh1").unwrap();
    let task = other.create("Task", data! { "name": "roto", "parent": &shot });
    let user = other.user().unwrap();
    shot.create_note("Careful.", &user, Default::default())
        .unwrap();
    other.commit().unwrap();
    let error = session.undo(&inverse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    let task = task.unwrap();
    for expected in [task.id().as_str(), "Note("] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(session.plan().is_empty());
    other.delete(&task).unwrap();
    let notes: Vec<Entity> = shot.get("notes").unwrap();
    other.delete(&notes[0]).unwrap();
    other.commit().unwrap();
    session.undo(&inverse).unwrap();
    session.commit().unwrap();
    assert!(other.at("test/sq9").is_err());
}

#[test]
fn an_undo_that_fails_records_nothing() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.create("Task", data! { "name": "new", "parent": studio.project() });
    let tasks = [task, studio.first("select bid from Task")];
    let mut inverse = Inverse::default().to_json();
    let key = serde_json::json!(["Task", [tasks[1].id()]]);
    let bid: f64 = tasks[1].get("bid").unwrap();
    inverse["steps"] = serde_json::json!([
        { "delete": ["Task", [tasks[0].id()]] },
        { "set": key, "attribute": "bid", "expected": { "number": format!("{bid:?}") },
          "before": { "text": "much" } },
    ]);
    let inverse = Inverse::from_json(&inverse).unwrap();
    let error = session.undo(&inverse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    assert!(session.plan().is_empty(), "{}", session.plan());
    tasks[0].set("bid", 1).unwrap();
}

/// Everything that belongs to a context, and what refers to it.
fn furnish(session: &Session, shot: &Entity) {
    let user = session.user().unwrap();
    let task = session
        .create(
            "Task",
            data! { "name": "roto", "parent": shot, "metadata": serde_json::json!({ "a": "b" }) },
        )
        .unwrap();
    let other = session
        .create("Task", data! { "name": "comp", "parent": shot })
        .unwrap();
    let data = data! { "context": &task, "resource": &user, "type": "assignment" };
    session.create("Appointment", data).unwrap();
    let data = data! { "context": &task, "user": &user, "duration": 60, "comment": "x" };
    session.create("Timelog", data).unwrap();
    session
        .create("TypedContextLink", data! { "from": &task, "to": &other })
        .unwrap();
    let asset = session
        .create("Asset", data! { "name": "extra", "parent": shot })
        .unwrap();
    for _ in 0..2 {
        let version = data! { "asset": &asset, "task": &task, "comment": "x" };
        session.create("AssetVersion", version).unwrap();
    }
    session.commit().unwrap();
    let attributes = shot.custom_attributes().unwrap();
    attributes.set("fstart", 1001).unwrap();
    attributes.set("shot_size", "wide").unwrap();
    session.commit().unwrap();
    let options = ftrack_api::entity::NoteOptions::new().recipients(&user);
    let note = task.create_note("Please look.", &user, options).unwrap();
    note.create_reply("Done.", &user).unwrap();
    session.commit().unwrap();
}

#[test]
fn what_is_deleted_with_an_entity_comes_back() {
    let studio = Studio::new();
    let shot = studio.session.at("test/ep01/sq010/sh0010").unwrap();
    furnish(&studio.session, &shot);
    let before = rows(&studio);
    let names = [
        "test/ep01/sq010/sh0010/roto",
        "test/ep01/sq010/sh0010",
        "test/ep01/sq010",
        "test/ep01",
        "test",
    ];
    for name in names {
        let session = open(&studio.server);
        session.delete(&session.at(name).unwrap()).unwrap();
        let mut inverse = Inverse::default();
        let sent = requests(&session, || {
            inverse = session.plan().inverse(&session).unwrap();
        });
        assert!(sent <= 10, "{name}: {sent} requests");
        session.commit().unwrap();
        assert_ne!(rows(&studio), before, "{name}");
        let kept = Inverse::from_json(&inverse.to_json()).unwrap();
        assert_eq!(kept, inverse);
        let other = open(&studio.server);
        other
            .undo(&kept)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        other
            .commit()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let after = rows(&studio);
        // Nobody sets when a milestone begins, and the author of a note becomes its recipient: that is said.
        let is_said = |row: &&String| {
            let json: serde_json::Value = serde_json::from_str(row).unwrap();
            let id = |name: &str| format!("({})", json[name].as_str().unwrap_or_default());
            match json["__entity_type__"].as_str() {
                Some("Milestone") => kept.lost.iter().any(|what| what.contains(&id("id"))),
                Some("Recipient") => kept
                    .lost
                    .iter()
                    .any(|what| what.contains(&id("note_id")) && what.contains(&id("resource_id"))),
                _ => false,
            }
        };
        let differing = |some: &[String], others: &[String]| -> Vec<String> {
            let missing = some.iter().filter(|row| !others.contains(row));
            missing.filter(|row| !is_said(row)).cloned().collect()
        };
        let (lost, new) = (differing(&before, &after), differing(&after, &before));
        assert!(
            lost.is_empty() && new.is_empty(),
            "{name}: lost {lost:#?}, new {new:#?}"
        );
        // Once is enough.
        let error = other.undo(&kept).unwrap_err();
        assert!(error.to_string().contains("exists again"), "{error}");
    }
}

#[test]
fn a_deletion_among_other_changes_is_undone_with_them() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    furnish(session, &shot);
    let before = rows(&studio);
    let task = session.at("test/ep01/sq010/sh0010/roto").unwrap();
    let version = session
        .query("AssetVersion where asset.name is extra limit 1")
        .unwrap();
    let version = version.one().unwrap();
    task.set("bid", 4711).unwrap();
    shot.set("description", "gone soon").unwrap();
    version.set("comment", "stays").unwrap();
    session.delete(&task).unwrap();
    session
        .create("Task", data! { "name": "new", "parent": &shot })
        .unwrap();
    let inverse = session.plan().inverse(session).unwrap();
    session.commit().unwrap();
    session.undo(&inverse).unwrap();
    session.commit().unwrap();
    assert_eq!(rows(&studio), before);
}

#[test]
fn what_cannot_come_back_is_named() {
    let studio = Studio::new();
    let session = &studio.session;
    let component = upload(session, LICENCE.as_ref());
    session.delete(&component).unwrap();
    let inverse = session.plan().inverse(session).unwrap();
    session.commit().unwrap();
    assert_eq!(inverse.lost.len(), 1);
    assert!(
        inverse.lost[0].contains(&component.id()),
        "{:?}",
        inverse.lost
    );
    session.undo(&inverse).unwrap();
    session.commit().unwrap();
    let again = studio
        .other()
        .get("FileComponent", component.key())
        .unwrap()
        .unwrap();
    assert_eq!(again.get::<String>("name").unwrap(), "file");
    let server = studio.session.location("ftrack.server").unwrap();
    let available = again.session().get_component_availability(&again).unwrap();
    assert_eq!(available[&server.id()], 0.0);
}

#[test]
fn an_entity_may_be_named_by_a_more_general_type() {
    let studio = Studio::new();
    let task = studio.first("select description from Task");
    let before: Option<String> = task.get("description").unwrap();
    let session = studio.other();
    let data = data! { "description": "changed" };
    session.update("TypedContext", task.id(), data).unwrap();
    let inverse = session.plan().inverse(&session).unwrap();
    session.commit().unwrap();
    session.undo(&inverse).unwrap();
    session.commit().unwrap();
    studio.session.refresh(&task).unwrap();
    assert_eq!(task.get::<Option<String>>("description").unwrap(), before);
}
