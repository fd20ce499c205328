//! Requests that read entities: named in errors and in the log, and checked against the reply.

use serde_json::Value as Json;

use crate::api::{Intent, check_count};
use crate::error::{Result, shortened};
use crate::handle::Session;
use crate::wire::{Batch, decode, query_action};

/// How many characters of a query are shown in errors and in the log: it may name hundreds of keys.
pub(super) const MAX_SUMMARY_CHARS: usize = 1000;

impl Session {
    /// Runs several query expressions in one request; a reply for each.
    pub(super) fn run_queries(&self, expressions: &[&str]) -> Result<Batch> {
        let actions: Vec<Json> = expressions.iter().copied().map(query_action).collect();
        self.entities_from(&actions, &summary(&expressions.join("; ")))
    }

    /// The entities in the replies to `actions`, which are queries or searches.
    pub(super) fn entities_from(&self, actions: &[Json], summary: &str) -> Result<Batch> {
        let api = &self.shared.api;
        let batch = api.exchange(Intent::Read, actions, summary, |response| {
            let batch = decode(self.schema(), response)?;
            check_count(batch.replies.len(), actions.len())?;
            batch.with_entities()
        })?;
        api.counters().decoded(batch.rows.rows.len());
        Ok(batch)
    }
}

/// How a query is named in errors and in the log.
pub(super) fn summary(expression: &str) -> String {
    format!("query {}", shortened(expression, MAX_SUMMARY_CHARS))
}
