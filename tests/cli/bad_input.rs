//! What every command says of bad input: paths that name nothing or several things, servers that are away,
//! keys that are wrong, nobody to ask.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ftrack_emulator::faults::Fault;

use crate::{Cli, Run, create_twins, support};

/// Every command that takes an entity, which stands where `PATH` does.
const ON_AN_ENTITY: [&[&str]; 13] = [
    &["get", "PATH"],
    &["set", "PATH", "description=x", "--yes"],
    &["create", "Task", "name=x", "parent=PATH", "--yes"],
    &["delete", "PATH", "--yes"],
    &["tree", "PATH"],
    &["note", "PATH", "x", "--yes"],
    &["assign", "PATH", "jenkins", "--yes"],
    &["status", "PATH", "In progress", "--yes"],
    &["timer", "start", "PATH"],
    &["publish", "still.png", "--to", "PATH", "--yes"],
    &["upload", "still.png", "--to", "PATH"],
    &["download", "PATH"],
    &["components", "PATH"],
];

/// Every other command that needs a server; those with others below, with each of them.
const ON_A_SERVER: [&[&str]; 19] = [
    &["query", "Task"],
    &["watch", "Task", "--for", "1"],
    &["import", "rows.csv", "--type", "User", "--yes"],
    &["export", "User", "out.csv"],
    &["tree"],
    &["timer", "stop"],
    &["timer", "show"],
    &["events", "tail", "--for", "1"],
    &["events", "publish", "studio.test"],
    &["events", "record", "new.ndjson", "--for", "1"],
    &["events", "replay", "events.ndjson"],
    &["schema"],
    &["schema", "Task"],
    &["schema", "rust"],
    &["schema", "save", "schema.json"],
    &["schema", "diff", "server", "server"],
    &["whoami"],
    &["whoami", "--json"],
    &["profile", "add", "--server", "SERVER", "--user", "jenkins"],
];

/// Every command that asks before it changes something, without an answer.
const ASKING: [&[&str]; 8] = [
    &["set", "test", "full_name=x"],
    &["create", "Task", "name=asked", "parent=test"],
    &["delete", "test"],
    &["note", "test", "x"],
    &["assign", "test/Import camera", "jenkins"],
    &["status", "test/Import camera", "In progress"],
    &["publish", "still.png", "--to", "test/ep01"],
    &["import", "rows.csv", "--type", "User"],
];

fn prepare(cli: &Cli) {
    cli.write("still.png", "not really an image");
    cli.write("rows.csv", "username\ngrace\n");
    cli.write(
        "events.ndjson",
        "{\"after\":0,\"event\":{\"id\":\"e\",\"topic\":\"studio.test\",\"data\":{}}}\n",
    );
}

/// The arguments with another word for what stands in capitals.
fn with(arguments: &[&str], name: &str, word: &str) -> Vec<String> {
    let arguments = arguments.iter();
    arguments.map(|text| text.replace(name, word)).collect()
}

/// Arguments that would be right with this server.
fn complete(arguments: &[&str], server: &str) -> Vec<String> {
    let arguments = with(arguments, "PATH", "test").into_iter();
    arguments
        .map(|text| text.replace("SERVER", server))
        .collect()
}

/// Runs a command that may read a key from its input.
fn output(command: &mut Command, key: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    // Most end without reading it.
    let _ = writeln!(child.stdin.take().unwrap(), "{key}");
    child.wait_with_output().unwrap()
}

#[test]
fn a_path_that_names_nothing() {
    let cli = Cli::reading();
    prepare(&cli);
    for arguments in ON_AN_ENTITY {
        let nothing = with(arguments, "PATH", "test/ep01/nonesuch");
        cli.fails(&nothing, 4, &["error:", "\"nonesuch\"", "sq010"]);
        let missing = with(
            arguments,
            "PATH",
            "Task:00000000-0000-0000-0000-000000000000",
        );
        cli.fails(&missing, 4, &["error:", "00000000-0000"]);
    }
}

#[test]
fn a_path_that_names_several() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    prepare(&cli);
    create_twins(&support::open(&server));
    for arguments in ON_AN_ENTITY {
        let twins = with(arguments, "PATH", "Twins");
        cli.fails(&twins, 5, &["error:", "one", "two"]);
    }
}

/// Everything that needs a server: complete arguments.
fn all(server: &str) -> impl Iterator<Item = Vec<String>> {
    let all = ON_AN_ENTITY.iter().chain(&ON_A_SERVER);
    all.map(move |arguments| complete(arguments, server))
}

#[test]
fn a_server_that_is_away() {
    const AWAY: &str = "http://127.0.0.1:9";

    let cli = Cli::reading();
    prepare(&cli);
    // Each tries several times, so they do it together.
    let running = all(AWAY).map(|arguments| {
        let mut command = cli.command(&arguments);
        command.env("FTRACK_SERVER", AWAY);
        std::thread::spawn(move || (arguments, Run::of(output(&mut command, "x"))))
    });
    for run in running.collect::<Vec<_>>() {
        let (arguments, run) = run.join().unwrap();
        assert_eq!(run.code, 7, "{arguments:?}: {}", run.err);
        run.check(7, &["error:", "127.0.0.1:9", "hint: `ftrack doctor`"]);
        assert_eq!(run.err.lines().count(), 2, "{arguments:?}: {}", run.err);
    }
}

