//! What the command line costs: `cargo bench --bench command_line`.
//!
//! Programs run as processes of their own against an emulator in this one, so that each is measured
//! alone: CPU time and peak memory as Linux counts them.
//!
//! `ftrack` is compared with the library's `rows`, which read the same columns of the same rows and do
//! nothing with them: into structs that know the columns, with as many pages in a request as `rows` takes
//! by itself and with one as `ftrack` takes, and into JSON values, which like `ftrack` learn of the
//! columns when they run.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::Session;
use ftrack_emulator::Emulator;
use serde::Deserialize;

const TASKS: usize = 100_000;
const IMPORTED: usize = 10_000;
const QUERY: &str =
    "select name, bid, start_date, status.name, type.name, parent.name from Task order by id";
const ROUNDS: usize = 3;
const CHILD: &str = "FTRACK_BENCH_ROWS";
/// What the child does, as in the arguments of [`rows`], and how that is called. What `ftrack` is compared with is
/// the first.
const CHILDREN: [(&str, &str); 3] = [
    ("structs 1", "`rows` into structs, a page in a request"),
    ("structs 8", "`rows` into structs, pages as they come"),
    ("values 1", "`rows` into JSON values, a page in a request"),
];

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read into")]
struct Task {
    name: String,
    bid: Option<f64>,
    start_date: Option<String>,
    status: Option<Named>,
    r#type: Option<Named>,
    parent: Option<Named>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read into")]
struct Named {
    name: Option<String>,
}

struct Cost {
    wall: Duration,
    first_line: Duration,
    cpu: f64,
    peak_kib: u64,
    requests: u64,
}

fn main() {
    if let Ok(arguments) = std::env::var(CHILD) {
        return rows(&arguments);
    }
    let started = Instant::now();
    let server = Emulator::builder()
        .tasks(TASKS)
        .start()
        .expect("an emulator");
    println!(
        "a studio of {TASKS} tasks is there after {:.0?}",
        started.elapsed()
    );
    let folder = tempfile::tempdir().expect("a folder");
    let own = std::env::current_exe().expect("this program");
    let ftrack = Path::new(env!("CARGO_BIN_EXE_ftrack"));
    println!("| what | wall s | first row ms | CPU s | peak MB | requests |");
    println!("|---|---:|---:|---:|---:|---:|");
    // The schema is cached from here on.
    run(&server, ftrack, &["whoami"], &[], folder.path());
    let mut totals: Vec<(String, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        for limit in [1000, TASKS] {
            let text = limit.to_string();
            let mut measure = |what: &str, program: &Path, arguments: &[&str], child: &str| {
                let cost = run(
                    &server,
                    program,
                    arguments,
                    &[(CHILD, child)],
                    folder.path(),
                );
                show(&format!("{what}, {limit} tasks"), &cost);
                match totals.iter_mut().find(|(known, _)| known == what) {
                    _ if limit < TASKS => {}
                    Some((_, total)) => *total += cost.cpu,
                    None => totals.push((what.to_owned(), cost.cpu)),
                }
            };
            for (child, what) in CHILDREN {
                measure(what, &own, &[], &format!("{child} {limit}"));
            }
            for format in ["csv", "ndjson"] {
                let arguments = ["query", QUERY, "--limit", &text, "--format", format];
                measure(
                    &format!("`ftrack query` as {format}"),
                    ftrack,
                    &arguments,
                    "",
                );
            }
        }
    }
    // CPU time is counted in hundredths of a second: the sums say more than the rounds.
    println!("\nCPU of {ROUNDS} rounds of {TASKS} tasks:");
    for (what, total) in &totals {
        let ratio = total / totals[0].1;
        println!("- {what}: {total:.2} s, {ratio:.2} of the first");
    }
    println!();
    let mut rows = String::from("username,first_name,email\n");
    for number in 0..IMPORTED {
        writeln!(rows, "user{number},First,user{number}@example.com").expect("memory");
    }
    let file = folder.path().join("users.csv");
    for (what, text) in [
        ("creating", rows.clone()),
        ("updating", rows.replace("First", "Second")),
        ("changing nothing of", rows.replace("First", "Second")),
    ] {
        fs::write(&file, text).expect("a file");
        let arguments = [
            "import",
            "users.csv",
            "--type",
            "User",
            "--by",
            "username",
            "--yes",
        ];
        let cost = run(&server, ftrack, &arguments, &[], folder.path());
        show(&format!("`ftrack import` {what} {IMPORTED} users"), &cost);
    }
}

/// The child: reads all rows, and does nothing with them.
fn rows(arguments: &str) {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let [kind, pages, limit] = arguments[..] else {
        unreachable!("{arguments:?}")
    };
    let session = Session::from_env().expect("a session");
    let query = session
        .query(format!("{QUERY} limit {limit}"))
        .expect("a query")
        .pages_per_request(pages.parse().expect("a number"));
    let count = match kind {
        "structs" => count(query.rows::<Task>()),
        _ => count(query.rows::<serde_json::Value>()),
    };
    println!("{count}");
}

fn count<T>(rows: impl Iterator<Item = ftrack_api::Result<T>>) -> usize {
    rows.fold(0, |count, row| {
        drop(row.expect("a row"));
        count + 1
    })
}

fn run(
    server: &Emulator,
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    folder: &Path,
) -> Cost {
    let before = (children_cpu(), server.requests());
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("FTRACK_SERVER", server.url())
        .env("FTRACK_API_USER", server.api_user())
        .env("FTRACK_API_KEY", server.api_key())
        .env("FTRACK_API_SCHEMA_CACHE_PATH", folder.join("schema"))
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let status = format!("/proc/{}/status", child.id());
    let watching = thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = peak_of(&status) {
            peak = peak.max(now);
            thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let mut line = String::new();
    // A line of names, then the first row.
    let _ = output.read_line(&mut line);
    let _ = output.read_line(&mut line);
    let first_line = started.elapsed();
    std::io::copy(&mut output, &mut std::io::sink()).expect("its output");
    let ended = child.wait().expect("it ends");
    assert!(ended.success(), "{arguments:?}: {ended}");
    Cost {
        wall: started.elapsed(),
        first_line,
        cpu: children_cpu() - before.0,
        peak_kib: watching.join().expect("it does not panic"),
        requests: server.requests() - before.1,
    }
}

/// The seconds of CPU that children have taken which have ended.
fn children_cpu() -> f64 {
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = fields.get(14..16).into_iter().flatten();
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// The most memory that a process has had, until it has ended.
fn peak_of(status: &str) -> Option<u64> {
    let lines = BufReader::new(File::open(status).ok()?).lines();
    let mut peaks = lines.filter_map(|line| line.ok()?.strip_prefix("VmHWM:").map(str::to_owned));
    peaks.next()?.split_whitespace().next()?.parse().ok()
}

fn show(what: &str, cost: &Cost) {
    println!(
        "| {what} | {:.2} | {:.0} | {:.2} | {:.1} | {} |",
        cost.wall.as_secs_f64(),
        cost.first_line.as_secs_f64() * 1000.0,
        cost.cpu,
        cost.peak_kib as f64 / 1024.0,
        cost.requests,
    );
}
