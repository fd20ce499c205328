//! `import` and `export`: files of every dialect, refused rows, and round trips.

use std::fmt::Write as _;

use ftrack_api::Session;
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;

use crate::{Cli, support};

fn studio() -> (Emulator, Cli) {
    let server = support::emulator();
    let cli = Cli::on(&server);
    (server, cli)
}

fn users(session: &Session) -> Vec<(String, String)> {
    let query = "select username, first_name from User order by username";
    let found = session.query(query).unwrap().all().unwrap();
    let pair = |user: &ftrack_api::Entity| {
        let text = |name: &str| user.get::<Option<String>>(name).unwrap();
        let both = ["username", "first_name"].map(|name| text(name).unwrap_or_default());
        both.into()
    };
    found.iter().map(pair).collect()
}

fn has(server: &Emulator, username: &str, first_name: &str) -> bool {
    users(&support::open(server)).contains(&(username.to_owned(), first_name.to_owned()))
}

const BY_NAME: [&str; 5] = ["--type", "User", "--by", "username", "--yes"];

fn import<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["import", file][..], &BY_NAME, more].concat()
}

#[test]
fn rows_are_created_updated_or_left() {
    let (server, cli) = studio();
    cli.write("users.csv", "username,first_name\ngrace,Grace\nalan,Alan\n");
    cli.run(&import("users.csv", &[]))
        .check(0, &["done: 2 created, 0 updated, 0 left"]);
    cli.write(
        "users.csv",
        "username,first_name\ngrace,Ada\nalan,Alan\nkurt,Kurt\n",
    );
    let plan = cli.run(&[
        "import",
        "users.csv",
        "--type",
        "User",
        "--by",
        "username",
        "--dry-run",
    ]);
    plan.check(
        0,
        &["plan: 1 created, 1 updated, 1 left as they are, 0 refused"],
    );
    assert!(plan.out.contains("\"Grace\" -> \"Ada\""), "{}", plan.out);
    assert!(has(&server, "grace", "Grace"));
    cli.run(&import("users.csv", &[]))
        .check(0, &["done: 1 created, 1 updated, 1 left"]);
    assert!(has(&server, "grace", "Ada") && has(&server, "kurt", "Kurt"));
    cli.fails(
        &["import", "users.csv", "--type", "User", "--by", "username"],
        0,
        &["nothing to change"],
    );
}

#[test]
fn every_dialect_is_read() {
    let (server, cli) = studio();
    cli.write(
        "mark.csv",
        "\u{feff}username;first_name\r\nmark;\"Mark; the first\"\r\n",
    );
    cli.run(&import("mark.csv", &[]))
        .check(0, &["done: 1 created"]);
    cli.write("tabs.tsv", "username\tfirst_name\ntab\tÅsa\n");
    cli.run(&import("tabs.tsv", &[]))
        .check(0, &["done: 1 created"]);
    cli.write(
        "lines.ndjson",
        "{\"username\":\"line\",\"first_name\":\"L\\n1\"}\n",
    );
    cli.run(&import("lines.ndjson", &[]))
        .check(0, &["done: 1 created"]);
    cli.write("pipes.csv", "username|first_name\npipe|P,1\n");
    cli.run(&import("pipes.csv", &["--delimiter", "|"]))
        .check(0, &["done: 1 created"]);
    for (name, first) in [
        ("mark", "Mark; the first"),
        ("tab", "Åsa"),
        ("line", "L\n1"),
        ("pipe", "P,1"),
    ] {
        assert!(has(&server, name, first), "{name}");
    }
}

#[test]
fn files_that_cannot_be_imported_are_refused_before_anything_is_sent() {
    let (server, cli) = studio();
    let before = users(&support::open(&server));
    for (content, code, words) in [
        (&b""[..], 6, &["names no columns"][..]),
        (b"username,username\n", 6, &["two columns"]),
        (b"usernmae\nx\n", 6, &["usernmae", "did you mean"]),
        (
            b"first_name\nx\n",
            6,
            &["no column \"username\"", "first_name"],
        ),
        (b"\xff\xfeu\0", 6, &["UTF-16", "UTF-8"]),
        (b"user\xffname\nx\n", 6, &["not UTF-8"]),
    ] {
        cli.write("bad.csv", content);
        cli.fails(&import("bad.csv", &[]), code, words);
    }
    cli.fails(&import("nonesuch.csv", &[]), 9, &["nonesuch.csv"]);
    assert_eq!(users(&support::open(&server)), before);
}

