//! `events relay`, `work`, `dead-letters` and `status`.
#![cfg(all(feature = "file-cache", unix))]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ftrack_api::Event;
use ftrack_api::relay::Stream;
use serde_json::{Value as Json, json};

use crate::Cli;
use crate::support::{emulator, eventually};

/// Ends when the test does, whatever its result.
struct Running(Child);

impl Running {
    /// Sends a signal, and waits for the end.
    fn end(mut self, signal: &str) -> Option<i32> {
        let process = self.0.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args([signal, &process]).status().unwrap().success());
        self.0.wait().unwrap().code()
    }

    fn start(cli: &Cli, arguments: &[&str]) -> Self {
        let mut command = cli.command(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn events_are_relayed_worked_on_and_returned() {
    let server = emulator();
    let cli = Cli::on(&server);
    let stream = Stream::local(cli.folder().join("events.db"));
    let relay_process = Running::start(
        &cli,
        &[
            "events",
            "relay",
            "topic=studio.*",
            "--stream",
            "events.db",
            "--name",
            "one",
        ],
    );
    eventually("it is connected", || {
        let relays = stream
            .status()
            .map(|status| status.relays)
            .unwrap_or_default();
        relays
            .iter()
            .any(|relay| relay.name == "one" && relay.connected_at.is_some())
    });
    for number in 0..3 {
        let event =
            json!({ "topic": "studio.test", "id": format!("e{number}"), "data": { "n": number } });
        server.events().publish(event).unwrap();
    }
    eventually("they are appended", || {
        stream.status().unwrap().appended == 3
    });

    // It fails for one of them, and says why.
    let script = "read event; case $event in *'\"n\":1'*) echo no such shot >&2; exit 3;; esac; \
                  printf '%s\\n' \"$event\" >> handled";
    let arguments = [
        "events",
        "work",
        "--stream",
        "events.db",
        "--group",
        "g",
        "--attempts",
        "1",
        "--exec",
        "sh",
        "-c",
        script,
    ];
    let worker = Running::start(&cli, &arguments);
    eventually("all are handled", || {
        let group = stream.group("g").unwrap();
        group.is_some_and(|group| group.handled == 2 && group.dead == 1)
    });
    drop(worker);
    let handled = std::fs::read_to_string(cli.folder().join("handled")).unwrap();
    let ids: Vec<Json> = handled
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, ["e0", "e2"]);

    let place = [
        "events",
        "dead-letters",
        "--stream",
        "events.db",
        "--group",
        "g",
    ];
    let letter: Json = serde_json::from_str(&cli.ok(&place)).unwrap();
    assert_eq!(
        (&letter["event"]["id"], &letter["attempts"]),
        (&json!("e1"), &json!(1))
    );
    assert!(
        letter["error"].as_str().unwrap().contains("no such shot"),
        "{letter}"
    );
    let with = |more: &[&'static str]| [&place[..], more].concat();
    cli.fails(&with(&["--return", "99"]), 4, &["no dead letter 99"]);
    let unknown = [&place[..4], &["--group", "h"]].concat();
    cli.fails(&unknown, 4, &["no group h", "events work --group"]);
    let mistyped = [&place[..3], &["event.db", "--group", "g"]].concat();
    cli.fails(&mistyped, 4, &["no stream at event.db"]);
    assert!(!cli.folder().join("event.db").exists());
    cli.run(&with(&["--return", "all"]))
        .check(0, &["1 event is handed out again"]);
    assert_eq!(cli.ok(&place), "");
    let again = stream.group("g").unwrap().unwrap();
    assert_eq!((again.lag, again.dead_letters), (1, 0));

    let status = ["events", "status", "--stream", "events.db"];
    eventually("the relay reports", || {
        let relay = &stream.status().unwrap().relays[0];
        relay.appended == 3 && relay.waiting == 0
    });
    let printed = cli.ok(&[&status[..], &["--group", "g"]].concat());
    let printed: Json = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["length"], 3);
    let (group, relay) = (&printed["groups"][0], &printed["relays"][0]);
    assert_eq!(
        [&group["name"], &group["lag"], &group["handled"]],
        [&json!("g"), &json!(1), &json!(2)]
    );
    assert_eq!(
        [&relay["name"], &relay["waiting"], &relay["has_ended"]],
        [&json!("one"), &json!(0), &json!(false)]
    );
    assert!(relay["lag"].is_number() && relay["rate"].is_number());
    let unknown = [&status[..], &["--group", "h"]].concat();
    cli.fails(&unknown, 4, &["no group h"]);
    let all: Json = serde_json::from_str(&cli.ok(&status)).unwrap();
    assert_eq!(all["groups"], json!([group]));
    let remove = [&status[..], &["--remove-group", "g"]].concat();
    assert_eq!(cli.ok(&remove), "");
    cli.fails(&remove, 4, &["no group g"]);

    drop(relay_process);
    let remove = [&status[..], &["--remove-relay", "one"]].concat();
    assert_eq!(cli.ok(&remove), "");
    cli.fails(&remove, 4, &["no relay one"]);
    let printed: Json = serde_json::from_str(&cli.ok(&status)).unwrap();
    assert_eq!(
        (&printed["relays"], &printed["groups"]),
        (&json!([]), &json!([]))
    );
}

#[test]
fn a_stream_that_cannot_be_used_is_an_error() {
    let cli = Cli::reading();
    let work = |stream| {
        [
            "events", "work", "--stream", stream, "--group", "g", "--exec", "true",
        ]
    };
    // With a program that is not there every event would become a dead letter.
    let typo = [
        "events", "work", "--stream", "s.db", "--group", "g", "--exec", "nonesuch",
    ];
    cli.fails(&typo, 4, &["no program \"nonesuch\""]);
    cli.write("other", "precious");
    cli.run(&work("other")).check(2, &["path of its own"]);
    assert_eq!(
        std::fs::read_to_string(cli.folder().join("other")).unwrap(),
        "precious"
    );
}

#[test]
fn who_is_told_to_end_says_so_and_takes_nothing_with_it() {
    let server = emulator();
    let cli = Cli::on(&server);
    let stream = Stream::local(cli.folder().join("events.db"));
    let place = ["--stream", "events.db", "--name", "one"];
    // Ctrl-C, and what systemd sends.
    for (signal, group) in [("-INT", "g"), ("-TERM", "h")] {
        let relay = Running::start(&cli, &[&["events", "relay"], &place[..]].concat());
        let status = || {
            let relays = stream
                .status()
                .map_or_else(|_| Vec::new(), |status| status.relays);
            relays.into_iter().find(|relay| relay.name == "one")
        };
        eventually("it is connected", || {
            status().is_some_and(|relay| relay.connected_at.is_some() && !relay.has_ended)
        });
        assert_eq!(relay.end(signal), Some(0));
        assert!(status().unwrap().has_ended);

        let work = ["events", "work", "--group", group, "--exec", "true"];
        let worker = Running::start(&cli, &[&work[..4], &place[..], &work[4..]].concat());
        eventually("it waits", || stream.group(group).unwrap().is_some());
        assert_eq!(worker.end(signal), Some(0));
        let event = ftrack_api::Event::new("studio.test");
        stream.append([&event]).unwrap();
        let two = ftrack_api::relay::Worker::new(&stream, group, "two");
        loop {
            let delivery = two.next(None).unwrap().unwrap();
            let found = delivery.event().map(|event| event.id().to_owned());
            assert_eq!(delivery.attempt(), 1);
            delivery.ack().unwrap();
            if found.as_deref() == Some(event.id()) {
                break;
            }
        }
    }
}

/// A stream of this many events in the file `events.db`.
fn filled(cli: &Cli, count: usize) -> Stream {
    let stream = Stream::local(cli.folder().join("events.db"));
    let events: Vec<Event> = (0..count)
        .map(|number| Event::new("studio.test").with_data(json!({ "n": number })))
        .collect();
    stream.append(&events).unwrap();
    stream
}

/// `events work` of group `g`, which runs `script`.
fn work<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let place = ["events", "work", "--stream", "events.db", "--group", "g"];
    [&place[..], options, &["--exec", "sh", "-c", script]].concat()
}

