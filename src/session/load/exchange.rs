//! Requests that read pages of queries: named in errors and in the log, and checked against the
//! replies.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::api::{Intent, check_count};
use crate::error::{Result, shortened};
use crate::handle::Session;
use crate::query::{Pages, Statement};
use crate::wire::{Batch, Body, decode, query_action};

use super::pace::Pace;
use super::repetition::Repetition;

/// How many characters of a query are shown in errors and in the log: it may name hundreds of keys.
pub(super) const MAX_SUMMARY_CHARS: usize = 1000;

impl Session {
    /// Fetches the next pages of a query in one request, as many as `pace` allows, and returns what
    /// `read` makes of each, with the statement that asked for it.
    ///
    /// If several pages fail together, the first one is fetched alone: so an error in a later page
    /// loses none of those before it.
    pub(super) fn fetch_pages<T>(
        &self,
        intent: Intent,
        cursor: &Pages,
        pace: &mut Pace,
        read: impl Fn(&Body<'_>, &[Statement]) -> Result<Vec<T>>,
    ) -> Result<Vec<(Statement, T)>> {
        loop {
            let statements = cursor.requests(pace.pages());
            let expressions = statements.iter().map(Statement::expression);
            let expressions: Vec<String> = expressions.collect::<Result<_>>()?;
            let actions: Vec<Json> = expressions.iter().map(|text| query_action(text)).collect();
            let summary = summary(&expressions.join("; "));
            let started = Instant::now();
            let (mut bytes, mut waited, mut is_repeated) = (0, Duration::ZERO, false);
            // Another statement, for a part of a long list, may have the same entities.
            if statements
                .first()
                .is_some_and(|first| first.offset.unwrap_or(0) == 0)
            {
                pace.seen = Repetition::default();
            }
            let api = &self.shared.api;
            let pages = api.exchange(intent, &actions, &summary, |response| {
                (bytes, waited) = (response.bytes().len(), started.elapsed());
                let repeated = pace.seen.check(response.bytes());
                repeated.inspect_err(|_| is_repeated = true)?;
                read(response, &statements)
            });
            match pages {
                Ok(pages) => {
                    pace.record(statements.len(), waited, bytes);
                    return Ok(statements.into_iter().zip(pages).collect());
                }
                Err(error) if !is_repeated && pace.retries_singly(error.kind()) => {
                    log::debug!("several pages in one request failed, trying one: {error}");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs several query expressions in one request; a reply for each. `seen` are the responses
    /// with earlier pages of the same queries.
    pub(super) fn run_queries(&self, expressions: &[&str], seen: &mut Repetition) -> Result<Batch> {
        let actions: Vec<Json> = expressions.iter().copied().map(query_action).collect();
        let (api, summary) = (&self.shared.api, summary(&expressions.join("; ")));
        api.exchange(Intent::Read, &actions, &summary, |response| {
            seen.check(response.bytes())?;
            self.decode_entities(response, actions.len())
        })
    }

    /// The entities in the replies to `actions`, which are queries or searches.
    pub(super) fn entities_from(&self, actions: &[Json], summary: &str) -> Result<Batch> {
        let api = &self.shared.api;
        api.exchange(Intent::Read, actions, summary, |response| {
            self.decode_entities(response, actions.len())
        })
    }

    /// Decodes the response to `count` queries or searches.
    pub(super) fn decode_entities(&self, response: &Body<'_>, count: usize) -> Result<Batch> {
        let batch = decode(self.schema(), response)?;
        check_count(batch.replies.len(), count)?;
        let batch = batch.with_entities()?;
        self.shared.api.counters().decoded(batch.rows.rows.len());
        Ok(batch)
    }
}

/// How a query is named in errors and in the log.
pub(super) fn summary(expression: &str) -> String {
    format!("query {}", shortened(expression, MAX_SUMMARY_CHARS))
}
