//! Reading what the scripts and commands reply.

use std::time::Duration;

use redis::FromRedisValue;

use crate::relay::engine::{Dead, Fields, MAX_OPEN, Taken, Token, Turned, Unread};

/// Foreign entries may hold any bytes.
fn text(value: redis::Value) -> String {
    match value {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => String::from_redis_value(other).unwrap_or_default(),
    }
}

fn list(value: redis::Value) -> Vec<redis::Value> {
    match value {
        redis::Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn fields(value: redis::Value) -> Fields {
    let mut items = list(value).into_iter().map(text);
    let mut fields = Fields::new();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        fields.push((name, value));
    }
    fields
}

pub(super) fn unread(value: redis::Value) -> Vec<Unread> {
    let entries = list(value).into_iter().filter_map(|entry| {
        let mut parts = list(entry).into_iter();
        Some(Unread {
            id: text(parts.next()?),
            fields: fields(parts.next()?),
        })
    });
    entries.collect()
}

/// `None` if it is no reply to a turn; a turn of a group that does not exist has no result.
pub(super) fn turned(is_woken: bool, reply: redis::Value) -> Option<Option<Turned>> {
    let mut parts = list(reply).into_iter();
    if text(parts.next()?) == "missing" {
        return Some(None);
    }
    let finished = text(parts.next()?) == "1";
    let taken = taken(parts.next()?);
    let cursor = text(parts.next()?);
    let due: i64 = text(parts.next()?).parse().ok()?;
    let open: usize = text(parts.next()?).parse().ok()?;
    Some(Some(Turned {
        finished,
        taken,
        cursor,
        due: u64::try_from(due).ok().map(Duration::from_millis),
        is_woken,
        is_full: open >= MAX_OPEN,
    }))
}

fn taken(reply: redis::Value) -> Option<Taken> {
    let mut parts = list(reply).into_iter();
    Some(Taken {
        token: Token {
            member: text(parts.next()?),
            attempt: text(parts.next()?).parse().ok()?,
        },
        fields: fields(parts.next()?),
    })
}

pub(super) fn dead(stored: Unread) -> Dead {
    let field = |name: &str| {
        let found = stored.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let flat: Vec<String> = serde_json::from_str(field("fields")).unwrap_or_default();
    let pairs = flat.chunks_exact(2);
    Dead {
        at: stored
            .id
            .split('-')
            .next()
            .and_then(|at| at.parse().ok())
            .unwrap_or(0),
        entry: field("entry").to_owned(),
        attempts: field("attempts").parse().unwrap_or(0),
        worker: field("worker").to_owned(),
        error: field("error").to_owned(),
        fields: pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect(),
        id: stored.id,
    }
}
