//! What a commit brings to the server: creations, changes, deletions; chunks, threads and rollback.

use ftrack_api::{Entity, EntityState, ErrorKind, Value, data, expr};

use crate::same;
use crate::support::{Studio, requests};

#[test]
fn other_sessions_see_a_new_shot_with_tasks() {
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
fn other_sessions_see_changes_and_deletions() {
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
fn dates_numbers_and_nulls_survive_a_round_trip() {
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
    let asset = studio.first("Asset");
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
    let mut outcome = Ok(());
    // Nothing is in doubt, so nothing is asked.
    assert_eq!(requests(session, || outcome = session.commit()), 1);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
    assert!(error.to_string().contains("stays recorded"), "{error}");
    assert!(!error.message().contains("recorded"), "{error}");
    assert!(error.remedy().unwrap().contains("commit again"), "{error}");
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
    assert_eq!(session.recorded_operations(), []);
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
fn what_is_recorded_between_two_chunks_waits_for_the_next_commit() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let create = |name: String| {
        let data = data! { "name": name, "parent": &project };
        session.create("Task", data).unwrap();
    };
    (0..3).for_each(|number| create(format!("early {number}")));
    let mut seen = Vec::new();
    let progress = |done, all| {
        seen.push((done, all));
        create(format!("late {done}"));
    };
    session.commit_in_chunks(2, progress).unwrap();
    assert_eq!(seen, [(2, 3), (3, 3)]);
    assert_eq!(session.recorded_operations().len(), 2);
    session.commit().unwrap();
}

#[test]
fn invalid_references_are_refused_and_stay_recorded() {
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
fn recording_can_be_switched_off_temporarily() {
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
