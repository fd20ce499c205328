//! What a commit makes stale: loaded values that the server derives from what was changed.
//!
//! The schema says which collections can hold an entity and which attributes are computed. What it
//! does not say stands in the constants below. `tests/work/freshness.rs` compares everything that is
//! loaded with a second session, after a change of each attribute of each type.

use std::sync::Arc;

use crate::operation::Operation;
use crate::schema::{Attribute, AttributeKind, EntityType, NameId, Schema, TypeId};
use crate::value::{EntityKey, HashMap, HashSet, Key, Slot, Text, Value};

use super::commit::Note;
use super::{Life, Store};

/// Attributes that show the names and the order of everything above.
const LINKS: [&str; 2] = ["link", "_link"];
/// Attributes that follow the parent of an entity, for everything below it.
const PLACES: [&str; 3] = ["project", "project_id", "ancestors"];
/// Attributes that sum up everything below.
const SUMS: [&str; 3] = ["descendants", "time_logged", "bid_time_logged_difference"];
/// Attributes that are shown in the links of everything below.
const NAMES: [&str; 3] = ["name", "full_name", "version"];
/// References to the owner in the hierarchy, each with its foreign key.
const OWNERS: [(&str, &str); 3] = [
    ("asset", "asset_id"),
    ("parent", "parent_id"),
    ("parent", "context_id"),
];
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
/// Attributes that change another one of the same entity.
const SIDE_EFFECTS: [(&str, &str); 2] = [
    ("is_all_projects", "is_all_open_projects"),
    ("is_all_open_projects", "is_all_projects"),
];
/// The type of the rows that decide which custom attributes exist, and their values.
pub(crate) const CONFIGURATION: &str = "CustomAttributeConfiguration";
/// The most levels of a hierarchy, so that a cycle ends.
const MAX_DEPTH: usize = 100;

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

/// The work list of one commit.
struct Scan {
    schema: Arc<Schema>,
    stale: Stale,
    /// Collections by the types of owner and member.
    collections: HashMap<(TypeId, TypeId), Arc<[NameId]>>,
    touched: HashSet<(u32, TypeId)>,
    renamed: HashSet<u32>,
    moved: HashSet<u32>,
    deleted: HashSet<u32>,
    /// Members of collections whose owner before is not loaded.
    joined: HashSet<u32>,
    /// Assets whose versions changed.
    assets: HashSet<u32>,
    /// Whether something changed below a context whose place is not loaded.
    is_place_unknown: bool,
    /// Whether a note became a reply, or none: replies belong to what the first note belongs to.
    is_thread: bool,
    /// Whether a configuration of custom attributes changed.
    is_configuration: bool,
}

