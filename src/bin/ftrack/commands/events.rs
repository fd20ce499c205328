//! `ftrack events`: follows, publishes, records and replays events, and those in streams.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Subcommand;
use console::style;
use ftrack_api::{ErrorKind, Event, EventHub, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::app::App;
use crate::failure::{Code, Failure, Result};
use crate::interrupt;
use crate::terminal;

/// How long a command waits for the server to confirm what it has published.
const FLUSH_WAIT: Duration = Duration::from_secs(30);
/// How the topics of events begin with which a hub speaks of itself.
const OF_THE_HUB: &str = "ftrack.meta.";
/// How often a pause looks whether Ctrl-C was pressed.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// Follow, publish, record and replay events
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack events tail \"topic=ftrack.update\" --for 1
  ftrack events publish studio.render.done '{\"frames\": 120}'
  ftrack events record events.ndjson --for 1
  ftrack events replay events.ndjson --speed 10")]
pub(crate) struct Events {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print events as they come, until Ctrl-C
    Tail {
        #[command(flatten)]
        which: Which,
        /// Print JSON even on a terminal
        #[arg(long)]
        json: bool,
    },
    /// Publish an event, and print its id
    Publish {
        /// The topic
        #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
        topic: String,
        /// The data as JSON; `-` reads it from standard input
        #[arg(default_value = "{}", hide_default_value = true)]
        data: String,
        /// Only for subscribers that match this, such as id=…
        #[arg(
            long,
            default_value = "",
            hide_default_value = true,
            value_name = "EXPRESSION"
        )]
        target: String,
        /// Wait this long for a reply, and print its data
        #[arg(long, value_name = "SECONDS")]
        reply: Option<f64>,
    },
    /// Write events to a file as they come, until Ctrl-C
    Record {
        /// The file, to which events are added
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Publish the events of a recording again, with the pauses that were between them
    Replay {
        /// The file
        file: PathBuf,
        /// How much faster than recorded; 0 leaves the pauses out
        #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
        speed: f64,
        /// Only events whose topic begins with this
        #[arg(long, value_name = "TEXT")]
        topic: Option<String>,
    },
    /// Append events to a stream that keeps them, until Ctrl-C
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    Relay(super::relay::RelayOptions),
    /// Run a program for each event of a stream, as one of a group that shares them, until Ctrl-C
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    Work(super::work::WorkOptions),
    /// Print the events that a group could not handle, as JSON lines, or return or remove them
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    DeadLetters(super::dead_letters::DeadLetterOptions),
    /// Print how full a stream is, how far behind its relays and groups are, and their throughput
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    Status(super::stream_status::StatusOptions),
}

/// Which events, and how many of them.
#[derive(Debug, clap::Args)]
struct Which {
    /// Which events, such as "topic=ftrack.update and source.user.username=ada"
    #[arg(default_value = "topic=*")]
    expression: String,
    /// End after this many events
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// A line of a recording.
#[derive(Deserialize, Serialize)]
struct Recorded {
    /// Seconds since the one before.
    after: f64,
    event: Event,
}

impl Events {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        match self.action {
            Action::Tail { which, json } => {
                let is_for_people = terminal::is_output() && !json;
                follow(app, &which, |event| {
                    match is_for_people {
                        true => app.print(&line(event))?,
                        false => app.print(&serde_json::to_string(event).unwrap_or_default())?,
                    }
                    Ok(app.out().flush()?)
                })
            }
            Action::Record { file, which } => record(app, &file, &which),
            Action::Publish {
                topic,
                data,
                target,
                reply,
            } => {
                let data = match data.as_str() {
                    "-" => {
                        let mut text = String::new();
                        let read = std::io::stdin().read_to_string(&mut text);
                        read.map_err(|error| Failure::new(Code::File, error.to_string()))?;
                        text
                    }
                    _ => data,
                };
                let data: Json = serde_json::from_str(&data).map_err(|error| {
                    let failure = Failure::invalid(format!("the data is not JSON: {error}"));
                    failure.with_remedy("quote it for the shell: '{\"frames\": 120}'")
                })?;
                let event = Event::new(topic).with_data(data).with_target(target);
                publish(app, event, reply)
            }
            Action::Replay { file, speed, topic } => {
                if !speed.is_finite() || speed < 0.0 {
                    return Err(Failure::usage("the speed is a number from 0 on"));
                }
                replay(app, &file, speed, topic.as_deref())
            }
            #[cfg(any(feature = "file-cache", feature = "redis"))]
            Action::Relay(options) => super::relay::relay(app, &options),
            #[cfg(any(feature = "file-cache", feature = "redis"))]
            Action::Work(options) => super::work::work(&options),
            #[cfg(any(feature = "file-cache", feature = "redis"))]
            Action::DeadLetters(options) => super::dead_letters::dead_letters(app, &options),
            #[cfg(any(feature = "file-cache", feature = "redis"))]
            Action::Status(options) => super::stream_status::status(app, &options),
        }
    }
}

