//! Events made from the server's log, for a time in which no relay was connected.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Result;
use crate::handle::Session;
use crate::query::{all_of, field, select};

use super::engine::{Kind, NewEntry};

/// An entity of type `Event`, the server's log.
#[derive(Serialize, Deserialize)]
struct Logged {
    id: i64,
    action: Option<String>,
    created_at: Option<DateTime>,
    data: Option<String>,
    insert: Option<String>,
    parent_id: Option<String>,
    parent_type: Option<String>,
    project_id: Option<String>,
    user_id: Option<String>,
}

/// The log's entries of a time, in their order; those of a long time do not fit into memory at once.
pub(super) fn missed(
    session: &Session,
    from: Timestamp,
    to: Timestamp,
) -> Result<impl Iterator<Item = Result<NewEntry>>> {
    let zone = session.server_information().time_zone();
    let (from, to) = between(from, to, &zone);
    let created = all_of([field("created_at").ge(from), field("created_at").le(to)]);
    let query = select("Event").filter(created).order_by("id");
    let rows = session.query(query)?.rows::<Logged>();
    Ok(rows.map(move |row| row.map(|row| entry(&row, &zone))))
}

/// A time as the server's clock shows it. If its clock was changed meanwhile it is longer rather than shorter.
fn between(from: Timestamp, to: Timestamp, zone: &TimeZone) -> (DateTime, DateTime) {
    let [before, after] = [from, to].map(|time| zone.to_offset(time));
    // Servers store whole seconds.
    let from = Timestamp::from_second(from.as_second()).unwrap_or(from);
    (
        before.to_datetime(from).min(after.to_datetime(from)),
        before.to_datetime(to).max(after.to_datetime(to)),
    )
}

fn entry(row: &Logged, zone: &TimeZone) -> NewEntry {
    let id = format!("log:{}", row.id);
    let event = json!({
        "id": id,
        "topic": "ftrack.update",
        "data": {
            "entities": [{
                "action": action(row),
                "entityType": row.parent_type,
                "entityId": row.parent_id,
                "keys": [],
                "changes": {},
                "parents": [],
            }],
            "user": { "userid": row.user_id },
            "log": row,
        },
        "source": { "id": "ftrack-api.log", "user": { "id": row.user_id } },
        "target": "",
        "sent": null,
        "inReplyToEvent": null,
    });
    let at = row.created_at.and_then(|time| zone.to_timestamp(time).ok());
    NewEntry {
        id,
        at: at.map_or(0, Timestamp::as_millisecond),
        kind: Kind::Log,
        body: event.to_string(),
    }
}

/// The action under the name that events use, as far as the log's name tells.
fn action(row: &Logged) -> &'static str {
    let names = [row.insert.as_deref(), row.action.as_deref()];
    let names = names.into_iter().flatten().map(str::to_lowercase);
    let known = [
        ("add", ["insert", "create", "add"]),
        ("remove", ["delete", "remove", "remove"]),
        ("move", ["move", "move", "move"]),
    ];
    for name in names {
        for (action, prefixes) in known {
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                return action;
            }
        }
    }
    "update"
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shown(from: &str, to: &str, zone: &TimeZone) -> [String; 2] {
        let (from, to) = between(from.parse().unwrap(), to.parse().unwrap(), zone);
        [from.to_string(), to.to_string()]
    }

    #[test]
    fn a_gap_is_looked_for_in_the_time_of_the_server() {
        let (from, to) = ("2026-07-01T10:00:00.7Z", "2026-07-01T11:00:00Z");
        let utc = shown(from, to, &TimeZone::UTC);
        assert_eq!(utc, ["2026-07-01T10:00:00", "2026-07-01T11:00:00"]);
        // Two hours ahead in summer, one from the last Sunday of October on, as in Stockholm.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let local = shown(from, to, &zone);
        assert_eq!(local, ["2026-07-01T12:00:00", "2026-07-01T13:00:00"]);
        // The clock shows two o'clock twice.
        let back = shown("2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z", &zone);
        assert_eq!(back, ["2026-10-25T01:50:00", "2026-10-25T03:10:00"]);
    }

    #[test]
    fn an_entry_has_the_time_at_which_it_was_logged() {
        let row = r#"{"id": 7, "created_at": "2026-07-01T12:00:00"}"#;
        let row: Logged = serde_json::from_str(row).unwrap();
        let at = |zone: &TimeZone| Timestamp::from_millisecond(entry(&row, zone).at).unwrap();
        assert_eq!(at(&TimeZone::UTC).to_string(), "2026-07-01T12:00:00Z");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(at(&zone).to_string(), "2026-07-01T10:00:00Z");
    }
}
