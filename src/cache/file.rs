//! Values in a file that several processes share: an SQLite database.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::owed::Owed;
use super::pool::Pool;
use super::{Cache, CacheStatistics, Counters, Update};
use crate::error::{Error, ErrorKind, Result};

/// How long a call waits for other processes before it fails.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many values one transaction writes: others write in between.
const BATCH: usize = 500;

/// The number of this layout of the database. A file of another layout is begun afresh.
const LAYOUT: i64 = 2;

/// Values are kept with a check sum: a database notices neither a flipped bit in one, nor that a
/// loss of power has left it with pages of different times.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value TEXT NOT NULL,
        check_sum INTEGER NOT NULL,
        written INTEGER NOT NULL
    );";

/// Keeps values in a file, between sessions and for several processes at once.
///
/// The file is an SQLite database. It survives `kill -9` at any moment, and a file that is
/// damaged, as it may be after a loss of power, is begun afresh, with a warning in the log. A loss of
/// power may also take back what was written and removed last. A call that waits for another process
/// fails after a quarter of a second.
///
/// The file must lie on a local disk: network file systems do not let several machines share a
/// database. It is as readable as other new files of the user; what the server told is in it.
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
pub struct FileCache {
    path: PathBuf,
    /// Each with the file that it was opened to.
    idle: Pool<(FileId, Connection)>,
    ttl: Option<Duration>,
    max_bytes: u64,
    /// How many bytes were written since the size was last looked at.
    unchecked: AtomicU64,
    owed: Owed,
    counters: Counters,
}

