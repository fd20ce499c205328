//! The unit of work against a server: what is created, changed and deleted, and who sees it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use ftrack_api::entity::ValueOrigin;
use ftrack_api::{
    CancelToken, Entity, EntityKey, EntityState, ErrorKind, Session, Strategy, Value, data, expr,
};
use serde_json::json;
use support::{Studio, open, requests};

impl Studio {
    /// A session that has seen nothing yet.
    fn other(&self) -> Session {
        open(&self.server)
    }

    fn project(&self) -> Entity {
        self.session
            .query("Project where name is test")
            .unwrap()
            .one()
            .unwrap()
    }

    fn task(&self) -> Entity {
        self.session
            .query("select name, bid from Task")
            .unwrap()
            .first()
            .unwrap()
            .unwrap()
    }

    fn shot(&self) -> Entity {
        self.session
            .query("select name from Shot")
            .unwrap()
            .first()
            .unwrap()
            .unwrap()
    }
}

fn same(session: &Session, entity: &Entity) -> Entity {
    session
        .get(entity.entity_type(), entity.key())
        .unwrap()
        .unwrap()
}

#[test]
fn a_new_shot_with_tasks_is_there_for_others() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let shot = session
        .create("Shot", data! { "name": "sh \"010\"", "parent": &project })
        .unwrap();
    let task = session
        .create(
            "Task",
            data! { "name": "anim", "parent": &shot, "bid": 3.5 },
        )
        .unwrap();
    assert_eq!(session.created().len(), 2);
    assert_eq!(requests(session, || session.commit().unwrap()), 1);
    assert!(session.created().is_empty());
    assert_eq!(task.state(), None);
    // The server filled in what was not given.
    assert_eq!(task.get::<String>("project_id").unwrap(), project.id());
    assert!(task.get::<Option<String>>("status.name").unwrap().is_some());

    let other = studio.other();
    let seen = same(&other, &task);
    assert_eq!(seen.get::<String>("name").unwrap(), "anim");
    assert_eq!(seen.get::<f64>("bid").unwrap(), 3.5);
    assert_eq!(seen.get::<String>("parent.name").unwrap(), "sh \"010\"");
    let link: serde_json::Value = seen.get("link").unwrap();
    assert_eq!(link.as_array().unwrap().len(), 3);
    let found = other
        .query(expr!("Shot where name is {}", "sh \"010\""))
        .unwrap()
        .one()
        .unwrap();
    assert_eq!(found.key(), shot.key());
}

