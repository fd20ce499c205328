//! Connections that threads take and give back, so that no lock is held while one is used.
#![cfg(any(feature = "file-cache", feature = "redis"))]

use crate::lock::Mutex;

/// How many idle connections are kept; more threads than that at once open further ones.
const IDLE: usize = 8;

/// Connections that nobody uses at the moment.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().pop()
    }

    pub(super) fn give(&self, connection: T) {
        let mut idle = self.0.lock();
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }

    /// Closes what nobody uses.
    pub(super) fn drain(&self) {
        let idle = std::mem::take(&mut *self.0.lock());
        drop(idle);
    }
}