impl FileCache {
    /// Opens the cache in the file at `path`; the file and the folder are made if need be. Beside
    /// it lie files of the same name with `-wal`, `-shm` and `.lock` at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file can be neither opened nor replaced. That other processes keep
    /// it busy is no error; the next call tries again.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let cache = Self {
            path: path.into(),
            idle: Pool::new(),
            ttl: None,
            max_bytes: 256 << 20,
            unchecked: AtomicU64::new(0),
            owed: Owed::default(),
            counters: Counters::default(),
        };
        match cache.with(|_| Ok(())) {
            Ok(()) => Ok(cache),
            // The next call tries again.
            Err(error) if is_busy(&error) => {
                log::info!("a cache is busy: {error:#}");
                Ok(cache)
            }
            Err(error) => {
                let message = format!("cannot use the cache {}: {error:#}", cache.path.display());
                Err(Error::new(ErrorKind::Io, message).because(error))
            }
        }
    }

    /// Forgets values so long after they were written.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How large the file may become; 256 MB unless set. When it is larger, what was written
    /// longest ago goes. The file does not shrink, its space is used again.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something with a connection. When the file turns out to be damaged, it is begun
    /// afresh, and `work` done with the empty one.
    fn with<T>(
        &self,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        // Of a file that somebody has replaced nobody else knows any more what is in it. If it is
        // replaced from here on, the connection is not used again.
        let file = file_id(&self.path);
        let mut idle = std::iter::from_fn(|| self.idle.take());
        let connection = match idle.find(|(opened, _)| *opened == file) {
            Some((_, connection)) => Ok(connection),
            None => self.connect(),
        };
        let outcome = connection.and_then(|mut connection| match work(&mut connection) {
            Err(error) if is_damage(&error) => {
                drop(connection);
                self.idle.drain();
                self.repair(&mut work)
            }
            done => Ok((connection, done?)),
        });
        let (connection, done) = outcome.inspect_err(|_| self.counters.failed())?;
        self.idle.give((file, connection));
        Ok(done)
    }

    /// Opens the file. What must not happen twice at once, as making the tables and replacing a
    /// damaged file, happens alone.
    fn connect(&self) -> anyhow::Result<Connection> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let among_others = self.lock(File::try_lock_shared)?;
        if let Some(connection) = ready(&self.path)? {
            return Ok(connection);
        }
        drop(among_others);
        let _alone = self.lock(File::try_lock)?;
        match prepared(&self.path) {
            Err(error) if is_damage(&error) => self.begin_afresh(&error),
            other => Ok(other?),
        }
    }

    /// Takes the lock of everybody who opens the file, and holds it.
    fn lock(&self, try_to: fn(&File) -> Result<(), TryLockError>) -> anyhow::Result<File> {
        let path = beside(&self.path, ".lock");
        let mut options = File::options();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        let started = Instant::now();
        loop {
            match try_to(&file) {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) if started.elapsed() >= PATIENCE => {
                    return Err(Busy(path).into());
                }
                // No system waits for a file's lock for a limited time, and who waits without a
                // limit would hang with a process that hangs. It is held for milliseconds, when
                // a file is opened or replaced.
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Does once more, alone, what has found the file damaged. Another process may have replaced
    /// it meanwhile; if it has not, that is done now.
    fn repair<T>(
        &self,
        work: &mut impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> anyhow::Result<(Connection, T)> {
        let _alone = self.lock(File::try_lock)?;
        let again = prepared(&self.path).and_then(|mut connection| {
            let done = work(&mut connection)?;
            Ok((connection, done))
        });
        match again {
            Err(error) if is_damage(&error) => {
                let mut connection = self.begin_afresh(&error)?;
                let done = work(&mut connection)?;
                Ok((connection, done))
            }
            other => Ok(other?),
        }
    }

    /// Replaces the file; to be called by who holds the lock.
    fn begin_afresh(&self, error: &rusqlite::Error) -> anyhow::Result<Connection> {
        let path = self.path.display();
        log::warn!("the cache {path} is damaged and begun afresh: {error}");
        for end in ["", "-wal", "-shm"] {
            let file = beside(&self.path, end);
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
        Ok(prepared(&self.path)?)
    }

    /// From when on values are good, in seconds since 1970.
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
        match self.owed.contains(key) {
            true => Ok(None),
            false => read(connection, key, oldest),
        }
    }

    /// Does something that changes values, in one transaction.
    fn change<T>(
        &self,
        mut change: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        self.with(|connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let owed = self.owed.all();
            if owed.everything {
                writing.execute("DELETE FROM entry", [])?;
            }
            remove(&writing, &owed.keys)?;
            let changed = change(&writing)?;
            writing.commit()?;
            self.owed.settled(&owed);
            Ok(changed)
        })
    }

    /// Lets `write` write in one transaction; it answers with the bytes of each value.
    fn write(
        &self,
        keys: &[String],
        mut write: impl FnMut(&Connection) -> rusqlite::Result<Vec<usize>>,
    ) -> anyhow::Result<()> {
        let is_check_due = self.unchecked.load(Ordering::Relaxed) >= self.max_bytes / 32;
        let (written, evicted, is_small) = self.change(|writing| {
            let written = write(writing)?;
            // In the same transaction: each other one would wait for the other processes again.
            let (evicted, is_small) = match is_check_due {
                true => trim(writing, self.max_bytes)?,
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

fn remove(connection: &Connection, keys: &[String]) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached("DELETE FROM entry WHERE key = ?1")?;
    keys.iter()
        .try_fold(0, |count, key| Ok(count + delete.execute([key])?))
}

fn insert(connection: &Connection, key: &str, value: &str, now: i64) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO entry (key, value, check_sum, written) VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(params![
        key,
        value,
        check_sum(key, value.as_bytes(), now),
        now
    ])?;
    Ok(value.len())
}

/// Another process holds this file, and may have let it go the next time.
#[derive(Debug)]
struct Busy(PathBuf);

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "another process holds {}", self.0.display())
    }
}

impl std::error::Error for Busy {}

fn is_busy(error: &anyhow::Error) -> bool {
    let database = error.downcast_ref::<rusqlite::Error>();
    let code = database.and_then(rusqlite::Error::sqlite_error_code);
    let is_held = matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    );
    is_held || error.is::<Busy>()
}

/// Removes what was written first, if the file has become too large; answers how many values went,
/// and whether that is enough. What is too old was written first.
fn trim(connection: &Connection, max_bytes: u64) -> rusqlite::Result<(usize, bool)> {
    let mut used = used_bytes(connection)?;
    if used <= max_bytes {
        return Ok((0, true));
    }
    // A little more than needed, so that the next write need not trim again.
    let enough = max_bytes / 8 * 7;
    let mut evicted = 0;
    // Others wait for this: the next write goes on with it.
    for _ in 0..4 {
        let removed = remove_oldest(connection)?;
        evicted += removed;
        used = used_bytes(connection)?.min(used);
        if used <= enough || removed == 0 {
            return Ok((evicted, true));
        }
    }
    Ok((evicted, false))
}

/// A connection to a file.
fn opened(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // A reader never waits for a writer.
    connection.pragma_update(None, "journal_mode", "wal")?;
    // Nobody waits for the disk: what a process has written is there when it is killed. When the
    // power fails the file may be damaged, which is noticed, or lack what was written last.
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    Ok(connection)
}