#[test]
fn changes_reach_others_and_deletions_too() {
    let studio = Studio::new();
    let task = studio.task();
    task.set("description", "a \\ b \"c\"\n\u{1f600}").unwrap();
    task.set("bid", 7200).unwrap();
    assert_eq!(studio.session.modified(), std::slice::from_ref(&task));
    studio.session.commit().unwrap();
    let seen = same(&studio.other(), &task);
    assert_eq!(
        seen.get::<String>("description").unwrap(),
        "a \\ b \"c\"\n\u{1f600}"
    );
    assert_eq!(seen.get::<i64>("bid").unwrap(), 7200);

    studio.session.delete(&task).unwrap();
    assert_eq!(task.state(), Some(EntityState::Deleted));
    studio.session.commit().unwrap();
    assert!(studio.session.get("Task", task.key()).unwrap().is_none());
    assert!(studio.other().get("Task", task.key()).unwrap().is_none());
    assert_eq!(
        task.get::<String>("sort").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn dates_numbers_and_nulls_come_back_as_they_were() {
    let studio = Studio::new();
    let task = studio.task();
    let start: jiff::civil::DateTime = "2026-03-04T05:06:07".parse().unwrap();
    task.set("start_date", start).unwrap();
    task.set("bid", 0.25).unwrap();
    task.set("description", Value::Null).unwrap();
    studio.session.commit().unwrap();
    let seen = same(&studio.other(), &task);
    assert_eq!(
        seen.get::<jiff::civil::DateTime>("start_date").unwrap(),
        start
    );
    assert_eq!(seen.get::<f64>("bid").unwrap(), 0.25);
    assert_eq!(seen.get::<Option<String>>("description").unwrap(), None);
    let error = seen.get::<String>("description").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("Option"), "{error}");
}

#[test]
fn version_zero_stays_zero() {
    let studio = Studio::new();
    let session = &studio.session;
    let asset = session.query("Asset").unwrap().first().unwrap().unwrap();
    let zero = session
        .create("AssetVersion", data! { "asset": &asset, "version": 0 })
        .unwrap();
    let next = session
        .create("AssetVersion", data! { "asset": &asset })
        .unwrap();
    session.commit().unwrap();
    let other = studio.other();
    assert_eq!(same(&other, &zero).get::<i64>("version").unwrap(), 0);
    assert!(same(&other, &next).get::<i64>("version").unwrap() > 0);
}

#[test]
fn a_commit_that_the_server_refuses_changes_nothing_and_can_be_repaired() {
    let studio = Studio::new();
    let session = &studio.session;
    let (shot, task) = (studio.shot(), studio.task());
    let name: String = shot.get("name").unwrap();
    let parent: Entity = shot.get("parent").unwrap();
    task.set("description", "half").unwrap();
    let twin = session
        .create("Shot", data! { "name": &name, "parent": &parent })
        .unwrap();
    let error = session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
    assert!(error.to_string().contains("stay recorded"), "{error}");
    assert_eq!(session.recorded_operations().len(), 2);
    assert_ne!(
        same(&studio.other(), &task)
            .get::<Option<String>>("description")
            .unwrap()
            .as_deref(),
        Some("half")
    );

    twin.set("name", "another").unwrap();
    session.commit().unwrap();
    assert_eq!(
        same(&studio.other(), &twin).get::<String>("name").unwrap(),
        "another"
    );
    assert_eq!(
        same(&studio.other(), &task)
            .get::<String>("description")
            .unwrap(),
        "half"
    );
}

#[test]
fn rollback_leaves_nothing_behind() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.task();
    let before: String = task.get("name").unwrap();
    let new = session
        .create("Task", data! { "name": "x", "parent": &studio.project() })
        .unwrap();
    task.set("name", "y").unwrap();
    session.rollback();
    assert_eq!(task.get::<String>("name").unwrap(), before);
    assert_eq!(
        new.get::<String>("description").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(session.plan().is_empty());
    assert_eq!(requests(session, || session.commit().unwrap()), 0);
}

#[test]
fn thousands_go_in_one_request() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let tasks: Vec<Entity> = (0..1000)
        .map(|n| {
            session
                .create(
                    "Task",
                    data! { "name": format!("t{n}"), "parent": &project },
                )
                .unwrap()
        })
        .collect();
    assert_eq!(requests(session, || session.commit().unwrap()), 1);
    for task in &tasks {
        task.set("bid", 60).unwrap();
    }
    assert_eq!(requests(session, || session.commit().unwrap()), 1);
    for task in &tasks {
        session
            .update("Task", task.key(), data! { "bid": 61 })
            .unwrap();
    }
    session.delete_by_key("Task", tasks[0].key()).unwrap();
    assert_eq!(requests(session, || session.commit().unwrap()), 1);
    let left = studio
        .other()
        .query("select bid from Task where bid is 61")
        .unwrap()
        .all()
        .unwrap();
    assert_eq!(left.len(), 999);
}

#[test]
fn huge_batches_can_go_in_chunks() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    for n in 0..25 {
        let data = data! { "name": format!("c{n}"), "parent": &project };
        session.create("Task", data).unwrap();
    }
    let mut seen = Vec::new();
    let committing = || {
        session
            .commit_in_chunks(10, |done, all| seen.push((done, all)))
            .unwrap();
    };
    assert_eq!(requests(session, committing), 3);
    assert_eq!(seen, [(10, 25), (20, 25), (25, 25)]);
    // The second chunk fails: the first is on the server, the rest stays recorded.
    session
        .create("Task", data! { "name": "c99", "parent": &project })
        .unwrap();
    session
        .create("Task", data! { "name": "c1", "parent": &project })
        .unwrap();
    let error = session.commit_in_chunks(1, |_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
    assert_eq!(session.recorded_operations().len(), 1);
    assert!(
        studio
            .other()
            .query("Task where name is c99")
            .unwrap()
            .first()
            .unwrap()
            .is_some()
    );
    assert_eq!(
        session.commit_in_chunks(0, |_, _| {}).unwrap_err().kind(),
        ErrorKind::Validation
    );
}