#[test]
fn refused_rows_can_be_mended_and_fed_in_again() {
    let (server, cli) = studio();
    let rows = b"username,is_active,first_name\n\
        one,true,One\n\
        two,maybe,Two\n\
        three\n\
        f\xffour,true,Four\n\
        five,true,Five\n";
    cli.write("users.csv", rows);
    let run = cli.run(&import("users.csv", &[]));
    run.check(
        10,
        &[
            "done: 2 created",
            "3 refused",
            "line 3: is_active",
            "line 4:",
            "line 5:",
            "users.refused.csv",
        ],
    );
    assert!(has(&server, "one", "One") && has(&server, "five", "Five"));
    let refused = std::fs::read_to_string(cli.folder().join("users.refused.csv")).unwrap();
    assert_eq!(
        refused.lines().next(),
        Some("username,is_active,first_name,ftrack_error")
    );
    assert_eq!(refused.lines().count(), 4, "{refused}");
    assert!(refused.contains("two,maybe,Two,"), "{refused}");
    let mended = refused
        .lines()
        .take(2)
        .collect::<Vec<_>>()
        .join("\n")
        .replace("maybe", "true");
    cli.write("mended.csv", mended);
    cli.run(&import("mended.csv", &[]))
        .check(0, &["done: 1 created", "0 refused"]);
    assert!(has(&server, "two", "Two"));
}

#[test]
fn a_row_that_nothing_identifies_is_refused() {
    let (server, cli) = studio();
    cli.write("users.csv", "username,first_name\n,Nobody\nzoe,Zoe\n");
    cli.run(&import("users.csv", &[])).check(
        10,
        &[
            "1 created",
            "1 refused",
            "line 2: nothing identifies it: no username",
        ],
    );
    assert!(has(&server, "zoe", "Zoe") && !has(&server, "", "Nobody"));
}

#[test]
fn a_row_that_the_server_refuses_does_not_stop_the_others() {
    let (server, cli) = studio();
    let mut rows = String::from("name,parent\n");
    for number in 0..40 {
        // The project has a task of this name already.
        let name = if number == 17 {
            "Import camera".to_owned()
        } else {
            format!("new {number}")
        };
        writeln!(rows, "{name},5671dcb0-66de-11e1-8e6e-f23c91df25eb").unwrap();
    }
    cli.write("tasks.csv", rows);
    let run = cli.run(&["import", "tasks.csv", "--type", "Task", "--yes"]);
    run.check(10, &["done: 39 created", "1 refused", "line 19:"]);
    let session = support::open(&server);
    let made = session
        .query("Task where name like 'new %'")
        .unwrap()
        .count()
        .unwrap();
    assert_eq!(made, 39);
}

#[test]
fn a_failure_in_the_middle_loses_no_row() {
    let (server, cli) = studio();
    let mut rows = String::from("username\n");
    for number in 0..30 {
        writeln!(rows, "user{number}").unwrap();
    }
    cli.write("users.csv", rows);
    // The first chunk arrives, and no other.
    server
        .faults()
        .push(Fault::slow(std::time::Duration::ZERO).only("create"));
    server
        .faults()
        .push(Fault::unavailable(0).times(100).only("create"));
    let run = cli.run(&import("users.csv", &["--chunk", "10"]));
    run.check(
        7,
        &[
            "done: 10 created",
            "not imported, or not confirmed: 20 rows, kept in",
        ],
    );
    server.faults().clear();
    let kept = std::fs::read_to_string(cli.folder().join("users.refused.csv")).unwrap();
    let imported = users(&support::open(&server))
        .iter()
        .filter(|(name, _)| name.starts_with("user"))
        .count();
    assert_eq!(imported + kept.lines().count() - 1, 30, "{}{kept}", run.err);
}

#[test]
fn what_is_exported_is_imported_unchanged() {
    let (_server, cli) = studio();
    for file in ["tasks.csv", "tasks.ndjson"] {
        let query = "Task where project.name is test";
        let columns = "name,description,bid,status,type.name,parent,start_date,custom.customNumber,metadata.x";
        cli.run(&["export", query, file, "--columns", columns])
            .check(0, &["rows"]);
        let run = cli.run(&["import", file, "--type", "Task", "--yes"]);
        run.check(0, &["done: 0 created, 0 updated", "0 refused"]);
        cli.fails(&["export", query, file], 9, &["exists", "--overwrite"]);
    }
    let all = cli.run(&["export", "Task where project.name is test", "all.csv"]);
    all.check(0, &["rows"]);
    cli.run(&["import", "all.csv", "--type", "Task", "--yes"])
        .check(0, &["done: 0 created, 0 updated", "0 refused"]);
    cli.fails(&["export", "Task", "tasks.xml"], 2, &[".csv"]);
    cli.fails(
        &["export", "select count(id) from Task", "a.csv"],
        6,
        &["ftrack query"],
    );
}