/// A connection to a file that is as it should be; none if it is to be made or replaced.
fn ready(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = opened(path).and_then(|connection| Ok((layout(&connection)?, connection)));
    match connection {
        Ok((found, connection)) => Ok((found == LAYOUT).then_some(connection)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A connection to a file that has the tables, which are made if need be; to be called by who
/// holds the lock alone.
fn prepared(path: &Path) -> rusqlite::Result<Connection> {
    let connection = opened(path)?;
    if layout(&connection)? != LAYOUT {
        connection.execute_batch("DROP TABLE IF EXISTS entry")?;
        connection.execute_batch(TABLE)?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
    }
    Ok(connection)
}

/// Our statements are good: a database that makes no sense of them is damaged, or none of ours.
fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    let codes = [
        ErrorCode::DatabaseCorrupt,
        ErrorCode::NotADatabase,
        ErrorCode::Unknown,
    ];
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || code.is_some_and(|code| codes.contains(&code))
}

/// Tells the file at a path from one that is put in its place.
type FileId = Option<(u64, u64)>;

#[cfg(unix)]
fn file_id(path: &Path) -> FileId {
    use std::os::unix::fs::MetadataExt;

    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Elsewhere an open file cannot be replaced.
#[cfg(not(unix))]
fn file_id(_: &Path) -> FileId {
    None
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    let bytes = pages * pragma("page_size")?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

fn remove_oldest(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM entry WHERE number IN (SELECT number FROM entry ORDER BY number LIMIT ?1)",
        [BATCH as i64],
    )
}

fn read(connection: &Connection, key: &str, oldest: i64) -> rusqlite::Result<Option<String>> {
    let mut select =
        connection.prepare_cached("SELECT value, check_sum, written FROM entry WHERE key = ?1")?;
    let found = select.query_row([key], |row| {
        // What is damaged may be of any type.
        let value = row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec();
        let (sum, written) = (row.get(1).unwrap_or(-1), row.get(2).unwrap_or(-1));
        let is_good = written >= oldest && check_sum(key, &value, written) == sum;
        Ok(is_good.then_some(value))
    });
    let value = found.optional()?.flatten();
    Ok(value.and_then(|value| String::from_utf8(value).ok()))
}

fn check_sum(key: &str, value: &[u8], written: i64) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(value);
    hasher.update(&written.to_le_bytes());
    i64::from(hasher.finalize())
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
        self.with(|connection| {
            let mut select =
                connection.prepare_cached("SELECT key FROM entry WHERE written >= ?1")?;
            let keys = select.query_map([self.oldest()], |row| {
                Ok(row.get_ref(0)?.as_str().ok().map(str::to_owned))
            })?;
            keys.filter_map(rusqlite::Result::transpose).collect()
        })
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        let found = self.with(|connection| {
            // One transaction sees one moment, and takes its lock once.
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
        for (keys, values) in keys.chunks(BATCH).zip(values.chunks(BATCH)) {
            let now = now();
            self.write(keys, |writing| {
                let entries = keys.iter().zip(values);
                entries
                    .map(|(key, value)| insert(writing, key, value, now))
                    .collect()
            })?;
        }
        Ok(())
    }

    fn update_many(&self, keys: &[String], update: Update<'_, String>) -> anyhow::Result<()> {
        for (batch, keys) in keys.chunks(BATCH).enumerate() {
            let (now, oldest) = (now(), self.oldest());
            self.write(keys, |writing| {
                let mut written = Vec::with_capacity(keys.len());
                for (number, key) in keys.iter().enumerate() {
                    let before = self.read(writing, key, oldest)?;
                    if let Some(value) = update(batch * BATCH + number, before) {
                        written.push(insert(writing, key, &value, now)?);
                    }
                }
                Ok(written)
            })?;
        }
        Ok(())
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        let mut removed = 0;
        for (batch, some) in keys.chunks(BATCH).enumerate() {
            let count = self.change(|writing| remove(writing, some));
            let left = || keys[batch * BATCH..].iter().cloned();
            removed += count.inspect_err(|_| self.owed.note(left()))?;
        }
        Ok(removed)
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        let mut statistics = self.counters.read("FileCache");
        statistics.bytes = self.with(|connection| used_bytes(connection)).ok();
        vec![statistics]
    }
}

impl std::fmt::Debug for FileCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCache")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
