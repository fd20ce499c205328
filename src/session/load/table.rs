//! Many attributes of many entities at once, as a table.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::config::Populate;
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::handle::Session;
use crate::value::{Cell, FromValue, Lent, Mismatch, Paths, Slot, Text, Value};

impl Session {
    /// Reads attributes of entities into a table: a row for each entity, a column for each path,
    /// written as for [`Entity::get`](crate::Entity::get).
    ///
    /// What is not loaded is fetched as the session's [`Populate`] says, for all of the entities
    /// in few requests. The table is a copy: it shows one moment, borrows its texts to whoever
    /// reads it, and may go to another thread. For a list of entities on a screen, and wherever
    /// much is read at once, it is several times faster than asking entity by entity.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let tasks = session.query("Task limit 20")?.all()?;
    /// let table = session.table(&tasks, ["name", "bid", "status.name"])?;
    /// let mut seconds = 0.0;
    /// for row in &table {
    ///     let name: &str = row.get("name")?;
    ///     let status: Option<&str> = row.get("status.name")?;
    ///     seconds += row.get::<f64>(1)?;
    ///     println!("{name}: {}", status.unwrap_or("no status"));
    /// }
    /// assert_eq!(table.len(), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Entity::value`](crate::Entity::value).
    pub fn table(&self, entities: impl Entities, columns: impl Paths) -> Result<Table> {
        let entities = entities.to_entities()?;
        let columns: Vec<String> = columns.to_paths().into_iter().map(Into::into).collect();
        // Entities of another session are found by key, and kept while they are read.
        let mut found = Vec::new();
        let mut places = Vec::new();
        for entity in entities.iter() {
            if Arc::ptr_eq(&self.shared, &entity.session.shared) {
                places.push(entity.handle.place);
                continue;
            }
            let own = self.entity(&entity.key())?;
            places.push(own.handle.place);
            found.push(own);
        }
        let mut asked = HashSet::new();
        loop {
            let mut cells = Vec::new();
            let store = self.shared.store.lock();
            let missing = store.fill(&places, &columns, &mut cells)?;
            drop(store);
            let mode = self.populate_mode();
            let Some((first, path)) = missing.first() else {
                return Ok(Table { columns, cells });
            };
            match mode {
                Populate::Off => return Ok(Table { columns, cells }),
                Populate::Raise => return Err(self.not_loaded(first, path)),
                Populate::Peers | Populate::One => {}
            }
            if let Some((again, path)) = missing.iter().find(|one| asked.contains(*one)) {
                return Err(self.no_answer(again, path));
            }
            let wanted = missing
                .iter()
                .map(|(key, path)| (key.clone(), path.as_str()));
            self.fetch_by_type(wanted)?;
            asked.extend(missing);
        }
    }
}

/// What [`Session::table`] read: a row for each entity, a column for each path.
#[derive(Clone)]
pub struct Table {
    columns: Vec<String>,
    /// Row by row.
    cells: Vec<Cell>,
}

impl Table {
    /// The paths that were read, in the order given.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are; none if there are no columns.
    pub fn len(&self) -> usize {
        self.cells
            .len()
            .checked_div(self.columns.len())
            .unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The row of the entity at `index`, counted from 0 in the order given.
    pub fn row(&self, index: usize) -> Option<TableRow<'_>> {
        let start = index.checked_mul(self.columns.len())?;
        let cells = self.cells.get(start..start + self.columns.len())?;
        (!cells.is_empty()).then_some(TableRow { table: self, cells })
    }

    /// The rows, in the order of the entities.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = TableRow<'_>> {
        let cells = self.cells.chunks_exact(self.columns.len().max(1));
        cells.map(|cells| TableRow { table: self, cells })
    }
}

/// Names the columns and counts the rows.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("columns", &self.columns)
            .field("rows", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = TableRow<'a>;
    type IntoIter = Box<dyn ExactSizeIterator<Item = TableRow<'a>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.rows())
    }
}

/// What one entity had, by column.
#[derive(Clone, Copy)]
pub struct TableRow<'a> {
    table: &'a Table,
    cells: &'a [Cell],
}

