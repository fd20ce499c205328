//! `save_pending` and `load_pending`.

use std::fs;

use ftrack_api::{Entity, ErrorKind, Session, Value, data, expr, serde_json};

use crate::support::{Studio, open};

fn first(session: &Session, query: &str) -> Entity {
    session.query(query).unwrap().first().unwrap().unwrap()
}

/// Changes of every kind.
fn record(session: &Session) -> (Entity, Entity) {
    let project = session.at("test").unwrap();
    let shot = session.create(
        "Shot",
        data! { "name": "day/night é", "parent": &project, "metadata": serde_json::json!({"a": "b"}) },
    );
    let shot = shot.unwrap();
    let task = first(
        session,
        "select name, bid, description, start_date from Task where project.name is test",
    );
    task.set("bid", 0.1 + 0.2).unwrap();
    task.set("description", "line\nbreak \"q\"").unwrap();
    task.set("start_date", jiff::civil::date(2026, 3, 4).at(5, 6, 7, 0))
        .unwrap();
    task.set("end_date", Value::Null).unwrap();
    task.custom_attributes()
        .unwrap()
        .set("customNumber", 7)
        .unwrap();
    shot.custom_attributes()
        .unwrap()
        .set("fstart", 1001)
        .unwrap();
    let list = first(session, "select id from TypedContextList");
    list.collection("items").unwrap().push(&shot).unwrap();
    let note = first(session, "select id from Note");
    session.delete(&note).unwrap();
    (shot, task)
}

#[test]
fn pending_operations_are_committed_elsewhere_once() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let (shot, task) = record(&studio.session);
    let plan = studio.session.plan().to_string();
    studio.session.save_pending(&path).unwrap();
    let error = studio.session.load_pending(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
    assert!(error.to_string().contains("roll back first"), "{error}");
    studio.session.rollback();

    let other = studio.other();
    let loaded = other.load_pending(&path).unwrap();
    assert_eq!(loaded.conflicts, []);
    let same = |text: &str| {
        text.lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        same(&other.plan().to_string()),
        same(&plan),
        "{}\n{plan}",
        other.plan()
    );
    other.commit_in_chunks(3, |_, _| {}).unwrap();

    // Again: everything is there.
    let again = open(&studio.server);
    let loaded = again.load_pending(&path).unwrap();
    assert_eq!(loaded.conflicts, []);
    again.commit().unwrap();
    let third = studio.other();
    let task = third.get("Task", task.key()).unwrap().unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 0.1 + 0.2);
    assert_eq!(
        task.get::<String>("description").unwrap(),
        "line\nbreak \"q\""
    );
    assert_eq!(
        task.custom_attributes()
            .unwrap()
            .get::<i64>("customNumber")
            .unwrap(),
        7
    );
    let shot = third.get("Shot", shot.key()).unwrap().unwrap();
    assert_eq!(shot.get::<String>("name").unwrap(), "day/night é");
    assert_eq!(
        shot.metadata().unwrap().get("a").unwrap().as_deref(),
        Some("b")
    );
    assert_eq!(
        shot.custom_attributes()
            .unwrap()
            .get::<i64>("fstart")
            .unwrap(),
        1001
    );
}

