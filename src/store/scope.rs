//! Scopes: entities that are forgotten together, so that a long-lived process stays small.

use crate::value::{HashSet, Slot};

use super::Store;

/// A moment in the life of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Store {
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.born)
    }

    /// Forgets the entities that came since `mark`, except those that somebody holds, that have
    /// pending changes, or that pending changes refer to. Attributes of others that led to them
    /// are forgotten too, and fetched again when they are read.
    pub(crate) fn forget_since(&mut self, mark: Mark) {
        let needed = self.needed_by_changes();
        let dying: HashSet<u32> = self
            .records
            .iter()
            .filter(|(_, record)| record.born > mark.0 && record.handle.strong_count() == 0)
            .map(|(place, _)| u32::try_from(place).expect("places are 32 bits"))
            .filter(|place| !needed.contains(place))
            .collect();
        self.forget(&dying);
    }

    /// Forgets these entities, and attributes of others that lead to them.
    pub(super) fn forget(&mut self, dying: &HashSet<u32>) {
        if dying.is_empty() {
            return;
        }
        for &place in dying {
            self.leave_group(place);
            self.unindex(place);
            self.records.remove(place as usize);
        }
        let leads_to_dying = |slot: &Slot| match slot {
            Slot::Link(place) => dying.contains(place),
            Slot::Links(places) => places.iter().any(|place| dying.contains(place)),
            _ => false,
        };
        for (_, record) in &mut self.records {
            record
                .remote
                .retain(&mut self.shapes, |_, slot| !leads_to_dying(slot));
        }
    }

    /// Forgets every value, and every entity that nobody holds.
    pub(crate) fn forget_all(&mut self) {
        self.forget_since(Mark(0));
        for (_, record) in &mut self.records {
            record.remote = super::Attributes::default();
        }
    }

    /// How many records were ever made.
    pub(crate) fn records_made(&self) -> u64 {
        self.born
    }

    /// How many entities are known.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Places with pending changes, and those that local values lead to.
    pub(super) fn needed_by_changes(&self) -> HashSet<u32> {
        let mut needed = self.changed.clone();
        for &place in &self.changed {
            let extensions = self
                .record(place)
                .local
                .iter()
                .flat_map(|local| local.extensions());
            for extension in extensions {
                needed.extend(extension.added.iter().chain(&extension.removed));
            }
            let settings = self
                .record(place)
                .local
                .iter()
                .flat_map(|local| local.iter());
            for setting in settings {
                match &setting.value {
                    Slot::Link(place) => drop(needed.insert(*place)),
                    Slot::Links(places) => needed.extend(places),
                    _ => {}
                }
            }
        }
        needed
    }
}
