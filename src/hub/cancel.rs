//! Waits that the calling thread's cancel tokens end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, after, never, select};

use crate::calls::{Call, tokens_of, with_scopes};
use crate::error::{Error, ErrorKind, Result};

/// The tokens in force in the calling thread, for the time of one wait.
pub(super) struct Cancellation {
    /// What the tokens interrupt; `None` if there are no tokens.
    call: Option<Arc<Call>>,
}

impl Cancellation {
    pub(super) fn of_thread() -> Self {
        let tokens = tokens_of(with_scopes);
        let call = (!tokens.is_empty()).then(Arc::<Call>::default);
        if let Some(call) = &call {
            tokens.iter().for_each(|token| token.watch(call));
        }
        Self { call }
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if a token was cancelled.
    pub(super) fn check(&self) -> Result<()> {
        let interrupted = self.call.as_ref().and_then(|call| call.interrupted());
        match interrupted {
            Some(kind) => Err(cancelled(kind)),
            None => Ok(()),
        }
    }

    /// Lets the tokens find out whether they are cancelled. To be called without a lock: what asks is
    /// the user's.
    pub(super) fn ask(&self) {
        if let Some(call) = &self.call {
            call.ask();
        }
    }

    /// How long a wait may last until [`ask`](Self::ask) is due; `None` if no token asks.
    pub(super) fn before_asking(&self) -> Option<Duration> {
        self.call.as_ref()?.before_asking(None)
    }

    /// Calls this when a token is cancelled; at once if one was.
    pub(super) fn notify(&self, notify: impl FnOnce() + Send + 'static) {
        if let Some(call) = &self.call {
            call.on_interrupt(Box::new(notify));
        }
    }

    /// Disconnected when a token is cancelled.
    pub(super) fn channel(&self) -> Receiver<()> {
        if self.call.is_none() {
            return never();
        }
        let (sender, receiver) = crossbeam_channel::bounded(0);
        self.notify(move || drop(sender));
        receiver
    }

    /// Receives until the deadline.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if a token is cancelled.
    pub(super) fn receive<T>(
        &self,
        receiver: &Receiver<T>,
        deadline: Instant,
    ) -> Result<std::result::Result<T, RecvTimeoutError>> {
        let token = self.channel();
        loop {
            self.check()?;
            let slice = self.before_asking();
            select! {
                recv(receiver) -> value => return Ok(value.map_err(|_| RecvTimeoutError::Disconnected)),
                recv(token) -> _ => return Err(cancelled(ErrorKind::Cancelled)),
                recv(crossbeam_channel::at(deadline)) -> _ => return Ok(Err(RecvTimeoutError::Timeout)),
                recv(slice.map_or_else(never, after)) -> _ => self.ask(),
            }
        }
    }
}

pub(super) fn cancelled(kind: ErrorKind) -> Error {
    Error::new(kind, "the wait for the event server was cancelled")
}
