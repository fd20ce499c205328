//! Repeating failed requests, until they succeed, must not be repeated, or are interrupted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::Api;
use crate::calls::Call;
use crate::error::{Error, ErrorKind, Result};

/// After which failures a request may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// After all that may be temporary: it only reads, or does no harm when it is done twice.
    Always,
    /// After those that exclude that the server has applied it.
    IfUnsent,
}

/// An attempt of a call.
pub(crate) struct Attempt {
    /// 1 for the first.
    pub(crate) number: u32,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

impl Api {
    /// Does `work`, which sends one request and reads its response, and repeats it as the session's
    /// [`Retry`](crate::config::Retry) says. `summary` names it in errors and in the log.
    ///
    /// All waits in it end when the session closes or the thread's
    /// [`CancelToken`](crate::CancelToken) is used.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`], [`ErrorKind::Cancelled`], [`ErrorKind::OverBudget`], or that of the
    ///   last attempt.
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

    /// Reads a part of a response that was returned before all of it was received. Whatever
    /// interrupts requests interrupts that too.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`] and [`ErrorKind::Cancelled`]; the result of `read` is inside.
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

    /// The pace of the attempts of a call that begins now.
    pub(crate) fn pace(&self) -> Pace<'_> {
        Pace {
            api: self,
            call: self.begin_call(),
            started: Instant::now(),
            number: 1,
        }
    }
}

/// When and how often a call is repeated. The session and this thread's tokens can interrupt its
/// waits.
pub(crate) struct Pace<'a> {
    api: &'a Api,
    call: Arc<Call>,
    started: Instant,
    number: u32,
}

impl Pace<'_> {
    /// Waits for the time of the next attempt; false, at once, if there is none. An interrupted wait
    /// counts as complete: the next request reports why.
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
    /// - [`ErrorKind::Closed`] or [`ErrorKind::Cancelled`] if it was interrupted.
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

pub(super) fn interrupted(why: ErrorKind, summary: &str, error: Error) -> Error {
    let message = match why {
        ErrorKind::Closed => format!("{summary}: the session was closed"),
        _ => format!("{summary}: cancelled"),
    };
    let doubt = error.leaves_doubt();
    let broken = Error::new(why, message).with_source(error);
    if doubt { broken } else { broken.unsent() }
}

fn after(attempts: u32, error: Error) -> Error {
    match attempts {
        1 => error,
        _ => error.with_note(&format!("There were {attempts} attempts.")),
    }
}

/// Pays for repeated requests, so that a server in trouble does not get a multiple of the load. In
/// tenths of a request.
pub(super) struct Tokens(AtomicI64);

/// What is paid in advance, and the most that is saved.
const MAX_TOKENS: i64 = 200;
const RETRY_PRICE: i64 = 10;

impl Default for Tokens {
    fn default() -> Self {
        Self(AtomicI64::new(MAX_TOKENS))
    }
}

impl Tokens {
    /// After a response.
    fn earn(&self) {
        self.change(|have| Some((have + 1).min(MAX_TOKENS)));
    }

    /// Pays for one request, if there is enough.
    fn take(&self) -> bool {
        self.change(|have| (have >= RETRY_PRICE).then(|| have - RETRY_PRICE))
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
    use crate::config::{Config, Settings};
    use crate::transport::{Request, Response, Transport};

    struct Nowhere;

    impl Transport for Nowhere {
        fn send(&self, _: &Request<'_>) -> Result<Response> {
            unreachable!("the test sends nothing")
        }
    }

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

    /// The transport may fail first: it is closed in the same moment.
    #[test]
    fn a_request_that_fails_while_the_session_closes_ends_as_closed() {
        let settings = Settings {
            server_url: Some("https://studio.example".into()),
            api_key: Some("k".into()),
            api_user: Some("ada".into()),
            ..Settings::default()
        };
        let config = Config::resolve(settings, &|_| None).expect("a complete configuration");
        let api = Api::new(config, Box::new(Nowhere));
        let ended = api.repeating::<()>(Repeat::IfUnsent, "a commit", |_| {
            api.closed.store(true, Ordering::Release);
            Err(Error::new(ErrorKind::Connection, "it was shut down"))
        });
        let error = ended.expect_err("nothing was done");
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }

    #[test]
    fn failures_after_which_requests_are_repeated() {
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
