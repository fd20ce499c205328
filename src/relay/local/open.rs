//! Opening the file of a local stream, and creating it.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::files::open_private_with;

/// How long a call waits for other processes and threads.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Marks a database as a stream of this crate.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"ftEJ");

/// The version of the tables.
const LAYOUT: i64 = 1;

/// Creates the file for this user alone.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    open_private_with(path, &mut options).map(drop)
}

/// Returns whether the file is a stream of this version.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(BUSY_WAIT)?;
    // Another process may be creating it.
    let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pragma = |name: &str| writing.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let is_new = pragma("schema_version")? == 0;
    let (id, layout) = (pragma("application_id")?, pragma("user_version")?);
    if !is_new && (id != i64::from(APPLICATION_ID) || layout != LAYOUT) {
        return Ok(false);
    }
    if is_new {
        writing.pragma_update(None, "application_id", APPLICATION_ID)?;
        writing.pragma_update(None, "user_version", LAYOUT)?;
        writing.execute_batch(include_str!("tables.sql"))?;
    }
    writing.commit()?;
    // SQLite does not wait here.
    let started = Instant::now();
    while let Err(error) = connection.pragma_update(None, "journal_mode", "wal") {
        let is_busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        if !is_busy || started.elapsed() > BUSY_WAIT {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(2));
    }
    // What a process has written survives its end; a loss of power may undo the latest transactions.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(true)
}
