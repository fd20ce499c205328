//! `query` and `get`: formats, and what goes wrong with settings, servers and queries.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use serde_json::Value as Json;

use crate::{Cli, Run, STUDIO, support};

const TASKS: &str = "select name, bid, status.name from Task order by id limit 3";

#[test]
fn rows_come_in_every_format() {
    let cli = Cli::reading();
    let session = support::open(&STUDIO);
    let tasks = session.query(TASKS).unwrap().all().unwrap();
    let names: Vec<String> = tasks.iter().map(|task| task.get("name").unwrap()).collect();
    let status: String = tasks[0].get("status.name").unwrap();

    let lines = cli.ok(&["query", TASKS]);
    let rows: Vec<Json> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["name"], names[0].as_str());
    assert_eq!(rows[0]["status.name"], status.as_str());
    assert!(rows[0]["bid"].is_number());

    let list: Vec<Json> =
        serde_json::from_str(&cli.ok(&["query", TASKS, "--format", "json"])).unwrap();
    assert_eq!(list, rows);

    let csv = cli.ok(&["query", TASKS, "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(
        reader.headers().unwrap(),
        vec!["name", "bid", "status.name"]
    );
    let first = reader.records().next().unwrap().unwrap();
    assert_eq!((&first[0], &first[2]), (names[0].as_str(), status.as_str()));

    let table = cli.ok(&["query", TASKS, "--format", "table"]);
    assert!(
        table.starts_with(" name") || table.starts_with("name"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 5, "{table}");
}

#[test]
fn a_query_without_projections_has_the_default_columns() {
    let cli = Cli::reading();
    let rows = cli.ok(&["query", "Status limit 1", "--format", "csv"]);
    let session = support::open(&STUDIO);
    let expected = session
        .schema()
        .entity_type("Status")
        .unwrap()
        .default_projections()
        .join(",");
    assert_eq!(rows.lines().next().unwrap(), expected);
}

#[test]
fn groups_have_the_columns_that_the_server_sends() {
    let cli = Cli::reading();
    let rows = cli.ok(&[
        "query",
        "select count(id) from Task group by status_id",
        "--format",
        "csv",
    ]);
    let header: Vec<&str> = rows.lines().next().unwrap().split(',').collect();
    assert!(
        header.contains(&"status_id") && header.contains(&"count_id"),
        "{rows}"
    );
}

#[test]
fn counting_and_limits() {
    let cli = Cli::reading();
    let session = support::open(&STUDIO);
    let all = session.query("Task").unwrap().count().unwrap();
    assert_eq!(
        cli.ok(&["query", "Task", "--count"]).trim(),
        all.to_string()
    );
    assert_eq!(
        cli.ok(&["query", "Task limit 9", "--limit", "4"])
            .lines()
            .count(),
        4
    );
    assert_eq!(
        cli.ok(&["query", "Task limit 3", "--limit", "4"])
            .lines()
            .count(),
        3
    );
    assert_eq!(
        cli.ok(&["query", "Task where name is nonesuch", "--format", "json"]),
        "[]\n"
    );
    let mut piped = cli.command(&["query", "-", "--count"]);
    let mut child = piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"Task limit 2\n").unwrap();
    assert_eq!(Run::of(child.wait_with_output().unwrap()).out, "2\n");
}

#[test]
fn explain_says_what_is_asked_for_and_what_it_took() {
    let cli = Cli::reading();
    let run = cli.run(&["query", "Status where name  is 'In progress'", "--explain"]);
    run.check(
        0,
        &[
            "parsed:   Status where name is \"In progress\"",
            "asks for: select",
            "1 request, ",
        ],
    );
    assert!(run.err.contains("1 row, "), "{}", run.err);
}

#[test]
fn wrong_queries_are_explained() {
    let cli = Cli::reading();
    cli.fails(&["query", "select name frm Task"], 6, &["error:", "frm"]);
    cli.fails(
        &["query", "Tsak"],
        6,
        &["did you mean", "Task", "ftrack schema"],
    );
    cli.fails(
        &["query", "select nmae from Task"],
        6,
        &["did you mean", "name"],
    );
    cli.fails(&["query", "Task", "--format", "xml"], 2, &["xml"]);
    cli.fails(&["query"], 2, &["EXPRESSION"]);
    cli.fails(&["qurey", "Task"], 2, &["query"]);
}

