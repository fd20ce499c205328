//! Traffic that is recorded and played back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use ftrack_api::{
    ErrorKind, Session, SessionBuilder, config::Retry, data, expr, transport::Recording,
};
use ftrack_emulator::Emulator;
use support::{LICENCE, builder, emulator, read, secret, upload};

/// A session as it is opened with and without a server.
fn plain(server: &Emulator) -> SessionBuilder {
    builder(server)
        .cookie("studio", secret("c00kie-to-hide"))
        .header("x-studio", secret("h3ader-to-hide"))
        .retry(Retry::off())
}

/// Creates, looks for what it created by its key, stores a file and reads it.
fn script(session: &Session) -> String {
    let project = session.query("Project").unwrap().first().unwrap().unwrap();
    let mut folders = Vec::new();
    for name in ["one", "two"] {
        let data = data! { "name": name, "parent": &project };
        folders.push(session.create("Folder", data).unwrap());
    }
    session.commit().unwrap();
    folders[1].set("description", "of the second").unwrap();
    session.commit().unwrap();
    let mut report = String::new();
    for folder in &folders {
        let found = expr!(
            "select name, parent.name from Folder where id is {}",
            folder.id()
        );
        let row: serde_json::Value = session
            .query(found)
            .unwrap()
            .rows()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(row["id"], folder.id().as_str(), "the keys of this run");
        report += &format!("{} in {}\n", row["name"], row["parent"]["name"]);
    }
    let component = upload(session, LICENCE.as_ref());
    let storage = session.location("ftrack.server").unwrap();
    report += &String::from_utf8(read(&storage, &component)).unwrap();
    report
}

#[test]
fn a_script_runs_without_its_server() {
    let server = emulator();
    let recording = Recording::new();
    let session = plain(&server).wrap_transport(recording.recorder());
    let report = script(&session.open().unwrap());
    assert!(
        report.contains("\"two\"") && report.contains("MIT"),
        "{report}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.json");
    recording.save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in [server.api_key(), "c00kie-to-hide", "h3ader-to-hide"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let mut signatures = text.split("ignature=").skip(1).peekable();
    assert!(signatures.peek().is_some());
    assert!(signatures.all(|rest| rest.starts_with("(secret)")));

    let gone = plain(&server);
    drop(server);
    let loaded = Recording::load(&path).unwrap();
    assert_eq!(loaded.len(), recording.len());
    let session = gone.transport(loaded.replay()).open().unwrap();
    assert_eq!(script(&session), report);
    // The same request again gets the same response; another one gets none.
    let tasks = |query: &str| session.query(query).unwrap().all();
    assert_eq!(
        session
            .query("Project")
            .unwrap()
            .first()
            .unwrap()
            .into_iter()
            .count(),
        1
    );
    let error = tasks("Task where name is nobody").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(
        error.to_string().contains("the recording has no POST /api"),
        "{error}"
    );
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[test]
fn keys_of_a_new_run_stand_for_those_of_the_old_one_only() {
    let server = emulator();
    let recording = Recording::new();
    let session = plain(&server).wrap_transport(recording.recorder());
    let session = session.open().unwrap();
    let tasks = session
        .query("select id from Task limit 2")
        .unwrap()
        .all()
        .unwrap();
    let ask = |session: &Session, id: &str| {
        let query = expr!("select name from Task where id is {}", id);
        let mut rows = session.query(query).unwrap().rows::<serde_json::Value>();
        rows.next().map(|row| row.map(|row| row["name"].clone()))
    };
    let known = ask(&session, &tasks[0].id()).unwrap().unwrap();
    let player = plain(&server).transport(recording.replay());
    let replayed = player.open().unwrap();
    // A query about another task is another query.
    assert!(ask(&replayed, &tasks[1].id()).unwrap().is_err());
    assert_eq!(ask(&replayed, &tasks[0].id()).unwrap().unwrap(), known);
}

#[test]
fn responses_that_did_not_arrive_are_not_kept_and_files_that_are_none_are_named() {
    let server = emulator();
    let recording = Recording::new();
    let session = plain(&server).wrap_transport(recording.recorder());
    let session = session.open().unwrap();
    let count = recording.len();
    server
        .faults()
        .push(ftrack_emulator::faults::Fault::cut(200));
    session.query("Task").unwrap().all().unwrap_err();
    assert_eq!(recording.len(), count);
    assert!(!recording.is_empty());
    for path in [
        "/no/such/file",
        #[cfg(unix)]
        "/dev/zero",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ] {
        let error = Recording::load(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn whether_there_is_a_row_is_asked_for_with_its_key_alone() {
    let server = emulator();
    let recording = Recording::new();
    let session = builder(&server).wrap_transport(recording.recorder());
    let session = session.open().unwrap();
    let query = session.query("select name, status.name from Task offset 2");
    assert!(query.unwrap().exists().unwrap());
    let groups = session.query("select count(id) from Task group by status_id");
    assert!(groups.unwrap().exists().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.json");
    recording.save(&path).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.contains("select id from Task offset 2 limit 1"),
        "{text}"
    );
    assert!(text.contains("select count(id) from Task group by status_id"));
}
