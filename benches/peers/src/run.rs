//! The driver: starts the server, lets the contenders play in turns, and writes down the figures.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, ensure};

use crate::figures::Figures;
use crate::install::{self, Clients};
use crate::jobs::{self, Job, Place, Who};
use crate::server::Ready;
use crate::{chart, table};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// How many tasks are loaded; a page's multiple.
    pub(crate) tasks: usize,
    /// How many are updated and created, and loaded where few are; a page's multiple too.
    pub(crate) changes: usize,
    pub(crate) runs: usize,
}

pub(crate) const FULL: Size = Size {
    tasks: 10_000,
    changes: 1_000,
    runs: 7,
};

/// Enough to see that everything still works.
pub(crate) const QUICK: Size = Size {
    tasks: 1_000,
    changes: 500,
    runs: 1,
};

pub(crate) fn run(size: Size, write: bool) -> Result<()> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("a target folder")?;
    let clients = install::clients(target)?;
    let folder = tempfile::tempdir()?;
    let (_server, ready) = start_server(&size, folder.path())?;
    fs::write(
        folder.path().join("work.json"),
        serde_json::to_vec(&ready.work)?,
    )?;
    // The Python client writes only into a folder that exists.
    fs::create_dir(folder.path().join("python"))?;
    let place = Place {
        clients: &clients,
        server: &ready.url,
        slow_server: &ready.slow_url,
        folder: folder.path(),
    };
    let figures = measure(&size, &place)?;
    let about = about(&size, &ready, &clients);
    let table = format!("{about}\n{}", table::render(&figures, &size));
    println!("{table}");
    let chart = chart::draw(&figures, &size)?;
    fs::write(target.join("performance.svg"), &chart)?;
    if write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        fs::write(docs.join("performance.svg"), &chart)?;
        splice(&docs.join("PERFORMANCE.md"), &table)?;
    }
    Ok(())
}

fn measure(size: &Size, place: &Place<'_>) -> Result<Figures> {
    // Fills the schema caches, and brings the programs into memory.
    for who in [Who::Ours, Who::Module, Who::Python, Who::JavaScript] {
        let job = Job {
            who,
            scenario: "start",
            count: 0,
        };
        job.play(place)?;
    }
    let mut figures = Figures::default();
    let jobs = jobs::all(size);
    for round in 1..=size.runs {
        eprintln!("round {round} of {}", size.runs);
        for job in &jobs {
            figures.add(*job, job.play(place)?);
        }
    }
    figures.check()?;
    Ok(figures)
}

/// What was measured, where.
fn about(size: &Size, ready: &Ready, clients: &Clients) -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = match load.split(' ').next() {
        Some(load) if !load.is_empty() => format!(", load {load} at the end"),
        _ => String::new(),
    };
    format!(
        "Medians of {} runs on {cores} cores{load}; {}, {} {}, {} {}. The {} tasks of 13 attributes \
         are {:.2} MB in pages of 500, {:.2} MB with every reference in full, which is what \
         `rows` and its floor read, and {:.2} MB with users' data.\n",
        size.runs,
        clients.versions,
        install::PYTHON.0,
        install::PYTHON.1,
        install::JAVASCRIPT.0,
        install::JAVASCRIPT.1,
        table::grouped(size.tasks),
        ready.bytes as f64 / 1e6,
        ready.full_bytes as f64 / 1e6,
        ready.users_bytes as f64 / 1e6,
    )
}

/// A process that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the replaying server, which records an emulator that is gone when this returns.
fn start_server(size: &Size, folder: &Path) -> Result<(Ended, Ready)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // As `cargo test --workspace` builds it: for itself it would be built with other features.
    let build = "test --quiet --workspace --no-run --test on_demand --message-format json";
    let built = Command::new(cargo)
        .args(build.split(' '))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(built.status.success(), "the emulator does not build");
    let built = String::from_utf8(built.stdout)?;
    let mut emulator = built.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = line["target"]["name"] == "ftrack-emulator";
        line["executable"]
            .as_str()
            .filter(|_| is_it)
            .map(str::to_owned)
    });
    let emulator = emulator.next_back().context("cargo names no emulator")?;
    // "About" as many tasks as asked for.
    let tasks = (size.tasks + size.tasks / 5).to_string();
    let mut emulator = Ended(
        Command::new(emulator)
            .args(["--tasks", &tasks, "--data"])
            .arg(folder.join("emulator"))
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let line = first_line(&mut emulator.0)?;
    let variables = line
        .split_whitespace()
        .filter_map(|word| word.split_once('='));
    let mut server = Ended(
        Command::new(std::env::current_exe()?)
            .args(["serve", &size.tasks.to_string(), &size.changes.to_string()])
            .envs(variables)
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let ready = serde_json::from_str(&first_line(&mut server.0)?)?;
    Ok((server, ready))
}

/// Waits for a process to say that it is ready.
fn first_line(process: &mut Child) -> Result<String> {
    let mut line = String::new();
    let output = process.stdout.as_mut().context("a pipe")?;
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.is_empty(), "a server did not start");
    Ok(line)
}

/// Puts the table between its marks.
fn splice(path: &Path, table: &str) -> Result<()> {
    const BEGIN: &str = "<!-- written by benches/peers -->\n";
    const END: &str = "<!-- end of what benches/peers wrote -->";
    let text = fs::read_to_string(path)?;
    let begin = text
        .find(BEGIN)
        .context("the table's beginning is not marked")?
        + BEGIN.len();
    let end = text.find(END).context("the table's end is not marked")?;
    let text = format!("{}\n{table}\n{}", &text[..begin], &text[end..]);
    Ok(fs::write(path, text)?)
}
