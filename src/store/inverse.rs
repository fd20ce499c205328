//! Collections before the commit: created entities join those of the entities that they refer to,
//! deleted ones leave them.

use crate::schema::NameId;
use crate::value::Slot;

use super::{Life, Store};

/// Which reference of which entities decides about a collection of the entity that it refers to. The
/// schema does not say it.
const INVERSES: [(&str, &str, &str); 18] = [
    ("children", "Context", "parent"),
    ("assets", "Asset", "parent"),
    ("versions", "AssetVersion", "asset"),
    ("components", "Component", "version"),
    ("members", "Component", "container"),
    ("assignments", "Appointment", "context"),
    ("assignments", "Appointment", "resource"),
    ("allocations", "Appointment", "context"),
    ("allocations", "Appointment", "resource"),
    ("outgoing_links", "TypedContextLink", "from"),
    ("incoming_links", "TypedContextLink", "to"),
    ("outgoing_links", "AssetVersionLink", "from"),
    ("incoming_links", "AssetVersionLink", "to"),
    ("replies", "Note", "in_reply_to"),
    ("timelogs", "Timelog", "context"),
    ("timelogs", "Timelog", "user"),
    ("memberships", "Membership", "user"),
    ("memberships", "Membership", "group"),
];

/// Collections of one kind of appointment, by its `type`.
const APPOINTMENTS: [(&str, &str); 2] =
    [("assignments", "assignment"), ("allocations", "allocation")];

impl Store {
    /// The members of a collection as they will be after the commit: without deleted entities, and
    /// with created ones that refer to the entity at `place`.
    pub(super) fn members(&self, place: u32, id: NameId, members: &[u32]) -> Vec<u32> {
        let is_alive = |&member: &u32| self.record(member).state != Life::Deleted;
        let mut members: Vec<u32> = members.iter().copied().filter(is_alive).collect();
        let mut created = self.created_members(place, self.schema.name(id));
        created.retain(|member| !members.contains(member));
        members.extend(created);
        members
    }

    fn created_members(&self, place: u32, collection: &str) -> Vec<u32> {
        let mut found = Vec::new();
        for (_, member_type, reference) in INVERSES.iter().filter(|one| one.0 == collection) {
            let Some(reference) = self.schema.name_id(reference) else {
                continue;
            };
            found.extend(self.changed.iter().copied().filter(|&member| {
                self.refers_to(member, reference, place)
                    && self
                        .schema
                        .is_kind_of(self.entity_type(member).name(), member_type)
                    && self.is_of_appointments(member, collection)
            }));
        }
        found.sort_by_key(|&member| self.record(member).number);
        found.dedup();
        found
    }

    fn refers_to(&self, member: u32, reference: NameId, place: u32) -> bool {
        let record = self.record(member);
        let local = record
            .local
            .as_ref()
            .filter(|_| record.state == Life::Created);
        local.and_then(|local| local.get(reference)) == Some(&Slot::Link(place))
    }

    /// Whether an appointment is of the kind that a collection has; true for other entities.
    fn is_of_appointments(&self, member: u32, collection: &str) -> bool {
        let Some((_, kind)) = APPOINTMENTS.iter().find(|one| one.0 == collection) else {
            return true;
        };
        let local = self.record(member).local.as_ref();
        let found = self.schema.name_id("type");
        let found = found.and_then(|name| local?.get(name));
        matches!(found, Some(Slot::Text(text)) if text.with(|text| text == *kind))
    }
}
