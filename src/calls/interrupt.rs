//! Ends what a thread waits for on a connection, from another thread.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Registry, Token, Waker};
use ureq::unversioned::transport::ShutdownHandle;

/// Ends every wait on one connection, the present and all later ones. Shutting the socket down would
/// not: on Windows that does not end a blocked read (rust-lang/rust#121594).
pub(crate) struct Interrupt {
    waker: Waker,
    is_set: AtomicBool,
}

impl Interrupt {
    /// `token` is what the poller of `registry` reports when this is used.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new(registry, token)?,
            is_set: AtomicBool::new(false),
        })
    }

    /// # Errors
    ///
    /// - [`io::ErrorKind::ConnectionAborted`] once it was used.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.is_set.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }
}

impl ShutdownHandle for Interrupt {
    fn shutdown(&self) {
        // Set before the wake-up, so that whoever wakes sees it.
        self.is_set.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            log::error!("a thread that waits for a connection cannot be woken: {error}");
        }
    }
}
