//! The demo studio that a fresh emulator holds: rows of every kind of entity, made
//! up from tables of names and texts, always the same for the same size.

mod attributes;
mod cast;
#[cfg(test)]
mod check;
mod context;
mod notes;
mod office;
mod people;
mod production;
mod publish;
mod review;
mod seed;
mod site;
mod story;
mod tasks;
mod test_project;
#[cfg(test)]
mod tests;
mod workflow;

use jiff::civil;

pub use cast::Cast;
use production::Plan;

/// One entity of the demo studio.
///
/// References are given by their key attributes. [`Cell::Text`] on a relation itself is the key
/// of the other entity; the only one is `Status.state`, which has no key attribute. Names of
/// types (`parent_type`, `from_entity_type`) are schema ids, as clients write them; only status
/// changes, whose `parent_type` is not translated, hold the server's name of the table. Values of
/// enumerators are JSON arrays of the chosen keys. Links of custom attributes come as
/// `CustomAttributeLinkFrom`, the one type that shows both ends with their types.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The concrete entity type, such as `Shot`.
    pub entity_type: &'static str,
    /// Attributes by their names in the schema; those left out are null or computed.
    pub values: Vec<(&'static str, Cell)>,
}

/// A value in a [`Row`].
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Known to be nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; durations and bids are in seconds.
    Float(f64),
    /// Text; JSON where the attribute holds JSON.
    Text(String),
    /// `YYYY-MM-DDTHH:MM:SS` in UTC.
    DateTime(String),
    /// `YYYY-MM-DD`.
    Date(String),
}

/// Makes the rows of a studio with about `tasks` tasks (1,000 make 200 shots in 20 sequences and
/// 300 versions; fewer than 12 count as 12). A row comes after those that it refers to.
///
/// The rows are those of the studio itself, for [`Cast::fit`] to fit to a site.
pub fn rows(tasks: usize, cast: &Cast<'_>, emit: &mut dyn FnMut(Row)) {
    let mut studio = Studio {
        emit,
        cast,
        assets: 0,
        versions: Vec::new(),
        build_version: None,
    };
    workflow::rows(&mut studio);
    people::rows(&mut studio);
    site::rows(&mut studio);
    attributes::rows(&mut studio);
    production::rows(&mut studio, &Plan::new(tasks));
    office::rows(&mut studio);
}

/// Which contexts are in which scope, as pairs of the keys of a context and a scope: the schemas
/// have no entity type for this link.
pub fn scope_links() -> Vec<(String, String)> {
    production::scope_links()
}

/// Where rows go, and what later rows need to know of earlier ones.
struct Studio<'a> {
    emit: &'a mut dyn FnMut(Row),
    /// The kinds of objects on the site.
    cast: &'a Cast<'a>,
    /// How many assets there are so far.
    assets: usize,
    /// The latest versions of the current project, for its lists and reviews.
    versions: Vec<publish::Published>,
    /// The last version of a build in the current project, for shots to use.
    build_version: Option<String>,
}

impl Studio<'_> {
    fn emit(&mut self, entity_type: &'static str, values: Vec<(&'static str, Cell)>) {
        (self.emit)(Row {
            entity_type,
            values,
        });
    }
}

/// `row!(studio, "State", id: …, name: …)`: emits a row.
macro_rules! row {
    ($studio:expr, $entity_type:expr, $($name:ident: $value:expr),* $(,)?) => {
        $studio.emit($entity_type, vec![$((stringify!($name), $crate::studio::Cell::from($value))),*])
    };
}
use row;

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<civil::DateTime> for Cell {
    fn from(value: civil::DateTime) -> Self {
        Self::DateTime(value.to_string())
    }
}

impl From<civil::Date> for Cell {
    fn from(value: civil::Date) -> Self {
        Self::Date(value.to_string())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
