//! A cache in a Redis or Valkey server that many machines share.

pub(crate) mod connections;

use std::collections::{BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use log::Level;
use redis::{Connection, Pipeline, RedisResult};

use self::connections::Connections;
use super::pending::PendingRemovals;
use super::{Cache, CacheStatistics, Counters, Update};
use crate::error::Result;
use crate::lock::Mutex;

/// The time limit for connecting and for each reply.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a server is not used after a failure.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// How many keys one command has.
const MAX_BATCH: usize = 500;

/// How often in a row a transaction may fail because another client has changed its values.
const MAX_ATTEMPTS: u32 = 20;

/// The maximum pause after the first of these conflicts, and what each further one adds to it.
const CONFLICT_PAUSE: Duration = Duration::from_millis(1);

/// The maximum time to live: a server refuses more than its clock can represent.
const MAX_TTL_MILLIS: u64 = 1 << 52;

/// The minimum time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(3600);

/// A cache in a Redis or Valkey server that many machines share.
///
/// The user in the URL needs the commands `MGET`, `SET`, `DEL`, `WATCH`, `UNWATCH`, `MULTI`, `EXEC`
/// and `SCAN`, on the keys with the [`prefix`](Self::prefix).
///
/// If the server cannot be reached, takes longer than 0.5 seconds or refuses a command, nothing is
/// cached for the next 5 seconds, with at most one warning an hour in the log. Then the server is used
/// again; values that changed meanwhile are removed from it first. No call fails because of the
/// server.
///
/// ```no_run
/// use std::time::Duration;
/// use ftrack_api::Session;
/// use ftrack_api::cache::RedisCache;
///
/// let hour = Duration::from_secs(3600);
/// let cache = RedisCache::new("redis://cache.studio:6379")?.prefix("pipeline:").ttl(hour);
/// let session = Session::builder().cache(cache).open()?;
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[must_use]
pub struct RedisCache {
    connections: Connections,
    prefix: String,
    ttl: Option<Duration>,
    pause: Duration,
    /// The time of the last failure.
    failed_at: Mutex<Option<Instant>>,
    /// The time of the last warning.
    warned_at: Mutex<Option<Instant>>,
    /// With the prefix.
    pending: PendingRemovals,
    counters: Counters,
}

impl RedisCache {
    /// A cache in the server at `url`, such as `redis://host:6379/0`, or `redis://:password@host` for
    /// a server with a password. The connection is opened when it is first needed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the URL is invalid.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            connections: Connections::new(url.as_ref(), REPLY_TIMEOUT)?,
            prefix: "ftrack:".to_owned(),
            ttl: None,
            pause: DEFAULT_PAUSE,
            failed_at: Mutex::default(),
            warned_at: Mutex::default(),
            pending: PendingRemovals::default(),
            counters: Counters::default(),
        })
    }

    /// Sets the prefix of all keys in the server; `ftrack:` unless set. Every key with it belongs to
    /// the cache, which may remove it. Other keys are not touched.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the time to live, after which the server removes a value. Values do not expire unless it
    /// is set.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets how long the server is not used after a failure; 5 seconds unless set.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Does `work` with a connection; `T::default()` if there is none.
    fn with<T: Default>(&self, mut work: impl FnMut(&mut Connection) -> RedisResult<T>) -> T {
        if self.is_paused() {
            return T::default();
        }
        let done = self.connections.with(|connection| {
            self.make_up_removals(connection)?;
            work(connection)
        });
        done.unwrap_or_else(|error| self.failed(&error))
    }

    fn failed<T: Default>(&self, error: &redis::RedisError) -> T {
        self.counters.failed();
        let now = Instant::now();
        *self.failed_at.lock() = Some(now);
        let hint = match error.is_io_error() {
            true => "",
            false => " (the documentation of `RedisCache` lists the commands that its user needs)",
        };
        let text = format!(
            "the Redis server failed; nothing is cached until it works again: {error}{hint}"
        );
        let mut warned = self.warned_at.lock();
        let level = match *warned {
            Some(at) if at.elapsed() < WARNING_INTERVAL => Level::Debug,
            _ => Level::Warn,
        };
        if level == Level::Warn {
            *warned = Some(now);
        }
        drop(warned);
        log::log!(level, "{text}");
        T::default()
    }

    fn is_paused(&self) -> bool {
        let failed_at = *self.failed_at.lock();
        failed_at.is_some_and(|since| since.elapsed() < self.pause)
    }

    /// Adds the command that puts a value under a key of the server.
    fn put(&self, commands: &mut Pipeline, key: &str, value: &str) {
        let set = commands.cmd("SET").arg(key).arg(value);
        if let Some(ttl) = self.ttl {
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(MAX_TTL_MILLIS);
            set.arg("PX").arg(millis.clamp(1, MAX_TTL_MILLIS));
        }
        set.ignore();
    }

    /// The values of at most [`MAX_BATCH`] keys.
    fn look_up(&self, keys: &[String]) -> Vec<Option<String>> {
        let asked = self.full_keys(keys);
        let found: Vec<Found> =
            self.with(|connection| redis::cmd("MGET").arg(&asked).query(connection));
        let mut found: Vec<_> = found.into_iter().map(text).collect();
        found.resize(keys.len(), None);
        found
    }

    /// Updates values in one transaction. Returns false, without any effect, if another client has
    /// changed one of them meanwhile.
    fn exchange(&self, keys: &[String], update: Update<'_, String>) -> bool {
        let full = self.full_keys(keys);
        let mut made = HashMap::new();
        let done: Option<bool> = self.with(|connection| {
            let mut reading = redis::pipe();
            reading.cmd("WATCH").arg(&full).ignore();
            let (before,): (Vec<Found>,) = reading.cmd("MGET").arg(&full).query(connection)?;
            made.clear();
            for (number, (key, before)) in full.iter().zip(before).enumerate() {
                let before = made.get(key).cloned().or_else(|| text(before));
                if let Some(after) = update(number, before) {
                    made.insert(key, after);
                }
            }
            if made.is_empty() {
                return redis::cmd("UNWATCH").exec(connection).map(|()| Some(true));
            }
            let mut writing = redis::pipe();
            // Not `atomic`, which panics if `MULTI` is refused.
            writing.cmd("MULTI").ignore();
            for (key, value) in &made {
                self.put(&mut writing, key, value);
            }
            // The reply is nil if a value has changed.
            let (done,): (Option<()>,) = writing.cmd("EXEC").query(connection)?;
            Ok(Some(done.is_some()))
        });
        match done {
            Some(true) => self.counters.written(made.values().map(String::len)),
            Some(false) => {}
            // Still called for each key: its effects in the caller are expected.
            None => self.pending.add(
                full.into_iter()
                    .enumerate()
                    .filter_map(|(number, key)| update(number, None).map(|_| key)),
            ),
        }
        done.unwrap_or(true)
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn full_keys(&self, keys: &[String]) -> Vec<String> {
        keys.iter().map(|key| self.full_key(key)).collect()
    }

    /// Removes the keys that could not be removed before.
    fn make_up_removals(&self, connection: &mut Connection) -> RedisResult<()> {
        let pending = self.pending.all();
        if pending.everything {
            self.scan(connection, delete)?;
        }
        delete(connection, &pending.keys)?;
        self.pending.done(&pending);
        Ok(())
    }

    /// Visits the keys in the server that begin with the prefix, some of them more than once.
    fn scan(
        &self,
        connection: &mut Connection,
        mut visit: impl FnMut(&mut Connection, &[String]) -> RedisResult<()>,
    ) -> RedisResult<()> {
        let mut pattern = String::with_capacity(self.prefix.len() + 8);
        for letter in self.prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1000);
            let (next, keys): (u64, Vec<Vec<u8>>) = scan.query(connection)?;
            // The cache has no keys that are not text. A proxy may ignore the pattern.
            let keys: Vec<String> = keys
                .into_iter()
                .filter_map(|key| String::from_utf8(key).ok())
                .filter(|key| key.starts_with(&self.prefix))
                .collect();
            visit(connection, &keys)?;
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

fn delete(connection: &mut Connection, keys: &[String]) -> RedisResult<()> {
    keys.chunks(MAX_BATCH)
        .try_for_each(|keys| redis::cmd("DEL").arg(keys).exec(connection))
}

impl Cache for RedisCache {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        let found = self.get_many(&[key.to_owned()])?;
        Ok(found.into_iter().next().flatten())
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        self.set_many(vec![(key.to_owned(), value)])
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        Ok(self.remove_many(&[key.to_owned()])? > 0)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        let found: BTreeSet<String> = self.with(|connection| {
            let mut found = BTreeSet::new();
            self.scan(connection, |_, keys| {
                found.extend(keys.iter().map(|key| key[self.prefix.len()..].to_owned()));
                Ok(())
            })?;
            Ok(found)
        });
        Ok(found.into_iter().collect())
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        let found = keys.chunks(MAX_BATCH).flat_map(|keys| self.look_up(keys));
        let found: Vec<Option<String>> = found.collect();
        self.counters.looked_up(&found);
        Ok(found)
    }

    fn set_many(&self, entries: Vec<(String, String)>) -> anyhow::Result<()> {
        for entries in entries.chunks(MAX_BATCH) {
            let taken: bool = self.with(|connection| {
                let mut commands = redis::pipe();
                for (key, value) in entries {
                    self.put(&mut commands, &self.full_key(key), value);
                }
                commands.exec(connection).map(|()| true)
            });
            match taken {
                true => self
                    .counters
                    .written(entries.iter().map(|(_, value)| value.len())),
                false => self
                    .pending
                    .add(entries.iter().map(|(key, _)| self.full_key(key))),
            }
        }
        Ok(())
    }

    /// After a conflict, the next transaction has half as many keys.
    fn update_many(&self, keys: &[String], update: Update<'_, String>) -> anyhow::Result<()> {
        let (mut done, mut size, mut conflicts) = (0, MAX_BATCH, 0);
        while done < keys.len() {
            let some = &keys[done..keys.len().min(done + size)];
            if self.exchange(some, &mut |number, before| update(done + number, before)) {
                done += some.len();
                (size, conflicts) = ((size * 2).min(MAX_BATCH), 0);
            } else {
                (size, conflicts) = ((some.len() / 2).max(1), conflicts + 1);
                anyhow::ensure!(
                    conflicts < MAX_ATTEMPTS,
                    "other clients keep changing the same values"
                );
                // At random, so that those who compete for the values do not meet again.
                let pause = CONFLICT_PAUSE * conflicts;
                thread::sleep(pause.mul_f64(fastrand::f64()));
            }
        }
        Ok(())
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        let mut removed = 0;
        for keys in keys.chunks(MAX_BATCH) {
            let full = self.full_keys(keys);
            let count: Option<usize> =
                self.with(|connection| redis::cmd("DEL").arg(&full).query(connection).map(Some));
            match count {
                Some(count) => removed += count,
                None => self.pending.add(full),
            }
        }
        Ok(removed)
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        vec![self.counters.read("RedisCache")]
    }
}

/// The value of a key in the server.
type Found = Option<Vec<u8>>;

/// A value that is not text is foreign or damaged, and counts as missing.
fn text(found: Found) -> Option<String> {
    String::from_utf8(found?).ok()
}

// The URL is left out: it may hold a password.
debug_fields!(RedisCache, |this| prefix: this.prefix, ttl: this.ttl);
