//! Sending again what failed, until it works, may not be sent again, or is broken off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::Api;
use crate::calls::Call;
use crate::error::{Error, ErrorKind, Result};

/// Which failures allow to send something again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// All that may pass by themselves: it only reads, or does no harm when it is done twice.
    Always,
    /// Those after which the server cannot have done it.
    IfUnsent,
}

/// One of the attempts of a call.
pub(crate) struct Attempt {
    /// 1 for the first.
    pub(crate) number: u32,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

impl Api {
    /// Does `work`, which sends one request and reads its answer, and does it again as the
    /// session's [`Retry`](crate::config::Retry) says. `summary` names it in errors and in the log.
    ///
    /// Everything that waits in it ends when the session closes or the thread's
    /// [`CancelToken`](crate::CancelToken) is used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::Cancelled`], [`ErrorKind::OverBudget`], or that of the
    /// last attempt.
    pub(crate) fn repeating<T>(
        &self,
        repeat: Repeat,
        summary: &str,
        mut work: impl FnMut(&Attempt) -> Result<T>,
    ) -> Result<T> {
        let mut pace = self.pace();
        loop {
            self.check_open()?;
            self.check_online(summary)?;
            pace.check(summary)?;
            self.spend(summary)?;
            let attempt = pace.attempt();
            let error = match pace.call.run_in(self.scopes, || work(&attempt)) {
                Ok(done) => {
                    self.tokens.earn();
                    return Ok(done);
                }
                Err(error) => error,
            };
            // A transport that was closed fails before the call is interrupted.
            let closed = self.is_closed().then_some(ErrorKind::Closed);
            if let Some(why) = pace.call.interrupted().or(closed) {
                return Err(interrupted(why, summary, error));
            }
            if !repeat.allows(&error) || !pace.goes_on(&error, summary) {
                return Err(after(attempt.number, error));
            }
        }
    }

    /// Reads some of an answer that was handed out before all of it was there. Whatever ends
    /// requests ends that too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] and [`ErrorKind::Cancelled`]; what `read` answers is inside.
    pub(crate) fn reading(
        &self,
        summary: &str,
        read: impl FnOnce() -> io::Result<usize>,
    ) -> Result<io::Result<usize>> {
        let pace = self.pace();
        self.check_open()?;
        pace.check(summary)?;
        let outcome = pace.call.run_in(self.scopes, read);
        match pace.call.interrupted() {
            None => Ok(outcome),
            Some(why) => {
                let late = Error::new(ErrorKind::Connection, "it was received in part");
                Err(interrupted(why, summary, late))
            }
        }
    }

    /// The pace at which something may be tried again, from now on.
    pub(crate) fn pace(&self) -> Pace<'_> {
        Pace {
            api: self,
            call: self.begin_call(),
            started: Instant::now(),
            number: 1,
        }
    }
}

/// When and how often something is tried again. The session and this thread's tokens can break
/// off its waits.
pub(crate) struct Pace<'a> {
    api: &'a Api,
    call: Arc<Call>,
    started: Instant,
    number: u32,
}

impl Pace<'_> {
    /// Waits for the time of the next attempt; false, at once, if there is none. A wait that is
    /// broken off counts as over: the next request says why.
    pub(crate) fn goes_on(&mut self, error: &Error, summary: &str) -> bool {
        let (retry, number) = (&self.api.config.retry, self.number);
        let elapsed = self.started.elapsed();
        let wait = retry.wait(number, elapsed, error.retry_after(), fastrand::f64());
        let Some(wait) = wait.filter(|_| self.api.tokens.take()) else {
            return false;
        };
        log::debug!("{summary}: attempt {number} failed, the next comes in {wait:?}: {error}");
        self.api.counters.retried();
        self.call.sleep(wait);
        self.number += 1;
        true
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    fn attempt(&self) -> Attempt {
        let config = &self.api.config;
        let elapsed = self.started.elapsed();
        Attempt {
            number: self.number,
            timeout: config.retry.limit(self.number, elapsed, config.timeout),
        }
    }

    /// # Errors
    ///
    /// Why it was broken off, if it was.
    pub(crate) fn check(&self, summary: &str) -> Result<()> {
        match self.call.interrupted() {
            None => Ok(()),
            Some(why) => {
                let unsent = Error::new(ErrorKind::Connection, "it was not sent").unsent();
                Err(interrupted(why, summary, unsent))
            }
        }
    }
}

impl Repeat {
    fn allows(self, error: &Error) -> bool {
        let passes = matches!(
            error.kind(),
            ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Unavailable
        );
        passes && (self == Self::Always || !error.leaves_doubt())
    }
}

fn interrupted(why: ErrorKind, summary: &str, error: Error) -> Error {
    let message = match why {
        ErrorKind::Closed => format!("{summary}: the session was closed meanwhile"),
        _ => format!("{summary}: cancelled"),
    };
    let doubt = error.leaves_doubt();
    let broken = Error::new(why, message).with_source(error);
    if doubt { broken } else { broken.unsent() }
}

fn after(attempts: u32, error: Error) -> Error {
    match attempts {
        1 => error,
        _ => error.with_note(&format!("It was tried {attempts} times.")),
    }
}

/// Pays for requests that are sent again, so that a server in trouble is not asked several times
/// as much. In tenths of a request.
pub(super) struct Tokens(AtomicI64);

/// What is paid in advance, and at most.
const FULL: i64 = 200;
const PRICE: i64 = 10;

impl Default for Tokens {
    fn default() -> Self {
        Self(AtomicI64::new(FULL))
    }
}

impl Tokens {
    /// An answer came.
    fn earn(&self) {
        self.change(|have| Some((have + 1).min(FULL)));
    }

    /// Pays for one more request, if there is enough.
    fn take(&self) -> bool {
        self.change(|have| (have >= PRICE).then(|| have - PRICE))
    }

    fn change(&self, change: impl FnMut(i64) -> Option<i64>) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_is_paid_for() {
        let tokens = Tokens::default();
        assert_eq!((0..100).filter(|_| tokens.take()).count(), 20);
        (0..9).for_each(|_| tokens.earn());
        assert!(!tokens.take());
        tokens.earn();
        assert!(tokens.take() && !tokens.take());
        (0..1000).for_each(|_| tokens.earn());
        assert_eq!((0..100).filter(|_| tokens.take()).count(), 20);
    }

    #[test]
    fn what_may_be_sent_again() {
        for (kind, sent, always, unsent) in [
            (ErrorKind::Connection, true, true, false),
            (ErrorKind::Connection, false, true, true),
            (ErrorKind::Timeout, true, true, false),
            (ErrorKind::Unavailable, true, true, false),
            (ErrorKind::Unavailable, false, true, true),
            (ErrorKind::Tls, false, false, false),
            (ErrorKind::Authentication, true, false, false),
            (ErrorKind::BadResponse, true, false, false),
            (ErrorKind::Validation, true, false, false),
        ] {
            let error = Error::new(kind, "");
            let error = if sent { error } else { error.unsent() };
            assert_eq!(Repeat::Always.allows(&error), always, "{kind:?} {sent}");
            assert_eq!(Repeat::IfUnsent.allows(&error), unsent, "{kind:?} {sent}");
        }
    }
}