#[test]
fn entities_move_between_sessions_and_to_json() {
    let studio = Studio::new();
    let (session, other) = (&studio.session, studio.other());
    let task = session
        .query("select name, status.name, children from Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    task.set("name", "changed here").unwrap();
    let logged: f64 = task.get("time_logged").unwrap();
    let merged = other.merge(&task).unwrap();
    assert_eq!(merged.get::<String>("name").unwrap(), "changed here");
    assert_eq!(merged.state(), Some(EntityState::Modified));
    assert_eq!(
        requests(&other, || {
            merged.get::<Option<String>>("status.name").unwrap();
            assert_eq!(merged.get::<f64>("time_logged").unwrap(), logged);
        }),
        0
    );
    let new = session
        .create("Task", data! { "parent": &studio.project() })
        .unwrap();
    assert_eq!(other.merge(&new).unwrap_err().kind(), ErrorKind::Validation);

    let modified = session.encode(&task, Strategy::ModifiedOnly).unwrap();
    assert_eq!(
        modified,
        json!({"__entity_type__": "Task", "id": task.id(), "name": "changed here"})
    );
    let persisted = session.encode(&task, Strategy::PersistedOnly).unwrap();
    assert_ne!(persisted["name"], "changed here");
    // As in Python: it is for what is kept, and nobody tells when a computed value changes.
    assert_eq!(persisted.get("time_logged"), None);
    let set = session.encode(&task, Strategy::SetOnly).unwrap();
    assert_eq!(set["time_logged"], logged);
    let all = session.encode(&task, Strategy::All).unwrap();
    assert!(
        all["created_at"]["__type__"] == "datetime" && all.get("bid").is_some(),
        "{all}"
    );
    assert!(session.decode(&json!({"id": 1})).is_err());
    session.rollback();

    // Who joined a collection there joins it here, and who left it leaves it.
    let scope = |name: &str| session.create("Scope", data! { "name": name }).unwrap();
    let (one, two) = (scope("one"), scope("two"));
    let scopes = task.collection("scopes").unwrap();
    scopes.push(&one).unwrap();
    session.commit().unwrap();
    scopes.push(&two).unwrap();
    scopes.remove(&one).unwrap();
    let third = studio.other();
    let merged = third.merge(&task).unwrap();
    assert_eq!(third.recorded_operations().len(), 2);
    third.commit().unwrap();
    let keys = |session: &Session| {
        same(session, &task)
            .get::<Vec<EntityKey>>("scopes")
            .unwrap()
    };
    assert_eq!(keys(&studio.other()), [two.key()]);
    assert_eq!(merged.get::<Vec<EntityKey>>("scopes").unwrap(), [two.key()]);
    scopes.push(&scope("new")).unwrap();
    let error = studio.other().merge(&task).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[test]
fn collections_keep_what_others_added() {
    let studio = Studio::new();
    let (session, other) = (&studio.session, studio.other());
    let task = studio.task();
    let scope =
        |session: &Session, name: &str| session.create("Scope", data! { "name": name }).unwrap();
    let (mine, theirs) = (scope(session, "mine"), scope(&other, "theirs"));
    let scopes = task.collection("scopes").unwrap();
    let before = scopes.len().unwrap();
    same(&other, &task)
        .collection("scopes")
        .unwrap()
        .push(&theirs)
        .unwrap();
    other.commit().unwrap();

    assert_eq!(requests(session, || scopes.push(&mine).unwrap()), 0);
    assert!(scopes.contains(&mine).unwrap());
    assert_eq!(scopes.push(&mine).unwrap_err().kind(), ErrorKind::Duplicate);
    session.commit().unwrap();
    let members = |session: &Session| {
        same(session, &task)
            .collection("scopes")
            .unwrap()
            .all()
            .unwrap()
    };
    let seen = members(&studio.other());
    assert_eq!(seen.len(), before + 2);
    assert!(seen.iter().any(|member| member.key() == theirs.key()));

    assert!(scopes.remove(&mine).unwrap());
    assert!(!scopes.remove(&mine).unwrap());
    session.commit().unwrap();
    assert!(
        members(&studio.other())
            .iter()
            .all(|member| member.key() != mine.key())
    );
    scopes.replace([&mine]).unwrap();
    session.commit().unwrap();
    assert_eq!(members(&studio.other()).len(), 1);
    assert_eq!(
        task.collection("name").unwrap_err().kind(),
        ErrorKind::WrongType
    );
}

#[test]
fn metadata_is_a_dictionary() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = session
        .create("Shot", data! {
            "name": "meta", "parent": &studio.project(), "metadata": json!({"lens": "50mm", "take": 3}),
        })
        .unwrap();
    let metadata = shot.metadata().unwrap();
    assert_eq!(metadata.get("lens").unwrap().as_deref(), Some("50mm"));
    session.commit().unwrap();
    assert_eq!(shot.state(), None);
    let seen = |key: &str| {
        same(&studio.other(), &shot)
            .metadata()
            .unwrap()
            .get(key)
            .unwrap()
    };
    assert_eq!(
        (seen("lens").as_deref(), seen("take").as_deref()),
        (Some("50mm"), Some("3"))
    );

    metadata.set("lens", "85mm").unwrap();
    metadata.set("rig", "crane").unwrap();
    assert!(metadata.remove("take").unwrap());
    assert!(!metadata.remove("take").unwrap());
    assert_eq!(metadata.to_map().unwrap().len(), 2);
    session.commit().unwrap();
    assert_eq!(shot.state(), None);
    let map = same(&studio.other(), &shot)
        .metadata()
        .unwrap()
        .to_map()
        .unwrap();
    assert_eq!(
        Vec::from_iter(map),
        [
            ("lens".into(), "85mm".into()),
            ("rig".into(), "crane".into())
        ]
    );

    // Removed and set again before the commit: one change of the value.
    metadata.remove("rig").unwrap();
    metadata.set("rig", "dolly").unwrap();
    assert_eq!(metadata.get("rig").unwrap().as_deref(), Some("dolly"));
    session.commit().unwrap();
    assert_eq!(seen("rig").as_deref(), Some("dolly"));

    metadata.replace([("only", "one")]).unwrap();
    session.commit().unwrap();
    assert_eq!(
        same(&studio.other(), &shot)
            .metadata()
            .unwrap()
            .to_map()
            .unwrap()
            .len(),
        1
    );
    assert!(
        session
            .query("Status")
            .unwrap()
            .first()
            .unwrap()
            .unwrap()
            .metadata()
            .is_err()
    );
}

#[test]
fn metadata_of_others_stays() {
    let studio = Studio::new();
    let task = studio.task();
    task.metadata().unwrap().to_map().unwrap();
    let other = studio.other();
    same(&other, &task)
        .metadata()
        .unwrap()
        .set("theirs", "1")
        .unwrap();
    other.commit().unwrap();
    task.metadata().unwrap().set("mine", "2").unwrap();
    studio.session.commit().unwrap();
    let map = same(&studio.other(), &task)
        .metadata()
        .unwrap()
        .to_map()
        .unwrap();
    assert!(
        map.contains_key("theirs") && map.contains_key("mine"),
        "{map:?}"
    );
}

#[test]
fn custom_attributes_of_every_kind_of_entity() {
    let studio = Studio::new();
    let session = &studio.session;
    for (query, key, value) in [
        ("Shot", "fstart", Value::from(1001)),
        ("Task", "customNumber", Value::from(7)),
        ("AssetVersion", "versiontest", Value::from(3)),
        ("AssetVersion", "NumberField", Value::from(4)),
        (
            "User where username is jenkins",
            "teststring",
            Value::from("it's \"me\""),
        ),
        ("TypedContextList", "listbool", Value::from(true)),
        ("Project", "htest", Value::from(5)),
    ] {
        let entity = session.query(query).unwrap().first().unwrap().unwrap();
        let attributes = entity.custom_attributes().unwrap();
        assert!(
            attributes.keys().unwrap().contains(&key.to_owned()),
            "{query}"
        );
        attributes.set(key, value.clone()).unwrap();
        session.commit().unwrap();
        let seen = same(&studio.other(), &entity).custom_attributes().unwrap();
        assert_eq!(
            seen.get::<Value>(key).unwrap().to_string(),
            value.to_string(),
            "{query} {key}"
        );
    }
}

#[test]
fn custom_attributes_can_be_set_at_creation() {
    let studio = Studio::new();
    let session = &studio.session;
    let data = data! {
        "name": "custom", "parent": &studio.project(), "custom_attributes": json!({"fstart": 42}),
    };
    let shot = session.create("Shot", data).unwrap();
    assert_eq!(
        shot.custom_attributes()
            .unwrap()
            .get::<i64>("fstart")
            .unwrap(),
        42
    );
    session.commit().unwrap();
    let seen = same(&studio.other(), &shot).custom_attributes().unwrap();
    assert_eq!(seen.get::<i64>("fstart").unwrap(), 42);

    let data = data! { "name": "no", "parent": &studio.project(), "custom_attributes": json!({"fstrat": 1}) };
    let error = session.create("Shot", data).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
    let text = error.to_string();
    assert!(
        text.contains("did you mean \"fstart\"?") && text.contains("htest"),
        "{text}"
    );
    session.commit().unwrap();
    assert!(
        studio
            .other()
            .query("Shot where name is no")
            .unwrap()
            .first()
            .unwrap()
            .is_none()
    );
}

#[test]
fn hierarchical_values_say_where_they_come_from() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let folder = session
        .create("Folder", data! { "name": "up", "parent": &project })
        .unwrap();
    let task = session
        .create("Task", data! { "name": "down", "parent": &folder })
        .unwrap();
    session.commit().unwrap();
    let of = |entity: &Entity| entity.custom_attributes().unwrap();
    of(&project).set("htest", 1).unwrap();
    assert_eq!(
        of(&task).effective("htest").unwrap(),
        (Value::from(1), ValueOrigin::Inherited(project))
    );
    of(&folder).set("htest", 2).unwrap();
    assert_eq!(
        of(&task).effective("htest").unwrap(),
        (Value::from(2), ValueOrigin::Inherited(folder.clone()))
    );
    of(&task).set("htest", 3).unwrap();
    assert_eq!(
        of(&task).effective("htest").unwrap(),
        (Value::from(3), ValueOrigin::Own)
    );
    session.commit().unwrap();
    let other = studio.other();
    assert_eq!(of(&same(&other, &task)).get::<i64>("htest").unwrap(), 3);
    assert_eq!(of(&same(&other, &folder)).get::<i64>("htest").unwrap(), 2);
}

