//! A stream in a file: an SQLite database, for relay and workers of one machine.

mod open;
mod turn;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};

use crate::cache::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Condvar, Mutex};
use crate::relay::clock;
use crate::relay::engine::{
    Appended, Bounds, Dead, Engine, Fields, Figures, GroupFigures, MARKER_AGE, NewEntry, Turn,
    Turned, Unread,
};
use open::{create, prepare};

/// How often a worker that waits looks for entries of other processes: SQLite does not notify it.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct LocalEngine {
    path: PathBuf,
    name: String,
    idle: Pool<Connection>,
    /// Counts the calls of `append`, for the threads of this process that wait.
    appended: Mutex<u64>,
    has_appended: Condvar,
}

impl LocalEngine {
    pub(crate) fn new(path: &Path, name: &str) -> Self {
        Self {
            path: path.to_owned(),
            name: name.to_owned(),
            idle: Pool::new(),
            appended: Mutex::new(0),
            has_appended: Condvar::new(),
        }
    }

    /// Does `work` in one transaction.
    fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.with(|connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&writing)?;
            writing.commit()?;
            Ok(done)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = match self.idle.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let done = work(&mut connection).map_err(|error| self.error(error))?;
        self.idle.give(connection);
        Ok(done)
    }

    fn connect(&self) -> Result<Connection> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| self.io(error))?;
        }
        create(&self.path).map_err(|error| self.io(error))?;
        let mut connection = Connection::open(&self.path).map_err(|error| self.error(error))?;
        let is_ours = prepare(&mut connection).map_err(|error| self.error(error))?;
        match is_ours {
            true => Ok(connection),
            false => {
                let message = format!(
                    "{} is not a stream of this version of ftrack-api; give the stream a path of its own",
                    self.path.display()
                );
                Err(Error::new(ErrorKind::Configuration, message))
            }
        }
    }

    fn io(&self, error: std::io::Error) -> Error {
        let message = format!("cannot use the stream {}: {error}", self.path.display());
        Error::new(ErrorKind::Io, message).with_source(error)
    }

    fn error(&self, error: rusqlite::Error) -> Error {
        let path = self.path.display();
        let (kind, hint) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                ErrorKind::Unavailable,
                "another process has it locked; try again later",
            ),
            Some(ErrorCode::DiskFull) => (ErrorKind::Unavailable, "make room on the disk"),
            Some(ErrorCode::NotADatabase) => (
                ErrorKind::Configuration,
                "give the stream a path of its own",
            ),
            Some(ErrorCode::DatabaseCorrupt) => (
                ErrorKind::Io,
                "the file is damaged: move it away, and a new one is begun",
            ),
            _ => (ErrorKind::Io, "look at the file and its folder"),
        };
        Error::new(kind, format!("the stream {path}: {error}; {hint}")).with_source(error)
    }
}

