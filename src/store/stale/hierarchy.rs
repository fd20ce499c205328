//! What is above an entity, and to what it refers, as far as that is loaded.

use crate::schema::NameId;
use crate::value::{HashSet, Key, Slot, Text};

use super::super::Store;
use super::marks::LINKS;
use super::scan::Scan;

/// References to the owner in the hierarchy, each with its foreign key.
pub(in crate::store) const OWNERS: [(&str, &str); 3] = [
    ("asset", "asset_id"),
    ("parent", "parent_id"),
    ("parent", "context_id"),
];
/// The most levels of a hierarchy, so that a cycle ends.
pub(super) const MAX_DEPTH: usize = 100;

impl Store {
    /// The owner of an entity in the hierarchy: `Some(None)` if it has none, `None` if that is not
    /// loaded.
    pub(super) fn owner_of(&self, scan: &Scan, place: u32) -> Option<Option<u32>> {
        let entity_type = self.entity_type(place);
        if entity_type.name() == "Project" {
            return Some(None);
        }
        let names = scan.owners.iter();
        for &name in names.filter(|name| entity_type.by_id(**name).is_some()) {
            match self.slot(place, name).as_deref() {
                Some(Slot::Link(owner)) => return Some(Some(*owner)),
                Some(Slot::Text(id)) => {
                    if let Some(owner) = self.find_by_id(id) {
                        return Some(Some(owner));
                    }
                }
                Some(Slot::Null) => return Some(None),
                _ => {}
            }
        }
        None
    }

    /// Whether an entity is one of `above` or below it. Where that is not loaded, its link tells; an
    /// entity without either may be.
    pub(super) fn is_below(&self, scan: &Scan, place: u32, above: &HashSet<u32>) -> bool {
        if above.is_empty() {
            return false;
        }
        let mut current = place;
        for _ in 0..MAX_DEPTH {
            if above.contains(&current) {
                return true;
            }
            match self.owner_of(scan, current) {
                Some(Some(owner)) => current = owner,
                Some(None) => return false,
                None => break,
            }
        }
        let links = LINKS.iter().filter_map(|name| self.schema.name_id(name));
        let mut links = links.filter_map(|name| self.record(place).remote.get(&self.shapes, name));
        match links.next() {
            Some(Slot::Json(link)) if self.entity_type(place).name() != "AssetVersion" => {
                // Ids are unique, so that the text of the link need not be parsed.
                let mut above = above.iter().map(|&one| self.key(one).id());
                above.any(|id| link.as_str().contains(&id))
            }
            _ => true,
        }
    }

    /// The places of known entities to which an entity refers, by references and foreign keys.
    pub(in crate::store) fn references(&self, place: u32) -> Vec<u32> {
        let record = self.record(place);
        let mut places: Vec<u32> = Vec::new();
        for (name, slot) in record.slots(&self.shapes) {
            let found = match slot {
                Slot::Link(target) => Some(*target),
                Slot::Text(id) if self.schema.name(name).ends_with("_id") => self.find_by_id(id),
                _ => None,
            };
            places.extend(found.filter(|found| !places.contains(found)));
        }
        let parts = record.key.parts();
        if parts.len() > 1 {
            places.extend(parts.iter().filter_map(|id| self.find_by_id(id)));
        }
        places
    }

    pub(in crate::store) fn remote_links(&self, place: u32, name: NameId) -> Vec<u32> {
        match self.record(place).remote.get(&self.shapes, name) {
            Some(Slot::Links(members)) => members.to_vec(),
            _ => Vec::new(),
        }
    }

    /// The known entity with this id, whatever its type: ids are unique.
    pub(in crate::store) fn find_by_id(&self, id: &Text) -> Option<u32> {
        let key = Key::Single(id.clone());
        let hash = std::hash::BuildHasher::hash_one(&self.hasher, &key);
        let is_it = |place: &u32| self.records[*place as usize].key == key;
        self.index.find(hash, is_it).copied()
    }
}