#[test]
fn custom_attributes_can_be_taken_back() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let data = data! {
        "name": "back", "parent": &project,
        "custom_attributes": json!({"customNumber": 7, "htest": 3}),
    };
    let task = session.create("Task", data).unwrap();
    let of = |entity: &Entity| entity.custom_attributes().unwrap();
    let both = |entity: &Entity| {
        let map = of(entity).to_map().unwrap();
        ["customNumber", "htest"].map(|key| map[key].to_string())
    };
    of(&project).set("htest", 1).unwrap();
    session.commit().unwrap();
    assert_eq!(both(&task), ["7", "3"]);

    of(&task).remove("customNumber").unwrap();
    of(&task).remove("htest").unwrap();
    assert_eq!(both(&task), ["123", "1"]);
    session.rollback();
    assert_eq!(both(&task), ["7", "3"]);

    of(&task).remove("customNumber").unwrap();
    of(&task).remove("htest").unwrap();
    // Set again, it was never away.
    of(&task).set("htest", 4).unwrap();
    assert_eq!(session.recorded_operations().len(), 2);
    session.commit().unwrap();
    assert_eq!(both(&task), ["123", "4"]);
    assert_eq!(both(&same(&studio.other(), &task)), ["123", "4"]);
    of(&task).set("customNumber", 8).unwrap();
    session.commit().unwrap();
    assert_eq!(both(&same(&studio.other(), &task)), ["8", "4"]);

    assert!(of(&task).contains("htest").unwrap());
    assert!(!of(&task).contains("fstart").unwrap());
    let unknown = of(&task).remove("fstart").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::UnknownAttribute);
}

