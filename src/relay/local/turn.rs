//! One turn of a worker, in one transaction: what `redis/turn.lua` does in Redis.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{fields, stored};
use crate::relay::engine::{
    Create, Fields, Kind, LOOK_AHEAD, MAX_DEAD, MAX_OPEN, NewEntry, Start, Taken, Token, Turn,
    Turned, Unread, Verdict,
};

/// What a turn works with.
struct Work<'a> {
    writing: &'a Transaction<'a>,
    stream: &'a str,
    group: &'a str,
    now: i64,
    turn: &'a Turn<'a>,
    cursor: i64,
    seen: i64,
    open: i64,
}

/// An entry that the group has taken in.
struct Item {
    id: i64,
    entry: Option<i64>,
    key: Option<String>,
    fields: Option<String>,
    attempt: u32,
    worker: String,
    in_flight: bool,
}

const ITEM: &str = "id, entry, key, fields, attempt, worker, in_flight";

impl Item {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            entry: row.get(1)?,
            key: row.get(2)?,
            fields: row.get(3)?,
            attempt: row.get(4)?,
            worker: row.get(5)?,
            in_flight: row.get(6)?,
        })
    }
}

pub(super) fn turn(
    writing: &Transaction<'_>,
    stream: &str,
    group: &str,
    turn: &Turn<'_>,
    now: i64,
) -> rusqlite::Result<Option<Turned>> {
    let select = "SELECT cursor, seen, open FROM worker_group WHERE stream = ?1 AND name = ?2";
    let found = writing
        .prepare_cached(select)?
        .query_row(params![stream, group], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
    let found: Option<(i64, i64, i64)> = found.optional()?;
    let (cursor, seen, open) = match (found, turn.create) {
        (Some(found), _) => found,
        (None, Create::No) => return Ok(None),
        (None, create) => begin(writing, stream, group, create)?,
    };
    let mut work = Work {
        writing,
        stream,
        group,
        now,
        turn,
        cursor,
        seen,
        open,
    };
    if found.is_none() && turn.create == Create::Again {
        work.lose(-1)?;
    }
    let finished = work.finish()?;
    match &turn.route {
        Some(route) if route.after == work.cursor.to_string() => work.take_in(true)?,
        _ => {}
    }
    let mut taken = None;
    if turn.take {
        work.give_up()?;
        taken = work.take()?;
        if taken.is_none() && !turn.ordered {
            work.take_in(false)?;
            taken = work.take()?;
        }
    }
    let due = match taken.is_none() && turn.take {
        true => work.next_due()?,
        false => None,
    };
    Ok(Some(Turned {
        finished,
        taken,
        cursor: work.cursor.to_string(),
        due,
        is_woken: false,
        is_full: work.open >= MAX_OPEN as i64,
    }))
}

fn begin(
    writing: &Transaction<'_>,
    stream: &str,
    group: &str,
    create: Create,
) -> rusqlite::Result<(i64, i64, i64)> {
    let appended = "SELECT appended FROM stream WHERE name = ?1";
    let appended: i64 = writing
        .query_row(appended, [stream], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let end = |order: &str| {
        let select =
            format!("SELECT number FROM entry WHERE stream = ?1 ORDER BY number {order} LIMIT 1");
        let found = writing.query_row(&select, [stream], |row| row.get::<_, i64>(0));
        found.optional()
    };
    let (cursor, seen) = match create {
        Create::At(Start::Newest) => (end("DESC")?.unwrap_or(0), appended),
        // The entries before the first were never this group's.
        _ => match unread(writing, stream, 0, 1)?.first() {
            Some(first) => (0, number(&first.fields).unwrap_or(1) - 1),
            None => (0, appended),
        },
    };
    let insert = "INSERT INTO worker_group (stream, name, cursor, seen) VALUES (?1, ?2, ?3, ?4)";
    writing.execute(insert, params![stream, group, cursor, seen])?;
    let delete = "DELETE FROM item WHERE stream = ?1 AND worker_group = ?2";
    writing.execute(delete, params![stream, group])?;
    Ok((cursor, seen, 0))
}

/// The entries after a cursor.
pub(super) fn unread(
    connection: &Connection,
    stream: &str,
    cursor: i64,
    count: usize,
) -> rusqlite::Result<Vec<Unread>> {
    let select = "SELECT number, fields FROM entry WHERE stream = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let rows = select.query_map(params![stream, cursor, count as i64], |row| {
        Ok(Unread {
            id: row.get::<_, i64>(0)?.to_string(),
            fields: fields(&row.get::<_, String>(1)?),
        })
    })?;
    rows.collect()
}

