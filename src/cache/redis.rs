//! Values in a Redis or Valkey server that many machines share.

use std::time::{Duration, Instant};

use crate::lock::Mutex;
use redis::{Client, Connection, RedisResult};

use super::owed::Owed;
use super::pool::Pool;
use super::{Cache, CacheStatistics, Counters, Update};
use crate::error::{Error, ErrorKind, Result};

/// How long a server may take to be reached, and for each answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a server that failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// How many keys one command names.
const BATCH: usize = 500;

/// How often a value is updated anew because somebody else has changed it.
const TRIES: usize = 20;

/// Sets each key whose value is still the one that is given, `-` for none, `+` and the value
/// otherwise; answers with the indexes of the others. Numbers of arguments are as `EVAL` has them.
const EXCHANGE: &str = "
    local lost = {}
    for i, key in ipairs(KEYS) do
        local now = redis.call('GET', key)
        if (now and '+' .. now or '-') ~= ARGV[2 * i] then
            lost[#lost + 1] = i
        elseif ARGV[1] == '0' then
            redis.call('SET', key, ARGV[2 * i + 1])
        else
            redis.call('SET', key, ARGV[2 * i + 1], 'PX', ARGV[1])
        end
    end
    return lost";

/// Keeps values in a Redis or Valkey server that many machines share; it must allow `EVAL`.
///
/// When the server cannot be reached, or takes longer than half a second, nothing is cached for
/// the next five seconds, with one warning in the log; then it is tried again, and what could not
/// be replaced meanwhile is removed first. No call fails for that.
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
    /// Until when the server is left alone.
    away: Mutex<Option<Instant>>,
    /// Keys as the server has them.
    owed: Owed,
    counters: Counters,
}