/// What was set on an entity that nobody knows yet.
#[test]
fn custom_attributes_of_a_new_entity_can_be_taken_back() {
    let studio = Studio::new();
    let session = &studio.session;
    let data = data! {
        "name": "new", "parent": &studio.project(),
        "custom_attributes": json!({"customNumber": 7}),
    };
    let task = session.create("Task", data).unwrap();
    task.custom_attributes()
        .unwrap()
        .remove("customNumber")
        .unwrap();
    session.commit().unwrap();
    let seen = same(&studio.other(), &task).custom_attributes().unwrap();
    assert_eq!(seen.get::<i64>("customNumber").unwrap(), 123);
    let here = task.custom_attributes().unwrap();
    assert_eq!(here.get::<i64>("customNumber").unwrap(), 123);
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
            &["username"],
        )
        .unwrap();
    let again = session
        .ensure(
            "User",
            data! { "username": nasty, "email": "d@e.f" },
            &["username"],
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
fn what_fails_half_way_leaves_nothing_recorded() {
    let studio = Studio::new();
    let session = &studio.session;
    // Some of the pairs are good.
    let data = data! {
        "name": "x", "parent": &studio.project(), "metadata": json!({"a": "1"}),
        "custom_attributes": json!({"fstart": 1, "nonsense": 2}),
    };
    let error = session.create("Shot", data).unwrap_err();
    assert!(error.to_string().contains("; it has: fstart"), "{error}");
    assert!(session.plan().is_empty(), "{}", session.plan());
    // The server refuses it.
    let data = data! { "name": "x", "parent_id": "00000000-0000-0000-0000-000000000000" };
    session.ensure("Folder", data, "").unwrap_err();
    assert!(session.plan().is_empty(), "{}", session.plan());
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
fn contexts_that_are_below_themselves_have_an_end() {
    let studio = Studio::new();
    let session = &studio.session;
    let data = data! { "name": "a", "parent": &studio.project() };
    let a = session.create("Folder", data).unwrap();
    let b = session
        .create("Folder", data! { "name": "b", "parent": &a })
        .unwrap();
    a.set("parent", &b).unwrap();
    let attributes = a.custom_attributes().unwrap();
    let (_, origin) = attributes.effective("htest").unwrap();
    assert_eq!(origin, ValueOrigin::Default);
}

#[test]
fn populate_and_refresh() {
    let studio = Studio::new();
    let session = &studio.session;
    let mut mixed = session
        .query("select id from Task limit 5")
        .unwrap()
        .all()
        .unwrap();
    mixed.extend(
        session
            .query("select id from Asset limit 5")
            .unwrap()
            .all()
            .unwrap(),
    );
    mixed.push(
        session
            .create("Task", data! { "parent": &studio.project() })
            .unwrap(),
    );
    mixed[0].set("name", "mine").unwrap();
    assert_eq!(
        requests(session, || session.populate(&mixed, "name, bid").unwrap()),
        2
    );
    assert_eq!(mixed[0].get::<String>("name").unwrap(), "mine");
    let reading = || {
        mixed
            .iter()
            .for_each(|entity| drop(entity.get::<String>("name").unwrap()));
    };
    assert_eq!(requests(session, reading), 0);
    let error = session.populate(&mixed, "name, nmae").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute);

    let other = studio.other();
    same(&other, &mixed[1]).set("bid", 999).unwrap();
    other.commit().unwrap();
    assert_ne!(mixed[1].get::<i64>("bid").unwrap(), 999);
    session.refresh([&mixed[1]]).unwrap();
    assert_eq!(mixed[1].get::<i64>("bid").unwrap(), 999);
    // Entities of another session are known by their keys.
    mixed[1].set("bid", 1000).unwrap();
    session.commit().unwrap();
    let theirs = [&mixed[1], &mixed[2]];
    other.refresh(theirs).unwrap();
    assert_eq!(same(&other, &mixed[1]).get::<i64>("bid").unwrap(), 1000);
}

#[test]
fn a_loop_costs_one_request_for_each_attribute() {
    let studio = Studio::new();
    let session = &studio.session;
    let tasks = session.query("select id from Task").unwrap().all().unwrap();
    assert!(tasks.len() >= 60);
    let looping = || {
        for task in &tasks {
            task.get::<Option<String>>("status.state.name").unwrap();
            task.get::<Option<String>>("type.name").unwrap();
            task.get::<Option<String>>("parent.name").unwrap();
        }
    };
    assert_eq!(requests(session, looping), 3);
}

#[test]
fn threads_share_a_session() {
    let studio = Studio::new();
    let project = studio.project();
    let session = &studio.session;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let project = &project;
            scope.spawn(move || {
                for n in 0..10 {
                    let name = format!("thread {thread} {n}");
                    let task = session
                        .create("Task", data! { "name": name, "parent": project })
                        .unwrap();
                    session.commit().unwrap();
                    task.set("bid", n).unwrap();
                    session.commit().unwrap();
                    assert_eq!(task.get::<i64>("bid").unwrap(), n);
                }
            });
        }
    });
    assert!(session.recorded_operations().is_empty());
    let found = studio
        .other()
        .query("Task where name like \"thread %\"")
        .unwrap()
        .all()
        .unwrap();
    assert_eq!(found.len(), 80);
}

