//! The unit of work: every entity that a session knows, once, and what was done to it.
//!
//! The store does no I/O. A read that it cannot answer says what is missing; the session
//! fetches that and asks again.

mod absorb;
mod attributes;
mod cache;
mod check;
mod collection;
mod commit;
mod edit;
mod paths;
mod peers;
mod read;
mod scope;
mod shapes;

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashTable;
use slab::Slab;

use crate::error::Result;
use crate::operation::Operation;
use crate::schema::{EntityType, Schema, TypeId};
use crate::value::{EntityKey, HashSet, Hasher, Key, Slot, Value};
use crate::wire::check_key;
use attributes::{Attributes, Local};
use paths::Paths;
use peers::Groups;
use shapes::Shapes;

pub(crate) use cache::Effects;
pub(crate) use peers::Fetch;
pub(crate) use read::Read;
pub(crate) use scope::Mark;

/// Every entity that a session knows, and the operations that are not yet on the server.
pub(crate) struct Store {
    schema: Arc<Schema>,
    records: Slab<Record>,
    /// Places of records, by the hash of their keys.
    index: HashTable<u32>,
    hasher: Hasher,
    shapes: Shapes,
    paths: Paths,
    groups: Groups,
    /// Records with local values, or that were created or deleted.
    changed: HashSet<u32>,
    /// What a commit is sending at this moment.
    in_flight: Option<commit::InFlight>,
    queued: Vec<Operation>,
    /// For each queued operation.
    queued_notes: Vec<commit::Note>,
    /// The commits whose answers were lost: how many operations each had. They stand at the head
    /// of the queue, in this order.
    in_doubt: VecDeque<usize>,
    /// How many operations were ever recorded: the number of the next one.
    recorded: u64,
    /// The number of the first operation that the commit under way does not send.
    sent_before: u64,
    /// How many records were ever made: tells a scope's records from older ones.
    born: u64,
    /// Which records were used lately, where there is a limit to their number.
    recency: Option<cache::Recency>,
}

struct Record {
    key: Key,
    entity_type: TypeId,
    state: Life,
    group: u32,
    born: u64,
    remote: Attributes,
    local: Option<Box<Local>>,
    handle: Weak<Handle>,
}

/// Where an entity stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Persisted,
    /// Made here, not yet on the server.
    Created,
    /// Deleted here, still on the server.
    Deleted,
    /// Not there any more: deleted on the server, or its creation was rolled back.
    Gone,
}

/// What was done to an entity since the last commit; the states of the Python client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntityState {
    /// Created here, not yet committed.
    Created,
    /// Attributes were set and are not yet committed.
    Modified,
    /// Deleted here, not yet committed.
    Deleted,
}

/// What an entity outside the store holds: while one is alive its record stays.
pub(crate) struct Handle {
    pub(crate) place: u32,
    entity_type: AtomicU16,
    pub(crate) key: Key,
}

impl Handle {
    pub(crate) fn type_id(&self) -> TypeId {
        TypeId(self.entity_type.load(Ordering::Relaxed))
    }
}