#[test]
fn one_entity_by_key() {
    let cli = Cli::reading();
    let session = support::open(&STUDIO);
    let user = session.user().unwrap();
    let key = format!("User:{}", user.id());
    let row: Json = serde_json::from_str(&cli.ok(&["get", &key])).unwrap();
    assert_eq!(row["username"], session.api_user());
    let table = cli.ok(&["get", &user.id(), "--format", "table"]);
    assert!(
        table.contains("username") && table.contains(session.api_user()),
        "{table}"
    );
    let csv = cli.ok(&[
        "get",
        &key,
        "--columns",
        "username, email",
        "--format",
        "csv",
    ]);
    assert!(csv.starts_with("username,email\n"), "{csv}");

    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    let row: Json =
        serde_json::from_str(&cli.ok(&["get", &format!("Task:{}", task.id())])).unwrap();
    assert_eq!(
        row["status.name"],
        task.get::<String>("status.name").unwrap().as_str()
    );

    let none = "00000000-0000-0000-0000-000000000000";
    cli.fails(&["get", &format!("Task:{none}")], 4, &["there is no Task"]);
    cli.fails(&["get", none], 4, &[none]);
    cli.fails(&["get", "Tsak:x"], 6, &["did you mean"]);
    cli.fails(&["get", &key, "--columns", "nmae"], 6, &["nmae"]);
}

#[test]
fn who_is_connected() {
    let cli = Cli::reading();
    let said = cli.ok(&["whoami"]);
    assert!(
        said.starts_with(&cli.user) && said.contains(&cli.url),
        "{said}"
    );
    let json: Json = serde_json::from_str(&cli.ok(&["whoami", "--json"])).unwrap();
    assert_eq!(json["username"], cli.user.as_str());
}

#[test]
fn wrong_keys_missing_servers_and_missing_settings_have_codes_of_their_own() {
    let cli = Cli::reading();
    let mut wrong = cli.command(&["whoami"]);
    let key = support::secret("not-the-key-of-anybody");
    let run = Run::of(wrong.env("FTRACK_API_KEY", key).output().unwrap());
    run.check(3, &["error:", "ftrack profile add"]);
    assert!(!run.err.contains(key) && !run.out.contains(key));

    let mut away = cli.command(&["whoami"]);
    let run = Run::of(
        away.env("FTRACK_SERVER", "http://127.0.0.1:9")
            .output()
            .unwrap(),
    );
    run.check(7, &["127.0.0.1:9", "ftrack doctor"]);

    let run = Run::of(cli.bare(&["whoami"]).output().unwrap());
    run.check(2, &["FTRACK_SERVER", "ftrack profile add"]);
}

#[test]
fn verbose_logs_requests_and_no_secret() {
    let cli = Cli::reading();
    for flag in ["-v", "-vv"] {
        let run = cli.run(&["query", "Status limit 1", flag]);
        run.check(0, &["query"]);
        assert!(!run.err.contains(&cli.key), "the key is logged");
    }
    assert_eq!(cli.run(&["query", "Status limit 1"]).err, "");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let cli = Cli::reading();
    let mut command = cli.command(&["query", "select name from Type"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn the_first_rows_come_before_the_last_are_asked_for() {
    let server = ftrack_emulator::Emulator::builder()
        .tasks(3000)
        .start()
        .unwrap();
    let cli = Cli::on(&server);
    // A page of it is more than a pipe holds.
    let query = "select id, name, parent_id, project_id, status_id, type_id from Task order by id";
    cli.ok(&["query", query, "--count"]); // the schema is cached
    let before = server.requests();
    let mut command = cli.command(&["query", query, "--format", "csv"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::with_capacity(64, child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("id,name,"));
    lines.next().unwrap().unwrap();
    // Opening takes one request, the first page another; while the pipe is not read, there may be
    // one more that is under way.
    let asked = server.requests() - before;
    assert!(asked <= 3, "{asked} requests before the first row");
    assert!(lines.count() > 2000);
    assert!(child.wait().unwrap().success());
}

#[test]
fn colours_are_for_terminals_unless_they_are_forced() {
    let cli = Cli::reading();
    let table = ["query", TASKS, "--format", "table"];
    let has_color = |set: &[(&str, &str)], more: &[&str]| {
        let mut command = cli.command(&[&table, more].concat());
        let output = command.envs(set.iter().copied()).output().unwrap();
        Run::of(output).out.contains('\u{1b}')
    };
    assert!(!has_color(&[], &[]));
    assert!(has_color(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!has_color(
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
        &[]
    ));
    assert!(has_color(&[("NO_COLOR", "1")], &["--color", "always"]));
    assert!(!has_color(
        &[("CLICOLOR_FORCE", "1")],
        &["--color", "never"]
    ));
    // Errors in the arguments come before these are known.
    for (color, expected) in [("--color=always", true), ("--color=never", false)] {
        let mut command = cli.command(&["nonesuch", color]);
        let run = Run::of(command.env("CLICOLOR_FORCE", "1").output().unwrap());
        assert_eq!((run.code, run.err.contains('\u{1b}')), (2, expected));
        let words: Vec<&str> = color.split('=').chain(["nonesuch"]).collect();
        let run = Run::of(cli.command(&words).output().unwrap());
        assert_eq!((run.code, run.err.contains('\u{1b}')), (2, expected));
    }
}
