//! `ftrack events work`: runs a program for each event of a stream.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ftrack_api::relay::{Delivery, Start, Worker};
use ftrack_api::{Event, anyhow};
use serde_json::json;

use super::relay::until_cancelled;
use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::program::{self, Limits};
use crate::terminal;

/// How much of a program's standard error a dead letter holds.
const MAX_STDERR_CHARS: usize = 2000;

/// What a worker does.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The program gets the event as one line of JSON on standard input, and in \
FTRACK_EVENT_ATTEMPT how often the event was tried, this time included. Its success acknowledges the event; \
otherwise the event is tried again, after 1, 2, 4, … seconds. While it runs, no other worker gets the event.

Examples:
  ftrack events work --group mail --stream redis://events.studio --start newest --exec send-mail
  ftrack events work --group log --stream events.db --exec sh -c 'cat >> events.ndjson'"
)]
pub(super) struct WorkOptions {
    #[command(flatten)]
    place: Place,
    /// The group that shares the events
    #[arg(long)]
    group: String,
    /// The name of this worker
    #[arg(long, default_value_t = default_name())]
    name: String,
    /// Where the group begins if it is new
    #[arg(long, value_enum, default_value_t)]
    start: StartAt,
    /// Handle the events of an entity one after the other
    #[arg(long)]
    ordered: bool,
    /// After how long another worker takes an event over whose worker is dead; a program may take longer
    #[arg(long, default_value = "300", value_parser = seconds, value_name = "SECONDS")]
    lease: Duration,
    /// After how long a program is killed, and the attempt has failed; without it, a program may take any time
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    time_limit: Option<Duration>,
    /// How often an event is tried before it becomes a dead letter
    #[arg(long, default_value_t = 5)]
    attempts: u32,
    /// Give gaps to the program as well, as {"gap": …}
    #[arg(long)]
    gaps: bool,
    /// The program and its arguments
    #[arg(long, required = true, num_args = 1.., allow_hyphen_values = true, value_name = "PROGRAM")]
    exec: Vec<String>,
}

/// Where a new group begins.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum StartAt {
    /// With the oldest event that the stream has
    #[default]
    Oldest,
    /// With the next event
    Newest,
}

fn default_name() -> String {
    format!("worker-{}", std::process::id())
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let length = text.parse().ok().map(Duration::try_from_secs_f64);
    match length {
        Some(Ok(length)) if !length.is_zero() => Ok(length),
        _ => Err("it is not a length of time in seconds".to_owned()),
    }
}

pub(super) fn work(options: &WorkOptions) -> Result<()> {
    let start = match options.start {
        StartAt::Oldest => Start::Oldest,
        StartAt::Newest => Start::Newest,
    };
    let mut worker = Worker::new(&options.place.open()?, &options.group, &options.name)
        .lease(options.lease)
        .attempts(options.attempts)
        .start(start);
    if options.ordered {
        worker = worker.ordered_by(entity_of);
    }
    let program = &options.exec[0];
    if !is_program(program) {
        // Otherwise every event of the stream would become a dead letter.
        return Err(Failure::not_found(format!(
            "there is no program {program:?}"
        )));
    }
    if let Some(file) = options.place.new_file()? {
        // A worker may start before the relay.
        terminal::say(&format!(
            "there is no stream at {file} yet: it is made, and waits for a relay that uses the same file"
        ));
    }
    terminal::say(&format!("working for group {}; Ctrl-C ends", options.group));
    let (mut handled, mut failed) = (0, 0);
    let ended = until_cancelled(worker.run(|delivery| {
        let outcome = handle(options, delivery);
        match &outcome {
            Ok(()) => handled += 1,
            Err(_) => failed += 1,
        }
        outcome
    }));
    terminal::say(&format!(
        "handled {}; {} failed",
        terminal::counted(handled, "event"),
        terminal::counted(failed, "attempt")
    ));
    ended
}

/// Whether the system finds a program of this name, or at this path.
fn is_program(name: &str) -> bool {
    let ending = std::env::consts::EXE_SUFFIX;
    let is_there = |path: PathBuf| {
        let mut with_ending = path.clone().into_os_string();
        with_ending.push(ending);
        path.is_file() || PathBuf::from(with_ending).is_file()
    };
    let path = PathBuf::from(name);
    if path.components().count() > 1 {
        return is_there(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| is_there(folder.join(name)))
}

/// The first entity of an `ftrack.update`.
fn entity_of(event: &Event) -> Option<String> {
    Some(event.data()["entities"][0]["entityId"].as_str()?.to_owned())
}

fn handle(options: &WorkOptions, delivery: &Delivery) -> anyhow::Result<()> {
    let mut input = match (delivery.event(), delivery.gap()) {
        (Some(event), _) => serde_json::to_string(event)?,
        (None, Some(gap)) if options.gaps => json!({ "gap": gap }).to_string(),
        (None, gap) => {
            let what = gap.map(|gap| format!("{} until {}", gap.reason, gap.to));
            terminal::say(&format!(
                "events may be missing: {}",
                what.unwrap_or_default()
            ));
            return Ok(());
        }
    };
    // What reads lines would not see the last one without it.
    input.push('\n');
    let (program, arguments) = options.exec.split_first().expect("clap wants one");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("FTRACK_EVENT_ATTEMPT", delivery.attempt().to_string());
    let limits = Limits {
        timeout: options.time_limit,
        beat: options.lease / 3,
    };
    // Where that fails for long, another worker may get the event, as if this one were dead. The program may finish
    // nevertheless: whether Redis is only slow to respond is not known here.
    let keep = || {
        if let Err(error) = delivery.extend(options.lease) {
            terminal::say(&format!("another worker may get the event: {error}"));
        }
    };
    let ended = program::run(command, input, &limits, keep, terminal::say)?;
    let end: Vec<char> = ended.tail.chars().rev().take(MAX_STDERR_CHARS).collect();
    let end: String = end.into_iter().rev().collect();
    match (ended.status, options.time_limit) {
        (Some(status), _) => anyhow::ensure!(status.success(), "{program}: {status}: {end}"),
        (None, limit) => {
            let limit = limit.unwrap_or_default().as_secs_f64();
            anyhow::bail!("{program}: killed after {limit} s, its --time-limit: {end}");
        }
    }
    Ok(())
}
