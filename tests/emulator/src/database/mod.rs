//! The storage of a site: an SQLite database whose tables are derived from the schema.

pub mod dense;
mod derived;
pub mod family;
pub mod layout;
pub mod load;
pub mod model;
pub mod relation;
pub mod value;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::database::model::Model;
use crate::error::Result;
use crate::studio::{Cast, Row};

/// The database of one emulator. Readers see what was committed when they began, each on a
/// connection of its own: neither a slow query nor a writer holds them up. Writers follow one
/// another.
#[derive(Debug)]
pub struct Database {
    /// Where everything is stored.
    pub model: Arc<Model>,
    path: PathBuf,
    writer: Mutex<Timed>,
    readers: Mutex<Vec<Timed>>,
}

/// Where a database lies.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of its files.
    pub folder: &'a Path,
    /// Whether they are used again after this process.
    pub is_kept: bool,
}

/// A connection whose statements end at a deadline.
#[derive(Debug)]
struct Timed {
    connection: Connection,
    deadline: Arc<Mutex<Instant>>,
}

/// How many idle connections for readers stay open.
const MAX_IDLE_READERS: usize = 16;

/// No batch works longer: a query that multiplies rows must not keep the others waiting.
const MAX_BATCH_TIME: Duration = Duration::from_secs(60);

impl Database {
    /// Opens the database at `place`, and fills it with `rows` if it is new.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used or a row does not fit the schema.
    pub fn open(
        model: Arc<Model>,
        place: Place<'_>,
        rows: impl FnOnce(&Cast<'_>, &mut dyn FnMut(Row)),
    ) -> anyhow::Result<Self> {
        let path = place.folder.join("ftrack.sqlite");
        let subject = || format!("the database {} cannot be opened", path.display());
        let mut connection = connect(&path, WRITER_CACHE).with_context(subject)?;
        if place.is_kept {
            log_changes(&connection).with_context(subject)?;
        } else {
            // Nobody opens these files again: nothing needs to survive, not even a failed start.
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.pragma_update(None, "journal_mode", "OFF")?;
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let transaction = connection.transaction()?;
        for statement in layout::tables(&model) {
            transaction
                .execute_batch(&statement)
                .with_context(|| statement.clone())?;
        }
        if version == 0 {
            load::load(&transaction, &model, rows)?;
        } else {
            add_missing_columns(&transaction, &model)?;
        }
        for statement in layout::indexes(&model) {
            transaction
                .execute_batch(&statement)
                .with_context(|| statement.clone())?;
        }
        for statement in derived::statements(&model) {
            transaction
                .execute_batch(&statement)
                .with_context(|| statement.clone())?;
        }
        if version == 0 {
            for statement in derived::roll_up(&model) {
                transaction.execute_batch(&statement)?;
            }
        }
        transaction.pragma_update(None, "user_version", 1)?;
        transaction.commit()?;
        if !place.is_kept {
            log_changes(&connection)?;
            connection.pragma_update(None, "synchronous", "OFF")?;
        }
        // The planner chooses far better with figures; a bounded look at each index is enough.
        connection.execute_batch("PRAGMA analysis_limit = 400; ANALYZE;")?;
        Ok(Self {
            model,
            path,
            writer: Mutex::new(Timed::new(connection)?),
            readers: Mutex::default(),
        })
    }

    /// Runs `job` on what was committed so far. It must not change anything.
    ///
    /// # Errors
    ///
    /// Those of `job`, and those of the database.
    pub fn read<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.readers.lock().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => {
                let connection = connect(&self.path, READER_CACHE)?;
                connection.pragma_update(None, "query_only", true)?;
                Timed::new(connection)?
            }
        };
        let result = reader.transaction(job);
        let mut readers = self.readers.lock();
        if readers.len() < MAX_IDLE_READERS {
            readers.push(reader);
        }
        result
    }

    /// Runs `job` in one transaction: all of it is kept, or on an error nothing.
    ///
    /// # Errors
    ///
    /// Those of `job`, and those of the database.
    pub fn transaction<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.writer.lock().transaction(job)
    }
}

impl Timed {
    fn new(mut connection: Connection) -> rusqlite::Result<Self> {
        let deadline = Arc::new(Mutex::new(Instant::now()));
        let until = Arc::clone(&deadline);
        connection.progress_handler(100_000, Some(move || Instant::now() > *until.lock()))?;
        Ok(Self {
            connection,
            deadline,
        })
    }

    fn transaction<T>(&mut self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        *self.deadline.lock() = Instant::now() + MAX_BATCH_TIME;
        let transaction = self.connection.transaction()?;
        let result = job(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Memory for pages of the database, in KiB as SQLite counts it.
const WRITER_CACHE: i64 = -65_536;
const READER_CACHE: i64 = -16_384;

fn connect(path: &Path, cache: i64) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "mmap_size", 256 << 20)?;
    prepare(&connection, cache)?;
    Ok(connection)
}

/// Readers go on while somebody writes. A killed process loses nothing that was committed: the
/// log is in the system's hands.
fn log_changes(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")
}

fn prepare(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(512);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", cache)?;
    connection.create_collation("FOLD", fold_compare)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("fold", 1, flags, |context| {
        Ok(context
            .get::<Option<String>>(0)?
            .map(|text| text.to_lowercase()))
    })
}

/// Text compares without regard to case, as the real server's database does.
fn fold_compare(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        let fold = |byte: u8| byte.to_ascii_lowercase();
        return left.bytes().map(fold).cmp(right.bytes().map(fold));
    }
    let fold = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    fold(left).cmp(&fold(right))
}

/// A folder that another schema filled gets the columns that it lacks.
fn add_missing_columns(connection: &Connection, model: &Model) -> anyhow::Result<()> {
    for table in model.tables.iter().filter(|table| !table.is_view) {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?)")?;
        let present: Vec<String> = statement
            .query_map([&table.name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for column in table
            .columns
            .iter()
            .filter(|column| !present.contains(&column.name))
        {
            let kind = layout::column_type(&column.kind);
            connection.execute_batch(&format!(
                "ALTER TABLE \"{}\" ADD COLUMN \"{}\" {kind}",
                table.name, column.name
            ))?;
        }
    }
    Ok(())
}
