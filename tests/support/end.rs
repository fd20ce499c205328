//! The end of what threads do until they are told.

use std::sync::atomic::{AtomicBool, Ordering};

/// Says when it is dropped that something is over: a scope waits for its threads, however the test ends.
pub(crate) struct End<'a>(pub(crate) &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