impl Store {
    /// What these operations make stale. To be called before their end, while old values are known.
    pub(super) fn stale_after(&mut self, operations: &[Operation], notes: &[Note]) -> Stale {
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
    pub(super) fn stale_after_response(&self, created: &[u32]) -> Stale {
        let mut scan = Scan::new(self.schema.clone());
        for &place in created {
            let member = self.type_of(place);
            for owner in self.references(place) {
                self.touch(&mut scan, owner, member);
            }
        }
        scan.stale
    }

    pub(super) fn apply_stale(&mut self, stale: &Stale) {
        for (&place, names) in &stale.attributes {
            self.invalidate_names(place, names);
        }
        for &place in &stale.entities {
            self.invalidate_at(place);
        }
    }

    /// Invalidates what the response has repeated and the server need not have.
    pub(super) fn apply_echoed(&mut self, stale: &Stale) {
        for &(place, name) in &stale.echoed {
            self.invalidate_names(place, &HashSet::from_iter([name]));
        }
        for &place in &stale.entities {
            self.invalidate_at(place);
        }
    }

    pub(super) fn invalidate_names(&mut self, place: u32, names: &HashSet<NameId>) {
        self.invalidations += 1;
        if let Some(record) = self.records.get_mut(place as usize) {
            let is_valid = |name: NameId, _: &Slot| !names.contains(&name);
            record.remote.retain(&mut self.shapes, is_valid);
        }
    }

    /// A row that is created or deleted.
    fn scan_row(&self, scan: &mut Scan, place: u32) {
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
    fn scan_link(&self, scan: &mut Scan, place: u32, references: &[u32]) {
        if !is_link(self.entity_type(place)) {
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
    fn scan_sums(&self, scan: &mut Scan, place: u32, references: &[u32]) {
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
            _ if self.is_context(place) => match self.owner_of(place) {
                Some(Some(parent)) => self.mark_above(scan, parent),
                Some(None) => {}
                None => scan.is_place_unknown = true,
            },
            _ => {}
        }
    }

    fn scan_update(&mut self, scan: &mut Scan, place: u32, name: &str, value: &Value) {
        let schema = scan.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let Ok(attribute) = entity_type.attribute(name) else {
            return;
        };
        if let AttributeKind::Collection(_) | AttributeKind::Mapped(_) = attribute.kind() {
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
        let computed = entity_type.attributes().iter();
        let computed = computed.filter(|one| one.is_computed());
        let computed: Vec<&str> = computed.map(Attribute::name).collect();
        self.mark_names(scan, place, &computed);
        self.mark_faces(scan, place, attribute);
        for (changed, other) in SIDE_EFFECTS {
            if changed == name {
                self.mark_names(scan, place, &[other]);
            }
        }
        scan.is_configuration |= entity_type.name() == CONFIGURATION;
        let mut references = self.references(place);
        let owners = self.referred(place, name, value);
        for &owner in &owners {
            self.touch(scan, owner, self.type_of(place));
        }
        references.extend(&owners);
        self.scan_link(scan, place, &references);
        if matches!(entity_type.name(), "Timelog" | "AssetVersion") {
            self.scan_sums(scan, place, &references);
        }
        let reference = name.strip_suffix("_id").unwrap_or(name);
        if reference == "status" {
            self.mark_names(scan, place, &["status_changes"]);
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
    fn scan_members(
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
    fn is_owner_known(&self, member: u32, owner: TypeId) -> bool {
        let owner = self.schema.by_id(owner).name();
        let mut references = self.references(member).into_iter();
        references.any(|one| self.schema.are_related(self.entity_type(one).name(), owner))
    }

    /// Loaded values of other entities that follow from names, places and deletions.
    fn scan_all(&self, scan: &mut Scan) {
        self.scan_deletions(scan);
        let above: HashSet<u32> = scan.renamed.union(&scan.moved).copied().collect();
        let is_local = scan.joined.is_empty()
            && !scan.is_thread
            && scan.assets.is_empty()
            && !scan.is_place_unknown
            && !scan.is_configuration;
        if above.is_empty() && is_local {
            return;
        }
        let everything = self.records.iter();
        let everything = everything
            .map(|(place, _)| place as u32)
            .collect::<Vec<_>>();
        for place in everything {
            if self.has_any(place, &LINKS) && self.is_below(place, &above) {
                self.mark_names(scan, place, &LINKS);
            }
            if self.has_any(place, &PLACES) && self.is_below(place, &scan.moved) {
                self.mark_names(scan, place, &PLACES);
            }
            if scan.is_place_unknown && self.has_any(place, &SUMS) {
                self.mark_names(scan, place, &SUMS);
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
                if name == CONFIGURATION || name.ends_with("CustomAttributeValue") {
                    self.mark_names(scan, place, &["default", "value"]);
                }
            }
            if scan.assets.contains(&place) {
                self.mark_names(scan, place, &["latest_version"]);
            }
            if !scan.assets.is_empty() && self.has_any(place, &["is_latest_version"]) {
                let asset = self.owner_of(place).flatten();
                if asset.is_none_or(|asset| scan.assets.contains(&asset)) {
                    self.mark_names(scan, place, &["is_latest_version"]);
                }
            }
        }
    }

    /// Marks the loaded collections that contain a member which now has another owner.
    fn mark_collections_with(&self, scan: &mut Scan, place: u32) {
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
    fn scan_deletions(&self, scan: &mut Scan) {
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
    fn is_owning(&self, place: u32, name: NameId) -> bool {
        let text = self.schema.name(name).as_str();
        let reference = text.strip_suffix("_id").unwrap_or(text);
        let entity_type = self.entity_type(place);
        let is_required = entity_type.by_id(name).is_some_and(Attribute::is_required);
        OWNING.contains(&reference) || is_required || entity_type.primary_key_ids().contains(&name)
    }

    /// Marks the collections of an entity that can hold a member of this type.
    fn touch(&self, scan: &mut Scan, owner: u32, member: TypeId) {
        if !scan.touched.insert((owner, member)) {
            return;
        }
        let names = scan.collections(self.type_of(owner), member);
        for &name in names.iter() {
            self.mark_id(scan, owner, name);
        }
    }

    /// Marks the references of an entity that may refer to an entity of this type.
    fn mark_references(&self, scan: &mut Scan, place: u32, target: TypeId) {
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
    fn mark_faces(&self, scan: &mut Scan, place: u32, changed: &Attribute) {
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
    fn mark_links(&self, scan: &mut Scan, place: u32) {
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
    fn mark_above(&self, scan: &mut Scan, context: u32) {
        let mut current = context;
        for _ in 0..MAX_DEPTH {
            self.mark_names(scan, current, &SUMS);
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

    fn mark_with_counterpart(&self, scan: &mut Scan, place: u32, name: NameId) {
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

    fn mark_names(&self, scan: &mut Scan, place: u32, names: &[&str]) {
        for name in names.iter().filter_map(|name| self.schema.name_id(name)) {
            self.mark_id(scan, place, name);
        }
    }

    fn mark_id(&self, scan: &mut Scan, place: u32, name: NameId) {
        if self.record(place).remote.get(&self.shapes, name).is_some() {
            scan.stale.attributes.entry(place).or_default().insert(name);
        }
    }

    fn has_any(&self, place: u32, names: &[&str]) -> bool {
        let remote = &self.record(place).remote;
        let mut names = names.iter().filter_map(|name| self.schema.name_id(name));
        names.any(|name| remote.get(&self.shapes, name).is_some())
    }

    fn is_context(&self, place: u32) -> bool {
        self.schema
            .is_kind_of(self.entity_type(place).name(), "Context")
    }

    /// The owner of an entity in the hierarchy: `Some(None)` if it has none, `None` if that is not
    /// loaded.
    fn owner_of(&self, place: u32) -> Option<Option<u32>> {
        let entity_type = self.entity_type(place);
        if entity_type.name() == "Project" {
            return Some(None);
        }
        let names = OWNERS
            .iter()
            .flat_map(|(reference, key)| [*reference, *key]);
        let names = names.filter_map(|name| self.schema.name_id(name));
        for name in names.filter(|name| entity_type.by_id(*name).is_some()) {
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
    fn is_below(&self, place: u32, above: &HashSet<u32>) -> bool {
        let mut current = place;
        for _ in 0..MAX_DEPTH {
            if above.contains(&current) {
                return true;
            }
            match self.owner_of(current) {
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
            _ => !above.is_empty(),
        }
    }

    /// The places of known entities to which an entity refers, by references and foreign keys.
    pub(super) fn references(&self, place: u32) -> Vec<u32> {
        let record = self.record(place);
        let local = record.local.iter().flat_map(|local| local.iter());
        let local = local.map(|setting| (setting.name, &setting.value));
        let remote = record.remote.iter(&self.shapes);
        let mut places: Vec<u32> = Vec::new();
        for (name, slot) in local.chain(remote) {
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

    fn remote_links(&self, place: u32, name: NameId) -> Vec<u32> {
        match self.record(place).remote.get(&self.shapes, name) {
            Some(Slot::Links(members)) => members.to_vec(),
            _ => Vec::new(),
        }
    }
}

impl Scan {
    fn new(schema: Arc<Schema>) -> Self {
        Self {
            schema,
            stale: Stale::default(),
            collections: HashMap::default(),
            touched: HashSet::default(),
            renamed: HashSet::default(),
            moved: HashSet::default(),
            deleted: HashSet::default(),
            joined: HashSet::default(),
            assets: HashSet::default(),
            is_place_unknown: false,
            is_thread: false,
            is_configuration: false,
        }
    }

    /// The collections of a type that can hold members of another.
    fn collections(&mut self, owner: TypeId, member: TypeId) -> Arc<[NameId]> {
        let schema = &self.schema;
        let found = self.collections.entry((owner, member)).or_insert_with(|| {
            let member = schema.by_id(member).name();
            let attributes = schema.by_id(owner).attributes().iter();
            let holding = attributes.filter(|one| match one.kind() {
                AttributeKind::Collection(target) | AttributeKind::Mapped(target) => {
                    schema.are_related(member, target)
                }
                _ => false,
            });
            holding.map(Attribute::id).collect()
        });
        found.clone()
    }
}

/// Whether this is a foreign key without a reference of its name.
fn is_lone_key(schema: &Schema, entity_type: &EntityType, attribute: &Attribute) -> bool {
    attribute.name().ends_with("_id") && schema.counterpart(entity_type, attribute).is_none()
}

/// Whether the rows of a type do nothing but link two entities: they have references and no values
/// of their own, except a kind and an order.
fn is_link(entity_type: &EntityType) -> bool {
    let own = |one: &&Attribute| {
        let name = one.name();
        let is_value = !matches!(
            one.kind(),
            AttributeKind::Reference(_) | AttributeKind::Collection(_) | AttributeKind::Mapped(_)
        );
        is_value && name != "id" && !name.ends_with("_id") && !matches!(name, "sort" | "type")
    };
    let attributes = || entity_type.attributes().iter();
    let references = attributes().filter(|one| {
        one.name().ends_with("_id") || matches!(one.kind(), AttributeKind::Reference(_))
    });
    !attributes().any(|one| own(&one)) && references.count() >= 2
}

impl Store {
    /// The known entity with this id, whatever its type: ids are unique.
    pub(super) fn find_by_id(&self, id: &Text) -> Option<u32> {
        let key = Key::Single(id.clone());
        let hash = std::hash::BuildHasher::hash_one(&self.hasher, &key);
        let is_it = |place: &u32| self.records[*place as usize].key == key;
        self.index.find(hash, is_it).copied()
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