#[test]
fn scopes_and_resets_forget() {
    let studio = Studio::new();
    let session = &studio.session;
    let before = session.entity_count();
    let kept = {
        let _scope = session.scope();
        session
            .query("select name, parent.name from Task")
            .unwrap()
            .first()
            .unwrap()
            .unwrap()
    };
    assert_eq!(session.entity_count(), before + 1);
    assert!(!kept.get::<String>("parent.name").unwrap().is_empty());
    kept.set("name", "forgotten").unwrap();
    session.reset();
    assert_ne!(kept.get::<String>("name").unwrap(), "forgotten");
    assert!(session.recorded_operations().is_empty());
}

#[test]
fn bad_keys_and_names_are_refused() {
    let studio = Studio::new();
    let session = &studio.session;
    for (found, kind, says) in [
        (
            session.get("Tsk", "x").unwrap_err(),
            ErrorKind::UnknownType,
            "Task",
        ),
        (
            session.get("Metadata", "x").unwrap_err(),
            ErrorKind::Validation,
            "parent_id, key",
        ),
        (
            session.query("Tsk where x is y").unwrap_err(),
            ErrorKind::UnknownType,
            "Task",
        ),
        (
            session.query("Task where").unwrap_err(),
            ErrorKind::Syntax,
            "",
        ),
        (
            session
                .query("Task where name is nobody")
                .unwrap()
                .one()
                .unwrap_err(),
            ErrorKind::NotFound,
            "nobody",
        ),
        (
            session.query("Task").unwrap().one().unwrap_err(),
            ErrorKind::MultipleFound,
            "first",
        ),
        (
            studio.task().get::<String>("nmae").unwrap_err(),
            ErrorKind::UnknownAttribute,
            "name",
        ),
        (
            studio.task().get::<i64>("name").unwrap_err(),
            ErrorKind::WrongType,
            "integer",
        ),
        (
            studio.task().set("created_at", Value::Null).unwrap_err(),
            ErrorKind::Immutable,
            "created_at",
        ),
        (
            session.create("Task", data! { "nmae": 1 }).unwrap_err(),
            ErrorKind::UnknownAttribute,
            "name",
        ),
        (
            session.entity(&EntityKey::new("Nothing", "x")).unwrap_err(),
            ErrorKind::UnknownType,
            "Nothing",
        ),
    ] {
        assert_eq!(found.kind(), kind, "{found}");
        assert!(found.to_string().contains(says), "{found} for {says}");
    }
}