fn lines(cli: &Cli, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(cli.folder().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_program_may_take_longer_than_the_lease() {
    let cli = Cli::reading();
    let stream = filled(&cli, 1);
    let script = "echo run >> runs; until [ -e go ]; do sleep 0.05; done";
    let arguments = work(&["--lease", "8"], script);
    let one = Running::start(&cli, &arguments);
    let two = Running::start(&cli, &arguments);
    eventually("it runs", || !lines(&cli, "runs").is_empty());
    // Two leases, in which the other worker must not get the event.
    thread::sleep(Duration::from_secs(17));
    cli.write("go", "");
    let group = || stream.group("g").unwrap().unwrap();
    eventually("it is handled", || group().lag == 0);
    assert_eq!((group().handled, group().dead, group().retried), (1, 0, 0));
    assert_eq!(lines(&cli, "runs"), ["run"]);
    assert_eq!((one.end("-TERM"), two.end("-TERM")), (Some(0), Some(0)));
}

#[test]
fn a_program_may_finish_when_its_worker_is_told_to_end() {
    let cli = Cli::reading();
    let stream = filled(&cli, 1);
    let script = "echo run >> runs; until [ -e go ]; do sleep 0.05; done";
    let arguments = work(&["--lease", "8"], script);
    let mut one = Running::start(&cli, &arguments);
    eventually("it runs", || !lines(&cli, "runs").is_empty());
    let process = one.0.id().to_string();
    let kill = Command::new("kill").args(["-TERM", &process]).status();
    assert!(kill.unwrap().success());
    let _two = Running::start(&cli, &arguments);
    // Its lease is extended nevertheless.
    thread::sleep(Duration::from_secs(17));
    cli.write("go", "");
    assert_eq!(one.0.wait().unwrap().code(), Some(0));
    let group = stream.group("g").unwrap().unwrap();
    assert_eq!((group.handled, group.taken_over, group.lag), (1, 0, 0));
    assert_eq!(lines(&cli, "runs"), ["run"]);
}

#[test]
fn a_program_that_hangs_is_killed_and_tried_again() {
    let cli = Cli::reading();
    let stream = filled(&cli, 1);
    let script = "echo $FTRACK_EVENT_ATTEMPT >> attempts; echo stuck in $FTRACK_EVENT_ATTEMPT >&2; \
                  exec sleep 600";
    let options = ["--time-limit", "4", "--attempts", "2"];
    let _worker = Running::start(&cli, &work(&options, script));
    eventually("it is a dead letter", || {
        let group = stream.group("g").unwrap();
        group.is_some_and(|group| group.dead_letters == 1)
    });
    assert_eq!(lines(&cli, "attempts"), ["1", "2"]);
    let letter = &stream.dead_letters("g").unwrap()[0];
    let expected = "sh: killed after 4 s, its --time-limit: stuck in 2";
    assert_eq!(letter.error, expected);
    for option in ["--time-limit", "--lease"] {
        for length in ["0", "-1", "soon"] {
            let option = format!("{option}={length}");
            let arguments = work(&[&option], "true");
            cli.fails(&arguments, 2, &["not a length of time"]);
        }
    }
}

#[test]
fn what_a_program_leaves_running_holds_nothing_up() {
    let cli = Cli::reading();
    let stream = filled(&cli, 2);
    // It has the pipe of standard error.
    let script = "sleep 600 & echo $! >> left";
    let worker = Running::start(&cli, &work(&[], script));
    eventually("all are handled", || {
        let group = stream.group("g").unwrap();
        group.is_some_and(|group| group.handled == 2)
    });
    assert_eq!(worker.end("-TERM"), Some(0));
    for process in lines(&cli, "left") {
        let kill = Command::new("kill").arg(&process).status();
        assert!(kill.unwrap().success(), "{process} was waited for");
    }
}

#[test]
fn the_example_of_the_help_writes_a_line_for_each_event() {
    let cli = Cli::reading();
    let stream = filled(&cli, 2);
    let help = cli.ok(&["events", "work", "--help"]);
    assert!(help.contains("FTRACK_EVENT_ATTEMPT"), "{help}");
    let example = help
        .lines()
        .find(|line| line.contains("events.ndjson"))
        .unwrap();
    let mut words = shell_words::split(example.trim()).unwrap();
    let place = words
        .iter_mut()
        .find(|word| word.ends_with("events.db"))
        .unwrap();
    "events.db".clone_into(place);
    let group = words[words.iter().position(|word| word == "--group").unwrap() + 1].clone();
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let worker = Running::start(&cli, &words);
    eventually("all are handled", || {
        let group = stream.group(&group).unwrap();
        group.is_some_and(|group| group.handled == 2)
    });
    drop(worker);
    let numbers: Vec<Json> = lines(&cli, "events.ndjson")
        .iter()
        .map(|line| serde_json::from_str::<Json>(line).unwrap()["data"]["n"].clone())
        .collect();
    assert_eq!(numbers, [json!(0), json!(1)]);
}

#[test]
fn a_new_group_begins_where_it_is_told() {
    let cli = Cli::reading();
    let stream = filled(&cli, 3);
    let worker = Running::start(&cli, &work(&["--start", "newest"], "cat >> handled"));
    eventually("the group is there", || {
        stream.group("g").unwrap().is_some()
    });
    let event = Event::new("studio.new");
    stream.append([&event]).unwrap();
    eventually("it is handled", || {
        stream
            .group("g")
            .unwrap()
            .is_some_and(|group| group.handled > 0)
    });
    drop(worker);
    let handled = lines(&cli, "handled");
    assert!(
        handled.len() == 1 && handled[0].contains("studio.new"),
        "{handled:?}"
    );
    assert_eq!(stream.group("g").unwrap().unwrap().lag, 0);
}

#[test]
fn what_is_neither_a_url_nor_a_file_is_refused() {
    let cli = Cli::reading();
    for stream in ["redis.studio:6379", "http://ada:s3cret@redis.studio"] {
        for action in [
            &["relay", "--name", "one"][..],
            &["work", "--group", "g", "--exec", "true"],
            &["status"],
            &["dead-letters", "--group", "g"],
        ] {
            let arguments = [&["events", action[0], "--stream", stream], &action[1..]].concat();
            let run = cli.fails(&arguments, 2, &["--stream", "redis://HOST:PORT"]);
            assert!(!run.err.contains("s3cret"), "{}", run.err);
        }
    }
    let files = std::fs::read_dir(cli.folder()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(files.iter().all(|file| file == "schema"), "{files:?}");
    // Capitals make no file either.
    let status = ["events", "status", "--stream", "Redis://127.0.0.1:1"];
    cli.fails(&status, 7, &[]);
    // A worker may be there before the relay: it is told.
    let mut command = cli.command(&work(&[], "true"));
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut worker = Running(child);
    let mut said = BufReader::new(worker.0.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    assert!(first.contains("no stream at events.db yet"), "{first}");
    let second = said.next().unwrap().unwrap();
    assert!(second.contains("working for group g"), "{second}");
}

#[test]
fn dead_letters_are_removed_and_shown_as_they_are() {
    let cli = Cli::reading();
    let stream = filled(&cli, 3);
    // Somebody else has put one there.
    let file = rusqlite::Connection::open(cli.folder().join("events.db")).unwrap();
    let foreign = r#"UPDATE entry SET fields = '[["hello","world"]]' WHERE number = 2"#;
    assert_eq!(file.execute(foreign, []).unwrap(), 1);
    let worker = Running::start(&cli, &work(&["--attempts", "1"], "exit 1"));
    eventually("all are dead letters", || {
        let group = stream.group("g").unwrap();
        group.is_some_and(|group| group.dead_letters == 3)
    });
    drop(worker);
    let place = ["events", "dead-letters", "--stream", "events.db"];
    let with = |more: &[&'static str]| [&place[..], more].concat();
    let printed = cli.ok(&with(&["--group", "g"]));
    let mut letters = printed
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let unreadable = letters.find(|letter| letter["event"].is_null()).unwrap();
    assert_eq!(unreadable["fields"], json!({ "hello": "world" }));
    assert!(letters.all(|letter| letter.get("fields").is_none()));
    cli.run(&with(&["--group", "g", "--remove", "all"]))
        .check(0, &["removed 3 dead letters"]);
    cli.run(&with(&["--group", "g", "--remove", "all"]))
        .check(0, &["removed 0 dead letters"]);
    assert_eq!(stream.group("g").unwrap().unwrap().dead_letters, 0);
    for action in ["--remove", "--return"] {
        cli.fails(&with(&["--group", "h", action, "all"]), 4, &["no group h"]);
    }
}
