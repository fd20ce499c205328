//! Marking loaded attributes as stale.

use crate::schema::{Attribute, AttributeKind, NameId, TypeId};

use super::super::Store;
use super::hierarchy::MAX_DEPTH;
use super::scan::{Scan, is_link, is_lone_key};

/// Attributes that show the names and the order of everything above.
pub(super) const LINKS: [&str; 2] = ["link", "_link"];
/// Attributes that sum up everything below.
const SUMS: [&str; 3] = ["descendants", "time_logged", "bid_time_logged_difference"];
/// Attributes that sum up the same attributes of everything below where they cannot be set.
pub(super) const ROLL_UPS: [&str; 3] = ["bid", "start_date", "end_date"];

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
        let schema = scan.schema.clone();
        let target = schema.by_id(target).name();
        let entity_type = schema.by_id(self.type_of(place));
        for attribute in entity_type.attributes() {
            let refers = match attribute.kind() {
                AttributeKind::Reference(declared) => schema.are_related(declared, target),
                _ => is_lone_key(&schema, entity_type, attribute),
            };
            if refers {
                self.mark_with_counterpart(scan, place, attribute.id());
            }
        }
        self.mark_names(scan, place, &["parent_type"]);
    }

    /// Marks the other attributes of an entity that show the same fact as a changed one. A reference
    /// and its foreign key need no mark, because they are set together.
    pub(super) fn mark_faces(&self, scan: &mut Scan, place: u32, changed: &Attribute) {
        let schema = scan.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let counterpart = |one: &Attribute| schema.counterpart(entity_type, one);
        let own = counterpart(changed);
        let target = changed.target().or_else(|| own?.target());
        if target.is_none() && !changed.name().ends_with("_id") {
            return;
        }
        for one in entity_type.attributes() {
            let is_same = one.id() == changed.id() || own.is_some_and(|own| own.id() == one.id());
            if is_same || (own.is_some() && counterpart(one).is_some()) {
                continue;
            }
            let shows = match one.kind() {
                AttributeKind::Reference(declared) => {
                    target.is_none_or(|target| schema.are_related(declared, target))
                }
                _ => is_lone_key(&schema, entity_type, one),
            };
            if shows {
                self.mark_with_counterpart(scan, place, one.id());
            }
        }
    }

    /// Marks the collections of an entity whose members link it to others.
    pub(super) fn mark_links(&self, scan: &mut Scan, place: u32) {
        let schema = scan.schema.clone();
        for attribute in schema.by_id(self.type_of(place)).attributes() {
            if let AttributeKind::Collection(target) = attribute.kind()
                && schema.find(target).is_some_and(is_link)
            {
                self.mark_id(scan, place, attribute.id());
            }
        }
    }

    /// Marks the sums of a context and of everything above it.
    pub(super) fn mark_above(&self, scan: &mut Scan, context: u32) {
        let mut current = context;
        for _ in 0..MAX_DEPTH {
            self.mark_sums(scan, current);
            match self.owner_of(current) {
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
        self.mark_names(scan, place, &SUMS);
        let entity_type = self.entity_type(place);
        // Most types have none: the error of `attribute` would look for similar names each time.
        for name in ROLL_UPS.iter().filter_map(|name| self.schema.name_id(name)) {
            if let Some(sum) = entity_type.by_id(name).filter(|sum| !sum.is_mutable()) {
                self.mark_id(scan, place, sum.id());
            }
        }
    }

    pub(super) fn mark_with_counterpart(&self, scan: &mut Scan, place: u32, name: NameId) {
        self.mark_id(scan, place, name);
        let entity_type = scan.schema.clone();
        let entity_type = entity_type.by_id(self.type_of(place));
        let counterpart = entity_type
            .by_id(name)
            .and_then(|one| self.schema.counterpart(entity_type, one));
        if let Some(counterpart) = counterpart {
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

    pub(super) fn has_any(&self, place: u32, names: &[&str]) -> bool {
        let remote = &self.record(place).remote;
        let mut names = names.iter().filter_map(|name| self.schema.name_id(name));
        names.any(|name| remote.get(&self.shapes, name).is_some())
    }

    pub(super) fn is_context(&self, place: u32) -> bool {
        self.schema
            .is_kind_of(self.entity_type(place).name(), "Context")
    }
}
