//! How many rows a query has, without fetching them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Result;
use crate::query::{Aggregate, Pages, Statement};

use super::Query;

/// The row that a count answers with; its one column is called after the key that is counted.
#[derive(Deserialize)]
struct Count(BTreeMap<String, u64>);

impl Query {
    /// How many rows the query has, its offset and limit honoured. The server counts them.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let tasks = session.query("Task where project.name is test")?;
    /// assert_eq!(tasks.count()?, tasks.all()?.len() as u64);
    /// assert_eq!(tasks.limit(3).count()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`all`](Self::all).
    pub fn count(&self) -> Result<u64> {
        if self.statement.is_grouped() {
            let mut groups = self.rows::<IgnoredAny>();
            return groups.try_fold(0, |count, group| group.map(|_| count + 1));
        }
        let Some(statement) = self.statement.simplified() else {
            return Ok(0);
        };
        let mut plain = unpaged(statement.clone());
        plain.projections.clear();
        let entity_type = self.session.schema().entity_type(&plain.entity_type)?;
        let key = entity_type.primary_key().first().map_or("id", |key| key);
        let mut total: u64 = 0;
        // The cursor tells the parts that a long list is split into.
        let mut parts = self.unordered_cursor(&plain)?;
        while let Some(part) = parts.request() {
            let counted = unpaged(part).aggregate(Aggregate::Count, key);
            let (rows, _) = self.ask_rows::<Count>(&counted)?;
            total += rows.iter().flat_map(|Count(row)| row.values()).sum::<u64>();
            parts.received(0, None, None)?;
        }
        let after_offset = total.saturating_sub(statement.offset.unwrap_or(0));
        Ok(after_offset.min(statement.limit.unwrap_or(u64::MAX)))
    }

    /// Whether the query has a row. The server looks for one; nothing is taken into the session.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// assert!(session.select("Task").exists()?);
    /// assert!(!session.query("Task where name is nonesuch")?.exists()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`all`](Self::all).
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

    /// A cursor that is not sorted by key, whatever the query says.
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
