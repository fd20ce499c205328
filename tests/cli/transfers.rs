//! `upload`, `download` and `components`; and `events`.

use std::fs;

use crate::{Cli, support};

fn version(session: &ftrack_api::Session) -> String {
    let version = session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    format!("AssetVersion:{}", version.id())
}

#[test]
fn files_and_sequences_go_up_and_come_down() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    let version = version(&support::open(&server));
    cli.write("still.png", "an image");
    for number in 1..=3 {
        cli.write(&format!("dust.{number:02}.txt"), format!("frame {number}"));
    }
    let key = cli.ok(&["upload", "still.png", "--to", &version]);
    assert!(key.starts_with("FileComponent:"), "{key}");
    let frames = ["dust.01.txt", "dust.02.txt", "dust.03.txt"];
    let arguments = [
        &["upload"][..],
        &frames,
        &["--sequence", "--to", &version, "--connections", "2"],
    ];
    let key = cli.ok(&arguments.concat());
    assert!(
        key.starts_with("SequenceComponent:") && key.lines().count() == 1,
        "{key}"
    );

    let listed = cli.ok(&["components", &version]);
    assert!(
        listed.contains("\"still\"") && listed.contains("ftrack.server"),
        "{listed}"
    );
    let table = cli.ok(&["components", &version, "--format", "table"]);
    assert!(
        table.contains("dust") && table.contains("ftrack.server"),
        "{table}"
    );

    let arguments = [
        "download",
        &version,
        "--component",
        "still",
        "--component",
        "dust",
        "--dir",
        "copies",
    ];
    let paths = cli.ok(&arguments);
    assert_eq!(paths.lines().count(), 2, "{paths}");
    let copies = cli.folder().join("copies");
    assert_eq!(
        fs::read_to_string(copies.join("still.png")).unwrap(),
        "an image"
    );
    let members: Vec<_> = fs::read_dir(copies.join("dust")).unwrap().collect();
    assert_eq!(members.len(), 3, "{members:?}");
    cli.fails(&arguments, 6, &[" exists already", "--overwrite"]);
    cli.ok(&[&arguments[..], &["--overwrite"]].concat());
    cli.ok(&["upload", "still.png", "--to", &version]);
    cli.fails(&arguments, 6, &["would both become", "FileComponent:ID"]);
}

#[test]
fn what_cannot_be_transferred_is_explained() {
    let server = support::emulator();
    let cli = Cli::on(&server);
    let version = version(&support::open(&server));
    cli.fails(
        &["upload", "none.png", "--to", &version],
        4,
        &["no file none.png"],
    );
    cli.fails(
        &["upload", "a.%04d.x [1-2]", "--to", &version],
        4,
        &["a.0001.x"],
    );
    cli.write("a.txt", "a");
    let task = "Task:adb4ad6c-7679-11e2-8df2-f23c91df25eb";
    cli.fails(&["upload", "a.txt", "--to", task], 6, &["AssetVersion"]);
    cli.fails(
        &["upload", "a.txt", "--to", &version, "--location", "moon"],
        4,
        &["moon"],
    );
    // One that no plugin has bound here.
    support::open(&server)
        .ensure(
            "Location",
            ftrack_api::data! { "name": "studio.disk" },
            "name",
        )
        .unwrap();
    cli.fails(
        &[
            "upload",
            "a.txt",
            "--to",
            &version,
            "--location",
            "studio.disk",
        ],
        2,
        &[
            "has no structure in this session",
            "FTRACK_EVENT_PLUGIN_PATH",
        ],
    );
    cli.fails(&["components", task], 6, &["no components"]);
    cli.fails(
        &["download", &version, "--component", "nonesuch"],
        4,
        &["no such components"],
    );
}

#[test]
fn events_are_published_followed_recorded_and_replayed() {
    let cli = Cli::reading();
    let follow = |arguments: &[&str]| {
        let mut command = cli.command(arguments);
        let piped = std::process::Stdio::piped;
        let mut child = command.stdout(piped()).stderr(piped()).spawn().unwrap();
        // It says so once it follows.
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert!(line.contains("following"), "{line}");
        child
    };
    let tail = follow(&[
        "events",
        "tail",
        "topic=studio.one",
        "--count",
        "2",
        "--for",
        "60",
    ]);
    let recorder = follow(&[
        "events",
        "record",
        "one.ndjson",
        "topic=studio.one",
        "--count",
        "2",
        "--for",
        "60",
    ]);
    let id = cli.ok(&["events", "publish", "studio.one", "{\"frames\": 1}"]);
    cli.ok(&["events", "publish", "studio.other"]);
    cli.ok(&["events", "publish", "studio.one", "{\"frames\": 2}"]);
    let tail = crate::Run::of(tail.wait_with_output().unwrap());
    assert_eq!(
        (tail.code, tail.out.lines().count()),
        (0, 2),
        "{}",
        tail.out
    );
    assert!(
        tail.out.contains(id.trim()) && tail.out.contains("{\"frames\":2}"),
        "{}",
        tail.out
    );
    assert!(recorder.wait_with_output().unwrap().status.success());

    let tail = follow(&[
        "events",
        "tail",
        "topic=studio.one",
        "--count",
        "2",
        "--for",
        "60",
    ]);
    cli.run(&["events", "replay", "one.ndjson", "--speed", "0"])
        .check(0, &["published 2 events"]);
    let tail = crate::Run::of(tail.wait_with_output().unwrap());
    assert!(
        tail.out.contains("{\"frames\":1}") && !tail.out.contains(id.trim()),
        "{}",
        tail.out
    );
    cli.run(&["events", "replay", "one.ndjson", "--topic", "x"])
        .check(0, &["published 0 events"]);

    // What the hub says of itself is no event of others, and must not be published again.
    cli.run(&["events", "record", "all.ndjson", "--for", "0.5"])
        .check(0, &["0 events"]);
    let mut lines = std::fs::read_to_string(cli.folder().join("one.ndjson")).unwrap();
    let own = lines
        .lines()
        .next()
        .unwrap()
        .replace("studio.one", "ftrack.meta.connected");
    lines.push_str(&own);
    lines.push_str("\nno event\n");
    cli.write("broken.ndjson", lines);
    let broken = ["events", "replay", "broken.ndjson", "--speed", "0"];
    cli.fails(
        &broken,
        6,
        &["published 2 events, and not the rest", "line 4"],
    );

    cli.fails(
        &["events", "publish", "studio.one", "{frames"],
        6,
        &["not JSON", "quote"],
    );
    cli.fails(&["events", "tail", "topic is"], 6, &["error:"]);
    cli.fails(&["events", "tail", "--count", "0"], 2, &["--count"]);
    cli.fails(&["events", "publish", ""], 2, &["TOPIC"]);
    cli.write("bad.ndjson", "{}\n");
    cli.fails(&["events", "replay", "bad.ndjson"], 6, &["line 1"]);
    cli.fails(&["events", "replay", "none.ndjson"], 9, &["none.ndjson"]);
    cli.fails(
        &["events", "replay", "one.ndjson", "--speed=-1"],
        2,
        &["speed"],
    );
    cli.fails(
        &["events", "publish", "studio.nobody", "--reply", "0.2"],
        7,
        &["error:", "--reply waits longer"],
    );
}
