//! A cache in a file that several processes share: an SQLite database.

mod open;
mod statements;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};

use self::open::{FileId, Foreign, file_id, is_busy, is_damage};
use self::statements::MAX_BATCH;
use super::pending::PendingRemovals;
use super::pool::Pool;
use super::{Cache, CacheStatistics, Counters, Update};
use crate::error::{Error, ErrorKind, Result};

/// A cache in a file, which lasts between sessions and may be shared by several processes.
///
/// The file is an SQLite database. It survives `kill -9` at any moment. If it is damaged, as after a
/// loss of power, it is replaced by an empty one, with a warning in the log. A loss of power may also
/// undo the latest changes. A call that waits for another process fails after 0.25 seconds.
///
/// The file must be on a local disk: network file systems do not let several machines share a
/// database. It has the permissions of any new file of the user, and contains data of the server.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("studio.cache");
/// use std::time::Duration;
/// use ftrack_api::cache::{Cache, FileCache};
///
/// let day = Duration::from_secs(24 * 3600);
/// let cache = FileCache::open(&path)?.ttl(day).max_bytes(64 << 20);
/// cache.set("key", "value".to_owned())?;
/// drop(cache);
/// assert_eq!(FileCache::open(&path)?.get("key")?.as_deref(), Some("value"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct FileCache {
    path: PathBuf,
    /// Each with the file that it was opened to.
    idle: Pool<(FileId, Connection)>,
    ttl: Option<Duration>,
    max_bytes: u64,
    /// How many bytes were written since the size was last checked.
    unchecked: AtomicU64,
    pending: PendingRemovals,
    counters: Counters,
}

