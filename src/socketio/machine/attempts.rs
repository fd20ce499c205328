//! When to try again after a connection is lost, and when to give up.

use std::time::Duration;

use crate::socketio::settings::Settings;

/// The jitter before the first attempt after a useful connection.
const MAX_FIRST_JITTER: Duration = Duration::from_millis(20);

pub(super) struct Attempts {
    random: fastrand::Rng,
    /// Those that failed since the last useful connection.
    failures: u32,
    /// Whether to go on after the first attempt has failed.
    persistent: bool,
}

impl Attempts {
    /// `seed` makes the jitter.
    pub(super) fn new(seed: u64, persistent: bool) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            failures: 0,
            persistent,
        }
    }

    /// The server has accepted us: from now on it is worth trying again.
    pub(super) fn accepted(&mut self) {
        self.persistent = true;
    }

    /// A connection was lost, or could not be opened. Returns how long to wait before the next
    /// attempt; `None` to give up.
    pub(super) fn lost(&mut self, useful: bool, settings: &Settings) -> Option<Duration> {
        self.failures = if useful { 0 } else { self.failures + 1 };
        let enough = settings.attempts.is_some_and(|most| self.failures >= most);
        (self.persistent && !enough).then(|| self.delay(settings))
    }

    /// Doubles with every failure; the jitter keeps the clients of a restarted server apart.
    fn delay(&mut self, settings: &Settings) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return MAX_FIRST_JITTER.mul_f64(self.random.f64());
        };
        let full = settings
            .first_delay
            .saturating_mul(1 << doublings.min(20))
            .min(settings.longest_delay);
        full.mul_f64(0.5 + self.random.f64() / 2.0)
    }
}
