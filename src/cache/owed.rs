//! What a cache should have forgotten while it could not.
#![cfg(any(feature = "file-cache", feature = "redis"))]

use std::collections::BTreeMap;

use crate::lock::Mutex;

/// How many keys are remembered. One more, and everything counts as old.
const LIMIT: usize = 100_000;

/// Keys whose values are old and could not be removed: they are, as soon as that is possible.
/// Nobody else knows of it, and with the process it is forgotten: docs/caching.md says what helps.
#[derive(Default)]
pub(super) struct Owed(Mutex<Notes>);

/// Each with the number of its note: what is noted while a debt is being paid remains.
#[derive(Default)]
struct Notes {
    keys: BTreeMap<String, u64>,
    everything: Option<u64>,
    last: u64,
}

/// What was owed at a moment.
pub(super) struct Debt {
    /// All that the cache had then is old.
    pub(super) everything: bool,
    pub(super) keys: Vec<String>,
    last: u64,
}

impl Owed {
    pub(super) fn note(&self, keys: impl IntoIterator<Item = String>) {
        let mut notes = self.0.lock();
        notes.last += 1;
        let number = notes.last;
        for key in keys {
            notes.keys.insert(key, number);
            if notes.keys.len() > LIMIT {
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

    /// What is to be removed now; nothing else may be read before.
    pub(super) fn all(&self) -> Debt {
        let notes = self.0.lock();
        let everything = notes.everything.is_some();
        let keys = match everything {
            true => Vec::new(),
            false => notes.keys.keys().cloned().collect(),
        };
        Debt {
            everything,
            keys,
            last: notes.last,
        }
    }

    /// Takes note that this was removed.
    pub(super) fn settled(&self, debt: &Debt) {
        if debt.everything || !debt.keys.is_empty() {
            let mut notes = self.0.lock();
            notes.keys.retain(|_, number| *number > debt.last);
            notes.everything = notes.everything.filter(|number| *number > debt.last);
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
    fn beyond_the_limit_it_is_everything() {
        let owed = Owed::default();
        owed.note(keys(LIMIT));
        let debt = owed.all();
        assert_eq!((debt.everything, debt.keys.len()), (false, LIMIT));
        owed.note(["one more".to_owned()]);
        assert!(owed.all().everything);
        owed.note(keys(3 * LIMIT));
        assert!(owed.0.lock().keys.len() <= LIMIT);
    }

    #[test]
    fn what_is_noted_while_a_debt_is_paid_remains() {
        let owed = Owed::default();
        owed.note(keys(2));
        let debt = owed.all();
        owed.note(["1".to_owned(), "2".to_owned()]);
        owed.settled(&debt);
        assert_eq!(owed.all().keys, ["1", "2"]);
        owed.note(keys(LIMIT + 1));
        let debt = owed.all();
        assert!(debt.everything);
        owed.note(["3".to_owned()]);
        owed.settled(&debt);
        let debt = owed.all();
        assert_eq!(
            (debt.everything, debt.keys.as_slice()),
            (false, &["3".to_owned()][..])
        );
        owed.note(keys(LIMIT + 1));
        owed.settled(&debt);
        assert!(owed.all().everything);
        owed.settled(&owed.all());
        let debt = owed.all();
        assert!(!debt.everything && debt.keys.is_empty());
    }
}
