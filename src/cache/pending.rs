//! Removals that a cache must make up for, because it could not be reached.
#![cfg(any(feature = "file-cache", feature = "redis"))]

use std::collections::BTreeMap;

use crate::lock::Mutex;

/// How many keys are remembered. Beyond that, all values of the cache count as stale.
const MAX_KEYS: usize = 100_000;

/// Keys whose values are stale and could not be removed; they are removed before the cache is used
/// again. Other processes do not know of them, and they are lost when this one ends:
/// docs/caching.md says what helps.
#[derive(Default)]
pub(super) struct PendingRemovals(Mutex<Notes>);

/// Each key with a number, so that keys that are added while others are removed stay.
#[derive(Default)]
struct Notes {
    keys: BTreeMap<String, u64>,
    everything: Option<u64>,
    last: u64,
}

/// The pending removals at one moment.
pub(super) struct Removals {
    /// Whether all values are stale.
    pub(super) everything: bool,
    pub(super) keys: Vec<String>,
    last: u64,
}

impl PendingRemovals {
    pub(super) fn add(&self, keys: impl IntoIterator<Item = String>) {
        let mut notes = self.0.lock();
        notes.last += 1;
        let number = notes.last;
        for key in keys {
            notes.keys.insert(key, number);
            if notes.keys.len() > MAX_KEYS {
                notes.keys = BTreeMap::new();
                notes.everything = Some(number);
            }
        }
    }

    #[cfg(feature = "file-cache")]
    pub(super) fn contains(&self, key: &str) -> bool {
        let notes = self.0.lock();
        notes.everything.is_some() || notes.keys.contains_key(key)
    }

    /// What must be removed before the cache is used.
    pub(super) fn all(&self) -> Removals {
        let notes = self.0.lock();
        let everything = notes.everything.is_some();
        let keys = match everything {
            true => Vec::new(),
            false => notes.keys.keys().cloned().collect(),
        };
        Removals {
            everything,
            keys,
            last: notes.last,
        }
    }

    /// Drops the removals that were made.
    pub(super) fn done(&self, removals: &Removals) {
        if removals.everything || !removals.keys.is_empty() {
            let mut notes = self.0.lock();
            notes.keys.retain(|_, number| *number > removals.last);
            notes.everything = notes.everything.filter(|number| *number > removals.last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| number.to_string())
    }

    #[test]
    fn beyond_the_limit_everything_is_stale() {
        let pending = PendingRemovals::default();
        pending.add(keys(MAX_KEYS));
        let removals = pending.all();
        assert_eq!(
            (removals.everything, removals.keys.len()),
            (false, MAX_KEYS)
        );
        pending.add(["one more".to_owned()]);
        assert!(pending.all().everything);
        pending.add(keys(3 * MAX_KEYS));
        assert!(pending.0.lock().keys.len() <= MAX_KEYS);
    }

    #[test]
    fn keys_added_during_a_removal_stay() {
        let pending = PendingRemovals::default();
        pending.add(keys(2));
        let removals = pending.all();
        pending.add(["1".to_owned(), "2".to_owned()]);
        pending.done(&removals);
        assert_eq!(pending.all().keys, ["1", "2"]);
        pending.add(keys(MAX_KEYS + 1));
        let removals = pending.all();
        assert!(removals.everything);
        pending.add(["3".to_owned()]);
        pending.done(&removals);
        let removals = pending.all();
        assert_eq!(
            (removals.everything, removals.keys.as_slice()),
            (false, &["3".to_owned()][..])
        );
        pending.add(keys(MAX_KEYS + 1));
        pending.done(&removals);
        assert!(pending.all().everything);
        pending.done(&pending.all());
        let removals = pending.all();
        assert!(!removals.everything && removals.keys.is_empty());
    }
}
