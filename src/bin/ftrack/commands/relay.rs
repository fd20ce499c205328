//! `ftrack events relay`, `work`, `dead-letters`: events in a stream that workers share.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use ftrack_api::relay::{Delivery, Relay, Stream, Worker};
use ftrack_api::{ErrorKind, Event, anyhow};
use serde_json::json;

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::terminal;

/// How much of a program's standard error a dead letter holds.
const MAX_STDERR_CHARS: usize = 2000;

/// Where the stream is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The URL of a Redis server, such as redis://host, or a file for one machine
    #[arg(
        long,
        env = "FTRACK_STREAM",
        hide_env_values = true,
        value_name = "URL|FILE"
    )]
    stream: String,
    /// The name of the stream
    #[arg(long, default_value = "ftrack:events", value_name = "NAME")]
    stream_name: String,
}

impl Place {
    fn is_redis(&self) -> bool {
        let mut schemes = ["redis:", "rediss:", "redis+unix:", "unix:"].iter();
        schemes.any(|scheme| self.stream.starts_with(scheme))
    }

    pub(super) fn open(&self) -> Result<Stream> {
        let stream = match self.is_redis() {
            true => redis(&self.stream)?,
            false => local(&self.stream)?,
        };
        Ok(stream.name(&self.stream_name))
    }

    /// Opening a file makes it, which is no help to somebody who has mistyped its name.
    pub(super) fn check_exists(&self) -> Result<()> {
        match self.is_redis() || std::path::Path::new(&self.stream).exists() {
            true => Ok(()),
            false => Err(Failure::not_found(format!(
                "there is no stream at {}",
                self.stream
            ))),
        }
    }
}

