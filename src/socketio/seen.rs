//! The ids of the events that arrived lately, so that none is delivered twice.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Remembers a fixed number of ids, as hashes: 64 bits do not collide among some thousands.
pub(crate) struct Seen {
    hasher: RandomState,
    order: VecDeque<u64>,
    known: HashSet<u64>,
    limit: usize,
}

impl Seen {
    pub(crate) fn new(limit: usize) -> Self {
        let known = HashSet::new();
        Self {
            hasher: RandomState::new(),
            order: VecDeque::new(),
            known,
            limit,
        }
    }

    /// Adds an id, and returns whether it was new. Events without an id are always new.
    pub(crate) fn insert(&mut self, id: &str) -> bool {
        if id.is_empty() {
            return true;
        }
        let hash = self.hasher.hash_one(id);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest() {
        let mut seen = Seen::new(2);
        for (id, expected) in [
            ("a", true),
            ("a", false),
            ("b", true),
            ("a", false),
            ("c", true),
            ("b", false),
            ("a", true),
            ("", true),
            ("", true),
        ] {
            assert_eq!(seen.insert(id), expected, "{id}");
        }
    }
}
