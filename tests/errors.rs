//! What errors say: which change a server refused, and what to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use ftrack_api::{Entity, Error, ErrorKind, Session, data};
use support::{emulator, open};

fn first(session: &Session, entity_type: &str) -> Entity {
    let found = session.query(entity_type).unwrap().first();
    found.unwrap().unwrap()
}

/// Commits what `record` does between two changes that nothing is wrong with.
fn refused(session: &Session, record: impl FnOnce()) -> Error {
    let project = first(session, "Project");
    let fine = data! { "name": "fine", "short": "fine" };
    session.create("State", fine).unwrap();
    record();
    project.set("full_name", "fine").unwrap();
    let error = session.commit().unwrap_err();
    assert!(session.recorded_operations().len() >= 3);
    error
}

/// The index of the operation that is blamed, and the attribute; the rest must fit that.
fn blamed(session: &Session, error: &Error) -> (Option<usize>, Option<String>) {
    let said = error.server().unwrap();
    let recorded = session.recorded_operations();
    session.rollback();
    let operation = said.operation.map(|index| &recorded[index]);
    assert_eq!(said.entity.as_ref(), operation.map(|one| one.entity()));
    assert_eq!(said.operation_text, operation.map(ToString::to_string));
    if let Some(text) = &said.operation_text {
        assert!(error.to_string().contains(text), "{error}");
    }
    (said.operation, said.attribute.clone())
}

#[test]
fn the_refused_change_is_named() {
    let server = emulator();
    let session = open(&server);
    let taken: String = first(&session, "User").get("username").unwrap();
    let project = first(&session, "Project");
    let (task, other) = (first(&session, "Task"), first(&session, "AssetVersion"));
    let create = |entity_type: &str, data| session.create(entity_type, data).unwrap();
    let about = |index: usize, attribute: &str| (Some(index), Some(attribute.to_owned()));
    let folder = |name: &str| drop(create("Folder", data! {"name": name, "parent": &project}));
    type Record<'a> = &'a dyn Fn();
    let cases: [(Record<'_>, ErrorKind, _); 7] = [
        (
            &|| {
                create("User", data! { "username": "free" });
                create("User", data! { "username": taken.as_str() });
            },
            ErrorKind::Duplicate,
            about(2, "username"),
        ),
        (
            &|| {
                other.set("comment", "fine").unwrap();
                task.set("name", "fine").unwrap();
                task.set("status_id", "nothing-like-it").unwrap();
            },
            ErrorKind::Validation,
            about(3, "status_id"),
        ),
        (
            &|| drop(create("Task", data! { "name": "orphan" })),
            ErrorKind::Validation,
            about(1, "parent"),
        ),
        (
            &|| ["a", "b"].map(folder).into_iter().for_each(drop),
            ErrorKind::Duplicate,
            about(2, "name"),
        ),
        // The first of them is changed by nobody else, so it cannot be told which is meant.
        (
            &|| ["c", "c"].map(folder).into_iter().for_each(drop),
            ErrorKind::Duplicate,
            (None, None),
        ),
        (
            &|| {
                create("Timer", data! {});
                create("Timer", data! {});
            },
            ErrorKind::Duplicate,
            (None, None),
        ),
        // Collections that are extended keep the indexes as they are.
        (
            &|| {
                let notes = project.collection("notes").unwrap();
                let author = first(&session, "User");
                for content in ["one", "two"] {
                    let data = data! { "content": content, "author": &author };
                    notes.push(&create("Note", data)).unwrap();
                }
                task.set("type_id", "nothing-like-it").unwrap();
            },
            ErrorKind::Validation,
            about(5, "type_id"),
        ),
    ];
    folder("b");
    session.commit().unwrap();
    for (number, (record, kind, expected)) in cases.into_iter().enumerate() {
        let error = refused(&session, record);
        assert_eq!(error.kind(), kind, "{number}: {error}");
        let text = error.to_string();
        assert_eq!(blamed(&session, &error), expected, "{number}: {text}");
    }
}
