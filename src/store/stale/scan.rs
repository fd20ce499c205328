//! The work list of one commit.

use std::sync::Arc;

use crate::schema::{Attribute, AttributeKind, EntityType, NameId, Schema, TypeId};
use crate::value::{HashMap, HashSet};

use super::Stale;

/// The work list of one commit.
pub(super) struct Scan {
    pub(super) schema: Arc<Schema>,
    pub(super) stale: Stale,
    /// Collections by the types of owner and member.
    pub(super) collections: HashMap<(TypeId, TypeId), Arc<[NameId]>>,
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
}

impl Scan {
    pub(super) fn new(schema: Arc<Schema>) -> Self {
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
    pub(super) fn collections(&mut self, owner: TypeId, member: TypeId) -> Arc<[NameId]> {
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
pub(super) fn is_lone_key(
    schema: &Schema,
    entity_type: &EntityType,
    attribute: &Attribute,
) -> bool {
    attribute.name().ends_with("_id") && schema.counterpart(entity_type, attribute).is_none()
}

/// Whether the rows of a type do nothing but link two entities: they have references and no values
/// of their own, except a kind and an order.
pub(super) fn is_link(entity_type: &EntityType) -> bool {
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
