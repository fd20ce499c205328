//! What a cache should have forgotten while it could not.
#![cfg(any(feature = "file-cache", feature = "redis"))]

use std::collections::BTreeSet;

use crate::lock::Mutex;

/// Keys whose values are old and could not be removed: they are, as soon as that is possible.
/// Nobody else knows of it, and with the process it is forgotten: docs/caching.md says what helps.
#[derive(Default)]
pub(super) struct Owed(Mutex<BTreeSet<String>>);

impl Owed {
    pub(super) fn note(&self, keys: impl IntoIterator<Item = String>) {
        self.0.lock().extend(keys);
    }

    #[cfg(feature = "file-cache")]
    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.lock().contains(key)
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }

    /// Takes note that these were removed.
    pub(super) fn settled(&self, keys: &[String]) {
        if !keys.is_empty() {
            let mut owed = self.0.lock();
            keys.iter().for_each(|key| {
                owed.remove(key);
            });
        }
    }
}
