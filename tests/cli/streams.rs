//! `events relay`, `work`, `dead-letters` and `status`.
#![cfg(all(feature = "file-cache", unix))]

use std::process::{Child, Command, Stdio};

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
