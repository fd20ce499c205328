//! Uncommitted creations and deletions in loaded collections: a new child shows in the children of
//! its parent, a deleted one does not.

use crate::schema::{Attribute, AttributeKind, NameId};
use crate::value::Slot;

use super::{Life, Store};

/// The reference of a member to the owner of a collection, where the schema leaves several.
const INVERSE: [(&str, &str); 4] = [
    ("children", "parent"),
    ("assets", "parent"),
    ("incoming_links", "to"),
    ("outgoing_links", "from"),
];
/// Collections that contain more than the members that refer to their owner, or fewer.
const OTHERS: [&str; 2] = ["ancestors", "descendants"];
/// Collections of appointments of one kind.
const KINDS: [(&str, &str); 2] = [("assignments", "assignment"), ("allocations", "allocation")];

impl Store {
    /// Whether a collection may show anything but what is stored.
    pub(super) fn has_pending(&self) -> bool {
        !self.joining.is_empty() || self.marked_deleted > 0
    }

    /// Notes that an entity which is not committed refers to another one.
    pub(super) fn note_reference(&mut self, place: u32, value: &Slot) {
        if let Slot::Link(target) = value
            && self.record(place).state == Life::Created
        {
            self.joining.entry(*target).or_default().push(place);
        }
    }

    /// The members of a collection as the session sees them: with new entities that refer to its
    /// owner, and without those that are marked for deletion.
    pub(super) fn with_pending(&self, owner: u32, name: NameId, slot: &Slot) -> Option<Slot> {
        let Slot::Links(members) = slot else {
            return None;
        };
        let remains = |place: &u32| self.record(*place).state != Life::Deleted;
        let mut shown: Vec<u32> = members.iter().copied().filter(remains).collect();
        for &new in self.joining.get(&owner).into_iter().flatten() {
            if !shown.contains(&new) && self.joins(new, owner, name) {
                shown.push(new);
            }
        }
        (shown[..] != members[..]).then(|| Slot::Links(shown.into()))
    }

    /// Whether a new entity will be a member of this collection.
    fn joins(&self, new: u32, owner: u32, collection: NameId) -> bool {
        let Some(record) = self.records.get(new as usize) else {
            return false;
        };
        let name = self.schema.name(collection).as_str();
        let attribute = self.entity_type(owner).by_id(collection);
        let target = match attribute.map(Attribute::kind) {
            Some(AttributeKind::Collection(target)) if !OTHERS.contains(&name) => target,
            _ => return false,
        };
        let entity_type = self.schema.by_id(record.entity_type);
        if record.state != Life::Created || !self.schema.are_related(entity_type.name(), target) {
            return false;
        }
        let local = |name: NameId| record.local.as_ref().and_then(|local| local.get(name));
        if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) {
            let found = self.schema.name_id("type").and_then(local);
            if !matches!(found, Some(Slot::Text(text)) if text.to_text() == *kind) {
                return false;
            }
        }
        let own = self.entity_type(owner).name();
        let mut references = entity_type
            .attributes()
            .iter()
            .filter(|one| match one.kind() {
                AttributeKind::Reference(declared) => self.schema.are_related(declared, own),
                _ => false,
            });
        let inverse = match INVERSE.iter().find(|(known, _)| *known == name) {
            Some((_, inverse)) => references.find(|one| one.name() == *inverse),
            None => references.next().filter(|_| references.next().is_none()),
        };
        let refers =
            |one: &Attribute| matches!(local(one.id()), Some(Slot::Link(to)) if *to == owner);
        inverse.is_some_and(refers)
    }
}