fn connected(app: &App) -> Result<(Session, EventHub)> {
    let session = app.session()?;
    let hub = session.event_hub().clone();
    hub.connect()?;
    Ok((session, hub))
}

/// Gives events to `each` until it is time to end.
fn follow(app: &App, which: &Which, mut each: impl FnMut(&Event) -> Result<()>) -> Result<()> {
    let until = which.seconds.map(duration).transpose()?;
    let (_session, hub) = connected(app)?;
    hub.listen(which.expression.as_str())?;
    terminal::say(&format!("following {}; Ctrl-C ends", which.expression));
    let until = until.and_then(|wait| Instant::now().checked_add(wait));
    let mut count = 0;
    let ended = loop {
        if which.count.is_some_and(|most| count >= most) {
            break Ok(());
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match hub.next(left) {
            // Of this hub only, and no news to others.
            Ok(Some(event)) if event.topic().starts_with(OF_THE_HUB) => {}
            Ok(Some(event)) => {
                each(&event)?;
                count += 1;
            }
            Ok(None) => break Ok(()),
            // That is how one ends.
            Err(error) if error.kind() == ErrorKind::Cancelled => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    terminal::say(&terminal::counted(count, "event"));
    ended
}

/// One event on one line: time, topic, who, and the data as far as it fits.
fn line(event: &Event) -> String {
    let now = ftrack_api::jiff::ZonedDateTime::now();
    let data = match event.data() {
        Json::Null => String::new(),
        data => data.to_string(),
    };
    let text = format!("{}  {}", event.username().unwrap_or("-"), data);
    let text = terminal::printable(&text);
    let topic = terminal::printable(event.topic());
    let clock = now.strftime("%H:%M:%S").to_string();
    let used = console::measure_text_width(&format!("{clock}  {topic}  "));
    let room = terminal::width()
        .map_or(usize::MAX, usize::from)
        .saturating_sub(used);
    let text = console::truncate_str(&text, room, "…");
    format!("{}  {}  {text}", style(clock).dim(), style(topic).cyan())
}

fn record(app: &App, path: &Path, which: &Which) -> Result<()> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let file = File::options().append(true).create(true).open(path);
    let mut file = file.map_err(failed)?;
    let mut last: Option<Instant> = None;
    follow(app, which, |event| {
        let now = Instant::now();
        let after = last.map_or(0.0, |last| (now - last).as_secs_f64());
        last = Some(now);
        let recorded = Recorded {
            after,
            event: event.clone(),
        };
        let mut line = serde_json::to_string(&recorded).unwrap_or_default();
        line.push('\n');
        // As one piece, so that a line is there or not.
        file.write_all(line.as_bytes()).map_err(failed)
    })
}

fn publish(app: &App, event: Event, reply: Option<f64>) -> Result<()> {
    let wait = reply.map(duration).transpose()?;
    let (_session, hub) = connected(app)?;
    let Some(wait) = wait else {
        let id = hub.publish(event)?;
        hub.flush(FLUSH_WAIT)?;
        return app.print(&id);
    };
    let reply = hub
        .request(event, wait)
        .map_err(|error| match error.kind() {
            ErrorKind::Timeout => Failure::from(error).with_remedy(
                "a subscriber whose handler returns a value replies; --reply waits longer",
            ),
            _ => error.into(),
        })?;
    app.print(&reply.data().to_string())
}

fn replay(app: &App, path: &Path, speed: f64, topic: Option<&str>) -> Result<()> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let (_session, hub) = connected(app)?;
    let mut count: u64 = 0;
    let ended = file.lines().enumerate().try_for_each(|(index, line)| {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            return Ok(());
        }
        let recorded: Recorded = serde_json::from_str(&line).map_err(|error| {
            let place = format!("{}, line {}", path.display(), index + 1);
            Failure::invalid(format!("{place} is not a recorded event: {error}"))
        })?;
        if speed > 0.0 {
            pause(duration(recorded.after / speed)?);
        }
        if interrupt::is_cancelled() {
            return Err(Failure::new(Code::Cancelled, "cancelled"));
        }
        let wanted = topic.is_none_or(|start| recorded.event.topic().starts_with(start));
        if wanted && !recorded.event.topic().starts_with(OF_THE_HUB) {
            // A new id: hubs deliver an id once.
            let event = Event::new(recorded.event.topic())
                .with_data(recorded.event.data().clone())
                .with_target(recorded.event.target());
            hub.publish(event)?;
            count += 1;
        }
        Ok(())
    });
    let flushed = hub.flush(FLUSH_WAIT).map_err(Failure::from);
    let events = terminal::counted(count, "event");
    match ended.and(flushed) {
        Ok(()) => terminal::say(&format!("published {events}")),
        Err(failure) => {
            terminal::say(&format!("published {events}, and not the rest"));
            return Err(failure);
        }
    }
    Ok(())
}

fn pause(length: Duration) {
    let begun = Instant::now();
    while !interrupt::is_cancelled() {
        let left = length.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(PAUSE_STEP));
    }
}

/// A length of time that was given in seconds.
pub(super) fn duration(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Failure::usage(format!("{seconds} is not a length of time in seconds")))
}
