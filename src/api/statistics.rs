//! Counters of what a session requests.

use std::collections::BTreeMap;

use crate::lock::Mutex;

/// More loads on access of one attribute than this are logged as a warning.
const MAX_LOADS: u64 = 20;

/// What a session has requested of its server so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Requests sent.
    pub requests: u64,
    /// How many of them were sent again after a failure.
    pub retries: u64,
    /// Bytes of their bodies.
    pub bytes_sent: u64,
    /// Bytes of the responses' bodies, decompressed.
    pub bytes_received: u64,
    /// Microseconds spent waiting for responses and reading them.
    pub microseconds: u64,
    /// Entities in the responses, each counted as often as it occurred; references that repeat word
    /// for word in one result are counted once.
    pub entities: u64,
    /// Typed rows in the responses; see [`Query::rows`](crate::Query::rows).
    pub rows: u64,
    /// How often an attribute that was not loaded was read, and had to be fetched: by entity type and
    /// path, such as `Task.status.name`. An attribute with a large number belongs in the
    /// projections of a query, or in [`Session::populate`](crate::Session::populate).
    pub loads_on_access: BTreeMap<String, u64>,
}

#[derive(Default)]
pub(crate) struct Counters(Mutex<Statistics>);

impl Counters {
    pub(crate) fn read(&self) -> Statistics {
        self.0.lock().clone()
    }

    pub(super) fn exchanged(&self, sent: usize, received: usize, micros: u64) {
        let mut counts = self.0.lock();
        counts.requests += 1;
        counts.bytes_sent += sent as u64;
        counts.bytes_received += received as u64;
        counts.microseconds += micros;
    }

    pub(super) fn retried(&self) {
        self.0.lock().retries += 1;
    }

    pub(crate) fn decoded(&self, entities: usize) {
        self.0.lock().entities += entities as u64;
    }

    pub(crate) fn read_rows(&self, rows: usize) {
        self.0.lock().rows += rows as u64;
    }

    /// Counts that `path` was loaded because it was read, and logs a warning once that is too often.
    pub(crate) fn loaded_on_access(&self, entity_type: &str, path: &str) {
        let name = format!("{entity_type}.{path}");
        let mut counts = self.0.lock();
        let count = counts.loads_on_access.entry(name).or_insert(0);
        *count += 1;
        let is_time_to_warn = *count == MAX_LOADS + 1;
        drop(counts);
        if is_time_to_warn {
            log::warn!(
                "{path:?} of {entity_type} was loaded on access more than {MAX_LOADS} times; select \
                 it in the query, or call `populate` before the loop"
            );
        }
    }
}