impl Store {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        Self {
            schema,
            records: Slab::new(),
            index: HashTable::new(),
            hasher: Hasher::default(),
            shapes: Shapes::default(),
            paths: Paths::default(),
            groups: Groups::default(),
            changed: HashSet::default(),
            in_flight: None,
            queued: Vec::new(),
            queued_notes: Vec::new(),
            in_doubt: VecDeque::new(),
            recorded: 0,
            sent_before: 0,
            born: 0,
            recency: None,
        }
    }

    /// The handle of the record at `place`, made if nobody holds one.
    pub(crate) fn handle(&mut self, place: u32) -> Arc<Handle> {
        if let Some(recency) = &self.recency {
            recency.touch(place);
        }
        let record = &mut self.records[place as usize];
        if let Some(handle) = record.handle.upgrade() {
            return handle;
        }
        let handle = Arc::new(Handle {
            place,
            entity_type: AtomicU16::new(record.entity_type.0),
            key: record.key.clone(),
        });
        record.handle = Arc::downgrade(&handle);
        handle
    }

    /// The place of a known entity of this type, or of one that is a kind of it.
    pub(crate) fn find(&self, entity_type: TypeId, key: &Key) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let found = self.index.find(hash, |&place| {
            let record = &self.records[place as usize];
            record.key == *key && self.same_family(record.entity_type, entity_type)
        });
        found.copied()
    }

    /// The place of a known entity.
    pub(crate) fn find_key(&self, entity: &EntityKey) -> Option<u32> {
        let entity_type = self.schema.find(entity.entity_type())?;
        self.find(entity_type.id(), entity.key())
    }

    /// The place of an entity by its key, whether it was known or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownType`] and, if the number of key values is wrong,
    /// [`ErrorKind::Validation`].
    pub(crate) fn place(&mut self, entity: &EntityKey) -> Result<u32> {
        let entity_type = self.schema.entity_type(entity.entity_type())?;
        check_key(entity_type, entity)?;
        Ok(self.find_or_insert(entity_type.id(), entity.key()))
    }

    pub(crate) fn key(&self, place: u32) -> EntityKey {
        let record = &self.records[place as usize];
        let name = self.schema.by_id(record.entity_type).name();
        EntityKey::from_key(name, record.key.clone())
    }

    pub(crate) fn type_of(&self, place: u32) -> TypeId {
        self.records[place as usize].entity_type
    }

    /// Whether anything but the key is known of it.
    pub(crate) fn is_loaded(&self, place: u32) -> bool {
        let record = &self.records[place as usize];
        record.state == Life::Created || record.remote.len() > 0
    }

    pub(crate) fn state(&self, place: u32) -> Option<EntityState> {
        let record = &self.records[place as usize];
        match record.state {
            Life::Created => Some(EntityState::Created),
            Life::Deleted => Some(EntityState::Deleted),
            Life::Persisted
                if record
                    .local
                    .as_ref()
                    .is_some_and(|local| local.is_recorded()) =>
            {
                Some(EntityState::Modified)
            }
            Life::Persisted | Life::Gone => None,
        }
    }

    /// The entities in this state, in no particular order.
    pub(crate) fn in_state(&self, state: EntityState) -> Vec<u32> {
        let changed = self.changed.iter().copied();
        changed
            .filter(|&place| self.state(place) == Some(state))
            .collect()
    }

    fn find_or_insert(&mut self, entity_type: TypeId, key: &Key) -> u32 {
        if let Some(place) = self.find(entity_type, key) {
            self.refine_type(place, entity_type);
            return place;
        }
        self.insert(entity_type, key.clone(), Life::Persisted)
    }

    fn insert(&mut self, entity_type: TypeId, key: Key, state: Life) -> u32 {
        let hash = self.hasher.hash_one(&key);
        self.born += 1;
        let record = Record {
            key,
            entity_type,
            state,
            group: peers::NO_GROUP,
            born: self.born,
            remote: Attributes::default(),
            local: None,
            handle: Weak::new(),
        };
        let place = u32::try_from(self.records.insert(record)).expect("fewer than 2^32 entities");
        if let Some(recency) = &mut self.recency {
            recency.begin(place);
        }
        self.index_at(hash, place);
        place
    }

    fn index_at(&mut self, hash: u64, place: u32) {
        let (records, hasher) = (&self.records, &self.hasher);
        self.index.insert_unique(hash, place, |&place| {
            hasher.hash_one(&records[place as usize].key)
        });
    }

    /// Puts a record back into the identity map, if another one had taken its place.
    fn index_again(&mut self, place: u32) {
        let record = self.record(place);
        if self.find(record.entity_type, &record.key).is_none() {
            let hash = self.hasher.hash_one(&record.key);
            self.index_at(hash, place);
        }
    }

    /// Takes the record out of the identity map; handles that are alive keep it readable.
    fn unindex(&mut self, place: u32) {
        let hash = self.hasher.hash_one(&self.records[place as usize].key);
        if let Ok(entry) = self.index.find_entry(hash, |&found| found == place) {
            entry.remove();
        }
    }

    /// A reference may name a base type (`Context`); the first answer names the real one.
    fn refine_type(&mut self, place: u32, entity_type: TypeId) {
        let record = &mut self.records[place as usize];
        let is_base = record.entity_type != entity_type
            && self.schema.is_kind_of(
                self.schema.by_id(entity_type).name(),
                self.schema.by_id(record.entity_type).name(),
            );
        if is_base {
            record.entity_type = entity_type;
            if let Some(handle) = record.handle.upgrade() {
                handle.entity_type.store(entity_type.0, Ordering::Relaxed);
            }
        }
    }

    fn same_family(&self, one: TypeId, other: TypeId) -> bool {
        let schema = &self.schema;
        let (one_name, other_name) = (schema.by_id(one).name(), schema.by_id(other).name());
        one == other
            || schema.is_kind_of(one_name, other_name)
            || schema.is_kind_of(other_name, one_name)
    }

    /// A kept value as the outside sees it.
    fn value(&self, slot: &Slot) -> Value {
        match slot {
            Slot::Null => Value::Null,
            Slot::Bool(value) => Value::Bool(*value),
            Slot::Integer(value) => Value::Integer(*value),
            Slot::Number(value) => Value::Number(*value),
            Slot::Text(text) => Value::Text(text.to_text()),
            Slot::DateTime(value) => Value::DateTime(*value),
            Slot::Date(value) => Value::Date(*value),
            Slot::Json(value) => Value::Json(value.clone()),
            Slot::Link(place) => Value::Reference(self.key(*place)),
            Slot::Links(places) => {
                Value::Collection(places.iter().map(|&place| self.key(place)).collect())
            }
        }
    }

    fn record(&self, place: u32) -> &Record {
        &self.records[place as usize]
    }

    fn entity_type(&self, place: u32) -> &EntityType {
        self.schema.by_id(self.record(place).entity_type)
    }
}

#[cfg(test)]
mod tests;