#[cfg(feature = "redis")]
#[allow(clippy::unnecessary_wraps, reason = "its twin fails")]
fn redis(url: &str) -> Result<Stream> {
    Ok(Stream::redis(url))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> Result<Stream> {
    Err(Failure::usage(
        "this program was built without the feature `redis`",
    ))
}

#[cfg(feature = "file-cache")]
#[allow(clippy::unnecessary_wraps, reason = "its twin fails")]
fn local(path: &str) -> Result<Stream> {
    Ok(Stream::local(path))
}

#[cfg(not(feature = "file-cache"))]
fn local(_: &str) -> Result<Stream> {
    Err(Failure::usage(
        "this program was built without the feature `file-cache`",
    ))
}

pub(super) fn no_group(name: &str) -> Failure {
    let failure = Failure::not_found(format!("the stream has no group {name}"));
    failure.with_remedy("the name is that of `ftrack events work --group`")
}

/// What a relay does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack events relay topic=ftrack.update --name relay-1 --stream redis://events.studio
  ftrack events relay topic=ftrack.update --name relay-1 --stream /var/lib/ftrack/events.db")]
pub(super) struct RelayOptions {
    /// Which events
    #[arg(default_value = "topic=*")]
    expression: String,
    #[command(flatten)]
    place: Place,
    /// The name of this relay: its own, and the same when it starts again
    #[arg(long)]
    name: String,
    /// Where events wait while the stream is away
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Fill gaps from the server's log, as far as it knows
    #[arg(long)]
    catch_up: bool,
    /// How many events the stream keeps
    #[arg(long, default_value_t = 1_000_000, value_name = "EVENTS")]
    max_length: u64,
    /// For how many days it keeps them
    #[arg(long, value_name = "DAYS")]
    max_days: Option<f64>,
}

pub(super) fn relay(app: &App, options: &RelayOptions) -> Result<()> {
    let mut stream = options.place.open()?.max_length(options.max_length);
    if let Some(days) = options.max_days {
        let age = Duration::try_from_secs_f64(days * 86400.0);
        let age = age.map_err(|error| Failure::usage(format!("--max-days: {error}")))?;
        stream = stream.max_age(age);
    }
    let session = app.session()?;
    let mut relay = Relay::new(session.event_hub(), &stream, &options.name)
        .subscribe(options.expression.as_str());
    if let Some(journal) = &options.journal {
        relay = relay.journal(journal);
    }
    if options.catch_up {
        relay = relay.catch_up(&session);
    }
    terminal::say(&format!("relaying {}; Ctrl-C ends", options.expression));
    let ended = until_cancelled(relay.run());
    let status = relay.status();
    terminal::say(&format!(
        "{} events appended, {} were there already, {} dropped, {} wait",
        status.appended, status.repeated, status.dropped, status.waiting
    ));
    ended
}

/// What a worker does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack events work --group thumbnails --stream redis://events.studio --exec make-thumbnail
  ftrack events work --group log --stream /var/lib/ftrack/events.db --exec sh -c 'cat >> events.ndjson'")]
pub(super) struct WorkOptions {
    #[command(flatten)]
    place: Place,
    /// The group that shares the events
    #[arg(long)]
    group: String,
    /// The name of this worker
    #[arg(long, default_value_t = default_name())]
    name: String,
    /// Handle the events of an entity one after the other
    #[arg(long)]
    ordered: bool,
    /// How long an event is this worker's before another one takes it over
    #[arg(long, default_value_t = 300.0, value_name = "SECONDS")]
    lease: f64,
    /// How often an event is tried before it becomes a dead letter
    #[arg(long, default_value_t = 5)]
    attempts: u32,
    /// Give gaps to the program as well, as {"gap": …}
    #[arg(long)]
    gaps: bool,
    /// The program and its arguments: it reads the event from standard input, and its success acknowledges the event
    #[arg(long, required = true, num_args = 1.., allow_hyphen_values = true, value_name = "PROGRAM")]
    exec: Vec<String>,
}

fn default_name() -> String {
    format!("worker-{}", std::process::id())
}

pub(super) fn work(options: &WorkOptions) -> Result<()> {
    let lease = Duration::try_from_secs_f64(options.lease);
    let lease = lease.map_err(|error| Failure::usage(format!("--lease: {error}")))?;
    let mut worker = Worker::new(&options.place.open()?, &options.group, &options.name)
        .lease(lease)
        .attempts(options.attempts);
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
        "handled {}; {failed} attempts failed",
        terminal::counted(handled, "event")
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
    let input = match (delivery.event(), delivery.gap()) {
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
    let (program, arguments) = options.exec.split_first().expect("clap wants one");
    let mut child = Command::new(program)
        .args(arguments)
        .env("FTRACK_EVENT_ATTEMPT", delivery.attempt().to_string())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| anyhow::anyhow!("cannot start {program}: {error}"))?;
    let pipe = child.stdin.take();
    let output = std::thread::scope(|threads| {
        // A program may write more than a pipe holds before it reads.
        threads.spawn(|| {
            // It need not read at all.
            pipe.map(|mut pipe| pipe.write_all(input.as_bytes()))
        });
        child.wait_with_output()
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    if !said.is_empty() {
        terminal::say(said);
    }
    let end: String = said.chars().rev().take(MAX_STDERR_CHARS).collect();
    let end: String = end.chars().rev().collect();
    anyhow::ensure!(
        output.status.success(),
        "{program}: {}: {end}",
        output.status
    );
    Ok(())
}

/// What is done with dead letters.
#[derive(Debug, clap::Args)]
pub(super) struct DeadLetterOptions {
    #[command(flatten)]
    place: Place,
    /// The group that could not handle them
    #[arg(long)]
    group: String,
    /// Hand this one out again; `all` for all of them
    #[arg(long = "return", value_name = "ID", conflicts_with = "remove")]
    returned: Option<String>,
    /// Remove this one for good
    #[arg(long, value_name = "ID")]
    remove: Option<String>,
}

pub(super) fn dead_letters(app: &App, options: &DeadLetterOptions) -> Result<()> {
    options.place.check_exists()?;
    let (stream, group) = (options.place.open()?, options.group.as_str());
    let missing = |id: &str| Failure::not_found(format!("group {group} has no dead letter {id}"));
    match (options.returned.as_deref(), options.remove.as_deref()) {
        (Some("all"), _) => {
            let mut count = 0;
            for letter in stream.dead_letters(group)? {
                count += u64::from(stream.return_dead_letter(group, &letter.id)?);
            }
            let are = if count == 1 { "is" } else { "are" };
            let events = terminal::counted(count, "event");
            terminal::say(&format!("{events} {are} handed out again"));
        }
        (Some(id), _) if !stream.return_dead_letter(group, id)? => return Err(missing(id)),
        (None, Some(id)) if !stream.remove_dead_letter(group, id)? => return Err(missing(id)),
        (Some(_), _) | (None, Some(_)) => {}
        (None, None) => {
            let letters = stream.dead_letters(group)?;
            if letters.is_empty() && stream.group(group)?.is_none() {
                return Err(no_group(group));
            }
            if letters.is_empty() && terminal::is_output() {
                terminal::say("no dead letters");
            }
            for letter in letters {
                let line = json!({
                    "id": letter.id,
                    "at": letter.at,
                    "error": letter.error,
                    "attempts": letter.attempts,
                    "worker": letter.worker,
                    "event": letter.event,
                });
                app.print(&line.to_string())?;
            }
        }
    }
    Ok(())
}

/// Ctrl-C is how one ends.
fn until_cancelled(ended: ftrack_api::Result<std::convert::Infallible>) -> Result<()> {
    match ended {
        Err(error) if error.kind() == ErrorKind::Cancelled => Ok(()),
        Err(error) => Err(error.into()),
    }
}
