//! Memory does not grow with the number of rows: the most that the program had, as Linux counts it.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ftrack_emulator::Emulator;

use crate::{Cli, support};

/// How much more there may be, in KiB. A page of 500 tasks takes about 1,000 of them: what holds a few
/// pages more, or a part of all rows, has more.
const TOLERANCE: u64 = 1500;
const QUERY: &str =
    "select name, bid, start_date, status.name, type.name, parent.name from Task order by id";

/// The lines that a run prints, and the most memory that it had, in KiB.
fn run(cli: &Cli, arguments: &[&str]) -> (usize, u64) {
    let mut command = cli.command(arguments);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let reading = thread::spawn(move || {
        let (mut lines, mut buffer) = (0, vec![0; 64 << 10]);
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            lines += buffer[..count]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
        }
        lines
    });
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success(), "{arguments:?}");
    (reading.join().unwrap(), peak)
}

/// Compares the memory of few rows with that of many. On a busy machine the end of a run may be missed, which
/// makes it look small: then it is run again.
#[track_caller]
fn check(what: &str, few: impl Fn() -> u64, many: impl Fn() -> u64) {
    let (mut most, many) = (0, many());
    for _ in 0..5 {
        most = most.max(few());
        assert!(most > 5_000, "{what}: {most} KiB cannot be all");
        if many < most + TOLERANCE {
            return;
        }
    }
    panic!("{what}: {most} KiB for few rows, {many} KiB for many");
}

#[test]
fn any_number_of_rows_is_printed_in_the_same_memory() {
    let server = Emulator::builder().tasks(8000).start().unwrap();
    let cli = Cli::on(&server);
    cli.ok(&["whoami"]); // the schema is cached
    let query = |limit: &str, format: &str| {
        let arguments = ["query", QUERY, "--limit", limit, "--format", format];
        let (lines, peak) = run(&cli, &arguments);
        assert!(lines >= limit.parse::<usize>().unwrap(), "{lines} lines");
        peak
    };
    for format in ["csv", "ndjson", "table"] {
        check(format, || query("1000", format), || query("8000", format));
    }
    let export = |limit: &str| {
        let query = format!("Task limit {limit}");
        let arguments = ["export", &query, &format!("{limit}.csv"), "--overwrite"];
        run(&cli, &arguments).1
    };
    check("export", || export("1000"), || export("8000"));
    let lines = fs::read_to_string(cli.folder().join("8000.csv")).unwrap();
    assert_eq!(lines.lines().count(), 8001);
}

#[test]
fn any_number_of_rows_is_imported_in_the_same_memory() {
    let server = Emulator::builder().tasks(0).start().unwrap();
    let cli = Cli::on(&server);
    cli.ok(&["whoami"]); // the schema is cached
    let session = support::open(&server);
    let project = session.at("test").unwrap();
    for number in 0..50 {
        let data = ftrack_api::data! { "name": format!("shot{number}"), "parent": &project };
        session.create("Shot", data).unwrap();
    }
    session.commit().unwrap();
    let runs = AtomicUsize::new(0);
    let import = |count: usize| {
        let run_number = runs.fetch_add(1, Ordering::SeqCst);
        let mut rows = String::from("path,description,bid\n");
        for number in 0..count {
            let shot = number % 50;
            let _ = writeln!(
                rows,
                "test/shot{shot}/{run_number}_{number},A task of many.,3600"
            );
        }
        cli.write("tasks.csv", rows);
        run(&cli, &["import", "tasks.csv", "--type", "Task", "--yes"]).1
    };
    check("import", || import(1000), || import(5000));
}
