//! Counting the rows of a query without fetching them.

use serde::de::IgnoredAny;
use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result};
use crate::query::{Aggregate, Pages, Statement};

use super::Query;
use super::exchange::summary;

/// The number in the rows of a count, which are one; its only member is named after the attribute that
/// is counted.
fn counted(rows: &[Json]) -> Option<u64> {
    let [row] = rows else {
        return None;
    };
    let mut values = row.as_object()?.values();
    match (values.next(), values.next()) {
        (Some(count), None) => count.as_u64(),
        _ => None,
    }
}

impl Query {
    /// The number of rows, within the query's offset and limit. The server counts them.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let tasks = session.query("Task where project.name is test")?;
    /// assert_eq!(tasks.count()?, tasks.all()?.len() as u64);
    /// assert_eq!(tasks.limit(3).count()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if the server does not reply with one number.
    /// - Any error of [`all`](Self::all).
    pub fn count(&self) -> Result<u64> {
        if self.statement.is_grouped() {
            let mut groups = self.rows::<IgnoredAny>();
            return groups.try_fold(0, |count, group| group.map(|_| count + 1));
        }
        let Some(statement) = self.statement.simplified() else {
            return Ok(0);
        };
        statement.check_bounds()?;
        let mut plain = unpaged(statement.clone());
        plain.projections.clear();
        let entity_type = self.session.schema().entity_type(&plain.entity_type)?;
        let key = entity_type.primary_key().first().map_or("id", |key| key);
        let mut total: u64 = 0;
        // The cursor yields a part for each part of a long list.
        let mut parts = self.unordered_cursor(&plain)?;
        while let Some(part) = parts.request() {
            let part = unpaged(part).aggregate(Aggregate::Count, key);
            let count = counted(&self.fetch_rows(&part)?).ok_or_else(|| {
                let message = "the server's reply to a count is not one row with one number";
                Error::new(ErrorKind::BadResponse, message).about(&summary(&part.to_string()))
            })?;
            total = total.saturating_add(count);
            parts.received(0, None, None)?;
        }
        let after_offset = total.saturating_sub(statement.offset.unwrap_or(0));
        Ok(after_offset.min(statement.limit.unwrap_or(u64::MAX)))
    }

    /// Whether the query has a row. It fetches the key of one at most, past the session's cache.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// assert!(session.select("Task").exists()?);
    /// assert!(!session.query("Task where name is nonesuch")?.exists()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`all`](Self::all).
    pub fn exists(&self) -> Result<bool> {
        let mut first = self.slice(..1);
        if !first.statement.is_grouped() {
            let entity_type = &first.statement.entity_type;
            let entity_type = self.session.schema().entity_type(entity_type)?;
            let key = entity_type.primary_key().to_vec();
            first.statement.projections.clear();
            first = first.fields(key);
        }
        Ok(first.rows::<IgnoredAny>().next().transpose()?.is_some())
    }

    /// A cursor that pages by offset even if the query is stable.
    fn unordered_cursor(&self, statement: &Statement) -> Result<Pages> {
        Query::new(&self.session, statement.clone()).cursor(statement)
    }
}

fn unpaged(mut statement: Statement) -> Statement {
    statement.order.clear();
    statement.offset = None;
    statement.limit = None;
    statement
}
