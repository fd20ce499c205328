//! Loaded values of other entities that follow from names, places and deletions.

use crate::schema::{Attribute, NameId};
use crate::value::{HashSet, Key, Slot, Text};

use super::super::{Life, Store};
use super::marks::LINKS;
use super::scan::Scan;
use super::{CONFIGURATION, VALUE};

/// Attributes that follow what is above an entity.
const PLACES: [&str; 4] = ["project", "project_id", "ancestors", "thumbnail_source_id"];
/// References to something with which the entity is deleted.
const OWNING: [&str; 13] = [
    "asset",
    "parent",
    "context",
    "project",
    "version",
    "container",
    "component",
    "note",
    "in_reply_to",
    "list",
    "entity",
    "from",
    "to",
];

/// Which of the attributes that may be stale are loaded.
#[derive(Default)]
struct Shown {
    links: bool,
    places: bool,
    sums: bool,
    latest: bool,
    values: bool,
}

impl Store {
    /// Loaded values of other entities that follow from names, places and deletions.
    pub(super) fn scan_all(&self, scan: &mut Scan) {
        self.scan_deletions(scan);
        let above: HashSet<u32> = scan.renamed.union(&scan.moved).copied().collect();
        let is_local = scan.joined.is_empty()
            && !scan.is_thread
            && scan.assets.is_empty()
            && !scan.is_place_unknown
            && !scan.is_configuration
            && !scan.is_value;
        if above.is_empty() && is_local {
            return;
        }
        // Most records are of the same kind as the one before, and have nothing of all this: a look at
        // each must be short, because there may be many.
        let mut kind = None;
        let mut shown = Shown::default();
        for (place, record) in &self.records {
            let place = place as u32;
            let own_kind = (record.entity_type, record.remote.shape());
            if kind.replace(own_kind) != Some(own_kind) {
                shown = self.shown_by(scan, place);
            }
            if shown.links && self.is_below(scan, place, &above) {
                self.mark_names(scan, place, &LINKS);
            }
            if shown.places && self.is_below(scan, place, &scan.moved) {
                self.mark_names(scan, place, &PLACES);
            }
            if scan.is_place_unknown && shown.sums {
                self.mark_sums(scan, place);
            }
            if scan.is_thread && self.entity_type(place).name() == "Note" {
                self.mark_names(scan, place, &["parent_id", "parent_type"]);
            }
            if !scan.joined.is_empty() {
                self.mark_collections_with(scan, place);
            }
            if scan.is_configuration {
                self.mark_names(scan, place, &["custom_attributes"]);
                let name = self.entity_type(place).name();
                if name == CONFIGURATION || name.ends_with(VALUE) {
                    self.mark_names(scan, place, &["default", "value"]);
                }
            }
            if scan.is_value && shown.values {
                self.mark_names(scan, place, &["values", "value"]);
            }
            if scan.assets.contains(&place) {
                self.mark_names(scan, place, &["latest_version"]);
            }
            if !scan.assets.is_empty() && shown.latest {
                let asset = self.owner_of(scan, place).flatten();
                if asset.is_none_or(|asset| scan.assets.contains(&asset)) {
                    self.mark_names(scan, place, &["is_latest_version"]);
                }
            }
        }
    }

    /// What is loaded of an entity and of all others of its type with the same attributes.
    fn shown_by(&self, scan: &mut Scan, place: u32) -> Shown {
        let remote = &self.record(place).remote;
        let has = |name: NameId| remote.get(&self.shapes, name).is_some();
        let has_named = |name: &str| self.schema.name_id(name).is_some_and(has);
        Shown {
            links: LINKS.iter().any(|name| has_named(name)),
            places: PLACES.iter().any(|name| has_named(name)),
            sums: scan.sums(self.type_of(place)).iter().any(|name| has(*name)),
            latest: has_named("is_latest_version"),
            values: [CONFIGURATION, VALUE].contains(&self.entity_type(place).name()),
        }
    }

    /// Marks the loaded collections that contain a member which now has another owner.
    pub(super) fn mark_collections_with(&self, scan: &mut Scan, place: u32) {
        let collections = self.record(place).remote.iter(&self.shapes);
        let left = collections.filter(|(_, slot)| match slot {
            Slot::Links(members) => members.iter().any(|one| scan.joined.contains(one)),
            _ => false,
        });
        let left: Vec<NameId> = left.map(|(name, _)| name).collect();
        for name in left {
            self.mark_id(scan, place, name);
        }
    }

    /// Follows deletions: what refers to a deleted entity is deleted with it, or loses the reference.
    pub(super) fn scan_deletions(&self, scan: &mut Scan) {
        let mut level = std::mem::take(&mut scan.deleted);
        let mut seen = level.clone();
        while !level.is_empty() {
            let ids: HashSet<&Text> = level
                .iter()
                .filter_map(|&place| match &self.record(place).key {
                    Key::Single(id) => Some(id),
                    _ => None,
                })
                .collect();
            let mut next = HashSet::default();
            for (place, record) in &self.records {
                let place = place as u32;
                if record.state == Life::Missing || seen.contains(&place) {
                    continue;
                }
                let parts = record.key.parts();
                let mut is_owned = parts.len() > 1 && parts.iter().any(|part| ids.contains(part));
                for (name, slot) in record.remote.iter(&self.shapes) {
                    let refers = match slot {
                        Slot::Link(target) => level.contains(target),
                        Slot::Links(members) => members.iter().any(|one| level.contains(one)),
                        Slot::Text(id) => ids.contains(id),
                        _ => false,
                    };
                    if refers {
                        is_owned |= !matches!(slot, Slot::Links(_)) && self.is_owning(place, name);
                        self.mark_with_counterpart(scan, place, name);
                    }
                }
                if is_owned {
                    next.insert(place);
                }
            }
            scan.stale.entities.extend(&next);
            seen.extend(&next);
            level = next;
        }
    }

    /// Whether an entity is deleted together with the one to which this attribute refers.
    pub(super) fn is_owning(&self, place: u32, name: NameId) -> bool {
        let text = self.schema.name(name).as_str();
        let reference = text.strip_suffix("_id").unwrap_or(text);
        let entity_type = self.entity_type(place);
        let is_required = entity_type.by_id(name).is_some_and(Attribute::is_required);
        OWNING.contains(&reference) || is_required || entity_type.primary_key_ids().contains(&name)
    }
}