#[test]
fn a_key_that_is_wrong() {
    let cli = Cli::reading();
    prepare(&cli);
    let key = support::secret("a-key-of-nobody-at-all");
    for arguments in all(&cli.url) {
        let mut command = cli.command(&arguments);
        let run = Run::of(output(command.env("FTRACK_API_KEY", key), key));
        assert_eq!(run.code, 3, "{arguments:?}: {}", run.err);
        run.check(3, &["error:", "hint: `ftrack profile add"]);
        assert!(!run.err.contains(key) && !run.out.contains(key));
        assert_eq!(run.err.lines().count(), 2, "{arguments:?}: {}", run.err);
    }
    for file in ["out.csv", "schema.json", "profiles.toml"] {
        assert!(!cli.folder().join(file).exists(), "{file}");
    }
}

#[test]
fn nobody_to_ask() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    prepare(&cli);
    for arguments in ASKING {
        cli.fails(arguments, 2, &["error: there is no terminal", "--yes"]);
        let plan = cli.run(&[arguments, &["--dry-run"]].concat());
        assert_eq!(plan.code, 0, "{arguments:?}: {}", plan.err);
        assert!(!plan.out.is_empty(), "{arguments:?}: {}", plan.err);
    }
    let session = support::open(&server);
    for query in [
        "Project where full_name is x",
        "Task where name is asked",
        "Note where content is x",
        "Task where name is \"Import camera\" and status.name is \"In progress\"",
        "AssetVersion where asset.name is still",
        "User where username is grace",
    ] {
        assert!(!session.query(query).unwrap().exists().unwrap(), "{query}");
    }
    assert!(session.at("test").is_ok());
}

#[test]
fn values_of_another_type() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    let bid = ["bid", "a number", "\"soon\""];
    cli.fails(&["set", "test/Import camera", "bid=soon", "--yes"], 6, &bid);
    let create = [
        "create",
        "Task",
        "name=x",
        "parent=test",
        "bid=soon",
        "--yes",
    ];
    cli.fails(&create, 6, &bid);
    cli.write("tasks.csv", "path,bid\ntest/new,soon\n");
    let import = ["import", "tasks.csv", "--type", "Task", "--yes"];
    cli.fails(&import, 10, &["0 created", "1 refused", "line 2: bid"]);
    cli.fails(&["query", "Task", "--limit", "soon"], 2, &["soon"]);
    cli.fails(&["tree", "--depth", "soon"], 2, &["soon"]);
    cli.fails(&["watch", "Task", "--for", "soon"], 2, &["soon"]);
    cli.fails(&["events", "tail", "--count", "soon"], 2, &["soon"]);
    cli.fails(&["events", "publish", "x", "soon"], 6, &["not JSON"]);
    let upload = ["upload", "tasks.csv", "--to", "test/ep01"];
    cli.fails(&upload, 6, &["AssetVersion", "ftrack publish"]);
    cli.fails(&["download", "test"], 6, &["no components"]);
    cli.fails(&["components", "test"], 6, &["no components"]);
    let session = support::open(&server);
    assert!(session.at("test/x").is_err() && session.at("test/new").is_err());
}

/// A hundred thousand rows with a bad one in the middle: all of them are planned, two chunks are
/// imported before the server goes away, and no row is lost. Importing all of them takes minutes:
/// `benches/command_line.rs` imports 10,000.
#[test]
fn a_hundred_thousand_rows() {
    const ROWS: usize = 100_000;
    const CHUNK: usize = 500;

    let server = support::emulator();
    let cli = Cli::on(&server);
    cli.ok(&["whoami"]); // the schema is cached
    let mut rows = String::from("username,is_active\n");
    for number in 0..ROWS {
        let active = ["true", "maybe"][usize::from(number == ROWS / 2)];
        let _ = writeln!(rows, "user{number},{active}");
    }
    cli.write("users.csv", rows);
    let arguments = ["import", "users.csv", "--type", "User", "--by", "username"];
    let before = server.requests();
    let mut plan = cli.command(&[&arguments[..], &["--dry-run"]].concat());
    let plan = Run::of(plan.output().unwrap());
    let bad = format!("line {}: is_active", ROWS / 2 + 2);
    assert_eq!(plan.code, 10, "{}", plan.err);
    for words in ["99999 created", "1 refused", &bad] {
        assert!(plan.err.contains(words), "{words}: {}", plan.err);
    }
    assert_eq!(plan.out.matches("create User").count(), ROWS - 1);
    let asked = server.requests() - before;
    assert!(asked <= (ROWS / CHUNK + 2) as u64, "{asked} requests");

    let faults = server.faults();
    faults.push(Fault::slow(Duration::ZERO).times(2).only("create"));
    faults.push(Fault::unavailable(0).times(100).only("create"));
    let run = cli.run(&[&arguments[..], &["--yes"]].concat());
    run.check(
        7,
        &[
            "done: 1000 created",
            "not imported, or not confirmed: 99000 rows",
        ],
    );
    faults.clear();
    let kept = std::fs::read_to_string(cli.folder().join("users.refused.csv")).unwrap();
    assert_eq!(kept.lines().count(), 1 + ROWS - 2 * CHUNK);
    let session = support::open(&server);
    let made = session.query("User where username like \"user%\"").unwrap();
    assert_eq!(made.count().unwrap(), 2 * CHUNK as u64);
}
