//! Connections that threads take and give back, so that no lock is held while one is used.
#![cfg(any(feature = "file-cache", feature = "redis"))]

use crate::lock::Mutex;

/// How many idle connections are kept; more threads than that at once open further ones.
const IDLE: usize = 8;

/// Connections that nobody uses at the moment, and the process that opened each.
pub(super) struct Pool<T>(Mutex<Vec<(u32, T)>>);

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(super) fn take(&self) -> Option<T> {
        loop {
            let (opener, connection) = self.0.lock().pop()?;
            if opener == std::process::id() {
                return Some(connection);
            }
            // A forked process must not touch what its parent still uses, not even to close it.
            std::mem::forget(connection);
        }
    }

    pub(super) fn give(&self, connection: T) {
        let mut idle = self.0.lock();
        if idle.len() < IDLE {
            idle.push((std::process::id(), connection));
        }
    }

    /// Closes what nobody uses.
    pub(super) fn drain(&self) {
        while self.take().is_some() {}
    }
}
