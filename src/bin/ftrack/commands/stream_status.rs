//! `ftrack events status`: how full a stream is, and how far behind its relays and groups are.

use comfy_table::{CellAlignment, ColumnConstraint, Width};
use ftrack_api::jiff::Timestamp;
use ftrack_api::relay::{GroupStatus, RelayStatus};
use serde_json::{Value as Json, json};

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output;
use crate::place::{Place, no_group};
use crate::terminal;

/// What is printed of a stream.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack events status --stream redis://events.studio
  ftrack events status --stream redis://events.studio --group thumbnails --group sync")]
pub(super) struct StatusOptions {
    #[command(flatten)]
    place: Place,
    /// Print only this group; may be given more than once
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Print JSON even on a terminal
    #[arg(long)]
    json: bool,
    /// Forget a relay that is no longer used, and print nothing
    #[arg(long, value_name = "NAME", conflicts_with_all = ["groups", "json"])]
    remove_relay: Option<String>,
    /// Remove a group that is no longer used, with its dead letters, and print nothing
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
                (false, Some(at)) => ago(at),
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
            "dead letters",
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

/// Below an empty line. All but the first column are figures, of which none is broken, nor a word of their names: the
/// first has the room that is left.
fn print_table<const N: usize>(
    app: &App,
    names: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<()> {
    let mut table = output::table();
    table.set_header(names);
    let mut widths = names.map(|name| name.split(' ').map(str::len).max().unwrap_or(0));
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count());
        }
        table.add_row(row.map(|cell| terminal::printable(&cell)));
    }
    for (column, width) in table.column_iter_mut().zip(widths).skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
        // With a space on either side.
        let width = Width::Fixed(u16::try_from(width + 2).unwrap_or(u16::MAX));
        column.set_constraint(ColumnConstraint::Absolute(width));
    }
    app.print("")?;
    app.print_table(&table)
}

/// How long ago that was: `5 s ago`.
fn ago(at: Timestamp) -> String {
    let seconds = Timestamp::now().as_second() - at.as_second();
    match seconds.max(0) {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ ..7200 => format!("{} min ago", seconds / 60),
        seconds @ ..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}
