//! Requests that read pages of queries: named in errors and in the log, and checked against the
//! replies.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::api::{Intent, check_count};
use crate::error::{Error, ErrorKind, Result, shortened};
use crate::handle::Session;
use crate::query::{Pages, Statement};
use crate::wire::{Batch, Body, decode, query_action};

use super::pace::Pace;

/// How many characters of a query are shown in errors and in the log: it may name hundreds of keys.
pub(super) const MAX_SUMMARY_CHARS: usize = 1000;
const REPEATED: &str = "the server sent the same entities again instead of further ones";

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
            let (mut bytes, mut is_repeated) = (0, false);
            let first = statements.first().and_then(|first| first.offset);
            let api = &self.shared.api;
            let pages = api.exchange(intent, &actions, &summary, |response| {
                bytes = response.bytes().len();
                is_repeated = pace.repeats(first.unwrap_or(0), || fingerprint(response.bytes()));
                if is_repeated {
                    return Err(Error::new(ErrorKind::BadResponse, REPEATED));
                }
                read(response, &statements)
            });
            match pages {
                Ok(pages) => {
                    pace.record(started.elapsed(), bytes);
                    return Ok(statements.into_iter().zip(pages).collect());
                }
                Err(error) if !is_repeated && pace.retries_singly(error.kind()) => {
                    log::debug!("several pages in one request failed, trying one: {error}");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs several query expressions in one request; a reply for each.
    pub(super) fn run_queries(&self, expressions: &[&str]) -> Result<Batch> {
        let actions: Vec<Json> = expressions.iter().copied().map(query_action).collect();
        self.entities_from(&actions, &summary(&expressions.join("; ")))
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

/// A number for the entities in a response to queries; none if there are none.
fn fingerprint(response: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let replies: Vec<Reply<'_>> = serde_json::from_slice(response).ok()?;
    let texts = replies.iter().map(|reply| reply.data.get());
    if texts.clone().all(|text| text == "[]") {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    texts.for_each(|text| text.hash(&mut hasher));
    Some(hasher.finish())
}

/// How a query is named in errors and in the log.
pub(super) fn summary(expression: &str) -> String {
    format!("query {}", shortened(expression, MAX_SUMMARY_CHARS))
}