/// A value to be put in place of another one.
struct Change {
    /// Of its key.
    number: usize,
    before: Option<String>,
    after: String,
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
            away: Mutex::new(None),
            owed: Owed::default(),
            counters: Counters::default(),
        })
    }

    /// What all keys in the server begin with; `ftrack:` unless set. Others may use the same
    /// server under other keys.
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
    fn with<T: Default>(&self, work: impl Fn(&mut Connection) -> RedisResult<T>) -> T {
        if self.is_away() {
            return T::default();
        }
        let work = |connection: &mut Connection| {
            let owed = self.owed.all();
            for keys in owed.chunks(BATCH) {
                redis::cmd("DEL").arg(keys).query::<()>(connection)?;
                self.owed.settled(keys);
            }
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
        self.counters.failed();
        *self.away.lock() = Some(Instant::now() + self.pause);
        let pause = self.pause;
        log::warn!("the Redis server does not serve; nothing is cached for {pause:?}: {error}");
        T::default()
    }

    fn is_away(&self) -> bool {
        let mut away = self.away.lock();
        let is_away = away.is_some_and(|until| Instant::now() < until);
        if !is_away {
            *away = None;
        }
        is_away
    }

    fn ttl_millis(&self) -> Option<u64> {
        let millis = |ttl: Duration| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        self.ttl.map(millis)
    }

    /// The values under keys that one command can name.
    fn look_up(&self, keys: &[String]) -> Vec<Option<String>> {
        let asked: Vec<String> = keys.iter().map(|key| self.full_key(key)).collect();
        let mut found: Vec<Option<String>> =
            self.with(|connection| redis::cmd("MGET").arg(&asked).query(connection));
        found.resize(keys.len(), None);
        found
    }

    /// Makes the changes where nobody has made another one meanwhile; answers with the numbers of
    /// those where somebody has.
    fn exchange(&self, keys: &[String], changes: &[Change]) -> Vec<usize> {
        let ttl = self.ttl_millis().unwrap_or(0);
        let lost: Option<Vec<usize>> = self.with(|connection| {
            let mut script = redis::cmd("EVAL");
            script.arg(EXCHANGE).arg(changes.len());
            for change in changes {
                script.arg(self.full_key(&keys[change.number]));
            }
            script.arg(ttl);
            for Change { before, after, .. } in changes {
                let before = before.as_ref();
                script.arg(before.map_or("-".to_owned(), |before| format!("+{before}")));
                script.arg(after);
            }
            script.query(connection).map(Some)
        });
        let Some(lost) = lost else {
            self.owe(changes.iter().map(|change| &keys[change.number]));
            return Vec::new();
        };
        // Lua counts from one.
        let lost: Vec<usize> = lost
            .into_iter()
            .map(|index| changes[index - 1].number)
            .collect();
        let made = changes
            .iter()
            .filter(|change| !lost.contains(&change.number));
        self.counters.written(made.map(|change| change.after.len()));
        lost
    }

    /// Takes note of values that are old, and could not be replaced or removed.
    fn owe<'k>(&self, keys: impl IntoIterator<Item = &'k String>) {
        let keys = keys.into_iter();
        self.owed.note(keys.map(|key| self.full_key(key)));
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The keys in the server that begin with the prefix.
    fn full_keys(&self) -> Vec<String> {
        let mut pattern = String::with_capacity(self.prefix.len() + 8);
        for letter in self.prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        self.with(|connection| {
            let mut found = std::collections::BTreeSet::new();
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
                found.extend(
                    keys.into_iter()
                        .filter_map(|key| String::from_utf8(key).ok()),
                );
                cursor = next;
                if cursor == 0 {
                    return Ok(found.into_iter().collect());
                }
            }
        })
    }
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
        let keys = self.full_keys().into_iter();
        Ok(keys
            .map(|key| key[self.prefix.len()..].to_owned())
            .collect())
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        let found = keys.chunks(BATCH).flat_map(|keys| self.look_up(keys));
        let found: Vec<Option<String>> = found.collect();
        self.counters.looked_up(&found);
        Ok(found)
    }

    fn set_many(&self, entries: Vec<(String, String)>) -> anyhow::Result<()> {
        let ttl = self.ttl_millis();
        for entries in entries.chunks(BATCH) {
            let taken: bool = self.with(|connection| {
                let mut commands = redis::pipe();
                for (key, value) in entries {
                    let set = commands.cmd("SET").arg(self.full_key(key)).arg(value);
                    if let Some(ttl) = ttl {
                        set.arg("PX").arg(ttl);
                    }
                    commands.ignore();
                }
                commands.query::<()>(connection).map(|()| true)
            });
            if !taken {
                self.owe(entries.iter().map(|(key, _)| key));
            } else {
                self.counters
                    .written(entries.iter().map(|(_, value)| value.len()));
            }
        }
        Ok(())
    }

    fn update_many(&self, keys: &[String], update: Update<'_, String>) -> anyhow::Result<()> {
        for (batch, keys) in keys.chunks(BATCH).enumerate() {
            let mut left: Vec<usize> = (0..keys.len()).collect();
            for _ in 0..TRIES {
                let asked: Vec<String> = left.iter().map(|&number| keys[number].clone()).collect();
                let before = self.look_up(&asked);
                let changes = left.iter().zip(before).filter_map(|(&number, before)| {
                    let after = update(batch * BATCH + number, before.clone())?;
                    Some(Change {
                        number,
                        before,
                        after,
                    })
                });
                let changes: Vec<Change> = changes.collect();
                left = match changes.is_empty() {
                    true => Vec::new(),
                    false => self.exchange(keys, &changes),
                };
                if left.is_empty() {
                    break;
                }
            }
            anyhow::ensure!(
                left.is_empty(),
                "others change the same values all the time"
            );
        }
        Ok(())
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        let mut removed = 0;
        for keys in keys.chunks(BATCH) {
            let full: Vec<String> = keys.iter().map(|key| self.full_key(key)).collect();
            let count: Option<usize> =
                self.with(|connection| redis::cmd("DEL").arg(&full).query(connection).map(Some));
            if count.is_none() {
                self.owe(keys);
            }
            removed += count.unwrap_or(0);
        }
        Ok(removed)
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        vec![self.counters.read("RedisCache")]
    }
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
