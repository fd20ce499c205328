//! The module generated from the emulator's schema: it is the one that is kept here, which
//! compiles, and it reads what the server sends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "written for any program, used in part here"
)]
#[path = "generated/studio.rs"]
mod studio;
mod support;

use std::path::Path;

use ftrack_api::codegen::{CustomAttributeRow, rust_module};
use ftrack_api::{Entity, Session};
use serde::de::DeserializeOwned;
use support::{emulator, open};

fn generate(session: &Session) -> String {
    let configurations = session.select("CustomAttributeConfiguration");
    let custom: Vec<CustomAttributeRow> = configurations.rows().collect::<Result<_, _>>().unwrap();
    assert!(!custom.is_empty());
    rust_module(session.schema(), &custom)
}

/// `FTRACK_GENERATE=1 cargo test --test codegen` writes the module again.
#[test]
fn the_module_is_up_to_date() {
    let server = emulator();
    let text = generate(&open(&server));
    assert_eq!(text, generate(&open(&server)), "it is the same each time");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated/studio.rs");
    if std::env::var_os("FTRACK_GENERATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\r\n", "\n");
    assert!(
        kept == text,
        "tests/generated/studio.rs differs; set FTRACK_GENERATE=1 to renew it"
    );
}

#[test]
fn rows_fit_the_generated_structs() {
    let server = emulator();
    let session = open(&server);
    let tasks: Vec<studio::Task> = rows(&session, "Task");
    assert!(!tasks.is_empty());
    for task in &tasks {
        let entity = session.get("Task", &task.id).unwrap().unwrap();
        assert_eq!(task.name, entity.get::<String>("name").unwrap());
        let status: Entity = entity.get("status").unwrap();
        assert_eq!(task.status, Some(status.key()));
        let read: studio::Task = entity.read().unwrap();
        assert_eq!(&read, task);
    }
    let number = |task: &studio::Task| task.custom_attributes.custom_number;
    assert!(tasks.iter().any(|task| number(task).is_some()));
    rows::<studio::Project>(&session, "Project");
    rows::<studio::Shot>(&session, "Shot");
    rows::<studio::AssetVersion>(&session, "AssetVersion");
    rows::<studio::User>(&session, "User");
    rows::<studio::Note>(&session, "Note");
    rows::<studio::Status>(&session, "Status");
    rows::<studio::Location>(&session, "Location");
}

fn rows<T: DeserializeOwned>(session: &Session, entity_type: &str) -> Vec<T> {
    let rows = session.select(entity_type).limit(40).rows::<T>();
    rows.collect::<Result<_, _>>().unwrap()
}
