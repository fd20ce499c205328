//! Peers: entities that arrived together, so that an attribute is fetched for all of them at once.

use slab::Slab;

use crate::schema::{NameId, TypeId};
use crate::value::{EntityKey, HashMap, Slot};
use crate::wire::Rows;

use super::{Life, Record, Store};

/// The group of a record that no response contained.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// The records that arrived together, by group.
#[derive(Default)]
pub(super) struct Groups(Slab<Group>);

struct Group {
    members: Box<[u32]>,
    /// How many of them have not joined a later group.
    live: u32,
}

/// What to ask the server for.
#[derive(Debug, PartialEq)]
pub(crate) struct Fetch {
    /// The type to query: that of the entities, or a common base type.
    pub(crate) entity_type: String,
    pub(crate) keys: Vec<EntityKey>,
}

/// The role of each row in its response: the rows at the top have one, their statuses another, the
/// states of these statuses a third.
///
/// A row comes after the rows that it links to, so that one walk from the end finds each row's role
/// before those of the rows below.
fn roles(rows: &Rows) -> Vec<u32> {
    let mut roles = vec![0; rows.rows.len()];
    let mut numbers: HashMap<(u32, NameId), u32> = HashMap::default();
    for (number, row) in rows.rows.iter().enumerate().rev() {
        let names = &rows.shapes[row.shape as usize];
        for (name, slot) in names.iter().zip(&rows.slots[row.start as usize..]) {
            let (Slot::Link(_) | Slot::Links(_)) = slot else {
                continue;
            };
            let next = u32::try_from(numbers.len() + 1).expect("fewer roles than rows");
            let role = *numbers.entry((roles[number], *name)).or_insert(next);
            for &row in slot.links() {
                roles[row as usize] = role;
            }
        }
    }
    roles
}

impl Store {
    /// Makes entities that arrive in one response and in one role peers; they leave their earlier
    /// groups.
    pub(super) fn join_groups(&mut self, rows: &Rows, places: &[u32]) {
        self.join_by_role(rows, places, |_| true);
    }

    /// Like [`join_groups`](Self::join_groups), but only for entities without a group: rows from a
    /// cache do not separate entities that arrived from the server together.
    pub(super) fn join_lone_groups(&mut self, rows: &Rows, places: &[u32]) {
        self.join_by_role(rows, places, |record| record.group == NO_GROUP);
    }

    fn join_by_role(&mut self, rows: &Rows, places: &[u32], joins: impl Fn(&Record) -> bool) {
        let mut members: Vec<Vec<u32>> = Vec::new();
        for (role, &place) in roles(rows).into_iter().zip(places) {
            if !joins(self.record(place)) {
                continue;
            }
            let role = role as usize;
            if members.len() <= role {
                members.resize_with(role + 1, Vec::new);
            }
            members[role].push(place);
        }
        for mut members in members {
            members.sort_unstable();
            members.dedup();
            self.join_group(members.into());
        }
    }

    fn join_group(&mut self, members: Box<[u32]>) {
        if members.is_empty() {
            return;
        }
        for &place in &members {
            self.leave_group(place);
        }
        let live = u32::try_from(members.len()).expect("places are 32 bits");
        let group = self.groups.0.vacant_key();
        let number = u32::try_from(group).expect("fewer than 2^32 groups");
        for &place in &members {
            self.records[place as usize].group = number;
        }
        self.groups.0.insert(Group { members, live });
    }

    pub(super) fn leave_group(&mut self, place: u32) {
        let group = std::mem::replace(&mut self.records[place as usize].group, NO_GROUP);
        if let Some(entry) = self.groups.0.get_mut(group as usize) {
            entry.live -= 1;
            if entry.live == 0 {
                self.groups.0.remove(group as usize);
            }
        }
    }

    /// The other entities that arrived with the one at `place`.
    fn peers_of(&self, place: u32) -> impl Iterator<Item = u32> {
        let number = self.record(place).group;
        let group = self.groups.0.get(number as usize).into_iter();
        let members = group.flat_map(|group| group.members.iter().copied());
        members.filter(move |&peer| {
            let record = self.records.get(peer as usize);
            peer != place && record.is_some_and(|record| record.group == number)
        })
    }

    /// The keys of up to `limit` peers of the entity at `place`.
    pub(crate) fn peers(&self, place: u32, limit: usize) -> Vec<EntityKey> {
        let peers = self.peers_of(place).take(limit);
        peers.map(|peer| self.key(peer)).collect()
    }

    /// The entity at `place` and, with `peers`, those peers for which the attribute is not loaded either.
    pub(crate) fn lacking(&self, place: u32, name: &str, peers: bool) -> Fetch {
        let mut places = vec![place];
        let id = self.schema.name_id(name);
        if let Some(id) = id.filter(|_| peers) {
            places.extend(self.peers_of(place).filter(|&peer| self.lacks(peer, id)));
        }
        let own = self.type_of(place);
        let asked = match id {
            Some(id) if places.iter().any(|&peer| self.type_of(peer) != own) => {
                self.shared_base(own, id)
            }
            _ => own,
        };
        let asked = self.schema.by_id(asked).name();
        places.retain(|&peer| self.schema.is_kind_of(self.entity_type(peer).name(), asked));
        Fetch {
            entity_type: asked.to_owned(),
            keys: places.iter().map(|&peer| self.key(peer)).collect(),
        }
    }

    fn lacks(&self, place: u32, id: NameId) -> bool {
        let record = self.record(place);
        matches!(record.state, Life::Persisted | Life::Deleted)
            && record.remote.get(&self.shapes, id).is_none()
            && self.schema.by_id(record.entity_type).by_id(id).is_some()
    }

    /// The most general base type of `own` that has the attribute.
    fn shared_base(&self, own: TypeId, id: NameId) -> TypeId {
        let mut best = own;
        let mut current = self.schema.by_id(own);
        while let Some(base) = current.base().and_then(|base| self.schema.find(base)) {
            if base.by_id(id).is_some() {
                best = base.id();
            }
            current = base;
        }
        best
    }
}
