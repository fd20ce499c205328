//! Idle connections: a thread takes one and gives it back, so that no lock is held while it is used.
#![cfg(any(feature = "file-cache", feature = "redis"))]

use crate::lock::Mutex;

/// How many idle connections are retained; further threads open connections of their own.
const MAX_IDLE: usize = 8;

/// Idle connections, each with the process that opened it.
pub(crate) struct Pool<T>(Mutex<Vec<(u32, T)>>);

impl<T> Pool<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn take(&self) -> Option<T> {
        loop {
            let (opener, connection) = self.0.lock().pop()?;
            if opener == std::process::id() {
                return Some(connection);
            }
            // A forked process must not use a connection of its parent, not even to close it.
            std::mem::forget(connection);
        }
    }

    pub(crate) fn give(&self, connection: T) {
        let mut idle = self.0.lock();
        if idle.len() < MAX_IDLE {
            idle.push((std::process::id(), connection));
        }
    }

    /// Closes the idle connections.
    pub(crate) fn drain(&self) {
        while self.take().is_some() {}
    }
}
