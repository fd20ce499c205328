//! The syntax tree of the query language.
//!
//! Conditions are immutable and record their depth. Conditions deeper than [`MAX_DEPTH`] cannot be
//! built, so that no traversal of a tree, not even dropping it, can overflow the stack.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::query::literal::{Literal, Operator};
use crate::query::path::{Path, is_name};
use crate::query::place::syntax_error;

/// The maximum nesting of `not`, `has`, `any`, sub-queries and alternating `and` and `or`.
/// Parsing the deepest condition without optimisation takes less than 1 MiB of stack, the size of
/// the main thread's on Windows.
pub const MAX_DEPTH: usize = 100;

/// The largest offset and limit: servers read them as signed numbers of 64 bits.
pub(crate) const MAX_ROWS: u64 = i64::MAX as u64;

/// A query: what to select, from which entity type, under which condition.
///
/// Parse one from text, or build one with [`select`](crate::query::select). It is plain data: it
/// can be cloned, stored, changed and sent to another thread. Its `Display` is the query language;
/// [`expression`](Self::expression) returns the same text after checking that it can be sent.
///
/// ```
/// use ftrack_api::query::Statement;
///
/// let mut statement: Statement = "Task where name is 'time limit 5 frames' limit 3".parse()?;
/// assert_eq!(statement.entity_type, "Task");
/// assert_eq!(statement.limit, Some(3));
/// statement.limit = Some(10);
/// assert_eq!(statement.to_string(), "Task where name is \"time limit 5 frames\" limit 10");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a statement does nothing until a session runs it"]
pub struct Statement {
    /// What to fetch; if empty, the session adds the default projections of the entity type.
    pub projections: Vec<Projection>,
    /// The name of the entity type, such as `Task`.
    pub entity_type: String,
    /// The condition after `where`.
    pub filter: Option<Criterion>,
    /// What to sort by, the most significant first.
    pub order: Vec<Order>,
    /// What to group by, for aggregates.
    pub group: Vec<Path>,
    /// How many rows to skip.
    pub offset: Option<u64>,
    /// The maximum number of rows.
    pub limit: Option<u64>,
    /// The first mistake that was made in building it.
    pub(super) invalid: Option<BuildError>,
}

/// What a query fetches: an attribute, or an aggregate over a group.
///
/// ```
/// use ftrack_api::query::{Aggregate, Projection};
///
/// let projection: Projection = "count(id)".parse()?;
/// assert!(matches!(projection, Projection::Aggregate(Aggregate::Count, _)));
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Projection {
    /// An attribute of the entity or of a related one: `name`, `status.name`.
    Attribute(Path),
    /// A function over the rows of a group: `count(id)`.
    Aggregate(Aggregate, Path),
}

/// A function over the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aggregate {
    /// The number of rows.
    Count,
    /// The sum.
    Sum,
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// An attribute to sort by.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The attribute.
    pub path: Path,
    /// Whether the largest value comes first.
    pub descending: bool,
}

/// A condition on the rows of a query.
///
/// Build one with [`field`](crate::query::field), or parse one from text. Match on
/// [`kind`](Self::kind) to inspect it.
///
/// ```
/// use ftrack_api::query::{Criterion, Kind, field};
///
/// let read: Criterion = "name is anim and not (bid > 3 or status is none)".parse()?;
/// let Kind::And(parts) = read.kind() else { panic!("`and` comes first") };
/// assert_eq!(parts[0].to_string(), "name is anim");
/// assert_eq!(field("name").eq("anim").to_string(), "name is \"anim\"");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a condition does nothing until it filters a query"]
pub struct Criterion {
    pub(super) depth: u16,
    pub(super) kind: Kind,
}

/// The kinds of [`Criterion`]; `.into()` converts one into a criterion.
///
/// ```
/// use ftrack_api::query::{Criterion, Kind};
///
/// let everything: Criterion = Kind::And(vec![]).into();
/// let empty = Criterion::from(Kind::Any { path: "notes".parse()?, inner: everything.into() }).not();
/// assert_eq!(empty.to_string(), "not notes any ()");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// All of them hold. An empty one always holds and is written `()`.
    And(Vec<Criterion>),
    /// At least one of them holds. An empty one never holds.
    Or(Vec<Criterion>),
    /// The condition does not hold.
    Not(Box<Criterion>),
    /// A comparison of an attribute with a value.
    Compare {
        /// The attribute.
        path: Path,
        /// How to compare.
        operator: Operator,
        /// The value.
        value: Literal,
    },
    /// The attribute is in a set, or not.
    In {
        /// The attribute.
        path: Path,
        /// The set.
        set: Set,
        /// Whether this is `not_in`.
        negated: bool,
    },
    /// The referenced entity exists and satisfies the condition.
    Has {
        /// The reference.
        path: Path,
        /// The condition; an empty `And` for none.
        inner: Box<Criterion>,
    },
    /// At least one entity of a collection satisfies the condition.
    Any {
        /// The collection.
        path: Path,
        /// The condition; an empty `And` for none.
        inner: Box<Criterion>,
    },
    /// A mistake in building the condition, which [`Statement::expression`] returns as an error.
    Invalid(BuildError),
}

/// The set on the right of `in`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Set {
    /// These values. An empty list matches nothing, and a query that cannot match anything is not
    /// sent.
    Values(Vec<Literal>),
    /// The values that another query selects.
    Select(Box<Statement>),
}

/// A mistake in building a query. It is stored in the tree, so that building needs no `?` after
/// each step, and [`Statement::expression`] returns it as an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    kind: ErrorKind,
    message: String,
}

impl Statement {
    /// The text to send.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if the entity type is not a name, a path given to the builder is
    ///   not a path, or a sub-query has an offset but no limit.
    /// - [`ErrorKind::Validation`] if a value given to the builder cannot be expressed in a query, or
    ///   an offset or limit is 2^63 or more.
    ///
    /// ```
    /// use ftrack_api::query::{field, select};
    ///
    /// let good = select("Task").filter(field("bid").gt(3));
    /// assert_eq!(good.expression()?, "Task where bid > 3");
    /// let bad = select("Task").filter(field("bid").gt(f64::NAN));
    /// assert!(bad.expression().unwrap_err().to_string().contains("NaN"));
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn expression(&self) -> Result<String> {
        self.verify()?;
        Ok(self.to_string())
    }

    /// Checks that the statement can be sent: it was built without a mistake, and the entity type is a
    /// name.
    pub(super) fn verify(&self) -> Result<()> {
        if let Some(error) = &self.invalid {
            return Err(error.clone().into());
        }
        if !is_name(&self.entity_type) {
            let message = "expected the name of an entity type";
            return Err(syntax_error(
                &self.entity_type,
                0..self.entity_type.len(),
                message,
            ));
        }
        self.check_bounds()?;
        self.filter.as_ref().map_or(Ok(()), Criterion::verify)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the offset or the limit is more than servers take.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        for (clause, rows) in [("offset", self.offset), ("limit", self.limit)] {
            if let Some(rows) = rows.filter(|&rows| rows > MAX_ROWS) {
                let message =
                    format!("`{clause} {rows}` is too large: servers take at most {MAX_ROWS}");
                return Err(Error::new(ErrorKind::Validation, message));
            }
        }
        Ok(())
    }

    /// Stores a mistake unless there is one already.
    pub(super) fn invalidate(&mut self, error: BuildError) {
        self.invalid.get_or_insert(error);
    }
}

impl BuildError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::new(error.kind, error.message)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