impl Engine for LocalEngine {
    fn append(
        &self,
        entries: &[NewEntry],
        relay: &str,
        record: Option<&str>,
        // A process that ends loses nothing here, and a machine that fails ends the relay too.
        _known: Option<u64>,
        bounds: Bounds,
    ) -> Result<Appended> {
        let now = clock::now();
        let appended = self.change(|writing| {
            let relays = match record.is_some() || entries.is_empty() {
                true => relays(writing, &self.name)?,
                false => BTreeMap::new(),
            };
            let counts = "SELECT appended, kept FROM stream WHERE name = ?1";
            let counts = writing
                .prepare_cached(counts)?
                .query_row([&self.name], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
                });
            let (mut number, mut kept) = counts.optional()?.unwrap_or((0, 0));
            let before = number;
            for entry in entries {
                let event = Some(&entry.id).filter(|id| !id.is_empty());
                let fields = stored(entry, number + 1, relay);
                let insert = "INSERT OR IGNORE INTO entry (stream, event, stored, fields) \
                              VALUES (?1, ?2, ?3, ?4)";
                let mut insert = writing.prepare_cached(insert)?;
                number += i64::from(insert.execute(params![self.name, event, now, fields])? > 0);
            }
            let added = number - before;
            kept += added;
            kept -= trim(writing, &self.name, kept, now, bounds)?;
            let keep = "INSERT OR REPLACE INTO stream (name, appended, kept) VALUES (?1, ?2, ?3)";
            writing
                .prepare_cached(keep)?
                .execute(params![self.name, number, kept])?;
            if let Some(record) = record {
                let report =
                    "INSERT OR REPLACE INTO relay (stream, name, record) VALUES (?1, ?2, ?3)";
                writing
                    .prepare_cached(report)?
                    .execute(params![self.name, relay, record])?;
            }
            Ok(Appended {
                added: count(added),
                repeated: entries.len() as u64 - count(added),
                now,
                relays,
                number: count(number),
                has_lost: false,
            })
        })?;
        if appended.added > 0 {
            *self.appended.lock() += 1;
            self.has_appended.notify_all();
        }
        Ok(appended)
    }

    fn knows(&self, id: &str) -> Result<bool> {
        self.with(|connection| {
            let select = "SELECT 1 FROM entry WHERE stream = ?1 AND event = ?2";
            let mut select = connection.prepare_cached(select)?;
            select.exists(params![self.name, id])
        })
    }

    fn turn(&self, group: &str, turn: &Turn<'_>) -> Result<Option<Turned>> {
        let is_woken = match &turn.wait {
            Some((after, timeout)) => !self.wait(after, 1, *timeout)?.is_empty(),
            None => false,
        };
        let turned =
            self.change(|writing| turn::turn(writing, &self.name, group, turn, clock::now()))?;
        Ok(turned.map(|turned| Turned { is_woken, ..turned }))
    }

    fn wait(&self, after: &str, count: usize, timeout: Duration) -> Result<Vec<Unread>> {
        let cursor: i64 = after.parse().unwrap_or(0);
        let end = Instant::now() + timeout;
        loop {
            let before = *self.appended.lock();
            let found =
                self.with(|connection| turn::unread(connection, &self.name, cursor, count))?;
            let now = Instant::now();
            if !found.is_empty() || now >= end {
                return Ok(found);
            }
            let mut appended = self.appended.lock();
            if *appended == before {
                self.has_appended
                    .wait_until(&mut appended, end.min(now + LOOK_INTERVAL));
            }
        }
    }

    fn dead_letters(&self, group: &str, after: &str, count: usize) -> Result<Vec<Dead>> {
        let after: i64 = after.parse().unwrap_or(0);
        self.with(|connection| {
            let select = "SELECT id, entry, at, attempts, worker, error, fields FROM dead \
                          WHERE stream = ?1 AND worker_group = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
            let mut select = connection.prepare_cached(select)?;
            let rows = select.query_map(params![self.name, group, after, count as i64], |row| {
                Ok(Dead {
                    id: row.get::<_, i64>(0)?.to_string(),
                    entry: row.get(1)?,
                    at: row.get(2)?,
                    attempts: row.get(3)?,
                    worker: row.get(4)?,
                    error: row.get(5)?,
                    fields: fields(&row.get::<_, String>(6)?),
                })
            })?;
            rows.collect()
        })
    }

    fn return_dead(&self, group: &str, id: &str) -> Result<bool> {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(false);
        };
        self.change(|writing| turn::revive(writing, &self.name, group, id))
    }

    fn remove_dead(&self, group: &str, id: &str) -> Result<bool> {
        let id: i64 = id.parse().unwrap_or(-1);
        self.change(|writing| {
            let delete = "DELETE FROM dead WHERE stream = ?1 AND worker_group = ?2 AND id = ?3";
            Ok(writing.execute(delete, params![self.name, group, id])? > 0)
        })
    }

    fn remove_relay(&self, name: &str) -> Result<bool> {
        self.change(|writing| {
            let delete = "DELETE FROM relay WHERE stream = ?1 AND name = ?2";
            Ok(writing.execute(delete, params![self.name, name])? > 0)
        })
    }

    fn remove_group(&self, group: &str) -> Result<bool> {
        self.change(|writing| {
            for table in ["item", "dead"] {
                let delete = format!("DELETE FROM {table} WHERE stream = ?1 AND worker_group = ?2");
                writing.execute(&delete, params![self.name, group])?;
            }
            let delete = "DELETE FROM worker_group WHERE stream = ?1 AND name = ?2";
            Ok(writing.execute(delete, params![self.name, group])? > 0)
        })
    }

    fn mark(&self, group: &str, id: &str, value: &str) -> Result<Option<String>> {
        let now = clock::now();
        let oldest = now - i64::try_from(MARKER_AGE.as_millis()).unwrap_or(0);
        self.change(|writing| {
            writing.execute("DELETE FROM marker WHERE at < ?1", [oldest])?;
            let select =
                "SELECT value FROM marker WHERE stream = ?1 AND worker_group = ?2 AND event = ?3";
            let found = writing.query_row(select, params![self.name, group, id], |row| row.get(0));
            let found: Option<String> = found.optional()?;
            if found.is_none() {
                put_mark(writing, &self.name, group, id, value)?;
            }
            Ok(found)
        })
    }

    fn set_mark(&self, group: &str, id: &str, value: Option<&str>) -> Result<()> {
        self.change(|writing| match value {
            Some(value) => put_mark(writing, &self.name, group, id, value),
            None => {
                let delete =
                    "DELETE FROM marker WHERE stream = ?1 AND worker_group = ?2 AND event = ?3";
                writing
                    .execute(delete, params![self.name, group, id])
                    .map(drop)
            }
        })
    }

    fn figures(&self) -> Result<Figures> {
        self.with(|connection| {
            let select = "SELECT appended, kept FROM stream WHERE name = ?1";
            let found =
                connection.query_row(select, [&self.name], |row| Ok((row.get(0)?, row.get(1)?)));
            let (number, length): (i64, i64) = found.optional()?.unwrap_or((0, 0));
            let groups = "SELECT name FROM worker_group WHERE stream = ?1 ORDER BY name";
            let mut groups = connection.prepare_cached(groups)?;
            let groups = groups.query_map([&self.name], |row| row.get(0))?;
            Ok(Figures {
                length: count(length),
                number: count(number),
                relays: relays(connection, &self.name)?,
                groups: groups.collect::<rusqlite::Result<_>>()?,
            })
        })
    }

    fn group(&self, group: &str) -> Result<Option<GroupFigures>> {
        let now = clock::now();
        self.with(|connection| {
            let names = ["seen", "open", "handled", "retried", "expired", "dead"];
            let select = format!(
                "SELECT {} FROM worker_group WHERE stream = ?1 AND name = ?2",
                names.join(", ")
            );
            let found = connection.query_row(&select, params![self.name, group], |row| {
                let counts = names.iter().enumerate();
                let counts = counts.map(|(at, name)| {
                    Ok(((*name).to_owned(), count(row.get(at)?)))
                });
                counts.collect::<rusqlite::Result<BTreeMap<_, _>>>()
            });
            let Some(counts) = found.optional()? else {
                return Ok(None);
            };
            let items = |condition: &str| {
                let select = format!(
                    "SELECT COUNT(*) FROM item WHERE stream = ?1 AND worker_group = ?2 AND head = 1 AND {condition}"
                );
                connection.query_row(&select, params![self.name, group, now], |row| row.get(0).map(count))
            };
            let dead = "SELECT COUNT(*) FROM dead WHERE stream = ?1 AND worker_group = ?2";
            Ok(Some(GroupFigures {
                counts,
                in_flight: items("in_flight = 1 AND ?3 > 0")?,
                delayed: items("in_flight = 0 AND due > ?3")?,
                dead_letters: connection.query_row(dead, params![self.name, group], |row| row.get(0).map(count))?,
            }))
        })
    }

    fn describe(&self) -> String {
        format!("stream {:?} in {}", self.name, self.path.display())
    }
}

