//! Building a query by methods.

use crate::handle::Session;
use crate::query::{self, Aggregate, Criterion, Statement};
use crate::value::Paths;

use super::Query;

impl Session {
    /// Starts a query for entities of a type; refine it with the methods of [`Query`].
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::query::field;
    ///
    /// let some = session.select("Task").fields(["name", "status.name"])
    ///     .filter(field("name").like("anim%").or(field("bid").gt(3)))
    ///     .order_by("name").limit(10);
    /// for task in &some {
    ///     println!("{}", task?.get::<String>("name")?);
    /// }
    /// assert!(some.count()? <= 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Mistakes, such as an unknown attribute, are errors when the query runs.
    pub fn select(&self, entity_type: impl Into<String>) -> Query {
        Query::new(self, query::select(entity_type))
    }
}

/// Refining a query: the methods of [`Statement`] of the same names.
impl Query {
    /// Adds attributes to fetch; see [`Statement::fields`].
    pub fn fields(self, fields: impl Paths) -> Self {
        self.refined(|statement| statement.fields(fields))
    }

    /// Adds an aggregate over the rows of each group; see [`Statement::aggregate`].
    pub fn aggregate(self, function: Aggregate, path: impl AsRef<str>) -> Self {
        self.refined(|statement| statement.aggregate(function, path))
    }

    /// Adds a condition that rows must satisfy; see [`Statement::filter`].
    pub fn filter(self, criterion: impl Into<Criterion>) -> Self {
        self.refined(|statement| statement.filter(criterion))
    }

    /// Sorts by attributes, ascending; see [`Statement::order_by`].
    pub fn order_by(self, paths: impl Paths) -> Self {
        self.refined(|statement| statement.order_by(paths))
    }

    /// Sorts by attributes, descending; see [`Statement::order_by_descending`].
    pub fn order_by_descending(self, paths: impl Paths) -> Self {
        self.refined(|statement| statement.order_by_descending(paths))
    }

    /// Groups rows by attributes; see [`Statement::group_by`].
    pub fn group_by(self, paths: impl Paths) -> Self {
        self.refined(|statement| statement.group_by(paths))
    }

    /// Skips the first `rows`.
    pub fn offset(self, rows: u64) -> Self {
        self.refined(|statement| statement.offset(rows))
    }

    /// Limits the result to `rows`; 0 sends no request.
    pub fn limit(self, rows: u64) -> Self {
        self.refined(|statement| statement.limit(rows))
    }

    fn refined(mut self, change: impl FnOnce(Statement) -> Statement) -> Self {
        self.statement = change(std::mem::take(&mut self.statement));
        self
    }
}
