//! Creating or updating by data, and what an error leaves behind.

use ftrack_api::{ErrorKind, data};
use serde_json::json;

use crate::same;
use crate::support::{Studio, requests};

#[test]
fn json_scalars_identify_as_the_values_that_they_are() {
    let studio = Studio::new();
    let session = &studio.session;
    for (first_name, is_active) in [(json!(null), json!(true)), (json!("Ada"), json!(false))] {
        let data = || {
            data! {
                "username": format!("of {first_name}"),
                "first_name": first_name.clone(),
                "is_active": is_active.clone(),
            }
        };
        let made = session.ensure("User", data(), "").unwrap();
        let other = studio.other().ensure("User", data(), "").unwrap();
        assert_eq!(other.key(), made.key());
        let found = requests(session, || {
            assert_eq!(session.ensure("User", data(), "").unwrap(), made);
        });
        assert_eq!(found, 1, "nothing differs");
        let seen = same(&studio.other(), &made);
        let seen = seen.get::<Option<String>>("first_name").unwrap();
        assert_eq!(seen.as_deref(), first_name.as_str());
    }
    let data = data! { "username": json!(["a"]) };
    let error = session.ensure("User", data, "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
}

#[test]
fn ensure_finds_creates_and_updates() {
    let studio = Studio::new();
    let session = &studio.session;
    let nasty = "o'\"Brien\\";
    let first = session
        .ensure(
            "User",
            data! { "username": nasty, "email": "a@b.c" },
            ["username"],
        )
        .unwrap();
    let again = session
        .ensure(
            "User",
            data! { "username": nasty, "email": "d@e.f" },
            ["username"],
        )
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(
        same(&studio.other(), &first)
            .get::<String>("email")
            .unwrap(),
        "d@e.f"
    );
    let unchanged = || {
        drop(
            session
                .ensure("User", data! { "username": nasty }, "")
                .unwrap(),
        );
    };
    assert_eq!(requests(session, unchanged), 1);

    // The key can identify as well, and so can what cannot be changed.
    let data = data! { "id": first.id(), "email": "g@h.i" };
    assert_eq!(session.ensure("User", data, "id").unwrap(), first);

    // A reference can identify too.
    let project = studio.project();
    let data = data! { "name": "shared", "parent": &project };
    let folder = session
        .ensure("Folder", data.clone(), ["name", "parent"])
        .unwrap();
    assert_eq!(
        studio
            .other()
            .ensure("Folder", data, ["name", "parent"])
            .unwrap()
            .key(),
        folder.key()
    );

    for (data, keys, kind) in [
        (data! { "name": "x" }, vec!["nmae"], ErrorKind::Validation),
        (data! {}, vec![], ErrorKind::Validation),
        (
            data! { "status": "active" },
            vec!["status"],
            ErrorKind::MultipleFound,
        ),
    ] {
        assert_eq!(
            session.ensure("Project", data, &keys).unwrap_err().kind(),
            kind
        );
    }
}

#[test]
fn a_failed_update_is_tried_again_by_the_next_call() {
    let studio = Studio::new();
    let (session, task) = (&studio.session, studio.task());
    let nowhere = "00000000-0000-0000-0000-000000000000";
    let data = data! { "id": task.id(), "status_id": nowhere };
    for _ in 0..2 {
        let error = session.ensure("Task", data.clone(), "id").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    }
    task.clear();
    let pairs = data! { "id": task.id(), "metadata": json!({"a": "1"}) };
    task.metadata().unwrap().to_map().unwrap();
    let budget = session.request_budget(1);
    let error = session.ensure("Task", pairs.clone(), "id").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OverBudget, "{error}");
    drop(budget);
    session.ensure("Task", pairs, "id").unwrap();
    assert_eq!(session.recorded_operations(), []);
    let stored = same(&studio.other(), &task).metadata().unwrap();
    assert_eq!(stored.get("a").unwrap().as_deref(), Some("1"));
}