fn put_mark(
    writing: &Transaction<'_>,
    stream: &str,
    group: &str,
    id: &str,
    value: &str,
) -> rusqlite::Result<()> {
    let put = "INSERT OR REPLACE INTO marker (stream, worker_group, event, value, at) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    writing
        .execute(put, params![stream, group, id, value, clock::now()])
        .map(drop)
}

/// Removes the oldest entries beyond the bounds; returns how many.
fn trim(
    writing: &Transaction<'_>,
    stream: &str,
    kept: i64,
    now: i64,
    bounds: Bounds,
) -> rusqlite::Result<i64> {
    let mut removed = 0;
    let max = bounds.max_length.and_then(|max| i64::try_from(max).ok());
    let excess = max.map_or(0, |max| kept.saturating_sub(max));
    if excess > 0 {
        let delete = "DELETE FROM entry WHERE number IN \
                      (SELECT number FROM entry WHERE stream = ?1 ORDER BY number LIMIT ?2)";
        removed += writing.execute(delete, params![stream, excess])? as i64;
    }
    if let Some(age) = bounds.max_age {
        let oldest = now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let delete = "DELETE FROM entry WHERE stream = ?1 AND stored < ?2";
        removed += writing.execute(delete, params![stream, oldest])? as i64;
    }
    Ok(removed)
}

fn relays(connection: &Connection, stream: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut select =
        connection.prepare_cached("SELECT name, record FROM relay WHERE stream = ?1")?;
    let rows = select.query_map([stream], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// The fields of an entry as JSON, as Redis has them.
fn stored(entry: &NewEntry, number: i64, relay: &str) -> String {
    let (number, at) = (number.to_string(), entry.at.to_string());
    let fields = [
        ("v", "1"),
        ("n", &number),
        ("at", &at),
        ("kind", entry.kind.as_str()),
        ("by", relay),
        ("id", &entry.id),
        ("body", &entry.body),
    ];
    serde_json::to_string(&fields).unwrap_or_default()
}

/// What cannot be read has no fields.
fn fields(text: &str) -> Fields {
    serde_json::from_str(text).unwrap_or_default()
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::Event;
    use crate::relay::{Stream, Worker};

    fn raw(path: &Path) -> Connection {
        Connection::open(path).unwrap()
    }

    #[test]
    fn dead_letters_of_another_group_remove_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let stream = Stream::local(&path);
        stream.append(&[(); 2].map(|()| Event::new("a.b"))).unwrap();
        let worker = Worker::new(&stream, "g", "one");
        let reject = || worker.next(None).unwrap().unwrap().reject("no").unwrap();
        reject();
        // As if others had many.
        raw(&path)
            .execute(
                "UPDATE sqlite_sequence SET seq = 200000 WHERE name = 'dead'",
                [],
            )
            .unwrap();
        reject();
        assert_eq!(stream.dead_letters("g").unwrap().len(), 2);
    }

    #[test]
    fn old_markers_are_found_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        Stream::local(&path).status().unwrap();
        let plan = "EXPLAIN QUERY PLAN DELETE FROM marker WHERE at < 1";
        let plan: String = raw(&path).query_row(plan, [], |row| row.get(3)).unwrap();
        assert!(plan.contains("marker_at"), "{plan}");
    }
}
