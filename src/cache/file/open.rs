//! Opening, creating and replacing the file of a cache, under an exclusive lock where that must not
//! happen twice at once.
//!
//! Only a file that this module has created is written to or replaced. It is recognised by the
//! application id in the header of the database; if a loss of power has left zeros there, by the
//! text in the lock file beside it.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::statements;
use crate::files;

/// How long a call waits for other processes before it fails.
const BUSY_WAIT: Duration = Duration::from_millis(250);

/// Marks a database as a cache of this crate.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"ftAC");

/// The version of the tables. A file with another version is emptied.
const LAYOUT: i64 = 2;

/// The size of a database's header.
const HEADER_BYTES: u64 = 100;

/// Where in the header the application id is.
const APPLICATION_ID_AT: usize = 68;

/// The content of the lock file.
const LOCK_TEXT: &[u8] = b"The lock of an ftrack-api file cache.\n";

/// Opens the file, and creates it if there is none.
///
/// # Errors
///
/// - [`Foreign`] if the file is not a cache.
/// - [`Busy`] if another process has it locked for too long.
/// - Any error of the file system and the database.
pub(super) fn connect(path: &Path) -> anyhow::Result<Connection> {
    refuse_foreign(path)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let shared = lock(path, File::try_lock_shared)?;
    if let Some(connection) = ready(path)? {
        return Ok(connection);
    }
    drop(shared);
    let mut alone = lock(path, File::try_lock)?;
    match create(path, &mut alone) {
        Err(error) if is_damage(&error) => replace(path, &mut alone, &error),
        other => other,
    }
}

/// Repeats, under the exclusive lock, the `work` that found the file damaged. Another process may have replaced the file
/// meanwhile; if not, this replaces it.
///
/// # Errors
///
/// - Any error of [`connect`] and of `work`.
pub(super) fn repair<T>(
    path: &Path,
    work: &mut impl FnMut(&mut Connection) -> rusqlite::Result<T>,
) -> anyhow::Result<(Connection, T)> {
    let mut alone = lock(path, File::try_lock)?;
    let again = create(path, &mut alone).and_then(|mut connection| {
        let done = work(&mut connection)?;
        Ok((connection, done))
    });
    match again {
        Err(error) if is_damage(&error) => {
            let mut connection = replace(path, &mut alone, &error)?;
            let done = work(&mut connection)?;
            Ok((connection, done))
        }
        other => other,
    }
}

/// A file that is not a cache, and is left as it is.
#[derive(Debug)]
pub(super) struct Foreign(&'static str);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; give the cache a path of its own", self.0)
    }
}

impl std::error::Error for Foreign {}

/// A file that another process has locked; the next call tries again.
#[derive(Debug)]
pub(super) struct Busy(PathBuf);

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another process has locked {}", self.0.display())
    }
}

impl std::error::Error for Busy {}

pub(super) fn is_busy(error: &anyhow::Error) -> bool {
    let database = error.downcast_ref::<rusqlite::Error>();
    let code = database.and_then(rusqlite::Error::sqlite_error_code);
    let is_locked = matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    );
    is_locked || error.is::<Busy>()
}

pub(super) fn is_damage(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(is_damage_of_database)
}

/// Whether an error means that the file is damaged: the statements themselves are correct.
fn is_damage_of_database(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    let codes = [
        ErrorCode::DatabaseCorrupt,
        ErrorCode::NotADatabase,
        ErrorCode::Unknown,
    ];
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || code.is_some_and(|code| codes.contains(&code))
}

/// Distinguishes the file at a path from one that replaces it.
pub(super) type FileId = Option<(u64, u64)>;

