//! What `--data` keeps, and the program around the library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use client::Site;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};

const PROJECT: &str = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";

fn folder_data(name: &str) -> Value {
    json!({"name": name, "parent": {"__entity_type__": "Project", "id": PROJECT}})
}

#[test]
fn a_folder_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Emulator::builder().tasks(50).data(folder.path());
    let site = Site::with(builder());
    let tasks = site.query("select id from Task").len();
    site.create("Folder", folder_data("kept"));
    drop(site);
    let site = Site::with(builder().tasks(5000));
    assert_eq!(site.query("Folder where name is kept").len(), 1);
    assert_eq!(site.query("select id from Task").len(), tasks);
}

#[test]
fn two_emulators_are_two_sites() {
    let (one, two) = (Site::start(), Site::start());
    one.create("Folder", folder_data("only here"));
    assert!(two.query("Folder where name is \"only here\"").is_empty());
    assert_ne!(one.emulator.url(), two.emulator.url());
}

#[test]
fn another_site_s_schema_is_served_and_stored() {
    let mut schemas = ftrack_emulator::schema::compact::wire();
    for schema in schemas.as_array_mut().unwrap() {
        if schema["id"] == "Task" {
            schema["properties"]["mood"] = json!({"type": "string"});
        }
    }
    let site = Site::with(Emulator::builder().tasks(50).schemas(schemas));
    let information = site.call(&json!([{"action": "query_server_information"}]));
    assert_ne!(
        information[0]["schema_hash"],
        "23a1157b8b1730fd91c76f63dcd67a8f"
    );
    let task = site.query("Task limit 1")[0].clone();
    site.update("Task", &json!([task["id"]]), json!({"mood": "good"}));
    assert_eq!(site.query("Task where mood is good").len(), 1);
    let broken = Emulator::builder()
        .schemas(json!([{"id": "Task"}]))
        .start()
        .unwrap_err();
    assert!(
        broken.to_string().contains("Task lacks \"properties\""),
        "{broken}"
    );
}

/// The program, killed when it is dropped.
struct Program(Child, Vec<String>);

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ftrack-emulator"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let values = line
            .split_whitespace()
            .map(|word| word.split_once('=').unwrap().1.to_owned());
        let values: Vec<_> = values.collect();
        let expected = format!(
            "FTRACK_SERVER={} FTRACK_API_USER={} FTRACK_API_KEY={}\n",
            values[0], values[1], values[2]
        );
        assert_eq!(line, expected);
        Self(child, values)
    }

    fn call(&self, operations: &Value) -> Value {
        let mut response = ureq::post(format!("{}/api", self.1[0]))
            .header("ftrack-user", &self.1[1])
            .header("ftrack-api-key", &self.1[2])
            .send(operations.to_string())
            .unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_committed_is_lost_when_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let arguments = [
        "--data",
        path,
        "--tasks",
        "50",
        "--api-key",
        "k",
        "--api-user",
        "somebody",
    ];
    let program = Program::start(&arguments);
    assert_eq!(
        (program.1[1].as_str(), program.1[2].as_str()),
        ("somebody", "k")
    );
    for number in 0..20 {
        let data = folder_data(&format!("kept {number}"));
        program.call(&json!([{"action": "create", "entity_type": "Folder", "entity_data": data}]));
    }
    // `kill` sends SIGKILL: the program cannot say goodbye.
    drop(program);
    let program = Program::start(&arguments);
    let response = program
        .call(&json!([{"action": "query", "expression": "Folder where name like \"kept %\""}]));
    assert_eq!(
        response[0]["data"].as_array().unwrap().len(),
        20,
        "{response}"
    );
}

#[test]
fn errors_are_one_line_without_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schemas.json");
    std::fs::write(&path, r#"[{"id": "Task", "properties": {}}]"#).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ftrack-emulator"))
        .args(["--schemas", path.to_str().unwrap()])
        .env("RUST_BACKTRACE", "full")
        .env("STUDIO_SECRET", "do-not-print")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text, "error: schema Task lacks its \"primary_key\"\n");
}

#[test]
fn unusable_arguments_are_explained() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [
        ["--schemas", path],
        ["--schemas", "/no/such/file"],
        ["--schemas", "/"],
        ["--data", path],
        ["--tasks", "-1"],
        ["--tasks", "many"],
        ["--port", "70000"],
        ["--latency", "1s"],
        ["--server-version", "'; DROP TABLE context; --"],
        ["--seed", "/no/such/seed"],
        ["--global-key", ""],
        ["--latency", "-1"],
        ["--server-version", "4.13"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ftrack-emulator"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains(arguments[1]) && !text.contains("panicked"),
            "{text}"
        );
    }
}
