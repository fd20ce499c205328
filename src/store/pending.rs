//! Uncommitted creations and deletions in loaded collections: a new child shows in the children of
//! its parent, a deleted one does not.

use std::borrow::Cow;

use crate::schema::{Attribute, AttributeKind, NameId};
use crate::value::Slot;

use super::stale::OWNERS;
use super::{Life, Store};

/// The reference of a link to the owner of a collection of links.
const LINK_ENDS: [(&str, &str); 2] = [("incoming_links", "to"), ("outgoing_links", "from")];
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

    /// Like [`slot`](Self::slot); collections have the new entities that refer to their owner, and
    /// none that is marked for deletion.
    pub(super) fn shown(&self, place: u32, id: NameId) -> Option<Cow<'_, Slot>> {
        let slot = self.slot(place, id);
        if !self.has_pending() {
            return slot;
        }
        let members: &[u32] = match slot.as_deref() {
            Some(Slot::Links(members)) => members,
            None if self.record(place).state == Life::Created => &[],
            _ => return slot,
        };
        let remains = |member: &u32| self.record(*member).state != Life::Deleted;
        let mut shown: Vec<u32> = members.iter().copied().filter(remains).collect();
        for &new in self.joining.get(&place).into_iter().flatten() {
            if !shown.contains(&new) && self.joins(new, place, id) {
                shown.push(new);
            }
        }
        if shown == members {
            return slot;
        }
        Some(Cow::Owned(Slot::Links(shown.into())))
    }

    /// Whether a new entity will be a member of this collection: it refers to the owner. If it may in
    /// several ways, the one that places it in the hierarchy counts.
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
        if record.state != Life::Created || !self.schema.is_kind_of(entity_type.name(), target) {
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
        let may_refer = |one: &&Attribute| matches!(one.kind(), AttributeKind::Reference(declared) if self.schema.are_related(declared, own));
        let references: Vec<_> = entity_type.attributes().iter().filter(may_refer).collect();
        let end = LINK_ENDS.iter().find(|(known, _)| *known == name);
        let is_owning = |one: &&&Attribute| match end {
            Some((_, end)) => one.name() == *end,
            None => OWNERS.iter().any(|(owner, _)| one.name() == *owner),
        };
        let inverse = match references[..] {
            [only] => Some(only),
            _ => references.iter().find(is_owning).copied(),
        };
        inverse.is_some_and(|one| local(one.id()) == Some(&Slot::Link(owner)))
    }
}
