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
/// Round trips that are shorter than this cost less than the memory of large responses.
const SHORT_ROUND_TRIP: Duration = Duration::from_millis(20);
/// How large responses may be then.
const SMALL_RESPONSE_BYTES: usize = 2 << 20;

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

    /// Takes account of a request for so many pages, whose response came after this time.
    pub(super) fn record(&mut self, pages: usize, waited: Duration, response_bytes: usize) {
        let is_too_large = waited > MAX_DURATION || response_bytes > MAX_RESPONSE_BYTES;
        let next = match is_too_large {
            true => self.next / 2,
            false => self.next * 2,
        };
        let most = match waited < SHORT_ROUND_TRIP {
            true => SMALL_RESPONSE_BYTES * pages / response_bytes.max(1),
            false => self.max,
        };
        self.next = next.min(most).clamp(1, self.max);
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
            (MAX_DURATION, 0),
            (quick, MAX_RESPONSE_BYTES),
            (quick, 0),
            (2 * MAX_DURATION, 0),
            (quick, 0),
            (quick, MAX_RESPONSE_BYTES + 1),
            (2 * MAX_DURATION, 0),
            (2 * MAX_DURATION, 0),
            (2 * MAX_DURATION, 0),
        ] {
            pages.push(pace.pages());
            pace.record(pace.pages(), duration, bytes);
        }
        assert_eq!(pages, [1, 2, 4, 8, 8, 4, 8, 4, 2, 1]);
        assert_eq!(pace.pages(), 1);
        let mut single = Pace::new(0);
        single.record(1, quick, 0);
        assert_eq!(single.pages(), 1);
    }

    #[test]
    fn responses_stay_small_where_round_trips_are_short() {
        let page = 600_000;
        for (round_trip, expected) in [
            (SHORT_ROUND_TRIP / 2, [1, 2, 3, 3, 3]),
            (SHORT_ROUND_TRIP, [1, 2, 4, 8, 8]),
        ] {
            let mut pace = Pace::new(8);
            let pages = expected.map(|_| {
                let pages = pace.pages();
                pace.record(pages, round_trip, pages * page);
                pages
            });
            assert_eq!(pages, expected);
        }
        let mut large = Pace::new(8);
        large.record(1, Duration::ZERO, 3 * SMALL_RESPONSE_BYTES);
        assert_eq!(large.pages(), 1);
    }

    #[test]
    fn falls_back_to_single_pages_once() {
        let mut pace = Pace::new(8);
        assert!(!pace.retries_singly(ErrorKind::Server), "it was single");
        pace.record(1, Duration::ZERO, 0);
        assert!(!pace.retries_singly(ErrorKind::Closed));
        assert!(pace.retries_singly(ErrorKind::Server));
        assert_eq!(pace.pages(), 1);
        pace.record(1, Duration::ZERO, 0);
        assert_eq!(pace.pages(), 1);
    }
}
