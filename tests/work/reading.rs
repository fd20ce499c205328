//! Reads: what is loaded, what it costs, and what errors say.

use ftrack_api::entity::ValueOrigin;
use ftrack_api::{CancelToken, EntityKey, ErrorKind, Session, Value, data};

use crate::same;
use crate::support::{Studio, requests};

#[test]
fn cycles_of_parents_end() {
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
    let not_committed = mixed.last().unwrap();
    let asked = requests(session, || session.populate(not_committed, "bid").unwrap());
    assert_eq!(asked, 0);
    assert_eq!(not_committed.value("description").unwrap(), None);
    assert_eq!(
        requests(session, || session.populate(&mixed, "name, bid").unwrap()),
        2
    );
    assert_eq!(mixed[0].get::<String>("name").unwrap(), "mine");
    // Assets have no bid, so none of them is asked for.
    let asked = requests(session, || {
        session.populate([&mixed[0], &mixed[5]], "bid").unwrap();
    });
    assert_eq!(asked, 1);
    let reading = || {
        mixed
            .iter()
            .for_each(|entity| drop(entity.get::<String>("name").unwrap()));
    };
    assert_eq!(requests(session, reading), 0);
    // Also of what is not committed alone.
    for some in [&mixed[..], &mixed[mixed.len() - 1..]] {
        let error = session.populate(some, "name, nmae").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
    }

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
fn get_asks_for_what_is_not_in_memory() {
    let studio = Studio::new();
    let asked = |session: &Session, entity_type: &str, id: &str| {
        requests(session, || {
            let found = session.get(entity_type, id).unwrap();
            assert_eq!(found.unwrap().id(), id);
        })
    };
    let task = studio.first("select name from Task").id();
    assert_eq!(asked(&studio.session, "Task", &task), 0);
    // By default nothing but the key is loaded of an asset. A handle does not say that the asset is
    // there, a response does.
    let asset = studio.first("select id from Asset");
    let session = studio.other();
    let _handle = session.entity(asset.key()).unwrap();
    assert_eq!(asked(&session, "Asset", &asset.id()), 1);
    assert_eq!(asked(&session, "Asset", &asset.id()), 0);
    // Nor is more than the key loaded of a status, but the name of a role is.
    for (entity_type, expected) in [("Status", 0), ("SecurityRole", 1)] {
        let query = format!("select id from {entity_type}");
        let found = session.query(query).unwrap().first().unwrap().unwrap();
        let id = found.id();
        assert_eq!(asked(&session, entity_type, &id), expected, "{entity_type}");
    }
}

#[test]
fn keys_of_several_attributes_are_asked_for_whole() {
    let studio = Studio::new();
    let (shot, project) = (studio.shot(), studio.project());
    let pairs = [(&shot, "a", "1"), (&shot, "b", "2"), (&project, "a", "3")];
    for (parent, key, value) in pairs {
        parent.metadata().unwrap().set(key, value).unwrap();
    }
    studio.session.commit().unwrap();
    let rows = pairs.map(|(parent, key, value)| {
        let key = EntityKey::composite("Metadata", [parent.id(), key.to_owned()]);
        (key, value)
    });
    for (key, value) in &rows {
        let row = studio.other().get("Metadata", key).unwrap().unwrap();
        assert_eq!(row.key(), *key);
        assert_eq!(row.get::<String>("value").unwrap(), *value);
    }
    let session = studio.other();
    let handles = rows.clone().map(|(key, _)| session.entity(key).unwrap());
    let asked = requests(&session, || session.populate(&handles, "value").unwrap());
    assert_eq!(asked, 1);
    for (handle, (_, value)) in handles.iter().zip(&rows) {
        assert_eq!(handle.get::<String>("value").unwrap(), *value);
    }
    assert_eq!(session.statistics().loads_on_access.len(), 0);
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
    assert!(session.cache().statistics()[0].evictions > 0);
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
            session.entity(EntityKey::new("Nothing", "x")).unwrap_err(),
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
    let task = studio.first("select name, status from Task");
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
fn reading_several_attributes_fails_like_reading_one() {
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
        let strict = session.auto_populating(ftrack_api::config::Populate::Raise);
        assert_eq!(kind(["name", "bid"]), ErrorKind::NotLoaded);
        drop(strict);
        let quiet = session.auto_populating(ftrack_api::config::Populate::Off);
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

    // It was deleted by another session: that is known from then on, and changes are refused.
    let other = studio.other();
    other.delete(&task).unwrap();
    other.commit().unwrap();
    assert_eq!(kind(["description", "sort"]), ErrorKind::NotFound);
    let error = session.delete(&task).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(kind(["priority_id", "sort"]), ErrorKind::NotFound);
    session.close();
    let error = another.get_many::<Two>(["type_id", "end_date"]);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn values_that_are_not_loaded_follow_the_populate_setting() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.first("select name from Task");
    let quiet = session.auto_populating(ftrack_api::config::Populate::Off);
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
    let strict = session.auto_populating(ftrack_api::config::Populate::Raise);
    let error = task.get::<f64>("bid").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLoaded);
    assert!(error.to_string().contains("\"bid\""), "{error}");
    drop(strict);
    let error = task
        .get_with::<f64>("bid", ftrack_api::config::Populate::Raise)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLoaded);
    let _one = session.auto_populating(ftrack_api::config::Populate::One);
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
