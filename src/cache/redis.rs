//! Values in a Redis or Valkey server that many machines share.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use log::Level;
use redis::{Client, Connection, Pipeline, RedisResult};

use super::pending::PendingRemovals;
use super::pool::Pool;
use super::{Cache, CacheStatistics, Counters, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// How long a server may take to be reached, and for each answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a server that failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// How many keys one command names.
const BATCH: usize = 500;

/// How often in a row somebody else may be quicker.
const TRIES: usize = 20;

/// The longest time to live; a server refuses what its clock cannot say.
const LONGEST: u64 = 1 << 52;

/// How long trouble is not worth another warning.
const HOUR: Duration = Duration::from_secs(3600);

/// Keeps values in a Redis or Valkey server that many machines share.
///
/// The user of the URL needs the commands `MGET`, `SET`, `DEL`, `WATCH`, `UNWATCH`, `MULTI`, `EXEC`
/// and `SCAN`, on the keys with the [`prefix`](Self::prefix).
///
/// When the server cannot be reached, takes longer than half a second, or refuses a command,
/// nothing is cached for the next five seconds, with one warning an hour in the log; then it is
/// tried again, and what could not be replaced meanwhile is removed first. No call fails for that.
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
pub struct RedisCache {
    client: Client,
    idle: Pool<Connection>,
    prefix: String,
    ttl: Option<Duration>,
    pause: Duration,
    /// Since when the server is left alone.
    away: Mutex<Option<Instant>>,
    /// When that was last worth a warning.
    warned: Mutex<Option<Instant>>,
    /// Keys as the server has them.
    pending: PendingRemovals,
    counters: Counters,
}

impl RedisCache {
    /// A cache in the server at `url`, such as `redis://host:6379/0`; `redis://:password@host`
    /// where it wants a password. It is reached when it is first needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the URL cannot be used.
    pub fn new(url: &str) -> Result<Self> {
        let client = Client::open(url).map_err(|error| {
            // The URL itself may hold a password.
            let message = format!("the URL of a Redis server cannot be used: {error}");
            Error::new(ErrorKind::Configuration, message)
        })?;
        Ok(Self {
            client,
            idle: Pool::new(),
            prefix: "ftrack:".to_owned(),
            ttl: None,
            pause: PAUSE,
            away: Mutex::default(),
            warned: Mutex::default(),
            pending: PendingRemovals::default(),
            counters: Counters::default(),
        })
    }

    /// What all keys in the server begin with; `ftrack:` unless set. Others may use the same
    /// server under other keys; those that begin so are the cache's, and may all be removed.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Lets the server forget values so long after they were written.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long a server that failed is left alone; 5 seconds unless set.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Does something with a connection; `T::default()` if there is none.
    fn with<T: Default>(&self, mut work: impl FnMut(&mut Connection) -> RedisResult<T>) -> T {
        if self.is_away() {
            return T::default();
        }
        let mut work = |connection: &mut Connection| {
            self.pay(connection)?;
            work(connection)
        };
        // A connection that lay idle may have broken meanwhile: that says nothing of the server.
        if let Some(mut connection) = self.idle.take() {
            match work(&mut connection) {
                Ok(done) => return self.done(connection, done),
                Err(error) if error.is_timeout() => return self.failed(&error),
                Err(_) => self.idle.drain(),
            }
        }
        let fresh = self.connect().and_then(|mut connection| {
            let done = work(&mut connection)?;
            Ok((connection, done))
        });
        match fresh {
            Ok((connection, done)) => self.done(connection, done),
            Err(error) => self.failed(&error),
        }
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    fn done<T>(&self, connection: Connection, done: T) -> T {
        self.idle.give(connection);
        done
    }

    fn failed<T: Default>(&self, error: &redis::RedisError) -> T {
        self.counters.failed();
        let now = Instant::now();
        *self.away.lock() = Some(now);
        let hint = match error.is_io_error() {
            true => "",
            false => " (the documentation of `RedisCache` lists the commands that it must allow)",
        };
        let text = format!(
            "the Redis server does not serve; nothing is cached until it does: {error}{hint}"
        );
        let mut warned = self.warned.lock();
        let level = match *warned {
            Some(at) if at.elapsed() < HOUR => Level::Debug,
            _ => Level::Warn,
        };
        if level == Level::Warn {
            *warned = Some(now);
        }
        drop(warned);
        log::log!(level, "{text}");
        T::default()
    }

    fn is_away(&self) -> bool {
        let away = *self.away.lock();
        away.is_some_and(|since| since.elapsed() < self.pause)
    }

    /// Adds the command that puts a value under a key of the server.
    fn put(&self, commands: &mut Pipeline, key: &str, value: &str) {
        let set = commands.cmd("SET").arg(key).arg(value);
        if let Some(ttl) = self.ttl {
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(LONGEST);
            set.arg("PX").arg(millis.clamp(1, LONGEST));
        }
        set.ignore();
    }

    /// The values under keys that one command can name.
    fn look_up(&self, keys: &[String]) -> Vec<Option<String>> {
        let asked = self.full_keys(keys);
        let found: Vec<Found> =
            self.with(|connection| redis::cmd("MGET").arg(&asked).query(connection));
        let mut found: Vec<_> = found.into_iter().map(text).collect();
        found.resize(keys.len(), None);
        found
    }

    /// Updates values in one transaction; false if somebody else has changed one of them
    /// meanwhile, and so nothing was done.
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
            // Not `atomic`, which panics where `MULTI` is refused.
            writing.cmd("MULTI").ignore();
            for (key, value) in &made {
                self.put(&mut writing, key, value);
            }
            // Without an answer it was not done.
            let (done,): (Option<()>,) = writing.cmd("EXEC").query(connection)?;
            Ok(Some(done.is_some()))
        });
        match done {
            Some(true) => self.counters.written(made.values().map(String::len)),
            Some(false) => {}
            // The caller may note what would have been kept.
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

    /// Removes what could not be removed before.
    fn pay(&self, connection: &mut Connection) -> RedisResult<()> {
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
            // Keys that are no text are not ours.
            let keys: Vec<String> = keys
                .into_iter()
                .filter_map(|key| String::from_utf8(key).ok())
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
    keys.chunks(BATCH)
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
        let found = keys.chunks(BATCH).flat_map(|keys| self.look_up(keys));
        let found: Vec<Option<String>> = found.collect();
        self.counters.looked_up(&found);
        Ok(found)
    }

    fn set_many(&self, entries: Vec<(String, String)>) -> anyhow::Result<()> {
        for entries in entries.chunks(BATCH) {
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

    /// While others are quicker, a transaction has half as many keys as the one before.
    fn update_many(&self, keys: &[String], update: Update<'_, String>) -> anyhow::Result<()> {
        let (mut done, mut size, mut lost) = (0, BATCH, 0);
        while done < keys.len() {
            let some = &keys[done..keys.len().min(done + size)];
            if self.exchange(some, &mut |number, before| update(done + number, before)) {
                done += some.len();
                (size, lost) = ((size * 2).min(BATCH), 0);
            } else {
                (size, lost) = ((some.len() / 2).max(1), lost + 1);
                anyhow::ensure!(lost < TRIES, "others change the same values all the time");
            }
        }
        Ok(())
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        let mut removed = 0;
        for keys in keys.chunks(BATCH) {
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

/// What a server says of a key.
type Found = Option<Vec<u8>>;

/// What is no text is not ours, or damaged, and so not there.
fn text(found: Found) -> Option<String> {
    String::from_utf8(found?).ok()
}

/// The URL is left out: it may hold a password.
impl std::fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisCache")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