#[test]
fn printing_an_entity_fetches_nothing() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = session
        .query("select name, status from Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    task.set("bid", 2).unwrap();
    let mut shown = String::new();
    assert_eq!(requests(session, || shown = format!("{task} {task:?}")), 0);
    for part in [
        &*task.id(),
        "Task",
        "bid: 2",
        "status: Status(",
        "state: Modified",
    ] {
        assert!(shown.contains(part), "{shown} lacks {part}");
    }
    assert!(!shown.contains("description"), "{shown}");
    assert_eq!(
        session
            .query("Setting")
            .unwrap()
            .first()
            .unwrap()
            .unwrap()
            .key()
            .parts()
            .count(),
        2
    );
}

#[test]
fn references_that_the_server_cannot_follow_are_its_error_and_nothing_is_lost() {
    let studio = Studio::new();
    let (session, other) = (&studio.session, studio.other());
    let elsewhere = other
        .create("Folder", data! { "name": "x", "parent": &studio.project() })
        .unwrap();
    let task = session
        .create("Task", data! { "name": "lost", "parent": &elsewhere })
        .unwrap();
    let error = session.commit().unwrap_err();
    assert!(error.server().is_some(), "{error}");
    assert_eq!(session.recorded_operations().len(), 1);
    other.commit().unwrap();
    session.commit().unwrap();
    assert_eq!(task.get::<String>("parent.name").unwrap(), "x");

    // Each the other's parent: no order of creation works, and nothing hangs.
    let a = session.create("Folder", data! { "name": "a" }).unwrap();
    let b = session
        .create("Folder", data! { "name": "b", "parent": &a })
        .unwrap();
    a.set("parent", &b).unwrap();
    assert_eq!(a.get::<String>("parent.parent.parent.name").unwrap(), "b");
    assert!(session.commit().unwrap_err().server().is_some());
    session.rollback();
    assert!(
        session
            .query("Folder where name is b")
            .unwrap()
            .first()
            .unwrap()
            .is_none()
    );
}

#[test]
fn recording_can_be_switched_off_for_a_stretch() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.task();
    let before: String = task.get("name").unwrap();
    {
        let _quiet = session.operation_recording(false);
        task.set("name", "only here").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| studio.task().set("bid", 12).unwrap());
        });
        session.delete(&task).unwrap();
    }
    assert_eq!(
        session.recorded_operations().len(),
        1,
        "the other thread records"
    );
    assert_eq!(task.get::<String>("name").unwrap(), "only here");
    session.commit().unwrap();
    assert_eq!(
        same(&studio.other(), &task).get::<String>("name").unwrap(),
        before
    );
    session.rollback();
    assert_eq!(task.get::<String>("name").unwrap(), before);
}

#[test]
fn settings_end_with_their_session() {
    let server = Studio::new().server;
    let mut guards = Vec::new();
    for _ in 0..10 {
        let session = open(&server);
        assert_eq!(session.populate_mode(), ftrack_api::Populate::Peers);
        guards.push(session.auto_populating(ftrack_api::Populate::Off));
    }
}

#[test]
fn an_error_names_the_query_once_and_in_short() {
    let studio = Studio::new();
    let tasks = studio.session.query("select name from Task").unwrap();
    let tasks = tasks.all().unwrap();
    let token = CancelToken::new();
    token.cancel();
    let cancelled = token.run(|| tasks[0].get::<f64>("bid").unwrap_err());
    studio.session.close();
    for error in [cancelled, tasks[0].get::<f64>("bid").unwrap_err()] {
        let text = error.to_string();
        assert!(text.starts_with("query select bid from Task"), "{text}");
        assert_eq!(text.matches("select").count(), 1, "{text}");
        assert!(text.len() < 1500, "{text}");
    }
}

