//! Marking loaded attributes as stale.

use crate::schema::{AttributeKind, NameId, TypeId};

use super::super::Store;
use super::hierarchy::MAX_DEPTH;
use super::scan::{Scan, is_link, is_lone_key};

/// Attributes that show the names and the order of everything above.
pub(super) const LINKS: [&str; 2] = ["link", "_link"];

impl Store {
    /// Marks the collections of an entity that can hold a member of this type.
    pub(super) fn touch(&self, scan: &mut Scan, owner: u32, member: TypeId) {
        if !scan.touched.insert((owner, member)) {
            return;
        }
        let names = scan.collections(self.type_of(owner), member);
        for &name in names.iter() {
            self.mark_id(scan, owner, name);
        }
    }

    /// Marks the references of an entity that may refer to an entity of this type.
    pub(super) fn mark_references(&self, scan: &mut Scan, place: u32, target: TypeId) {
        let target = self.schema.by_id(target).name();
        let entity_type = self.entity_type(place);
        for attribute in entity_type.attributes() {
            let refers = match attribute.kind() {
                AttributeKind::Reference(declared) => self.schema.are_related(declared, target),
                _ => is_lone_key(entity_type, attribute),
            };
            if refers {
                self.mark_with_counterpart(scan, place, attribute.id());
            }
        }
        self.mark_names(scan, place, &["parent_type"]);
    }

    /// Marks the collections of an entity whose members link it to others.
    pub(super) fn mark_links(&self, scan: &mut Scan, place: u32) {
        for attribute in self.entity_type(place).attributes() {
            if let AttributeKind::Collection(target) = attribute.kind()
                && self.schema.find(target).is_some_and(is_link)
            {
                self.mark_id(scan, place, attribute.id());
            }
        }
    }

    /// Marks the sums of a context and of everything above it.
    pub(super) fn mark_above(&self, scan: &mut Scan, context: u32) {
        let mut current = context;
        for _ in 0..MAX_DEPTH {
            if !scan.climbed.insert(current) {
                return;
            }
            self.mark_sums(scan, current);
            match self.owner_of(scan, current) {
                Some(Some(parent)) => current = parent,
                Some(None) => return,
                None => {
                    scan.is_place_unknown = true;
                    return;
                }
            }
        }
    }

    /// Marks what sums up everything below.
    pub(super) fn mark_sums(&self, scan: &mut Scan, place: u32) {
        for &name in scan.sums(self.type_of(place)).iter() {
            self.mark_id(scan, place, name);
        }
    }

    pub(super) fn mark_with_counterpart(&self, scan: &mut Scan, place: u32, name: NameId) {
        self.mark_id(scan, place, name);
        let entity_type = self.entity_type(place);
        let attribute = entity_type.by_id(name);
        if let Some(counterpart) = attribute.and_then(|one| entity_type.counterpart(one)) {
            self.mark_id(scan, place, counterpart.id());
        }
    }

    pub(super) fn mark_names(&self, scan: &mut Scan, place: u32, names: &[&str]) {
        for name in names.iter().filter_map(|name| self.schema.name_id(name)) {
            self.mark_id(scan, place, name);
        }
    }

    pub(super) fn mark_id(&self, scan: &mut Scan, place: u32, name: NameId) {
        if self.record(place).remote.get(&self.shapes, name).is_some() {
            scan.stale.attributes.entry(place).or_default().insert(name);
        }
    }

    pub(super) fn is_context(&self, place: u32) -> bool {
        self.schema
            .is_kind_of(self.entity_type(place).name(), "Context")
    }
}
