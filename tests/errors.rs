//! What errors say: which change a server refused, and what to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use ftrack_api::operation::Operation;
use ftrack_api::{Entity, Error, ErrorKind, Result, Session, config::Retry, data};
use ftrack_emulator::faults::Fault;
use support::{Parrot, builder, emulator, open};

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
    assert_eq!(said.entity.as_ref(), operation.map(Operation::entity));
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

/// The kind of an error, and what its text must say.
#[track_caller]
fn says<T>(outcome: Result<T>, kind: ErrorKind, all: &[&str]) {
    let Err(error) = outcome else {
        panic!("that went well");
    };
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for part in all {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn a_session_that_does_not_open_says_what_to_do() {
    let server = emulator();
    let (url, user) = (server.url(), server.api_user());
    let open = || builder(&server).retry(Retry::off());
    let who = [
        url,
        "FTRACK_API_USER",
        "FTRACK_API_KEY",
        "created on this server",
    ];
    says(
        open().api_key("wrong").open(),
        ErrorKind::Authentication,
        &who,
    );
    says(
        open().api_key("wrong").open(),
        ErrorKind::Authentication,
        &[user],
    );
    says(
        open().api_user("nobody").open(),
        ErrorKind::Authentication,
        &["\"nobody\""],
    );
    for (address, kind, part) in [
        (
            "http://127.0.0.1:1",
            ErrorKind::Connection,
            "nothing listens there; check",
        ),
        (
            "https://studio.invalid",
            ErrorKind::Connection,
            "no such host; check the server URL",
        ),
        (
            &url.replace("http", "https"),
            ErrorKind::Tls,
            "check port and scheme",
        ),
        (
            "ftp://studio.example",
            ErrorKind::Configuration,
            "https://studio.ftrackapp.com",
        ),
    ] {
        says(open().server_url(address).open(), kind, &[part]);
    }
    server
        .faults()
        .push(Fault::slow(std::time::Duration::from_secs(2)));
    let hasty = open().timeout(std::time::Duration::from_millis(100));
    says(
        hasty.open(),
        ErrorKind::Timeout,
        &[url, "SessionBuilder::timeout"],
    );
}

#[test]
fn what_is_no_ftrack_server_is_shown_with_its_first_lines() {
    // Not the key that traced tests look for: `ureq` prints what it receives.
    let page = "<html><body>Who are you? an0ther-key</body></html>";
    let url = ["FTRACK_SERVER", "an HTML page", "Who are you? (api key)"];
    for (status, kind, parts) in [
        ("200 OK", ErrorKind::BadResponse, &url),
        ("403 Forbidden", ErrorKind::BadResponse, &url),
        ("404 Not Found", ErrorKind::BadResponse, &url),
        (
            "401 Unauthorized",
            ErrorKind::Authentication,
            &["status 401", "requires authentication", "Who are you?"],
        ),
        (
            "413 Payload Too Large",
            ErrorKind::BadResponse,
            &["status 413", "commit_in_chunks", "Who are you?"],
        ),
        (
            "502 Bad Gateway",
            ErrorKind::Unavailable,
            &[
                "status 502",
                "a server that does not respond",
                "Who are you?",
            ],
        ),
    ] {
        let server = Parrot::new(status, "Content-Type: text/html\r\n", page);
        let builder = server.builder().api_key("an0ther-key");
        says(builder.retry(Retry::off()).open(), kind, parts);
    }
    let login = "Location: https://login.example/in?state=s3ss10n\r\n";
    let server = Parrot::new("302 Found", login, "");
    let error = server.builder().open().unwrap_err();
    assert!(
        error.to_string().contains("https://login.example/in;"),
        "{error}"
    );
    assert!(!error.to_string().contains("s3ss10n"), "{error}");
}

#[test]
fn wrong_names_and_values_are_named_with_what_was_meant() {
    let server = emulator();
    let session = open(&server);
    let task = first(&session, "Task");
    let unknown = ErrorKind::UnknownAttribute;
    let elsewhere = [
        "Task has no attribute",
        "`asset` is an attribute of AssetVersion",
    ];
    says(session.query("select asset from Task"), unknown, &elsewhere);
    says(session.query("Task where asset is x"), unknown, &elsewhere);
    says(task.get::<String>("asset"), unknown, &elsewhere);
    says(task.set("asset", "x"), unknown, &elsewhere);
    says(task.collection("asset"), unknown, &elsewhere);
    says(
        session.create("Task", data! { "asset": "x" }),
        unknown,
        &elsewhere,
    );
    says(
        session.populate(std::slice::from_ref(&task), "asset"),
        unknown,
        &elsewhere,
    );
    says(task.set("nmae", "x"), unknown, &["did you mean \"name\"?"]);
    says(
        session.query("Tsk"),
        ErrorKind::UnknownType,
        &["did you mean \"Task\"?"],
    );
    says(
        task.set("bid", "x"),
        ErrorKind::WrongType,
        &["bid of Task(", "a number, not a text"],
    );
    says(
        task.set("id", "x"),
        ErrorKind::Immutable,
        &["id of Task(", "cannot be changed"],
    );
    says(
        session.query("Task where name is"),
        ErrorKind::Syntax,
        &["column 19"],
    );
    says(
        session.query("Task").unwrap().one(),
        ErrorKind::MultipleFound,
        &["use `first`"],
    );
    // What only the server can say comes with what was asked.
    server.faults().push(Fault::server_error());
    let found = session.query("Task where name like \"a%\"").unwrap().all();
    says(
        found,
        ErrorKind::Server,
        &["like \"a%\"", "InternalServerError"],
    );
}

#[test]
fn habits_of_python_lead_to_the_right_call() {
    let server = emulator();
    let session = open(&server);
    let task = first(&session, "Task");
    let number = |path: &str| task.get::<i64>(path).map(drop);
    for (outcome, kind, hint) in [
        (
            number("custom_attributes.customNumber"),
            ErrorKind::UnknownAttribute,
            "use `custom_attributes()`",
        ),
        (
            number("metadata.a"),
            ErrorKind::UnknownAttribute,
            "use `metadata()`",
        ),
        (
            task.set("status.name", "x"),
            ErrorKind::UnknownAttribute,
            "change \"name\" of what \"status\" refers to",
        ),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().ends_with(hint), "{error}");
    }
    task.get::<Vec<Entity>>("metadata").unwrap();
    let error = number("metadata.a").unwrap_err();
    assert!(error.to_string().ends_with("use `metadata()`"), "{error}");
    let error = task.set("start_date", "2026-01-02").unwrap_err();
    let hint = "takes a date-time such as `jiff::Timestamp`, not a text";
    assert!(error.to_string().contains(hint), "{error}");
    let error = session.get("Metadata", task.id()).unwrap_err();
    let hint = "has 1 key value, but Metadata is identified by 2: parent_id, key";
    assert!(error.to_string().ends_with(hint), "{error}");
    let error = task.get_availability().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
}