/// Hands a dead letter out again.
pub(super) fn revive(
    writing: &Transaction<'_>,
    stream: &str,
    group: &str,
    id: i64,
) -> rusqlite::Result<bool> {
    let select = "SELECT key, fields FROM dead WHERE stream = ?1 AND worker_group = ?2 AND id = ?3";
    let found = writing.query_row(select, params![stream, group, id], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let found: Option<(Option<String>, String)> = found.optional()?;
    let Some((key, fields)) = found else {
        return Ok(false);
    };
    insert(writing, stream, group, None, key.as_deref(), Some(&fields))?;
    let count = "UPDATE worker_group SET open = open + 1 WHERE stream = ?1 AND name = ?2";
    writing.execute(count, params![stream, group])?;
    writing.execute("DELETE FROM dead WHERE id = ?1", [id])?;
    Ok(true)
}

fn insert(
    writing: &Transaction<'_>,
    stream: &str,
    group: &str,
    entry: Option<i64>,
    key: Option<&str>,
    fields: Option<&str>,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO item (stream, worker_group, entry, key, fields, head) \
                  SELECT ?1, ?2, ?3, ?4, ?5, ?4 IS NULL OR NOT EXISTS \
                  (SELECT 1 FROM item WHERE stream = ?1 AND worker_group = ?2 AND key = ?4)";
    let mut insert = writing.prepare_cached(insert)?;
    insert
        .execute(params![stream, group, entry, key, fields])
        .map(drop)
}

fn number(fields: &Fields) -> Option<i64> {
    let (name, value) = fields.get(1)?;
    (name == "n").then(|| value.parse().ok())?
}

impl Work<'_> {
    /// Ends the delivery that is to be ended; returns whether it was still the worker's.
    fn finish(&mut self) -> rusqlite::Result<bool> {
        let Some((token, verdict)) = &self.turn.finish else {
            return Ok(true);
        };
        let id: i64 = token.member.parse().unwrap_or(-1);
        let select = format!("SELECT {ITEM} FROM item WHERE id = ?1");
        let mut select = self.writing.prepare_cached(&select)?;
        let found = select.query_row([id], Item::read).optional()?;
        // Another worker may have taken it over since.
        let Some(item) = found.filter(|item| item.in_flight && item.attempt == token.attempt)
        else {
            return Ok(false);
        };
        match verdict {
            Verdict::Extend(lease) => self.put_off(item.id, *lease, true)?,
            Verdict::Ack => {
                self.count("handled")?;
                self.close(&item)?;
            }
            Verdict::Retry(delay, _, attempts) if item.attempt < *attempts => {
                self.count("retried")?;
                self.put_off(item.id, *delay, false)?;
            }
            Verdict::Retry(_, why, _) | Verdict::Reject(why) => self.bury(&item, why)?,
        }
        Ok(true)
    }

    fn put_off(&self, id: i64, delay: Duration, in_flight: bool) -> rusqlite::Result<()> {
        let update = "UPDATE item SET due = ?2, in_flight = ?3 WHERE id = ?1";
        let mut update = self.writing.prepare_cached(update)?;
        update
            .execute(params![id, self.later(delay), in_flight])
            .map(drop)
    }

    fn later(&self, delay: Duration) -> i64 {
        self.now
            .saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }

    fn count(&self, what: &str) -> rusqlite::Result<()> {
        let update =
            format!("UPDATE worker_group SET {what} = {what} + 1 WHERE stream = ?1 AND name = ?2");
        let mut update = self.writing.prepare_cached(&update)?;
        update.execute(params![self.stream, self.group]).map(drop)
    }

    /// Removes an item; the next one of its key follows.
    fn close(&mut self, item: &Item) -> rusqlite::Result<()> {
        self.writing
            .prepare_cached("DELETE FROM item WHERE id = ?1")?
            .execute([item.id])?;
        self.open -= 1;
        self.save()?;
        let Some(key) = &item.key else {
            return Ok(());
        };
        let next = "UPDATE item SET head = 1 WHERE id = (SELECT id FROM item WHERE stream = ?1 \
                    AND worker_group = ?2 AND key = ?3 ORDER BY id LIMIT 1)";
        let mut next = self.writing.prepare_cached(next)?;
        next.execute(params![self.stream, self.group, key])
            .map(drop)
    }

    fn bury(&mut self, item: &Item, why: &str) -> rusqlite::Result<()> {
        let insert = "INSERT INTO dead (stream, worker_group, entry, key, at, attempts, worker, error, fields) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let entry = item
            .entry
            .map_or_else(String::new, |entry| entry.to_string());
        let fields = self.text_of(item)?.unwrap_or_else(|| "[]".to_owned());
        self.writing.execute(
            insert,
            params![
                self.stream,
                self.group,
                entry,
                item.key,
                self.now,
                item.attempt,
                item.worker,
                why,
                fields
            ],
        )?;
        let delete = "DELETE FROM dead WHERE stream = ?1 AND worker_group = ?2 AND id <= \
                      (SELECT id FROM dead WHERE stream = ?1 AND worker_group = ?2 \
                      ORDER BY id DESC LIMIT 1 OFFSET ?3)";
        self.writing
            .execute(delete, params![self.stream, self.group, MAX_DEAD as i64])?;
        self.count("dead")?;
        self.close(item)
    }

    fn text_of(&self, item: &Item) -> rusqlite::Result<Option<String>> {
        if item.fields.is_some() {
            return Ok(item.fields.clone());
        }
        let mut select = self
            .writing
            .prepare_cached("SELECT fields FROM entry WHERE number = ?1")?;
        select.query_row([item.entry], |row| row.get(0)).optional()
    }

    /// Takes in what follows the cursor; with keys only as far as the worker knows them. A number that
    /// is missing is an entry that was lost.
    fn take_in(&mut self, has_keys: bool) -> rusqlite::Result<()> {
        if self.open >= MAX_OPEN as i64 {
            return Ok(());
        }
        for entry in unread(self.writing, self.stream, self.cursor, LOOK_AHEAD)? {
            let key = match (&self.turn.route, has_keys) {
                (Some(route), true) => match route.keys.get(&entry.id) {
                    Some(key) => Some(key.as_str()).filter(|key| !key.is_empty()),
                    None => break,
                },
                _ => None,
            };
            if let Some(number) = number(&entry.fields) {
                let missing = number - self.seen - 1;
                if missing != 0 {
                    self.lose(missing)?;
                }
                self.seen = number;
            }
            let id: i64 = entry.id.parse().unwrap_or(self.cursor);
            insert(self.writing, self.stream, self.group, Some(id), key, None)?;
            self.open += 1;
            self.cursor = id;
        }
        self.save()
    }

    /// A gap that only this group sees.
    fn lose(&mut self, missing: i64) -> rusqlite::Result<()> {
        let gap = NewEntry {
            id: String::new(),
            at: self.now,
            kind: Kind::Lost,
            body: missing.to_string(),
        };
        let gap = stored(&gap, 0, "");
        insert(
            self.writing,
            self.stream,
            self.group,
            None,
            None,
            Some(&gap),
        )?;
        self.open += 1;
        self.save()
    }

    fn save(&self) -> rusqlite::Result<()> {
        let update = "UPDATE worker_group SET cursor = ?3, seen = ?4, open = ?5 WHERE stream = ?1 AND name = ?2";
        let mut update = self.writing.prepare_cached(update)?;
        update
            .execute(params![
                self.stream,
                self.group,
                self.cursor,
                self.seen,
                self.open
            ])
            .map(drop)
    }

    /// Makes dead letters of what was never finished, for the last time.
    fn give_up(&mut self) -> rusqlite::Result<()> {
        for item in self.due(100, "in_flight = 1")? {
            self.count("expired")?;
            if item.attempt >= self.turn.attempts {
                self.bury(&item, "its worker did not finish it within its lease")?;
            } else {
                let update = "UPDATE item SET in_flight = 0, due = 0 WHERE id = ?1";
                self.writing.prepare_cached(update)?.execute([item.id])?;
            }
        }
        Ok(())
    }

    fn due(&self, count: usize, condition: &str) -> rusqlite::Result<Vec<Item>> {
        let select = format!(
            "SELECT {ITEM} FROM item WHERE stream = ?1 AND worker_group = ?2 AND head = 1 AND due <= ?3 \
             AND {condition} ORDER BY due, id LIMIT ?4"
        );
        let mut select = self.writing.prepare_cached(&select)?;
        let rows = select.query_map(
            params![self.stream, self.group, self.now, count as i64],
            Item::read,
        )?;
        rows.collect()
    }

    fn take(&mut self) -> rusqlite::Result<Option<Taken>> {
        let Some(item) = self.due(1, "in_flight = 0")?.pop() else {
            return Ok(None);
        };
        let update =
            "UPDATE item SET in_flight = 1, due = ?2, attempt = ?3, worker = ?4 WHERE id = ?1";
        let attempt = item.attempt + 1;
        let lease = self.later(self.turn.lease);
        let mut update = self.writing.prepare_cached(update)?;
        update.execute(params![item.id, lease, attempt, self.turn.worker])?;
        let text = self.text_of(&item)?;
        Ok(Some(Taken {
            token: Token {
                member: item.id.to_string(),
                attempt,
            },
            fields: text.as_deref().map(fields).unwrap_or_default(),
        }))
    }

    /// When the next lease or pause ends.
    fn next_due(&self) -> rusqlite::Result<Option<Duration>> {
        let select =
            "SELECT MIN(due) FROM item WHERE stream = ?1 AND worker_group = ?2 AND head = 1";
        let mut select = self.writing.prepare_cached(select)?;
        let due: Option<i64> =
            select.query_row(params![self.stream, self.group], |row| row.get(0))?;
        Ok(due.map(|due| Duration::from_millis(u64::try_from(due - self.now).unwrap_or(0))))
    }
}
