//! `check` and the server agree; an inverse leaves everything as it was.

use ftrack_api::studio::Inverse;
use ftrack_api::{Data, Entity, ErrorKind, Session, Value, data, serde_json};

use crate::support::{Studio, open, requests};

/// Records one change, asks for problems, and lets the server judge.
fn compare(studio: &Studio, what: &str, record: impl Fn(&Session)) -> bool {
    let session = open(&studio.server);
    record(&session);
    let mut problems = Vec::new();
    let sent = requests(&session, || {
        problems = session.plan().check(&session).unwrap();
    });
    assert!(sent <= 1, "{what}: {sent} requests");
    match session.commit() {
        Ok(()) => assert_eq!(problems, [], "{what}"),
        Err(error) => {
            assert!(!problems.is_empty(), "{what}: {error}");
            let kinds: Vec<ErrorKind> = problems.iter().map(|one| one.kind).collect();
            assert!(
                kinds.contains(&error.kind()),
                "{what}: {error} {problems:?}"
            );
        }
    }
    problems.is_empty()
}

#[test]
fn what_is_refused_the_server_refuses_and_what_is_accepted_it_accepts() {
    let studio = Studio::new();
    let session = &studio.session;
    let ids = |query: &str| -> Vec<String> {
        session
            .query(query)
            .unwrap()
            .all()
            .unwrap()
            .iter()
            .map(Entity::id)
            .collect()
    };
    let contexts = session
        .query("select name, parent_id from TypedContext")
        .unwrap()
        .all()
        .unwrap();
    let (parents, tasks, versions) = (
        ids("select id from Sequence"),
        ids("select id from Task"),
        ids("select id from AssetVersion"),
    );
    let (statuses, users) = (ids("select id from Status"), ids("select id from User"));
    let names = session
        .query("select name from Project")
        .unwrap()
        .all()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let gone = || uuid::Uuid::new_v4().to_string();
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..200 {
        let context = &contexts[random.usize(0..contexts.len())];
        let (name, above): (String, String) = context.get_many(["name", "parent_id"]).unwrap();
        let name = if random.bool() {
            name.to_uppercase()
        } else {
            name
        };
        let parent = parents[random.usize(0..parents.len())].clone();
        let (task, version) = (
            &tasks[random.usize(0..tasks.len())],
            &versions[random.usize(0..versions.len())],
        );
        let status = if random.bool() {
            statuses[random.usize(0..statuses.len())].clone()
        } else {
            gone()
        };
        let other = tasks[random.usize(0..tasks.len())].clone();
        let user = users[random.usize(0..users.len())].clone();
        let bad = random.bool();
        let mut check = |what: &str, record: &dyn Fn(&Session)| match compare(
            &studio,
            &format!("{round}: {what}"),
            record,
        ) {
            true => accepted += 1,
            false => refused += 1,
        };
        let create = |session: &Session, entity_type: &str, data: Data| {
            drop(session.create(entity_type, data).unwrap());
        };
        match round % 10 {
            0 => check("a name that exists", &|session| {
                let above = if bad { above.clone() } else { parent.clone() };
                create(
                    session,
                    "Task",
                    data! { "name": name.as_str(), "parent_id": above },
                );
            }),
            1 => check("a reference that may lead nowhere", &|session| {
                session
                    .update("Task", task, data! { "status_id": status.as_str() })
                    .unwrap();
            }),
            2 => check("a parent", &|session| {
                let parent = if bad {
                    Value::from(gone())
                } else {
                    Value::from(parent.as_str())
                };
                create(
                    session,
                    "Task",
                    data! { "name": format!("n{round}"), "parent_id": parent },
                );
            }),
            3 => check("no parent", &|session| {
                create(session, "Shot", data! { "name": format!("s{round}") });
            }),
            4 => check("a version", &|session| match bad {
                true => create(session, "AssetVersion", data! { "comment": "x" }),
                false => session
                    .update("AssetVersion", version, data! { "comment": "x" })
                    .unwrap(),
            }),
            5 => check("an entity that may not exist", &|session| {
                let id = if bad { gone() } else { task.clone() };
                session.update("Task", &id, data! { "bid": round }).unwrap();
            }),
            6 => check("a rename", &|session| {
                let name = if bad {
                    name.clone()
                } else {
                    format!("r{round}")
                };
                session
                    .update("Task", task, data! { "name": name })
                    .unwrap();
            }),
            7 => check("a move", &|session| {
                session
                    .update("Task", &other, data! { "parent_id": parent.as_str() })
                    .unwrap();
            }),
            8 => check("an assignment", &|session| {
                let user = if bad { gone() } else { user.clone() };
                let data = data! { "context_id": task.as_str(), "resource_id": user, "type": "assignment" };
                create(session, "Appointment", data);
            }),
            _ => check("two of one name", &|session| {
                let twin = if bad {
                    format!("Twin{round}")
                } else {
                    format!("other{round}")
                };
                create(
                    session,
                    "Task",
                    data! { "name": format!("twin{round}"), "parent_id": parent.as_str() },
                );
                create(
                    session,
                    "Task",
                    data! { "name": twin, "parent_id": parent.as_str() },
                );
            }),
        }
    }
    for (what, project) in [("taken", true), ("free", false)] {
        let name: String = names[0].get("name").unwrap();
        let name = if project {
            name.to_uppercase()
        } else {
            "free".to_owned()
        };
        let schema = session
            .query("ProjectSchema")
            .unwrap()
            .first()
            .unwrap()
            .unwrap();
        compare(&studio, what, |session| {
            let data =
                data! { "name": name.as_str(), "full_name": "x", "project_schema_id": schema.id() };
            drop(session.create("Project", data).unwrap());
        });
        let username = if project {
            session.api_user().to_uppercase()
        } else {
            "free".to_owned()
        };
        compare(&studio, what, |session| {
            drop(
                session
                    .create("User", data! { "username": username.as_str() })
                    .unwrap(),
            );
        });
    }
    assert!(
        accepted > 60 && refused > 60,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn a_plan_of_any_size_takes_one_request() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    for number in 0..1500 {
        let data = data! { "name": format!("t{number}"), "parent": &project };
        session.create("Task", data).unwrap();
    }
    session
        .create("Task", data! { "name": "T7", "parent": &project })
        .unwrap();
    let mut problems = Vec::new();
    let sent = requests(session, || {
        problems = session.plan().check(session).unwrap();
    });
    assert_eq!((sent, problems.len()), (1, 1));
    assert!(
        problems[0]
            .to_string()
            .contains("there is \"t7\" in the same place"),
        "{}",
        problems[0]
    );
}

/// What the server has of everything that the plans below touch.
fn rows(studio: &Studio) -> Vec<String> {
    let session = open(&studio.server);
    let mut rows = Vec::new();
    for query in [
        "select id, name, bid, description, status_id, parent_id, start_date, end_date from TypedContext",
        "select id, comment, status_id, is_published from AssetVersion",
        "select id, context_id, resource_id, type from Appointment",
        "select parent_id, key, value from Metadata",
        "select id, items.id from TypedContextList",
    ] {
        for row in session.query(query).unwrap().rows::<serde_json::Value>() {
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
        let inverse = session.plan().inverse().unwrap();
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
    let inverse = session.plan().inverse().unwrap();
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
    // What is unknown, and what is deleted, cannot be undone.
    other
        .update("Task", tasks[1].key(), data! { "bid": 12 })
        .unwrap();
    let fresh = studio.other();
    fresh
        .update("Task", tasks[1].key(), data! { "bid": 13 })
        .unwrap();
    assert_eq!(
        fresh.plan().inverse().unwrap_err().kind(),
        ErrorKind::NotLoaded
    );
    fresh.rollback();
    fresh.delete_by_key("Task", tasks[1].key()).unwrap();
    assert_eq!(
        fresh.plan().inverse().unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(Inverse::from_json(&serde_json::json!({ "steps": [1], "version": 1 })).is_err());
}

#[test]
fn new_entities_of_every_type_without_values_are_judged_as_the_server_does() {
    let studio = Studio::new();
    let session = &studio.session;
    let mut wrong = Vec::new();
    let mut judged = 0;
    for entity_type in session.schema().entity_types() {
        if session.create(entity_type.name(), data! {}).is_err() {
            continue;
        }
        let problems = session.plan().check(session).unwrap();
        let outcome = session.commit();
        session.rollback();
        judged += 1;
        // The schema does not say which types are only there to be extended.
        if outcome
            .as_ref()
            .is_err_and(|error| error.to_string().contains("is not created itself"))
        {
            continue;
        }
        if problems.is_empty() != outcome.is_ok() {
            wrong.push(format!("{}: {problems:?} {outcome:?}", entity_type.name()));
        }
    }
    assert!(wrong.is_empty(), "{judged} judged: {wrong:#?}");
}