#[cfg(unix)]
pub(super) fn file_id(path: &Path) -> FileId {
    use std::os::unix::fs::MetadataExt;

    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Elsewhere an open file cannot be replaced.
#[cfg(not(unix))]
pub(super) fn file_id(_: &Path) -> FileId {
    None
}

/// # Errors
///
/// - [`Foreign`], and why the file cannot be read.
fn refuse_foreign(path: &Path) -> anyhow::Result<()> {
    // SQLite opens these by their names: a pipe among them would block it.
    for end in ["-wal", "-shm"] {
        if let Err(error) = files::open_regular(&beside(path, end))
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
    }
    let mut header = Vec::new();
    match files::open_regular(path) {
        Ok(file) => file.take(HEADER_BYTES).read_to_end(&mut header)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let id = header.get(APPLICATION_ID_AT..APPLICATION_ID_AT + 4);
    let is_ours = id == Some(&APPLICATION_ID.to_be_bytes());
    let is_zero = header.iter().all(|byte| *byte == 0);
    let is_cut = (header.len() as u64) < HEADER_BYTES && b"SQLite format 3\0".starts_with(&header);
    match is_ours || header.is_empty() || ((is_zero || is_cut) && is_locked_by_us(path)) {
        true => Ok(()),
        false => Err(Foreign("the file is not a cache of ftrack-api").into()),
    }
}

/// Whether the lock file beside it is ours.
fn is_locked_by_us(path: &Path) -> bool {
    // What a process has locked cannot be read on Windows, not even by that process.
    const ERROR_LOCK_VIOLATION: i32 = 33;
    match files::read_regular(&beside(path, ".lock"), LOCK_TEXT.len() as u64) {
        Ok(text) => text == LOCK_TEXT,
        Err(error) => cfg!(windows) && error.raw_os_error() == Some(ERROR_LOCK_VIOLATION),
    }
}

/// Opens and locks the lock file, which is locked for as long as the result lives.
fn lock(path: &Path, try_to: fn(&File) -> Result<(), TryLockError>) -> anyhow::Result<File> {
    let path = beside(path, ".lock");
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    let file = files::open_regular_with(&path, &mut options)?;
    let started = Instant::now();
    loop {
        match try_to(&file) {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if started.elapsed() >= BUSY_WAIT => {
                return Err(Busy(path).into());
            }
            // No system waits for a file lock for a limited time, and waiting without a limit would
            // hang with a process that hangs. The lock is taken for milliseconds, to open or replace
            // the file.
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(2)),
        }
    }
    let mut text = Vec::new();
    (&file)
        .take(LOCK_TEXT.len() as u64 + 1)
        .read_to_end(&mut text)?;
    // It may be empty or half written when a process was killed.
    match LOCK_TEXT.starts_with(&text) || text.iter().all(|byte| *byte == 0) {
        true => Ok(file),
        false => Err(Foreign("the .lock file beside it is not the lock of a cache").into()),
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A connection to a file with the current layout; `None` if it must be created or replaced.
fn ready(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = open(path).and_then(|connection| {
        // Nothing is written to a file without an application id.
        if layout(&connection)? != LAYOUT {
            return Ok(None);
        }
        configure(&connection).map(|()| Some(connection))
    });
    match connection {
        Err(error) if is_damage_of_database(&error) => Ok(None),
        other => other,
    }
}

/// A connection to a file with the current layout, which is created if necessary; for a caller that
/// holds the exclusive lock.
fn create(path: &Path, alone: &mut File) -> anyhow::Result<Connection> {
    refuse_foreign(path)?;
    alone.rewind()?;
    alone.write_all(LOCK_TEXT)?;
    let connection = open(path)?;
    if pragma(&connection, "application_id")? != i64::from(APPLICATION_ID) {
        // Before the mode of the journal is set: the first page is written with it.
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    configure(&connection)?;
    if layout(&connection)? != LAYOUT {
        connection.execute_batch("DROP TABLE IF EXISTS entry")?;
        connection.execute_batch(statements::TABLE)?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
    }
    Ok(connection)
}

/// Replaces the file; for a caller that holds the exclusive lock.
fn replace(path: &Path, alone: &mut File, error: &anyhow::Error) -> anyhow::Result<Connection> {
    refuse_foreign(path)?;
    log::warn!(
        "the cache {} is damaged and is replaced by an empty one: {error:#}",
        path.display()
    );
    for end in ["", "-wal", "-shm"] {
        let file = beside(path, end);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    create(path, alone)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A reader never waits for a writer.
    connection.pragma_update(None, "journal_mode", "wal")?;
    // No call waits for the disk: what a process has written survives its end. After a loss of power
    // the file may be damaged, which is noticed, or lack the latest changes.
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    pragma(connection, "user_version")
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
