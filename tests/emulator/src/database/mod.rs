//! The storage of a site: an SQLite database whose tables are derived from the schema.

pub mod dense;
pub mod family;
pub mod layout;
pub mod load;
pub mod model;
pub mod relation;
pub mod value;

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::database::model::Model;
use crate::error::Result;
use crate::studio::Row;

/// The database of one emulator. One connection behind one lock: readers see committed data only,
/// and writers follow one another.
#[derive(Debug)]
pub struct Database {
    /// Where everything is stored.
    pub model: Arc<Model>,
    connection: Mutex<Connection>,
    deadline: Arc<Mutex<Instant>>,
}

/// No batch works longer: a query that multiplies rows must not keep the others waiting.
const LONGEST: Duration = Duration::from_secs(60);

impl Database {
    /// Opens the database in `folder`, or one in memory, and fills it with `rows` if it is new.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used or a row does not fit the schema.
    pub fn open(
        model: Arc<Model>,
        folder: Option<&Path>,
        rows: impl FnOnce(&mut dyn FnMut(Row)),
    ) -> anyhow::Result<Self> {
        let mut connection = connect(folder)?;
        prepare(&connection)?;
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
        transaction.pragma_update(None, "user_version", 1)?;
        transaction.commit()?;
        // The planner chooses far better with figures; a bounded look at each index is enough.
        connection.execute_batch("PRAGMA analysis_limit = 400; ANALYZE;")?;
        let deadline = Arc::new(Mutex::new(Instant::now()));
        let until = Arc::clone(&deadline);
        connection.progress_handler(100_000, Some(move || Instant::now() > *until.lock()))?;
        Ok(Self {
            model,
            connection: Mutex::new(connection),
            deadline,
        })
    }

    /// Runs `job` in one transaction: all of it is kept, or on an error nothing.
    ///
    /// # Errors
    ///
    /// Those of `job`, and those of the database.
    pub fn transaction<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.connection.lock();
        *self.deadline.lock() = Instant::now() + LONGEST;
        let transaction = connection.transaction()?;
        let answer = job(&transaction)?;
        transaction.commit()?;
        Ok(answer)
    }
}

fn connect(folder: Option<&Path>) -> anyhow::Result<Connection> {
    let Some(folder) = folder else {
        return Ok(Connection::open_in_memory()?);
    };
    let path = folder.join("ftrack.sqlite");
    let subject = || format!("the database {} cannot be opened", path.display());
    let connection = Connection::open(&path).with_context(subject)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // A killed process loses nothing that was committed: the log is in the system's hands.
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .with_context(subject)?;
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .with_context(subject)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(512);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.create_collation("FOLD", fold_compare)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("fold", 1, flags, |context| {
        Ok(context
            .get::<Option<String>>(0)?
            .map(|text| text.to_lowercase()))
    })
}

/// Text compares without regard to case, as the real server's database does (SERVER.md C2).
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
