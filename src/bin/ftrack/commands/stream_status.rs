//! `ftrack events status`: how full a stream is, and how far its relays and groups are behind.

use ftrack_api::relay::{GroupStatus, RelayStatus};
use serde_json::{Value as Json, json};

use super::relay::{Place, no_group};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output;
use crate::terminal;

/// What is printed of a stream.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack events status --stream redis://events.studio
  ftrack events status --stream redis://events.studio --group thumbnails --group sync")]
pub(super) struct StatusOptions {
    #[command(flatten)]
    place: Place,
    /// A group whose work is printed, all unless given; may be given more than once
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Print a JSON object, as in a pipe
    #[arg(long)]
    json: bool,
    /// Forget a relay whose name is not used any more, and print nothing
    #[arg(long, value_name = "NAME", conflicts_with_all = ["groups", "json"])]
    remove_relay: Option<String>,
    /// Remove a group whose name is not used any more, with its dead letters, and print nothing
    #[arg(long, value_name = "NAME", conflicts_with_all = ["groups", "json", "remove_relay"])]
    remove_group: Option<String>,
}

pub(super) fn status(app: &App, options: &StatusOptions) -> Result<()> {
    options.place.check_exists()?;
    let stream = options.place.open()?;
    if let Some(name) = &options.remove_relay {
        let failure = || Failure::not_found(format!("the stream has no relay {name}"));
        let is_there = stream.remove_relay(name)?;
        return is_there.then_some(()).ok_or_else(failure);
    }
    if let Some(name) = &options.remove_group {
        let is_there = stream.remove_group(name)?;
        return is_there.then_some(()).ok_or_else(|| no_group(name));
    }
    let mut status = stream.status()?;
    if !options.groups.is_empty() {
        let named = options.groups.iter();
        let named = named.map(|name| stream.group(name)?.ok_or_else(|| no_group(name)));
        status.groups = named.collect::<Result<_>>()?;
    }
    if options.json || !terminal::is_output() {
        let object = json!({
            "length": status.length,
            "appended": status.appended,
            "relays": status.relays.iter().map(relay_json).collect::<Vec<Json>>(),
            "groups": status.groups.iter().map(group_json).collect::<Vec<Json>>(),
        });
        return app.print(&object.to_string());
    }
    let (length, appended) = (status.length, status.appended);
    app.print(&format!("entries: {length} kept, {appended} ever appended"))?;
    if !status.relays.is_empty() {
        let names = [
            "relay",
            "last heard",
            "lag",
            "events/s",
            "waiting",
            "appended",
            "dropped",
        ];
        let rows = status.relays.iter().map(|relay| {
            let heard = match (relay.has_ended, relay.connected_at) {
                (true, _) => "ended".to_owned(),
                (false, None) => "never".to_owned(),
                (false, Some(at)) => format!("{at:.0}"),
            };
            [
                relay.name.clone(),
                heard,
                format!("{:.1} s", relay.lag.as_secs_f64()),
                format!("{:.1}", relay.rate),
                relay.waiting.to_string(),
                relay.appended.to_string(),
                relay.dropped.to_string(),
            ]
        });
        print_table(app, names, rows)?;
    }
    if !status.groups.is_empty() {
        let names = [
            "group",
            "lag",
            "in flight",
            "delayed",
            "handled",
            "retried",
            "taken over",
            "dead",
        ];
        let rows = status.groups.iter().map(|group| {
            [
                group.name.clone(),
                group.lag.to_string(),
                group.in_flight.to_string(),
                group.delayed.to_string(),
                group.handled.to_string(),
                group.retried.to_string(),
                group.taken_over.to_string(),
                group.dead_letters.to_string(),
            ]
        });
        print_table(app, names, rows)?;
    }
    Ok(())
}

fn relay_json(relay: &RelayStatus) -> Json {
    let last_event = relay.last_event.as_ref();
    json!({
        "name": relay.name,
        "connected_at": relay.connected_at,
        "has_ended": relay.has_ended,
        "appended": relay.appended,
        "repeated": relay.repeated,
        "dropped": relay.dropped,
        "waiting": relay.waiting,
        "lag": relay.lag.as_secs_f64(),
        "rate": relay.rate,
        "last_event": last_event.map(|(id, topic, at)| json!({ "id": id, "topic": topic, "at": at })),
    })
}

fn group_json(group: &GroupStatus) -> Json {
    json!({
        "name": group.name,
        "lag": group.lag,
        "in_flight": group.in_flight,
        "delayed": group.delayed,
        "handled": group.handled,
        "retried": group.retried,
        "taken_over": group.taken_over,
        "dead": group.dead,
        "dead_letters": group.dead_letters,
    })
}

/// Below an empty line; all but the first column are figures.
fn print_table<const N: usize>(
    app: &App,
    names: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<()> {
    let mut table = output::table();
    table.set_header(names);
    for row in rows {
        table.add_row(row.map(|cell| terminal::printable(&cell)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    app.print("")?;
    app.print_table(&table)
}
