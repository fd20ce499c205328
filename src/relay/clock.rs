//! The stream's clock, as seen from this machine.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Result;

use super::engine::Appended;

/// By how much the stream's clock is ahead of this machine's: milliseconds, at least and at most. A reply says what
/// the time was at a moment between the request and the reply, which a busy machine may read late.
#[derive(Debug, Default)]
pub(super) struct StreamClock {
    ahead: Option<(i64, i64)>,
}

impl StreamClock {
    /// Sends a request, and takes notice of the time in its reply.
    pub(super) fn ask(&mut self, request: impl FnOnce() -> Result<Appended>) -> Result<Appended> {
        let requested = now();
        let reply = request()?;
        self.set(requested, reply.now, now());
        Ok(reply)
    }

    /// All times are milliseconds since 1970; those of the request and of the reply are this machine's.
    fn set(&mut self, requested: i64, says: i64, replied: i64) {
        // Each of them may be a millisecond older than it looks.
        let least = says.saturating_sub(replied).saturating_sub(1);
        let most = says.saturating_sub(requested).saturating_add(1);
        let known = self.ahead.unwrap_or((least, most));
        let both = (least.max(known.0), most.min(known.1));
        // Bounds that exclude each other: a clock was set, or they drift apart.
        self.ahead = Some(if both.0 <= both.1 {
            both
        } else {
            (least, most)
        });
    }

    /// The time, if the stream's clock is as late as it can be.
    pub(super) fn earliest(&self) -> i64 {
        now().saturating_add(self.ahead.map_or(0, |(least, _)| least))
    }

    /// The time, if the stream's clock is as early as it can be.
    pub(super) fn latest(&self) -> i64 {
        now().saturating_add(self.ahead.map_or(0, |(_, most)| most))
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_hold_however_late_a_reply_is_read() {
        let mut clock = StreamClock::default();
        // The stream's clock is 500 ms ahead; replies are read 40, 1 and 300 ms late.
        for (requested, took, late) in [(1000, 2, 40), (2000, 1, 1), (3000, 5, 300)] {
            let says = requested + took + 500;
            clock.set(requested, says, requested + took + late);
            let (least, most) = clock.ahead.unwrap();
            assert!((least..=most).contains(&500), "{least} to {most}");
        }
        let (least, most) = clock.ahead.unwrap();
        assert!(most - least <= 4, "{least} to {most}");
    }

    #[test]
    fn a_clock_that_was_set_is_believed() {
        let mut clock = StreamClock::default();
        clock.set(1000, 1001, 1002);
        clock.set(2000, 1_002_001, 2002);
        assert_eq!(clock.ahead, Some((999_998, 1_000_002)));
        clock.set(3000, 3001, 3002);
        assert_eq!(clock.ahead, Some((-2, 2)));
    }
}
