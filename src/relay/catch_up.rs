//! Events made from the server's log, for a time in which no relay was connected.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
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
    let utc = |time: Timestamp| Offset::UTC.to_datetime(time);
    // Servers store whole seconds.
    let from = utc(from)
        .with()
        .subsec_nanosecond(0)
        .build()
        .unwrap_or_else(|_| utc(from));
    let created = all_of([
        field("created_at").ge(from),
        field("created_at").le(utc(to)),
    ]);
    let query = select("Event").filter(created).order_by("id");
    let rows = session.query(query)?.rows::<Logged>();
    Ok(rows.map(|row| row.map(|row| entry(&row))))
}

fn entry(row: &Logged) -> NewEntry {
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
    let at = row
        .created_at
        .and_then(|time| Offset::UTC.to_timestamp(time).ok());
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
