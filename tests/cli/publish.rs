//! `publish`: plans, keys, and what is interrupted.

use std::fs;

use ftrack_api::{Entity, Session};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;

use crate::{Cli, Run, support};

const SHOT: &str = "test/ep01/sq010/sh0010";

fn studio() -> (Emulator, Cli) {
    let server = support::emulator();
    let cli = Cli::on(&server);
    cli.write("plate.mov", vec![7; 3 << 20]);
    for number in 1..=3 {
        cli.write(&format!("dust.{number:02}.txt"), format!("frame {number}"));
    }
    (server, cli)
}

fn versions(session: &Session) -> Vec<Entity> {
    let versions = "select version, comment, task.name, status.name from AssetVersion \
                    where asset.name is plate and asset.parent.name is sh0010 order by version";
    session.query(versions).unwrap().all().unwrap()
}

fn publish<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["publish", "plate.mov", "--to", SHOT], more].concat()
}

#[test]
fn a_version_with_its_files_is_published() {
    let (server, cli) = studio();
    let session = support::open(&server);
    let arguments = publish(&["frames=dust.%02d.txt [1-3]", "--comment", "Regraded."]);
    let plan = cli.ok(&[&arguments[..], &["--dry-run"]].concat());
    assert!(
        plan.starts_with("create asset \"plate\"\ncreate a version\nupload plate from plate.mov\n"),
        "{plan}"
    );
    assert_eq!(versions(&session).len(), 0);
    cli.fails(&arguments, 2, &["no terminal", "--yes"]);

    let media = ["--thumbnail", "plate.mov", "--review", "plate.mov"];
    let note = ["--note", "Please look.", "--recipient", &cli.user, "--yes"];
    let run = cli.run(&[&arguments[..], &media, &note].concat());
    run.check(0, &["plate v001 has 2 components", "being encoded"]);
    let [version] = &versions(&session)[..] else {
        panic!("one version")
    };
    assert_eq!(run.out, format!("AssetVersion:{}\n", version.id()));
    assert_eq!(version.get::<String>("comment").unwrap(), "Regraded.");
    let key = run.out.trim();
    let listed = cli.ok(&["components", key, "--format", "csv"]);
    assert!(
        listed.starts_with("id,name,file_type,size,locations\n"),
        "{listed}"
    );
    assert!(
        listed.contains(",plate,.mov,3145728,ftrack.server\n") && listed.contains(",frames,"),
        "{listed}"
    );
    let notes = version.get::<Vec<Entity>>("notes").unwrap();
    assert_eq!(notes.len(), 1);
    // What one of it is published again is the next version.
    cli.run(&publish(&["--yes"])).check(0, &["plate v002"]);
    cli.ok(&["download", key, "--component", "plate", "--dir", "copies"]);
    let copy = fs::read(cli.folder().join("copies/plate.mov")).unwrap();
    assert_eq!(copy.len(), 3 << 20);
}

#[test]
fn a_task_is_published_to_its_shot() {
    let (server, cli) = studio();
    let session = support::open(&server);
    let shot = session.at(SHOT).unwrap();
    let data = ftrack_api::data! { "name": "comp", "parent": &shot };
    session.create("Task", data).unwrap();
    session.commit().unwrap();
    let task = format!("{SHOT}/comp");
    cli.ok(&["publish", "plate.mov", "--to", &task, "--yes"]);
    let [version] = &versions(&session)[..] else {
        panic!("one version")
    };
    assert_eq!(version.get::<String>("task.name").unwrap(), "comp");
    cli.fails(
        &["publish", "plate.mov", "--to", "test/nonesuch"],
        4,
        &["nonesuch"],
    );
    let user = format!("User:{}", session.user().unwrap().id());
    cli.fails(
        &["publish", "plate.mov", "--to", &user],
        6,
        &["not a context"],
    );
}

#[test]
fn one_key_is_one_version() {
    let (server, cli) = studio();
    let session = support::open(&server);
    let arguments = publish(&["--key", "job 1", "--yes"]);
    let first = cli.ok(&arguments);
    let again = cli.run(&arguments);
    again.check(0, &["published before", "plate v001"]);
    assert_eq!(again.out, first);
    let plan = cli.ok(&publish(&["--key", "job 1", "--dry-run"]));
    assert!(
        plan.lines().all(|line| line.starts_with("done: ")),
        "{plan}"
    );
    cli.fails(
        &publish(&["--key", "job 1", "--asset", "other", "--yes"]),
        6,
        &["job 1", "another key"],
    );
    cli.write("plate.mov", "another plate");
    cli.fails(
        &arguments,
        6,
        &["the size of plate.mov is 13", "another key"],
    );
    assert_eq!(versions(&session).len(), 1);
}

#[test]
fn an_interrupted_publish_goes_on_with_its_key() {
    for own_key in [true, false] {
        let (server, cli) = studio();
        let session = support::open(&server);
        // The files are there, and the commit is not done.
        server
            .faults()
            .push(Fault::dropped().only("create").times(20));
        let key: &[&str] = if own_key { &["--key", "job 1"] } else { &[] };
        let arguments = publish(&[key, &["--yes"]].concat());
        let run = cli.run(&arguments);
        assert_ne!(run.code, 0, "{}", run.err);
        assert!(
            run.err.contains("goes on where this one has ended"),
            "{}",
            run.err
        );
        assert_eq!(versions(&session).len(), 0);
        server.faults().clear();
        // It says which key it has made.
        let said: Vec<&str> = run.err.split("--key ").skip(1).collect();
        assert_eq!(said.is_empty(), own_key, "{}", run.err);
        let arguments = match said.first().and_then(|rest| rest.split(' ').next()) {
            Some(key) => publish(&["--key", key, "--yes"]),
            None => arguments,
        };
        let first = cli.ok(&arguments);
        assert_eq!(cli.ok(&arguments), first);
        assert_eq!(versions(&session).len(), 1);
    }
}

#[test]
fn what_cannot_be_published_is_explained() {
    let (server, cli) = studio();
    let before = server.requests();
    cli.fails(
        &["publish", "none.mov", "--to", SHOT],
        4,
        &["no file none.mov"],
    );
    cli.fails(
        &publish(&["plate=dust.01.txt"]),
        2,
        &["two files are called \"plate\""],
    );
    cli.fails(&publish(&["--review", "none.mov"]), 4, &["none.mov"]);
    cli.fails(&publish(&["--recipient", "ada"]), 2, &["--note"]);
    assert_eq!(server.requests(), before, "nothing was asked of the server");
    cli.fails(
        &publish(&["--status", "nonesuch", "--yes"]),
        4,
        &["nonesuch"],
    );
    cli.fails(&publish(&["--type", "nonesuch", "--yes"]), 4, &["nonesuch"]);
    cli.fails(&publish(&["--location", "moon"]), 4, &["moon"]);
    let Run { err, .. } = cli.run(&["publish", "plate.mov"]);
    assert!(err.contains("--to"), "{err}");
}
