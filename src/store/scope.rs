//! Eviction of all entities of a scope, so that the memory of a long-lived process is bounded.

use crate::value::HashSet;

use super::Store;

/// The beginning of a scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Store {
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.made)
    }

    /// Evicts entities that were added since `mark`, except those with live handles, those with
    /// pending changes, and those to which pending changes refer. Attributes of others that refer to
    /// them are invalidated. Returns how many it has evicted.
    pub(crate) fn evict_since(&mut self, mark: Mark) -> usize {
        let needed = self.needed_by_changes();
        let evicted: HashSet<u32> = self
            .records
            .iter()
            .filter(|(_, record)| record.number > mark.0 && record.handle.strong_count() == 0)
            .map(|(place, _)| u32::try_from(place).expect("places are 32 bits"))
            .filter(|place| !needed.contains(place))
            .collect();
        self.evict_records(&evicted);
        evicted.len()
    }

    /// Evicts these entities, and invalidates attributes of others that refer to them.
    pub(super) fn evict_records(&mut self, evicted: &HashSet<u32>) {
        if evicted.is_empty() {
            return;
        }
        self.invalidations += 1;
        for &place in evicted {
            self.leave_group(place);
            self.unindex(place);
            self.records.remove(place as usize);
        }
        for (_, record) in &mut self.records {
            record.remote.retain(&mut self.shapes, |_, slot| {
                slot.links().iter().all(|place| !evicted.contains(place))
            });
        }
    }

    /// Invalidates every value, and evicts every entity without a live handle.
    pub(crate) fn invalidate_all(&mut self) {
        self.evict_since(Mark(0));
        self.invalidations += 1;
        for (_, record) in &mut self.records {
            record.remote = super::Attributes::default();
        }
    }

    /// How many records were ever made.
    pub(crate) fn records_made(&self) -> u64 {
        self.made
    }

    /// How many entities are known.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The places of records with pending changes, and of those to which local values refer.
    pub(super) fn needed_by_changes(&self) -> HashSet<u32> {
        let mut needed = self.changed.clone();
        for &place in &self.changed {
            let Some(local) = &self.record(place).local else {
                continue;
            };
            for extension in local.extensions() {
                needed.extend(extension.added.iter().chain(&extension.removed));
            }
            for setting in local.iter() {
                needed.extend(setting.value.links());
            }
        }
        needed
    }
}
