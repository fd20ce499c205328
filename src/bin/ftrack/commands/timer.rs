//! `ftrack timer`: what the user works on right now.

use clap::Subcommand;
use ftrack_api::entity::TimerOptions;
use ftrack_api::query::{field, select};
use ftrack_api::{Entity, ErrorKind};

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::locate;
use crate::terminal::printable;

/// Start, stop or show your timer
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack timer start \"test/Import camera\" --comment animating
  ftrack timer show
  ftrack timer stop")]
pub(crate) struct Timer {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it
    Start {
        /// What you work on, as a path, TYPE:ID or ID
        entity: String,
        /// A comment, which the time log gets as well
        #[arg(
            long,
            default_value = "",
            hide_default_value = true,
            value_name = "TEXT"
        )]
        comment: String,
        /// Stop the timer that is running first
        #[arg(long)]
        force: bool,
    },
    /// Stop it, which makes a time log of it
    Stop,
    /// Print what it measures, and since when
    Show,
}

impl Timer {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let user = session.user()?;
        match self.action {
            Action::Start {
                entity,
                comment,
                force,
            } => {
                let entity = locate::entity(&session, &entity)?;
                let options = TimerOptions::new()
                    .context(&entity)
                    .comment(comment)
                    .force(force);
                let timer = user
                    .start_timer(options)
                    .map_err(|error| match error.kind() {
                        ErrorKind::Duplicate => Failure::invalid("a timer is running already")
                            .with_remedy("`ftrack timer stop` ends it, and so does --force"),
                        _ => error.into(),
                    })?;
                app.print(&format!("Timer:{}", timer.id()))
            }
            Action::Stop => {
                let log = user.stop_timer().map_err(|error| match error.kind() {
                    ErrorKind::NotFound => none_runs(),
                    _ => error.into(),
                })?;
                let seconds: f64 = log.get("duration")?;
                app.print(&format!("Timelog:{}  {}", log.id(), clock(seconds)))
            }
            Action::Show => {
                let timers = select("Timer")
                    .fields(["start", "comment", "context.link"])
                    .filter(field("user_id").eq(user.id()));
                let timer = session.query(timers)?.first()?;
                let timer = timer.ok_or_else(none_runs)?;
                let context: Option<Entity> = timer.get("context")?;
                let on = context.map(|context| context.path()).transpose()?;
                let start = timer.value("start")?.unwrap_or_default();
                let comment: Option<String> = timer.get("comment")?;
                let comment = comment
                    .filter(|text| !text.is_empty())
                    .map(|text| format!("  ({text})"));
                let line = format!(
                    "{}  since {start} UTC{}",
                    on.map(|path| path.to_string()).unwrap_or_default(),
                    comment.unwrap_or_default()
                );
                app.print(&printable(&line))
            }
        }
    }
}

fn none_runs() -> Failure {
    Failure::not_found("no timer is running")
}

/// Hours, minutes and seconds.
fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60)
}
