//! `ftrack events dead-letters`: the events that a group could not handle.

use ftrack_api::relay::{DeadLetter, Stream};
use serde_json::{Map, Value as Json, json};

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::place::{Place, no_group};
use crate::terminal;

/// What is done with dead letters.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack events dead-letters --group thumbnails --stream redis://events.studio
  ftrack events dead-letters --group thumbnails --stream redis://events.studio --return all")]
pub(super) struct DeadLetterOptions {
    #[command(flatten)]
    place: Place,
    /// The group that could not handle them
    #[arg(long)]
    group: String,
    /// Hand this one out again; `all` for all of them
    #[arg(long = "return", value_name = "ID", conflicts_with = "remove")]
    returned: Option<String>,
    /// Remove this one for good; `all` for all of them
    #[arg(long, value_name = "ID")]
    remove: Option<String>,
}

pub(super) fn dead_letters(app: &App, options: &DeadLetterOptions) -> Result<()> {
    options.place.check_exists()?;
    let (stream, group) = (options.place.open()?, options.group.as_str());
    if let Some(id) = &options.returned {
        let count = each(group, id, &stream, Stream::return_dead_letter)?;
        if let Some(count) = count {
            let are = if count == 1 { "is" } else { "are" };
            let events = terminal::counted(count, "event");
            terminal::say(&format!("{events} {are} handed out again"));
        }
        return Ok(());
    }
    if let Some(id) = &options.remove {
        let count = each(group, id, &stream, Stream::remove_dead_letter)?;
        if let Some(count) = count {
            let letters = terminal::counted(count, "dead letter");
            terminal::say(&format!("removed {letters}"));
        }
        return Ok(());
    }
    let letters = stream.dead_letters(group)?;
    if letters.is_empty() && stream.group(group)?.is_none() {
        return Err(no_group(group));
    }
    if letters.is_empty() && terminal::is_output() {
        terminal::say("no dead letters");
    }
    for letter in &letters {
        app.print(&object(letter).to_string())?;
    }
    Ok(())
}

/// Does it to the letter with this id, or to all; then it returns how many there were.
fn each(
    group: &str,
    id: &str,
    stream: &Stream,
    action: impl Fn(&Stream, &str, &str) -> ftrack_api::Result<bool>,
) -> Result<Option<u64>> {
    if id != "all" {
        let missing = || Failure::not_found(format!("group {group} has no dead letter {id}"));
        let is_there = action(stream, group, id)?;
        return is_there.then_some(None).ok_or_else(missing);
    }
    let letters = stream.dead_letters(group)?;
    if letters.is_empty() && stream.group(group)?.is_none() {
        return Err(no_group(group));
    }
    let mut count = 0;
    for letter in letters {
        // Another process may have done it just now.
        count += u64::from(action(stream, group, &letter.id)?);
    }
    Ok(Some(count))
}

fn object(letter: &DeadLetter) -> Json {
    let mut object = json!({
        "id": letter.id,
        "at": letter.at,
        "error": letter.error,
        "attempts": letter.attempts,
        "worker": letter.worker,
        "event": letter.event,
    });
    if letter.event.is_none() {
        // What it is instead.
        let fields = letter.fields.iter();
        let fields = fields.map(|(name, value)| (name.clone(), Json::from(value.as_str())));
        object["fields"] = Json::Object(fields.collect::<Map<_, _>>());
    }
    object
}
