//! An event that a worker has until it says what is to happen with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;

use super::engine::{Create, Token, Turn, Verdict};
use super::entry::{Content, Entry};
use super::gap::{Gap, timestamp};
use super::stream::Stream;

/// The settings of a worker, as its deliveries need them.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) stream: Stream,
    pub(super) group: String,
    pub(super) name: String,
    pub(super) lease: Duration,
    pub(super) attempts: u32,
}

impl Setup {
    /// A turn that does nothing.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn {
            worker: &self.name,
            finish: None,
            route: None,
            wait: None,
            take: false,
            lease: self.lease,
            attempts: self.attempts,
            ordered: false,
            create: Create::No,
        }
    }
}

/// An event, or a gap, that a worker was given.
///
/// It is this worker's until it is acknowledged, put off or rejected, or until its lease ends: then
/// another worker is given it. One that is dropped, as by `?` or a panic, is given out again at once.
#[must_use = "bind it: `let _delivery = …`; `let _ = …` would drop it at once, and it is given out again"]
pub struct Delivery {
    pub(super) setup: Arc<Setup>,
    pub(super) token: Token,
    pub(super) entry: Entry,
    /// Whether nothing has been said of it.
    pub(super) is_open: bool,
}

impl Delivery {
    /// The event; `None` if it is a gap.
    pub fn event(&self) -> Option<&Event> {
        match &self.entry.content {
            Content::Event(event) => Some(event),
            Content::Gap(_) => None,
        }
    }

    /// The gap, if events are missing here. It is acknowledged like an event.
    pub fn gap(&self) -> Option<&Gap> {
        match &self.entry.content {
            Content::Gap(gap) => Some(gap),
            Content::Event(_) => None,
        }
    }

    /// How often it was given to a worker of this group, this time included.
    pub fn attempt(&self) -> u32 {
        self.token.attempt
    }

    /// When a relay received the event, or up to a second before. Of an event from the server's log, when it was logged.
    pub fn received_at(&self) -> Timestamp {
        timestamp(self.entry.at)
    }

    /// The name of the relay that appended it; empty if the stream itself reports a gap.
    pub fn relay(&self) -> &str {
        &self.entry.relay
    }

    /// Whether no relay received the event and it was made from the server's log; see
    /// [`Relay::catch_up`](super::Relay::catch_up) for what such an event has.
    pub fn is_from_log(&self) -> bool {
        self.entry.is_from_log
    }

    /// The group that it was given to.
    pub fn group(&self) -> &str {
        &self.setup.group
    }

    /// Acknowledges it: it was handled.
    ///
    /// # Errors
    ///
    /// Of this and the following methods. After any of them the delivery may be handed out again when its
    /// lease ends.
    ///
    /// - [`ErrorKind::Timeout`] if its lease has ended and another worker has it, or Redis does not
    ///   respond in time.
    /// - Any error of [`Stream::status`].
    pub fn ack(self) -> Result<()> {
        self.end(Verdict::Ack)
    }

    /// Gives it out again after this time, to whichever worker is free. Events of the same key wait
    /// meanwhile. After the last attempt it becomes a dead letter with this reason.
    ///
    /// # Errors
    ///
    /// - Any error of [`ack`](Self::ack).
    pub fn retry_after(self, delay: Duration, reason: impl Into<String>) -> Result<()> {
        let attempts = self.setup.attempts;
        self.end(Verdict::Retry(delay, reason.into(), attempts))
    }

    /// Makes it a dead letter at once, with this reason.
    ///
    /// # Errors
    ///
    /// - Any error of [`ack`](Self::ack).
    pub fn reject(self, reason: impl Into<String>) -> Result<()> {
        self.end(Verdict::Reject(reason.into()))
    }

    /// Sets the lease to this long from now on, for a handler that needs longer.
    ///
    /// # Errors
    ///
    /// - Any error of [`ack`](Self::ack).
    pub fn extend(&self, lease: Duration) -> Result<()> {
        self.finish(Verdict::Extend(lease))
    }

    fn end(mut self, verdict: Verdict) -> Result<()> {
        self.is_open = false;
        self.finish(verdict)
    }

    fn finish(&self, verdict: Verdict) -> Result<()> {
        let turn = Turn {
            finish: Some((&self.token, verdict)),
            ..self.setup.turn()
        };
        match self.setup.stream.engine()?.turn(&self.setup.group, &turn)? {
            Some(turned) if turned.finished => Ok(()),
            _ => Err(self.lost()),
        }
    }

    pub(super) fn lost(&self) -> Error {
        let message = format!(
            "{self}: its lease of {:?} has ended, and another worker may have it; give the worker a longer \
             lease, or call `extend` while it is handled",
            self.setup.lease
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let why = "its worker dropped it".to_owned();
        let verdict = Verdict::Retry(Duration::ZERO, why, self.setup.attempts);
        if let Err(error) = self.finish(verdict) {
            log::debug!("{self} was dropped: {error}");
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry.content {
            Content::Event(event) => write!(f, "event {} ({})", event.id(), event.topic())?,
            Content::Gap(gap) => write!(f, "a gap ({})", gap.reason)?,
        }
        write!(f, " of group {}", self.setup.group)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("group", &self.setup.group)
            .field("worker", &self.setup.name)
            .field("attempt", &self.token.attempt)
            .field("content", &self.entry.content)
            .finish_non_exhaustive()
    }
}
