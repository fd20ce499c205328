//! `watch` in a pipe; `terminal.rs` has it on a terminal.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use ftrack_api::data;
use ftrack_emulator::faults::Fault;
use serde_json::{Value as Json, json};

use crate::{Cli, support};

/// A watch that runs; it ends when the test does.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
}

impl Watching {
    fn start(cli: &Cli, arguments: &[&str]) -> Self {
        let mut command = cli.command(arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let said = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            lines: out.lines(),
            said: said.lines(),
        }
    }

    fn next(&mut self) -> Json {
        let line = self.lines.next().expect("it goes on").unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TASKS: &str = "select name, bid, status.name from Task where parent.name is sh0010 \
                     and project.name is test order by name";

#[test]
fn changes_come_as_lines() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    let session = support::open(&server);
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    let task = session
        .create("Task", data! { "name": "a", "parent": &shot, "bid": 60 })
        .unwrap();
    session.commit().unwrap();
    let mut watching = Watching::start(&cli, &["watch", TASKS, "--count", "3", "--for", "3600"]);
    let key = format!("Task:{}", task.id());
    let rows = cli.ok(&["query", TASKS]);
    let mut row: Json = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!(row["bid"], 60.0);
    assert_eq!(
        watching.next(),
        json!({ "change": "present", "key": key, "row": row })
    );

    task.set("bid", 120).unwrap();
    session.commit().unwrap();
    row["bid"] = json!(120.0);
    assert_eq!(
        watching.next(),
        json!({ "change": "changed", "key": key, "row": row })
    );

    let other = session
        .create("Task", data! { "name": "b", "parent": &shot })
        .unwrap();
    session.commit().unwrap();
    let added = watching.next();
    assert_eq!(
        (&added["change"], &added["row"]["name"]),
        (&json!("added"), &json!("b"))
    );

    session.delete(&other).unwrap();
    session.commit().unwrap();
    let other = format!("Task:{}", other.id());
    assert_eq!(
        watching.next(),
        json!({ "change": "removed", "key": other, "row": null })
    );
    // Those were three.
    assert!(watching.lines.next().is_none());
    assert_eq!(watching.child.wait().unwrap().code(), Some(0));
    assert!(watching.said.next().is_none());
}

#[test]
fn a_watch_goes_on_when_the_server_is_away_for_a_time() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    let session = support::open(&server);
    let task = session.query("select bid from Task").unwrap().first();
    let task = task.unwrap().unwrap();
    let query = format!("select bid from Task where id is {}", task.id());
    let mut watching = Watching::start(&cli, &["watch", &query, "--count", "1", "--for", "3600"]);
    assert_eq!(watching.next()["change"], "present");
    server
        .faults()
        .push(Fault::server_error().only("query").times(2));
    task.set("bid", 4711).unwrap();
    session.commit().unwrap();
    let said = watching.said.next().unwrap().unwrap();
    assert!(said.contains("trying again"), "{said}");
    assert_eq!(watching.next()["row"]["bid"], 4711.0);
}

#[test]
fn what_cannot_be_watched_is_explained() {
    let cli = Cli::reading();
    cli.fails(
        &["watch", "select count(id) from Task group by status_id"],
        6,
        &["groups"],
    );
    cli.fails(&["watch", "Tsak"], 6, &["did you mean"]);
    cli.fails(&["watch", "Task", "--for=-1"], 2, &["-1"]);
    cli.fails(&["watch", "Task", "--count", "0"], 2, &["--count"]);
    // None match, and it ends in time.
    let none = ["watch", "Task where name is nonesuch", "--for", "0.1"];
    assert_eq!(cli.ok(&none), "");
}
