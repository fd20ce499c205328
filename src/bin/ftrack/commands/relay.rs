//! `ftrack events relay`: appends events to a stream that workers share.

use std::path::PathBuf;
use std::time::Duration;

use ftrack_api::ErrorKind;
use ftrack_api::relay::Relay;

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::terminal;

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
        "{} appended; already there: {}, dropped: {}, waiting: {}",
        terminal::counted(status.appended, "event"),
        status.repeated,
        status.dropped,
        status.waiting
    ));
    ended
}

/// Ctrl-C is how one ends.
pub(super) fn until_cancelled(ended: ftrack_api::Result<std::convert::Infallible>) -> Result<()> {
    match ended {
        Err(error) if error.kind() == ErrorKind::Cancelled => Ok(()),
        Err(error) => Err(error.into()),
    }
}