impl<'a> TableRow<'a> {
    /// The value in a column, which is named or counted from 0. Texts can be borrowed as `&str`;
    /// ask for an `Option` where the value may be null.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such column; [`ErrorKind::WrongType`] if the value
    /// is of another type, or null; [`ErrorKind::NotLoaded`] if it is not set. As for
    /// [`Entity::get`](crate::Entity::get), an `Option` may be null and not set.
    #[inline]
    pub fn get<T: FromCell<'a>>(&self, column: impl Column) -> Result<T> {
        let place = column.place(&self.table.columns);
        if let Some(Cell::Plain(slot)) = place.and_then(|place| self.cells.get(place))
            && let Some(value) = T::from_plain(Lent(slot))
        {
            return Ok(value);
        }
        self.read(column)
    }

    /// Where a look was not enough.
    #[cold]
    fn read<T: FromCell<'a>>(&self, column: impl Column) -> Result<T> {
        let columns = &self.table.columns;
        let place = column.place(columns).filter(|place| *place < columns.len());
        let Some((place, cell)) = place.and_then(|place| Some((place, self.cells.get(place)?)))
        else {
            return Err(column.unknown(columns));
        };
        let name = &columns[place];
        let value = match cell {
            Cell::NotSet => Value::Null,
            Cell::Plain(slot) => Value::from_lent(Lent(slot)).unwrap_or_default(),
            Cell::Value(value) => Value::clone(value),
        };
        T::from_owned(value).map_err(|mismatch| match cell {
            Cell::NotSet => Error::new(
                ErrorKind::NotLoaded,
                format!("{name:?} is not set; ask for an Option to allow it"),
            ),
            _ => Error::new(ErrorKind::WrongType, format!("{name:?}: {mismatch}")),
        })
    }
}

impl fmt::Debug for TableRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_map();
        let columns = self.table.columns.iter().zip(self.cells);
        for (place, (name, cell)) in columns.enumerate() {
            match cell {
                Cell::NotSet => out.entry(name, &format_args!("not set")),
                _ => match self.get::<Value>(place) {
                    Ok(value) => out.entry(name, &format_args!("{value}")),
                    Err(error) => out.entry(name, &error),
                },
            };
        }
        out.finish()
    }
}

/// A type that [`TableRow::get`] can answer with: everything that is [`FromValue`], and `&str`.
pub trait FromCell<'a>: Sized {
    #[doc(hidden)]
    fn from_plain(cell: Lent<'a>) -> Option<Self>;

    #[doc(hidden)]
    fn from_owned(value: Value) -> Result<Self, Mismatch>;
}

impl<T: FromValue> FromCell<'_> for T {
    #[inline]
    fn from_plain(cell: Lent<'_>) -> Option<Self> {
        T::from_lent(cell)
    }

    fn from_owned(value: Value) -> Result<Self, Mismatch> {
        T::from_value(value)
    }
}

impl<'a> FromCell<'a> for &'a str {
    #[inline]
    fn from_plain(Lent(slot): Lent<'a>) -> Option<Self> {
        match slot {
            Slot::Text(Text::Str(text)) => Some(text),
            _ => None,
        }
    }

    fn from_owned(value: Value) -> Result<Self, Mismatch> {
        Err(Mismatch::new("a text", &value))
    }
}

impl<'a> FromCell<'a> for Option<&'a str> {
    #[inline]
    fn from_plain(cell: Lent<'a>) -> Option<Self> {
        match cell {
            Lent(Slot::Null) => Some(None),
            cell => <&str>::from_plain(cell).map(Some),
        }
    }

    fn from_owned(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Null => Ok(None),
            value => Err(Mismatch::new("a text", &value)),
        }
    }
}

/// What names a column of a [`Table`]: its path, or its place counted from 0.
pub trait Column: Copy {
    #[doc(hidden)]
    fn place(&self, columns: &[String]) -> Option<usize>;

    #[doc(hidden)]
    fn unknown(&self, columns: &[String]) -> Error;
}

impl Column for usize {
    #[inline]
    fn place(&self, _: &[String]) -> Option<usize> {
        Some(*self)
    }

    fn unknown(&self, columns: &[String]) -> Error {
        let count = columns.len();
        let message = format!("the table has {count} columns and no column {self}");
        Error::new(ErrorKind::NotFound, message)
    }
}

impl Column for &str {
    #[inline]
    fn place(&self, columns: &[String]) -> Option<usize> {
        columns.iter().position(|column| column == self)
    }

    fn unknown(&self, columns: &[String]) -> Error {
        let hint = did_you_mean(self, columns.iter().map(String::as_str));
        let message = format!("the table has no column {self:?}{hint}");
        Error::new(ErrorKind::NotFound, message)
    }
}