#[test]
fn values_that_others_changed_are_conflicts() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let session = &studio.session;
    let query = "select name, bid, description from Task where project.name is test limit 3";
    let tasks = session.query(query).unwrap().all().unwrap();
    let before: f64 = tasks[0].get("bid").unwrap();
    tasks[0].set("bid", 111).unwrap();
    tasks[0].set("description", "mine").unwrap();
    tasks[1].set("bid", 222).unwrap();
    tasks[2].set("bid", 333).unwrap();
    session.save_pending(&path).unwrap();
    session.rollback();

    let other = studio.other();
    other
        .update("Task", tasks[0].key(), data! { "bid": 999 })
        .unwrap();
    other
        .update("Task", tasks[1].key(), data! { "bid": 222 })
        .unwrap();
    other.delete_by_key("Task", tasks[2].key()).unwrap();
    other.commit().unwrap();

    let loaded = other.load_pending(&path).unwrap();
    assert_eq!(
        (loaded.recorded, loaded.applied, loaded.conflicts.len()),
        (1, 1, 2)
    );
    let conflict = &loaded.conflicts[0];
    assert_eq!(
        (conflict.attribute.as_str(), conflict.entity.id()),
        ("bid", tasks[0].id())
    );
    assert_eq!(conflict.before.as_f64(), Some(before));
    assert_eq!(conflict.wanted.as_f64(), Some(111.0));
    assert_eq!(
        conflict.current.as_ref().and_then(Value::as_f64),
        Some(999.0)
    );
    assert_eq!(loaded.conflicts[1].current, None);
    conflict.apply().unwrap();
    other.commit().unwrap();
    let seen = studio.other().get("Task", tasks[0].key()).unwrap().unwrap();
    assert_eq!(seen.get::<f64>("bid").unwrap(), 111.0);
    assert_eq!(seen.get::<String>("description").unwrap(), "mine");
}

