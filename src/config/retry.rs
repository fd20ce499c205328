//! When a request is sent again: a decision from numbers; nothing here waits.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// When a session sends a failed request again; see
/// [`SessionBuilder::retry`](crate::SessionBuilder::retry).
///
/// A request that only reads is sent again after a broken connection, a timeout, and the statuses
/// 429, 502, 503 and 504. One that changes something is sent again only if nothing of it can have
/// reached the server, or the server refused to look at it (429).
///
/// The waits double from [`first_wait`](Self::first_wait) on, each is shortened by up to a half
/// at random, and a `Retry-After` of the server is respected. In an outage a session stops
/// retrying: every ten responses pay for one retry, and twenty are paid for in advance.
///
/// ```
/// use std::time::Duration;
/// use ftrack_api::{Session, config::Retry};
///
/// let patient = Retry::new().attempts(8).deadline(Duration::from_secs(600));
/// let builder = Session::builder().retry(patient);
/// let builder = builder.retry(Retry::off());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "pass it to a session builder"]
pub struct Retry {
    attempts: u32,
    first_wait: Duration,
    longest_wait: Duration,
    deadline: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

impl Retry {
    /// Up to 4 attempts, 250 milliseconds to 10 seconds between them, 2 minutes in all.
    pub const fn new() -> Self {
        Self {
            attempts: 4,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            deadline: Duration::from_secs(120),
        }
    }

    /// Nothing is sent again.
    pub const fn off() -> Self {
        Self {
            attempts: 1,
            ..Self::new()
        }
    }

    /// How often a request is sent at most; at least once.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The wait before the second attempt; those after it are longer.
    pub const fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// The longest wait between two attempts, unless the server requests a longer one.
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// How long all attempts and the waits between them may take. If the server requests a longer
    /// wait, there is no further attempt, and
    /// [`Error::retry_after`](crate::Error::retry_after) is the wait that it requested. The first
    /// attempt always has the whole [`timeout`](crate::SessionBuilder::timeout).
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long to wait before the next attempt; `None` if there is none. `attempt` counts from 1,
    /// `elapsed` is the time since the first began, `random` is between 0 and 1.
    pub(crate) fn wait(
        &self,
        attempt: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempt - 1);
        let full = self.first_wait.saturating_mul(doubled);
        let full = full.min(self.longest_wait);
        let shortened = full - full.mul_f64(random.clamp(0.0, 1.0) / 2.0);
        let wait = shortened.max(retry_after.unwrap_or_default());
        (elapsed.saturating_add(wait) < self.deadline).then_some(wait)
    }

    /// How long an attempt that begins now may take.
    pub(crate) fn limit(&self, attempt: u32, elapsed: Duration, timeout: Duration) -> Duration {
        match attempt {
            1 => timeout,
            _ => timeout.min(self.deadline.saturating_sub(elapsed)),
        }
    }
}

/// The wait that the header `Retry-After` requests, in seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?;
    let left = at.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits() {
        let retry = Retry::new()
            .attempts(4)
            .first_wait(MS(100))
            .longest_wait(MS(300));
        let retry = retry.deadline(MS(1000));
        for (attempt, elapsed, after, random, expected) in [
            (1, 0, None, 0.0, Some(100)),
            (1, 0, None, 1.0, Some(50)),
            (1, 0, None, 2.0, Some(50)),
            (1, 0, None, -1.0, Some(100)),
            (2, 0, None, 0.0, Some(200)),
            (3, 0, None, 0.0, Some(300)),
            (3, 0, None, 0.5, Some(225)),
            (4, 0, None, 0.0, None),
            (5, 0, None, 0.0, None),
            (1, 0, Some(700), 0.0, Some(700)),
            (3, 0, Some(10), 0.0, Some(300)),
            (1, 400, Some(700), 0.0, None),
            (1, 899, None, 0.0, Some(100)),
            (1, 900, None, 0.0, None),
            (1, 5000, None, 0.0, None),
        ] {
            let found = retry.wait(attempt, MS(elapsed), after.map(MS), random);
            assert_eq!(
                found,
                expected.map(MS),
                "{attempt} {elapsed} {after:?} {random}"
            );
        }
        assert_eq!(Retry::off().wait(1, MS(0), None, 0.0), None);
        let endless = Retry::new().attempts(u32::MAX).deadline(Duration::MAX);
        assert_eq!(endless.wait(4_000_000, MS(0), None, 0.0), Some(MS(10_000)));
        let slow = endless
            .first_wait(Duration::MAX)
            .longest_wait(Duration::MAX);
        assert_eq!(slow.wait(1, MS(0), None, 0.0), None);
        assert!(slow.wait(1, MS(0), None, 1.0) > Some(MS(10_000)));
    }

    #[test]
    fn defaults() {
        let retry = Retry::new()
            .attempts(4)
            .first_wait(MS(250))
            .longest_wait(MS(10_000))
            .deadline(MS(120_000));
        assert_eq!((Retry::new(), Retry::default()), (retry, retry));
        assert_eq!(Retry::new().attempts(0), Retry::new().attempts(1));
    }

    #[test]
    fn limits() {
        let retry = Retry::new().deadline(MS(1000));
        for (attempt, elapsed, expected) in [(1, 0, 5000), (2, 600, 400), (2, 2000, 0)] {
            assert_eq!(retry.limit(attempt, MS(elapsed), MS(5000)), MS(expected));
        }
        assert_eq!(retry.limit(2, MS(600), MS(100)), MS(100));
    }

    #[test]
    fn requested_waits() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                retry_after(value, now),
                expected.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
