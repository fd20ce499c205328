//! The consequences of single operations.

use crate::schema::TypeId;
use crate::value::{EntityKey, Value};

use super::super::Store;
use super::scan::{ROLL_UPS, Scan, is_link, is_lone_key};
use super::{CONFIGURATION, VALUE};

/// Attributes that are shown in the links of everything below.
const NAMES: [&str; 3] = ["name", "full_name", "version"];

impl Store {
    /// A row that is created or deleted.
    pub(super) fn scan_row(&self, scan: &mut Scan, place: u32) {
        let member = self.type_of(place);
        scan.is_configuration |= self.entity_type(place).name() == CONFIGURATION;
        let references = self.references(place);
        for &owner in &references {
            self.touch(scan, owner, member);
        }
        self.scan_link(scan, place, &references);
        self.scan_sums(scan, place, &references);
    }

    /// A row that links two entities is a member of neither, but shows in both.
    pub(super) fn scan_link(&self, scan: &mut Scan, place: u32, references: &[u32]) {
        if !scan.is_link(self.type_of(place)) {
            return;
        }
        for &one in references {
            self.touch(scan, one, self.type_of(place));
            if references.len() == 1 {
                self.touch(scan, one, self.type_of(one));
            }
            for &other in references.iter().filter(|other| **other != one) {
                self.touch(scan, one, self.type_of(other));
                self.mark_references(scan, one, self.type_of(other));
            }
        }
    }

    /// Time logs count in everything above; so do contexts, and versions in their asset.
    pub(super) fn scan_sums(&self, scan: &mut Scan, place: u32, references: &[u32]) {
        match self.entity_type(place).name() {
            "AssetVersion" => {
                let assets = references.iter().copied();
                let assets = assets.filter(|one| self.entity_type(*one).name() == "Asset");
                scan.assets.extend(assets);
            }
            "Timelog" => {
                for &context in references.iter().filter(|one| self.is_context(**one)) {
                    self.mark_above(scan, context);
                }
            }
            _ if self.is_context(place) => match self.owner_of(scan, place) {
                Some(Some(parent)) => self.mark_above(scan, parent),
                Some(None) => {}
                None => scan.is_place_unknown = true,
            },
            _ => {}
        }
    }

    pub(super) fn scan_update(&mut self, scan: &mut Scan, place: u32, name: &str, value: &Value) {
        let schema = scan.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let Ok(attribute) = entity_type.attribute(name) else {
            return;
        };
        if attribute.members().is_some() {
            let before = self.remote_links(place, attribute.id());
            let keys: &[EntityKey] = match value {
                Value::Collection(keys) => keys,
                _ => &[],
            };
            let after: Vec<u32> = keys.iter().filter_map(|key| self.find_key(key)).collect();
            let removed = before.iter().filter(|one| !after.contains(one));
            let removed = removed.copied().collect();
            self.scan_members(scan, place, name, after, removed);
            return;
        }
        for &follower in scan.followers(entity_type, attribute).iter() {
            self.mark_id(scan, place, follower);
        }
        if is_lone_key(entity_type, attribute) {
            // To what it refers is not known: the collections that contain the entity may lose it.
            scan.joined.insert(place);
        }
        scan.is_configuration |= entity_type.name() == CONFIGURATION;
        scan.is_value |= name == "value" && entity_type.name().ends_with(VALUE);
        let is_counted = matches!(entity_type.name(), "Timelog" | "AssetVersion");
        let is_followed = is_counted || scan.is_link(entity_type.id());
        let references = is_followed.then(|| self.references(place));
        let owners = self.referred(place, name, value);
        for &owner in &owners {
            self.touch(scan, owner, self.type_of(place));
        }
        if let Some(mut references) = references {
            references.extend(&owners);
            self.scan_link(scan, place, &references);
            if is_counted {
                self.scan_sums(scan, place, &references);
            }
        }
        if ROLL_UPS.contains(&name) {
            self.mark_above(scan, place);
        }
        let reference = name.strip_suffix("_id").unwrap_or(name);
        if reference == "thumbnail" {
            scan.moved.insert(place);
        }
        scan.is_thread |= reference == "in_reply_to";
        if NAMES.contains(&name) {
            scan.renamed.insert(place);
        }
        if matches!(reference, "parent" | "context" | "asset" | "project") {
            scan.moved.insert(place);
            for &owner in owners.iter().filter(|one| self.is_context(**one)) {
                self.mark_above(scan, owner);
            }
            scan.is_place_unknown |= self.is_context(place) && owners.len() < 2;
        }
    }

    /// Members that are added to a collection or removed from it. The server may delete those that
    /// are removed, and those whose key contains that of their owner.
    pub(super) fn scan_members(
        &self,
        scan: &mut Scan,
        place: u32,
        name: &str,
        added: Vec<u32>,
        removed: Vec<u32>,
    ) {
        let own = self.type_of(place);
        self.mark_links(scan, place);
        // The server gives a member that is removed another owner, or deletes it.
        let collection = self.schema.name_id(name);
        let is_context_member = |one: &u32| self.is_context(*one);
        if removed.iter().any(is_context_member) {
            scan.stale.echoed.extend(collection.map(|id| (place, id)));
        }
        scan.stale.entities.extend(&removed);
        scan.deleted.extend(&removed);
        scan.joined
            .extend(added.iter().filter(|one| !self.is_owner_known(**one, own)));
        scan.is_thread |= name == "replies";
        for member in added.into_iter().chain(removed) {
            let entity_type = self.entity_type(member);
            let is_composite = entity_type.primary_key().len() > 1;
            if is_composite {
                scan.stale.entities.insert(member);
            }
            if is_composite || is_link(entity_type) {
                // The response repeats what was sent, which need not be what the server has.
                scan.stale.echoed.extend(collection.map(|id| (place, id)));
            }
            self.touch(scan, member, own);
            self.mark_references(scan, member, own);
            self.mark_links(scan, member);
            self.scan_row(scan, member);
            if self.schema.by_id(own).name() == "Status" {
                self.mark_names(scan, member, &["status_changes"]);
            }
            if self.is_context(place) && entity_type.name() == "Timelog" {
                self.mark_above(scan, place);
            }
            if is_link(entity_type) {
                let mut references = self.references(member);
                references.push(place);
                self.scan_link(scan, member, &references);
            }
            if matches!(name, "children" | "assets" | "versions") {
                scan.moved.insert(member);
                scan.is_place_unknown |= self.is_context(member);
                scan.assets.insert(place);
            }
        }
    }

    /// Whether an owner of this type is among the loaded references of a member.
    pub(super) fn is_owner_known(&self, member: u32, owner: TypeId) -> bool {
        let owner = self.schema.by_id(owner).name();
        let mut references = self.references(member).into_iter();
        references.any(|one| self.schema.are_related(self.entity_type(one).name(), owner))
    }
}