impl FileCache {
    /// Opens the cache in the file at `path`, which is created with its folder if necessary. SQLite
    /// and the cache keep files beside it whose names end with `-wal`, `-shm` and `.lock`.
    ///
    /// Succeeds while other processes keep the file busy; the next call tries again.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if there is a file that is not a cache of this crate. It stays
    ///   as it is.
    /// - [`ErrorKind::Io`] if the file can be neither opened nor replaced.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let cache = Self {
            path: path.into(),
            idle: Pool::new(),
            ttl: None,
            max_bytes: 256 << 20,
            unchecked: AtomicU64::new(0),
            pending: PendingRemovals::default(),
            counters: Counters::default(),
        };
        match cache.with(|_| Ok(())) {
            Ok(()) => Ok(cache),
            Err(error) if is_busy(&error) => {
                log::info!("the cache {} is busy: {error:#}", cache.path.display());
                Ok(cache)
            }
            Err(error) => {
                let kind = match error.is::<Foreign>() {
                    true => ErrorKind::Configuration,
                    false => ErrorKind::Io,
                };
                let message = format!("cannot use the cache {}: {error:#}", cache.path.display());
                Err(Error::new(kind, message).with_source(error))
            }
        }
    }

    /// Sets the time to live: older values are ignored. Values do not expire unless it is set.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets the maximum size of the file; 256 MiB unless set. Beyond it, the values that were written
    /// first are evicted. The file does not shrink; its space is used again.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does `work` with a connection. If the file turns out to be damaged, it is replaced, and `work`
    /// is done with the empty one.
    fn with<T>(
        &self,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        // A connection to a file that was replaced would read and write values that no other process
        // sees.
        let file = file_id(&self.path);
        let mut idle = std::iter::from_fn(|| self.idle.take());
        let connection = match idle.find(|(opened, _)| *opened == file) {
            Some((_, connection)) => Ok(connection),
            None => open::connect(&self.path),
        };
        let outcome = connection.and_then(|mut connection| {
            match work(&mut connection).map_err(anyhow::Error::new) {
                Err(error) if is_damage(&error) => {
                    drop(connection);
                    self.idle.drain();
                    open::repair(&self.path, &mut work)
                }
                done => Ok((connection, done?)),
            }
        });
        let (connection, done) = outcome.inspect_err(|_| self.counters.failed())?;
        self.idle.give((file, connection));
        Ok(done)
    }

    /// The time of the oldest valid value, in seconds since 1970.
    fn oldest(&self) -> i64 {
        let ttl = self.ttl.and_then(|ttl| i64::try_from(ttl.as_secs()).ok());
        ttl.map_or(i64::MIN, |ttl| now().saturating_sub(ttl))
    }

    fn read(
        &self,
        connection: &Connection,
        key: &str,
        oldest: i64,
    ) -> rusqlite::Result<Option<String>> {
        match self.pending.contains(key) {
            true => Ok(None),
            false => statements::read(connection, key, oldest),
        }
    }

    /// Does `change` in one transaction, after the removals that failed before.
    fn change<T>(
        &self,
        mut change: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        self.with(|connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let pending = self.pending.all();
            if pending.everything {
                statements::remove_all(&writing)?;
            }
            statements::remove(&writing, &pending.keys)?;
            let changed = change(&writing)?;
            writing.commit()?;
            self.pending.done(&pending);
            Ok(changed)
        })
    }

    /// Does `write` in one transaction; it returns the size of each value.
    fn write(
        &self,
        keys: &[String],
        mut write: impl FnMut(&Connection) -> rusqlite::Result<Vec<usize>>,
    ) -> anyhow::Result<()> {
        let is_check_due = self.unchecked.load(Ordering::Relaxed) >= self.max_bytes / 32;
        let (written, evicted, is_small) = self.change(|writing| {
            let written = write(writing)?;
            // In the same transaction: another one would wait for the other processes again.
            let (evicted, is_small) = match is_check_due {
                true => statements::trim(writing, self.max_bytes)?,
                false => (0, false),
            };
            Ok((written, evicted, is_small))
        })?;
        if is_small {
            self.unchecked.store(0, Ordering::Relaxed);
        }
        let bytes = written.iter().sum::<usize>() + keys.iter().map(String::len).sum::<usize>();
        self.unchecked.fetch_add(bytes as u64, Ordering::Relaxed);
        self.counters.written(written);
        self.counters.evicted(evicted);
        Ok(())
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

impl Cache for FileCache {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        let found = self.with(|connection| self.read(connection, key, self.oldest()))?;
        self.counters.looked_up(std::slice::from_ref(&found));
        Ok(found)
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        self.set_many(vec![(key.to_owned(), value)])
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        Ok(self.remove_many(&[key.to_owned()])? > 0)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.with(|connection| statements::keys(connection, self.oldest()))
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        let found = self.with(|connection| {
            // One transaction sees one state of the file, and locks it once.
            let reading = connection.transaction()?;
            let oldest = self.oldest();
            keys.iter()
                .map(|key| self.read(&reading, key, oldest))
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        self.counters.looked_up(&found);
        Ok(found)
    }

    fn set_many(&self, entries: Vec<(String, String)>) -> anyhow::Result<()> {
        let (keys, values): (Vec<String>, Vec<String>) = entries.into_iter().unzip();
        for (keys, values) in keys.chunks(MAX_BATCH).zip(values.chunks(MAX_BATCH)) {
            let now = now();
            self.write(keys, |writing| {
                let entries = keys.iter().zip(values);
                entries
                    .map(|(key, value)| statements::insert(writing, key, value, now))
                    .collect()
            })?;
        }
        Ok(())
    }

    fn update_many(&self, keys: &[String], update: Update<'_, String>) -> anyhow::Result<()> {
        for (batch, keys) in keys.chunks(MAX_BATCH).enumerate() {
            let (now, oldest) = (now(), self.oldest());
            self.write(keys, |writing| {
                let mut written = Vec::with_capacity(keys.len());
                for (number, key) in keys.iter().enumerate() {
                    let before = self.read(writing, key, oldest)?;
                    if let Some(value) = update(batch * MAX_BATCH + number, before) {
                        written.push(statements::insert(writing, key, &value, now)?);
                    }
                }
                Ok(written)
            })?;
        }
        Ok(())
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        let mut removed = 0;
        for (batch, some) in keys.chunks(MAX_BATCH).enumerate() {
            let count = self.change(|writing| statements::remove(writing, some));
            let rest = || keys[batch * MAX_BATCH..].iter().cloned();
            removed += count.inspect_err(|_| self.pending.add(rest()))?;
        }
        Ok(removed)
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        let mut statistics = self.counters.read("FileCache");
        let bytes = self.with(|connection| statements::used_bytes(connection));
        statistics.bytes = bytes.ok();
        vec![statistics]
    }
}

debug_fields!(FileCache, |this| path: this.path, ttl: this.ttl, max_bytes: this.max_bytes);
