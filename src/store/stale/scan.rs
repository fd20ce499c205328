//! The work list of one commit.

use std::sync::Arc;

use crate::schema::{Attribute, AttributeKind, EntityType, NameId, Schema, TypeId};
use crate::value::{HashMap, HashSet};

use super::{OWNERS, Stale};

/// Attributes that sum up everything below.
const SUMS: [&str; 3] = ["descendants", "time_logged", "bid_time_logged_difference"];
/// Attributes that sum up the same attributes of everything below where they cannot be set.
pub(super) const ROLL_UPS: [&str; 3] = ["bid", "start_date", "end_date"];
/// Attributes that change another one of the same entity.
const SIDE_EFFECTS: [(&str, &str); 4] = [
    ("is_all_projects", "is_all_open_projects"),
    ("is_all_open_projects", "is_all_projects"),
    ("status", "status_changes"),
    ("status_id", "status_changes"),
];

/// The work list of one commit.
pub(super) struct Scan {
    pub(super) schema: Arc<Schema>,
    pub(super) stale: Stale,
    /// Collections by the types of owner and member.
    pub(super) collections: HashMap<(TypeId, TypeId), Arc<[NameId]>>,
    /// By type and changed attribute: those of the same entity that follow.
    followers: HashMap<(TypeId, NameId), Arc<[NameId]>>,
    sums: HashMap<TypeId, Arc<[NameId]>>,
    links: HashMap<TypeId, bool>,
    /// References to the owner in the hierarchy, and their foreign keys.
    pub(super) owners: Vec<NameId>,
    /// Entities above which everything is marked.
    pub(super) climbed: HashSet<u32>,
    pub(super) touched: HashSet<(u32, TypeId)>,
    pub(super) renamed: HashSet<u32>,
    /// Those whose place changed, or what everything below shows of them.
    pub(super) moved: HashSet<u32>,
    pub(super) deleted: HashSet<u32>,
    /// Members of collections whose owner before is not loaded.
    pub(super) joined: HashSet<u32>,
    /// Assets whose versions changed.
    pub(super) assets: HashSet<u32>,
    /// Whether something changed below a context whose place is not loaded.
    pub(super) is_place_unknown: bool,
    /// Whether a note became a reply, or none: replies belong to what the first note belongs to.
    pub(super) is_thread: bool,
    /// Whether a configuration of custom attributes changed.
    pub(super) is_configuration: bool,
    /// Whether a value of a custom attribute changed, of which there are rows of two types.
    pub(super) is_value: bool,
}

impl Scan {
    pub(super) fn new(schema: Arc<Schema>) -> Self {
        let owners = OWNERS
            .iter()
            .flat_map(|(reference, key)| [reference, key])
            .filter_map(|name| schema.name_id(name))
            .collect();
        Self {
            schema,
            followers: HashMap::default(),
            sums: HashMap::default(),
            links: HashMap::default(),
            owners,
            climbed: HashSet::default(),
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
            is_value: false,
        }
    }

    /// The collections of a type that can hold members of another.
    pub(super) fn collections(&mut self, owner: TypeId, member: TypeId) -> Arc<[NameId]> {
        let schema = &self.schema;
        let found = self.collections.entry((owner, member)).or_insert_with(|| {
            let member = schema.by_id(member).name();
            let attributes = schema.by_id(owner).attributes().iter();
            let holding = attributes.filter(|one| {
                let target = one.members();
                target.is_some_and(|target| schema.are_related(member, target))
            });
            holding.map(Attribute::id).collect()
        });
        found.clone()
    }

    /// The attributes of a type that sum up everything below.
    pub(super) fn sums(&mut self, of: TypeId) -> Arc<[NameId]> {
        let schema = &self.schema;
        let found = self.sums.entry(of).or_insert_with(|| {
            let attributes = schema.by_id(of).attributes().iter();
            let is_roll_up = |one: &&Attribute| ROLL_UPS.contains(&one.name()) && !one.is_mutable();
            let roll_ups = attributes.filter(is_roll_up).map(Attribute::id);
            let sums = SUMS.iter().filter_map(|name| schema.name_id(name));
            sums.chain(roll_ups).collect()
        });
        found.clone()
    }

    /// The attributes of an entity that the server computes, and those that show the same fact as a
    /// changed one. A reference and its foreign key need no mark, because they are set together.
    pub(super) fn followers(
        &mut self,
        entity_type: &EntityType,
        changed: &Attribute,
    ) -> Arc<[NameId]> {
        let schema = &self.schema;
        let found = self.followers.entry((entity_type.id(), changed.id()));
        let found = found.or_insert_with(|| {
            let attributes = entity_type.attributes().iter();
            let computed = attributes.filter(|one| one.is_computed());
            let effects = SIDE_EFFECTS
                .iter()
                .filter(|(one, _)| *one == changed.name());
            let effects = effects.filter_map(|(_, other)| schema.name_id(other));
            let faces = faces(schema, entity_type, changed);
            computed
                .map(Attribute::id)
                .chain(effects)
                .chain(faces)
                .collect()
        });
        found.clone()
    }

    /// Whether the rows of a type link two entities, as [`is_link`] says.
    pub(super) fn is_link(&mut self, of: TypeId) -> bool {
        let schema = &self.schema;
        let found = self.links.entry(of);
        *found.or_insert_with(|| is_link(schema.by_id(of)))
    }
}

/// The other attributes of a type that show the same fact as a changed one.
fn faces(schema: &Schema, entity_type: &EntityType, changed: &Attribute) -> Vec<NameId> {
    let counterpart = |one: &Attribute| entity_type.counterpart(one).map(Attribute::id);
    let own = entity_type.counterpart(changed);
    let target = changed.target().or_else(|| own?.target());
    if target.is_none() && !changed.name().ends_with("_id") {
        return Vec::new();
    }
    let others = entity_type.attributes().iter().filter(|one| {
        let is_same = one.id() == changed.id() || own.is_some_and(|own| own.id() == one.id());
        if is_same || (own.is_some() && counterpart(one).is_some()) {
            return false;
        }
        match one.kind() {
            AttributeKind::Reference(declared) => {
                target.is_none_or(|target| schema.are_related(declared, target))
            }
            _ => is_lone_key(entity_type, one),
        }
    });
    let faces = others.flat_map(|one| [Some(one.id()), counterpart(one)]);
    faces.flatten().collect()
}

/// Whether this is a foreign key without a reference of its name.
pub(super) fn is_lone_key(entity_type: &EntityType, attribute: &Attribute) -> bool {
    attribute.name().ends_with("_id") && entity_type.counterpart(attribute).is_none()
}

/// Whether the rows of a type do nothing but link two entities: they have references and no values
/// of their own, except a kind and an order.
pub(super) fn is_link(entity_type: &EntityType) -> bool {
    let own = |one: &&Attribute| {
        let name = one.name();
        one.target().is_none()
            && name != "id"
            && !name.ends_with("_id")
            && !matches!(name, "sort" | "type")
    };
    let attributes = || entity_type.attributes().iter();
    let references = attributes().filter(|one| {
        one.name().ends_with("_id") || matches!(one.kind(), AttributeKind::Reference(_))
    });
    !attributes().any(|one| own(&one)) && references.count() >= 2
}
