//! How many pages of a query go into one request.

use std::time::Duration;

use crate::error::ErrorKind;

use super::repetition::Repetition;

/// The default of [`Query::pages_per_request`](super::Query::pages_per_request).
pub(super) const PAGES_PER_REQUEST: usize = 8;

/// A request that takes longer than this is too large.
const MAX_DURATION: Duration = Duration::from_secs(1);
/// A response that is larger than this is too large.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// Doubles the pages of each request, so that a consumer that stops early has fetched less than
/// twice the pages that it has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    next: usize,
    max: usize,
    /// The responses so far.
    pub(super) seen: Repetition,
}

impl Pace {
    pub(super) fn new(max: usize) -> Self {
        Self {
            next: 1,
            max: max.max(1),
            seen: Repetition::default(),
        }
    }

    /// How many pages the next request asks for.
    pub(super) fn pages(self) -> usize {
        self.next
    }

    /// Adjusts to a request that succeeded.
    pub(super) fn record(&mut self, duration: Duration, response_bytes: usize) {
        self.next = match duration > MAX_DURATION || response_bytes > MAX_RESPONSE_BYTES {
            true => (self.next / 2).max(1),
            false => (self.next * 2).min(self.max),
        };
    }

    /// Whether to try again with a single page after a request failed, as servers that refuse
    /// several actions need; from then on there are single pages only.
    pub(super) fn retries_singly(&mut self, error: ErrorKind) -> bool {
        let is_final = matches!(
            error,
            ErrorKind::Closed
                | ErrorKind::Cancelled
                | ErrorKind::OverBudget
                | ErrorKind::Connection
                | ErrorKind::Tls
                | ErrorKind::Authentication
        );
        let retries = self.next > 1 && !is_final;
        if retries {
            (self.next, self.max) = (1, 1);
        }
        retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_while_responses_are_quick_and_small() {
        let quick = Duration::from_millis(50);
        let mut pace = Pace::new(8);
        let mut pages = Vec::new();
        for (duration, bytes) in [
            (quick, 0),
            (quick, 0),
            (quick, 0),
            (quick, 0),
            (2 * MAX_DURATION, 0),
            (quick, 0),
            (quick, MAX_RESPONSE_BYTES + 1),
            (2 * MAX_DURATION, 0),
            (2 * MAX_DURATION, 0),
            (2 * MAX_DURATION, 0),
        ] {
            pages.push(pace.pages());
            pace.record(duration, bytes);
        }
        assert_eq!(pages, [1, 2, 4, 8, 8, 4, 8, 4, 2, 1]);
        assert_eq!(pace.pages(), 1);
        let mut single = Pace::new(0);
        single.record(quick, 0);
        assert_eq!(single.pages(), 1);
    }

    #[test]
    fn falls_back_to_single_pages_once() {
        let mut pace = Pace::new(8);
        assert!(!pace.retries_singly(ErrorKind::Server), "it was single");
        pace.record(Duration::ZERO, 0);
        assert!(!pace.retries_singly(ErrorKind::Closed));
        assert!(pace.retries_singly(ErrorKind::Server));
        pace.record(Duration::ZERO, 0);
        assert_eq!(pace.pages(), 1);
    }
}
