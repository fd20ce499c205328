//! What a commit makes stale: loaded values that the server derives from what was changed.
//!
//! The schema says which collections can hold an entity and which attributes are computed. What it
//! does not say stands in constants. `tests/work/freshness.rs` compares everything that is loaded
//! with a second session, after a change of each attribute of each type.

mod changes;
mod hierarchy;
mod marks;
mod others;
mod scan;

use crate::operation::Operation;
use crate::schema::NameId;
use crate::value::{EntityKey, HashMap, HashSet, Slot};

use super::Store;
use super::commit::Note;
use scan::Scan;

pub(super) use hierarchy::OWNERS;

/// The type of the rows that decide which custom attributes exist, and their values.
pub(crate) const CONFIGURATION: &str = "CustomAttributeConfiguration";
/// The values of all custom attributes. Those of contexts, users and so on are rows of types of their own as well, whose
/// names end like this.
const VALUE: &str = "CustomAttributeValue";

/// Values that are no longer known.
#[derive(Default)]
pub(crate) struct Stale {
    pub(crate) attributes: HashMap<u32, HashSet<NameId>>,
    /// Entities that the server may have deleted together with another one.
    pub(crate) entities: HashSet<u32>,
    /// Collections that are not what the response repeats.
    echoed: HashSet<(u32, NameId)>,
}

impl Stale {
    pub(super) fn with(mut self, other: Self) -> Self {
        for (place, names) in other.attributes {
            self.attributes.entry(place).or_default().extend(names);
        }
        self.entities.extend(other.entities);
        for (place, name) in std::mem::take(&mut self.echoed) {
            self.attributes.entry(place).or_default().insert(name);
        }
        self
    }
}

impl Store {
    /// What these operations make stale. To be called before their end, while old values are known.
    pub(in crate::store) fn stale_after(
        &mut self,
        operations: &[Operation],
        notes: &[Note],
    ) -> Stale {
        let mut scan = Scan::new(self.schema.clone());
        for (operation, note) in operations.iter().zip(notes) {
            let Some(place) = self.place_of(operation, note) else {
                continue;
            };
            match operation {
                Operation::Create { .. } => self.scan_row(&mut scan, place),
                Operation::Delete { .. } => {
                    self.scan_row(&mut scan, place);
                    scan.deleted.insert(place);
                }
                Operation::Update {
                    attribute_name,
                    new_value,
                    ..
                } => self.scan_update(&mut scan, place, attribute_name, new_value),
                Operation::Extend {
                    attribute_name,
                    added,
                    removed,
                    ..
                } => {
                    let find = |key: &EntityKey| self.find_key(key);
                    let added = added.iter().filter_map(find).collect();
                    let removed = removed.iter().filter_map(find).collect();
                    self.scan_members(&mut scan, place, attribute_name, added, removed);
                }
            }
        }
        self.scan_all(&mut scan);
        scan.stale
    }

    /// What the references of new entities make stale that the server has set.
    pub(in crate::store) fn stale_after_response(&self, created: &[u32]) -> Stale {
        let mut scan = Scan::new(self.schema.clone());
        for &place in created {
            let member = self.type_of(place);
            for owner in self.references(place) {
                self.touch(&mut scan, owner, member);
            }
        }
        scan.stale
    }

    pub(in crate::store) fn apply_stale(&mut self, stale: &Stale) {
        for (&place, names) in &stale.attributes {
            self.invalidate_names(place, names);
        }
        for &place in &stale.entities {
            self.invalidate_at(place);
        }
    }

    /// Invalidates what the response has repeated and the server need not have.
    pub(in crate::store) fn apply_echoed(&mut self, stale: &Stale) {
        for &(place, name) in &stale.echoed {
            self.invalidate_names(place, &HashSet::from_iter([name]));
        }
        for &place in &stale.entities {
            self.invalidate_at(place);
        }
    }

    pub(in crate::store) fn invalidate_names(&mut self, place: u32, names: &HashSet<NameId>) {
        self.invalidations += 1;
        if let Some(record) = self.records.get_mut(place as usize) {
            let is_valid = |name: NameId, _: &Slot| !names.contains(&name);
            record.remote.retain(&mut self.shapes, is_valid);
        }
    }

    /// How often values were invalidated.
    pub(crate) fn invalidations(&self) -> u64 {
        self.invalidations
    }

    /// Marks entities as missing that the server did not return when it was asked for them. With
    /// uncommitted changes they stay: the commit will report it.
    pub(crate) fn not_found(&mut self, entities: &[EntityKey]) {
        for entity in entities {
            let place = self.find_key(entity);
            if place.is_some_and(|place| !self.changed.contains(&place)) {
                self.deleted_elsewhere(entity);
            }
        }
    }
}