#[test]
fn several_attributes_fail_as_one_does() {
    let studio = Studio::new();
    let session = &studio.session;
    let tasks = session.query("select name from Task limit 2").unwrap();
    let [task, another] = tasks.all().unwrap().try_into().unwrap();
    type Two = (String, f64);
    let kind = |paths| task.get_many::<Two>(paths).unwrap_err().kind();
    // What leads nowhere is not asked for, wherever it stands.
    let asked = requests(session, || {
        assert_eq!(kind(["name", "bdi"]), ErrorKind::UnknownAttribute);
        assert_eq!(kind(["nmae", "bid"]), ErrorKind::UnknownAttribute);
        assert_eq!(kind(["name.x", "bid"]), ErrorKind::UnknownAttribute);
        let strict = session.auto_populating(ftrack_api::Populate::Raise);
        assert_eq!(kind(["name", "bid"]), ErrorKind::NotLoaded);
        drop(strict);
        let quiet = session.auto_populating(ftrack_api::Populate::Off);
        let error = task.get_many::<Two>(["name", "bid"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotLoaded);
        assert!(error.to_string().contains("\"bid\""), "{error}");
        drop(quiet);
    });
    assert_eq!(asked, 0);
    // The first that does not fit is named.
    let error = task.get_many::<(i64, bool)>(["name", "bid"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("\"name\""), "{error}");
    let error = task
        .get_many::<(String, bool)>(["name", "bid"])
        .unwrap_err();
    assert!(error.to_string().contains("\"bid\""), "{error}");
    let (name, bid) = task.get_many::<Two>(["name", "bid"]).unwrap();
    assert_eq!(name, task.get::<String>("name").unwrap());
    assert_eq!(bid, task.get::<f64>("bid").unwrap());

    // The server has it no more, or does not answer.
    let other = studio.other();
    other.delete(&task).unwrap();
    other.commit().unwrap();
    assert_eq!(kind(["description", "sort"]), ErrorKind::NotFound);
    session.delete(&task).unwrap();
    session.commit().unwrap();
    assert_eq!(kind(["priority_id", "sort"]), ErrorKind::NotFound);
    session.close();
    let error = another.get_many::<Two>(["type_id", "end_date"]);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn what_is_missing_is_an_error_or_not_set_as_the_session_says() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = session
        .query("select name from Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let quiet = session.auto_populating(ftrack_api::Populate::Off);
    assert_eq!(
        requests(session, || assert_eq!(task.value("bid").unwrap(), None)),
        0
    );
    assert_eq!(task.get::<Option<f64>>("bid").unwrap(), None);
    assert_eq!(
        task.get::<f64>("bid").unwrap_err().kind(),
        ErrorKind::NotLoaded
    );
    drop(quiet);
    let strict = session.auto_populating(ftrack_api::Populate::Raise);
    let error = task.get::<f64>("bid").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLoaded);
    assert!(error.to_string().contains("\"bid\""), "{error}");
    drop(strict);
    let error = task
        .get_with::<f64>("bid", ftrack_api::Populate::Raise)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLoaded);
    let _one = session.auto_populating(ftrack_api::Populate::One);
    let tasks = session
        .query("select id from Task limit 4")
        .unwrap()
        .all()
        .unwrap();
    let reading = || {
        tasks
            .iter()
            .for_each(|task| drop(task.value("bid").unwrap()));
    };
    assert!(requests(session, reading) >= 3);
}

#[test]
fn custom_attributes_of_many_entities_cost_few_requests() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    for n in 0..40 {
        let data = data! { "name": format!("many {n}"), "parent": &project };
        session.create("Shot", data).unwrap();
    }
    session.commit().unwrap();
    let other = studio.other();
    let query = other
        .query("Shot where name like \"many %\" order by name")
        .unwrap();
    let shots = query.all().unwrap();
    assert_eq!(shots.len(), 40);
    let reading = || {
        for shot in &shots {
            let attributes = shot.custom_attributes().unwrap();
            attributes.get::<Option<i64>>("fstart").unwrap();
            attributes.get::<Value>("shot_size").unwrap();
        }
    };
    // The configurations, and the values of all forty.
    assert_eq!(requests(&other, reading), 2);
    let writing = || {
        for (shot, frame) in shots.iter().zip(1000..) {
            shot.custom_attributes()
                .unwrap()
                .set("fstart", frame)
                .unwrap();
            shot.custom_attributes()
                .unwrap()
                .set("htest", frame)
                .unwrap();
        }
        other.commit().unwrap();
    };
    assert_eq!(requests(&other, writing), 1);
    let seen = same(session, &shots[7]);
    session.populate(&seen, "custom_attributes").unwrap();
    assert_eq!(
        seen.custom_attributes()
            .unwrap()
            .get::<i64>("fstart")
            .unwrap(),
        1007
    );
}