#[test]
fn a_file_is_whole_or_refused() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let session = &studio.session;
    record(session);
    session.save_pending(&path).unwrap();
    session.rollback();
    let text = fs::read(&path).unwrap();
    let check = |bytes: &[u8], kind: ErrorKind, what: &str| {
        fs::write(&path, bytes).unwrap();
        let error = session.load_pending(&path).unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.to_string().contains("pending.json"), "{error}");
        assert!(session.recorded_operations().is_empty());
    };
    for end in 0..text.len() {
        check(
            &text[..end],
            ErrorKind::Validation,
            &format!("cut at {end}"),
        );
    }
    for at in (0..text.len()).step_by(7) {
        let mut changed = text.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(session.load_pending(&path).is_err(), "changed at {at}");
        assert!(session.recorded_operations().is_empty());
    }
    let later =
        String::from_utf8(text.clone())
            .unwrap()
            .replacen("\"version\":1", "\"version\":2", 1);
    check(later.as_bytes(), ErrorKind::Unsupported, "later");
    check(b"", ErrorKind::Validation, "empty");
    check(b"\xff\xfe\n{}", ErrorKind::Validation, "binary");
    fs::write(&path, &text).unwrap();
    let elsewhere = Studio::new();
    let error = elsewhere.session.load_pending(&path).unwrap_err();
    assert!(error.to_string().contains("it is of the server"), "{error}");
    let error = session
        .load_pending(folder.path().join("none"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let error = session
        .save_pending(folder.path().join("none/x.json"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

/// A file whose body was changed as `change` does.
fn rewrite(path: &std::path::Path, change: impl FnOnce(&mut serde_json::Value)) {
    let text = fs::read_to_string(path).unwrap();
    let (head, body) = text.split_once('\n').unwrap();
    let mut body = serde_json::from_str(body).unwrap();
    change(&mut body);
    let body = body.to_string();
    let digest = <md5::Md5 as md5::Digest>::digest(&body);
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut head: serde_json::Value = serde_json::from_str(head).unwrap();
    head["md5"] = sum.into();
    fs::write(path, format!("{head}\n{body}")).unwrap();
}

#[test]
fn a_value_that_was_changed_twice_is_one_change() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let session = &studio.session;
    let task = first(session, "select bid, status_id, status from Task");
    let others = expr!(
        "select id from Status where id is_not {} limit 2",
        task.get::<String>("status_id").unwrap()
    );
    let statuses = session.query(others).unwrap().all().unwrap();
    for bid in [11, 12, 13] {
        task.set("bid", bid).unwrap();
    }
    task.set("status", &statuses[0]).unwrap();
    task.set("status_id", statuses[1].id()).unwrap();
    session.save_pending(&path).unwrap();
    session.rollback();
    let other = studio.other();
    let loaded = other.load_pending(&path).unwrap();
    assert_eq!((loaded.conflicts.len(), loaded.recorded), (0, 2));
    other.commit().unwrap();
    let again = studio.other().load_pending(&path).unwrap();
    assert_eq!((again.recorded, again.applied), (0, 2), "{again:?}");
    let task = studio.other().get("Task", task.key()).unwrap().unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 13.0);
    assert_eq!(task.get::<String>("status_id").unwrap(), statuses[1].id());
}

#[test]
fn a_load_that_fails_leaves_what_was_recorded_before() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let session = &studio.session;
    let (_, task) = record(session);
    let member = first(session, "select id from Shot");
    task.set("bid", 7).unwrap();
    session.save_pending(&path).unwrap();
    session.rollback();
    rewrite(&path, |body| {
        let operations = body["operations"].as_array_mut().unwrap();
        let last = operations.last_mut().unwrap();
        assert_eq!(last["attribute"], "bid");
        last["new"] = serde_json::json!({ "text": "much" });
        last["old"] = serde_json::Value::Null;
    });
    let other = studio.other();
    let own = other.get("Task", task.key()).unwrap().unwrap();
    own.set("bid", 5).unwrap();
    own.set("description", "mine").unwrap();
    let list = first(&other, "select id from TypedContextList");
    let member = other.get("Shot", member.key()).unwrap().unwrap();
    list.collection("items").unwrap().push(&member).unwrap();
    let before = other.plan().to_string();
    let error = other.load_pending(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    let sorted = |plan: &str| {
        let mut lines: Vec<String> = plan.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&other.plan().to_string()), sorted(&before));
    other.commit().unwrap();
    assert_eq!(own.get::<f64>("bid").unwrap(), 5.0);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_without_waiting() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let (pipe, endless) = (folder.path().join("pipe"), folder.path().join("endless"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    for path in [&pipe, &endless] {
        let error = studio.session.load_pending(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
    let huge = folder.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let error = studio.session.load_pending(&huge).unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
}

/// Written by the first version of the format: it must stay readable.
#[test]
fn the_first_version_is_read() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let id = "adb4ad6c-7679-11e2-8df2-f23c91df25eb";
    let text =
        include_str!("pending-1.json").replace("http://127.0.0.1:1", studio.session.server_url());
    // The server's address is that of this test, so the checksum is computed again.
    let (_, body) = text.split_once('\n').unwrap();
    let digest = <md5::Md5 as md5::Digest>::digest(body);
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let head = format!(r#"{{"format":"ftrack-api pending operations","version":1,"md5":"{sum}"}}"#);
    fs::write(&path, format!("{head}\n{body}")).unwrap();
    let loaded = studio.session.load_pending(&path).unwrap();
    assert_eq!((loaded.recorded, loaded.conflicts.len()), (2, 0));
    studio.session.commit().unwrap();
    let task = studio.other().get("Task", id).unwrap().unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 12.5);
    assert!(studio.other().at("test/old file").is_ok());
}

/// Events, actions and foreign keys name entities by more general types than the server does.
#[test]
fn entities_may_be_named_by_a_more_general_type() {
    let studio = Studio::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pending.json");
    let task = studio.first("select id from Task");
    let shot = studio.create(
        "Shot",
        data! { "name": "general", "parent": studio.project() },
    );
    let session = studio.other();
    let bid = data! { "bid": 7.0 };
    session.update("TypedContext", task.id(), bid).unwrap();
    session.delete_by_key("TypedContext", shot.id()).unwrap();
    session.save_pending(&path).unwrap();

    let other = studio.other();
    let loaded = other.load_pending(&path).unwrap();
    assert_eq!((loaded.recorded, loaded.applied), (2, 0), "{loaded:?}");
    assert_eq!(loaded.conflicts, []);
    other.commit().unwrap();
    let seen = studio.other();
    assert!(seen.get("Shot", shot.key()).unwrap().is_none());
    let task = seen.get("Task", task.key()).unwrap().unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 7.0);
    let again = studio.other().load_pending(&path).unwrap();
    assert_eq!((again.recorded, again.applied), (0, 2), "{again:?}");
}
