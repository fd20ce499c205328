//! Several queries in one request.

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::query::{IntoStatement, Pages};

use super::repetition::Repetition;

impl Session {
    /// Runs several queries together and returns the entities of each, in the same order.
    ///
    /// One request carries the first page of every query, the next one every second page, and so
    /// on: there are as many requests as the longest result has pages. A request is one
    /// transaction, so the pages in it show the data at one moment.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let found = session.query_many([
    ///     session.select("Status").fields(["name", "color"]),
    ///     session.query("select name from Type order by name")?,
    /// ])?;
    /// let [statuses, types] = found.as_slice() else { unreachable!("two queries, two lists") };
    /// assert!(!statuses.is_empty() && !types.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`query`](Self::query) and [`Query::all`](crate::Query::all); if one query
    ///   fails, none returns anything.
    pub fn query_many<Q: IntoStatement>(
        &self,
        queries: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Vec<Entity>>> {
        let cursors = queries
            .into_iter()
            .map(|query| self.query(query)?.entity_cursor());
        let mut cursors: Vec<Pages> = cursors.collect::<Result<_>>()?;
        let mut found = vec![Vec::new(); cursors.len()];
        let mut seen = Repetition::default();
        loop {
            let mut unfinished = Vec::new();
            let mut expressions = Vec::new();
            for (number, cursor) in cursors.iter().enumerate() {
                if let Some(statement) = cursor.request() {
                    unfinished.push(number);
                    expressions.push(statement.expression()?);
                }
            }
            if unfinished.is_empty() {
                return Ok(found);
            }
            let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
            let pages = self.absorb(self.run_queries(&expressions, &mut seen)?);
            for (number, page) in unfinished.into_iter().zip(pages) {
                found[number].extend(page.advance(&mut cursors[number])?);
            }
        }
    }
}