#[test]
fn a_failed_update_leaves_nothing_recorded() {
    let studio = Studio::new();
    let (session, shot) = (&studio.session, studio.first("Shot"));
    let bad = json!({"fstart": 1, "nonsense": 2});
    let data =
        data! { "description": "x", "metadata": json!({"a": "1"}), "custom_attributes": bad };
    let error = session.update("Shot", &shot, data).unwrap_err();
    assert!(error.to_string().contains("; it has: fstart"), "{error}");
    assert_eq!(session.recorded_operations(), []);
    // Metadata that is not loaded, and cannot be.
    let session = studio.other();
    let shot = same(&session, &shot);
    shot.custom_attributes().unwrap().to_map().unwrap();
    let good = json!({"fstart": 1});
    let data =
        data! { "description": "x", "metadata": json!({"a": "1"}), "custom_attributes": good };
    let budget = session.request_budget(0);
    let error = session.update("Shot", &shot, data.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OverBudget, "{error}");
    assert_eq!(session.recorded_operations(), []);
    drop(budget);
    session.update("Shot", &shot, data).unwrap();
    session.commit().unwrap();
    let stored = same(&studio.other(), &shot);
    assert_eq!(stored.get::<String>("description").unwrap(), "x");
    let metadata = stored.metadata().unwrap();
    assert_eq!(metadata.get("a").unwrap().as_deref(), Some("1"));
}

#[test]
fn a_failed_creation_leaves_nothing_recorded() {
    let studio = Studio::new();
    let session = &studio.session;
    // Some of the pairs are good.
    let data = data! {
        "name": "x", "parent": &studio.project(), "metadata": json!({"a": "1"}),
        "custom_attributes": json!({"fstart": 1, "nonsense": 2}),
    };
    let error = session.create("Shot", data).unwrap_err();
    assert!(error.to_string().contains("; it has: fstart"), "{error}");
    assert_eq!(session.recorded_operations(), []);
    // The server refuses it.
    let data = data! { "name": "x", "parent_id": "00000000-0000-0000-0000-000000000000" };
    session.ensure("Folder", data, "").unwrap_err();
    assert_eq!(session.recorded_operations(), []);
    // Who is marked for deletion gets no metadata, and loses none.
    let task = studio.task();
    let metadata = task.metadata().unwrap();
    metadata.set("a", "b").unwrap();
    session.commit().unwrap();
    session.delete(&task).unwrap();
    metadata.set("new", "c").unwrap_err();
    metadata.remove("a").unwrap_err();
    assert_eq!(session.plan().changes.len(), 1, "{}", session.plan());
}

#[test]
fn what_hangs_on_a_discarded_creation_goes_with_it() {
    let studio = Studio::new();
    let session = &studio.session;
    let nowhere = "00000000-0000-0000-0000-000000000000";
    let (metadata, attributes) = (json!({"a": "1"}), json!({"fstart": 1}));
    let is_clean = |what: &str| {
        assert_eq!(session.recorded_operations(), [], "{what}");
        assert_eq!(session.plan().changes.len(), 0, "{what}");
        // The next commit is not refused for what was taken back.
        studio.task().set("description", what).unwrap();
        session.commit().expect(what);
    };

    let shot = data! {
        "name": "x", "parent_id": nowhere, "metadata": metadata.clone(),
        "custom_attributes": attributes.clone(),
    };
    session.ensure("Shot", shot, "name").unwrap_err();
    is_clean("ensure");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("main.mov");
    std::fs::write(&path, "frames").unwrap();
    let component = data! { "version_id": nowhere, "metadata": metadata.clone() };
    let target = session.location("ftrack.server").unwrap();
    session
        .create_component(&path, component, &target)
        .unwrap_err();
    is_clean("create_component");

    let project = studio.project();
    let new = || {
        let data = data! { "name": "y", "parent": &project, "metadata": metadata.clone() };
        let shot = session.create("Shot", data).unwrap();
        shot.set("custom_attributes", attributes.clone()).unwrap();
        let pair = data! {
            "parent_id": shot.id(), "parent_type": "Shot", "key": "own", "value": "row",
        };
        session.create("Metadata", pair).unwrap();
        shot
    };
    session.delete(&new()).unwrap();
    is_clean("delete");

    // The rows of others stay.
    let (kept, other) = (new(), new());
    session.delete(&other).unwrap();
    session.commit().unwrap();
    let kept = same(&studio.other(), &kept);
    let pairs = kept.metadata().unwrap().to_map().unwrap();
    assert!(pairs.keys().eq(["a", "own"]), "{pairs:?}");
    let attributes = kept.custom_attributes().unwrap();
    assert_eq!(attributes.get::<i64>("fstart").unwrap(), 1);
}