#[test]
fn a_changed_export_changes_what_was_changed() {
    let (server, cli) = studio();
    let query =
        "select name, bid, status.name from Task where project.name is test order by id limit 5";
    cli.ok(&["export", query, "tasks.csv"]);
    let path = cli.folder().join("tasks.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let cells: Vec<String> = lines[2].split(',').map(str::to_owned).collect();
    lines[2] = format!("{},{},4711,In progress", cells[0], cells[1]);
    std::fs::write(&path, lines.join("\n")).unwrap();
    let run = cli.run(&["import", "tasks.csv", "--type", "Task", "--yes"]);
    run.check(0, &["done: 0 created, 1 updated, 4 left"]);
    let task = support::open(&server)
        .get("Task", cells[0].as_str())
        .unwrap()
        .unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 4711.0);
    assert_eq!(task.get::<String>("status.name").unwrap(), "In progress");
}

#[test]
fn contexts_are_identified_by_path() {
    let (server, cli) = studio();
    let rows = "path,bid,type\ntest/ep01/light,60,Generic\ntest/Import camera,61,Generic\ntest/ep09/x,1,Generic\n";
    cli.write("tasks.csv", rows);
    let run = cli.run(&["import", "tasks.csv", "--type", "Task", "--yes"]);
    run.check(
        10,
        &[
            "done: 1 created, 1 updated, 0 left as they are, 1 refused",
            "line 4:",
            "ep09",
        ],
    );
    let session = support::open(&server);
    let light = session.at("test/ep01/light").unwrap();
    assert_eq!(light.get::<f64>("bid").unwrap(), 60.0);
    cli.run(&["import", "tasks.csv", "--type", "Task", "--yes"])
        .check(10, &["done: 0 created, 0 updated, 2 left"]);
    cli.ok(&[
        "export",
        "Task where parent.name is ep01",
        "out.csv",
        "--columns",
        "path,bid",
    ]);
    let out = std::fs::read_to_string(cli.folder().join("out.csv")).unwrap();
    assert!(out.contains(",test/ep01/light,60\n"), "{out}");
}

/// How many requests an import of these rows makes, each of 500 rows.
fn requests(server: &Emulator, cli: &Cli, rows: &str, arguments: &[&str]) -> u64 {
    cli.write("rows.csv", rows);
    let before = server.requests();
    cli.run(&[&["import", "rows.csv"], arguments].concat())
        .check(0, &["0 refused"]);
    server.requests() - before
}

#[test]
fn rows_are_looked_up_together() {
    let (server, cli) = studio();
    cli.ok(&["whoami"]); // the schema is cached
    let mut rows = String::from("username,first_name\n");
    for number in 0..1000 {
        let _ = writeln!(rows, "user{number},First");
    }
    // Opening, and for each chunk one look and one commit.
    assert_eq!(requests(&server, &cli, &rows, &BY_NAME), 5);
    let unchanged = requests(&server, &cli, &rows, &BY_NAME);
    assert_eq!(unchanged, 3);
    // Names are compared as the server compares them.
    let other_case = rows.replace("\nuser", "\nUSER");
    cli.write("rows.csv", &other_case);
    cli.run(&import("rows.csv", &[]))
        .check(0, &["done: 0 created, 1000 updated"]);

    // A hundred shots in ten sequences: the sequences, the shots, their tasks.
    let paths = |depth: usize| {
        let mut rows = String::from("path,description\n");
        for sequence in 0..10 {
            let _ = match depth {
                1 => writeln!(rows, "test/s{sequence},x"),
                _ => Ok(()),
            };
            for shot in 0..10 {
                let _ = match depth {
                    2 => writeln!(rows, "test/s{sequence}/{shot},x"),
                    3 => (0..5)
                        .try_for_each(|task| writeln!(rows, "Test/S{sequence}/{shot}/t{task},x")),
                    _ => Ok(()),
                };
            }
        }
        rows
    };
    requests(&server, &cli, &paths(1), &["--type", "Sequence", "--yes"]);
    let shots = requests(&server, &cli, &paths(2), &["--type", "Shot", "--yes"]);
    assert!(shots <= 5, "{shots} requests for 100 shots");
    let tasks = requests(&server, &cli, &paths(3), &["--type", "Task", "--yes"]);
    assert!(tasks <= 7, "{tasks} requests for 500 tasks");
    let again = requests(&server, &cli, &paths(3), &["--type", "Task", "--yes"]);
    assert!(again <= 6, "{again} requests for 500 tasks that are there");
    let session = support::open(&server);
    let count = session
        .query("Task where parent.parent.name like \"s_\"")
        .unwrap();
    assert_eq!(count.count().unwrap(), 500);
}
