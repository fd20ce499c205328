//! The end of a hub: its session is closed, and nothing connects it again.

use std::sync::atomic::Ordering;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::EventHub;

impl EventHub {
    /// Closes the hub for good.
    pub(crate) fn end(&self) {
        self.inner.has_ended.store(true, Ordering::SeqCst);
        self.close();
    }

    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub(super) fn check_open(&self) -> Result<()> {
        match self.inner.has_ended.load(Ordering::SeqCst) {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    /// What to say of a failure: that the hub was closed meanwhile, if it was.
    pub(super) fn or_closed(&self, error: Error) -> Error {
        match self.check_open() {
            Err(closed) => closed.because(error),
            Ok(()) => error,
        }
    }
}

fn closed() -> Error {
    let message = "the session of this event hub is closed; open another one";
    Error::new(ErrorKind::Closed, message)
}
