//! The emulator as a program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use ftrack_emulator::Emulator;
use ftrack_emulator::schema::compact::Edition;
use serde_json::Value;

/// A local ftrack server to develop and test against.
///
/// The first line of the output holds the variables that ftrack clients read. It serves until it
/// is interrupted.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The port to listen on, on loopback only; 0 means any free one.
    #[arg(long, default_value_t = 0, value_name = "N")]
    port: u16,
    /// A folder to keep everything in until the next start; without one nothing is kept.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// About how many tasks a fresh studio has.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    tasks: usize,
    /// Milliseconds by which every response is delayed.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// A file with another site's schemas, as its `query_schemas` returns them; or one of the
    /// built-in ones: current, classic.
    #[arg(long, value_name = "FILE")]
    schemas: Option<PathBuf>,
    /// The user to connect as; made if the studio has no such user.
    #[arg(long, default_value = "jenkins", value_name = "U")]
    api_user: String,
    /// That user's key; without one a random key is made.
    #[arg(long, value_name = "K")]
    api_key: Option<String>,
    /// The version that the server says it has: dev, or three numbers. Below 4.0.0 the schema is
    /// the classic one.
    #[arg(long, default_value = "dev", value_name = "V", value_parser = version)]
    server_version: String,
    /// A second key of that user, with which it can only read.
    #[arg(long, value_name = "K")]
    read_only_key: Option<String>,
    /// A key that belongs to nobody: with it one acts as any active user.
    #[arg(long, value_name = "K")]
    global_key: Option<String>,
    /// A JSON file that describes a studio to add to the demo studio; a folder takes each once.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Let everybody on this machine queue faults at /emulator/faults.
    #[arg(long)]
    faults: bool,
    /// Refuse statuses and types that the schema of a project does not allow.
    #[arg(long)]
    enforce_workflows: bool,
    /// Print each request with its time to stderr.
    #[arg(long)]
    log: bool,
}

/// Reads a server version.
fn version(text: &str) -> Result<String, String> {
    let is_number = |part: &str| part.parse::<u32>().is_ok();
    match text == "dev" || (text.split('.').count() == 3 && text.split('.').all(is_number)) {
        true => Ok(text.to_owned()),
        false => Err("a version is dev, or three numbers such as 4.13.0".to_owned()),
    }
}

#[allow(clippy::print_stderr, reason = "a program")]
fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line with the causes. What `main` returns would be printed with a backtrace.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "a program")]
fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut builder = Emulator::builder()
        .port(arguments.port)
        .tasks(arguments.tasks)
        .latency(Duration::from_millis(arguments.latency))
        .api_user(arguments.api_user)
        .server_version(arguments.server_version)
        .faults(arguments.faults)
        .enforce_workflows(arguments.enforce_workflows)
        .log(arguments.log);
    if let Some(data) = arguments.data {
        builder = builder.data(data);
    }
    if let Some(key) = arguments.api_key {
        builder = builder.api_key(key);
    }
    if let Some(key) = arguments.read_only_key {
        builder = builder.read_only_key(key);
    }
    if let Some(key) = arguments.global_key {
        builder = builder.global_key(key);
    }
    if let Some(path) = arguments.schemas {
        builder = match path.to_str().and_then(Edition::named) {
            Some(edition) => builder.edition(edition),
            None => builder.schemas(read("schemas", &path)?),
        };
    }
    if let Some(path) = arguments.seed {
        builder = builder.seed(read("seed", &path)?);
    }
    // Signals are caught before anybody can know that there is something to stop.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupted = Interrupted::new()?;
        let emulator = builder.start()?;
        println!(
            "FTRACK_SERVER={} FTRACK_API_USER={} FTRACK_API_KEY={}",
            emulator.url(),
            emulator.api_user(),
            emulator.api_key()
        );
        interrupted.wait().await;
        anyhow::Ok(())
    })
}

fn read(what: &str, path: &Path) -> anyhow::Result<Value> {
    let subject = || format!("the {what} {} cannot be read", path.display());
    let text = std::fs::read(path).with_context(subject)?;
    serde_json::from_slice(&text).with_context(subject)
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct Interrupted {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupted {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C and Ctrl-Break.
#[cfg(windows)]
struct Interrupted {
    interrupt: tokio::signal::windows::CtrlC,
    terminate: tokio::signal::windows::CtrlBreak,
}

#[cfg(windows)]
impl Interrupted {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c};
        Ok(Self {
            interrupt: ctrl_c()?,
            terminate: ctrl_break()?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
