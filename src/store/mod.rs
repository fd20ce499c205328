//! The unit of work: one record for every entity that a session knows, and the changes to it.
//!
//! The store does no I/O. A read of a value that is not loaded says what to fetch; the session
//! fetches it and reads again.

mod absorb;
mod attributes;
mod cache;
mod check;
mod collection;
mod commit;
mod delete;
mod describe;
mod edit;
mod paths;
mod peers;
mod pending;
mod read;
mod scope;
mod shapes;
mod stale;

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashTable;
use slab::Slab;

use crate::error::Result;
use crate::operation::Operation;
use crate::schema::{EntityType, NameId, Schema, TypeId};
use crate::value::{EntityKey, HashMap, HashSet, Hasher, Key, Slot, Value};
use crate::wire::check_key;
use attributes::{Attributes, Local};
use paths::Paths;
use peers::Groups;
use shapes::Shapes;

pub(crate) use peers::Fetch;
pub(crate) use read::Read;
pub(crate) use scope::Mark;
pub(crate) use stale::{CONFIGURATION, Stale};

/// Every entity that a session knows, and the operations that are not committed.
pub(crate) struct Store {
    schema: Arc<Schema>,
    records: Slab<Record>,
    /// The identity map: places of records by the hash of their keys.
    index: HashTable<u32>,
    hasher: Hasher,
    shapes: Shapes,
    paths: Paths,
    groups: Groups,
    /// Records with local values, and those that were created or deleted here.
    changed: HashSet<u32>,
    /// The commit that is under way.
    in_flight: Option<commit::InFlight>,
    queued: Vec<Operation>,
    /// For each queued operation.
    queued_notes: Vec<commit::Note>,
    /// The number of operations of each commit in doubt. These operations are the first of the
    /// queue, in this order.
    in_doubt: VecDeque<usize>,
    /// The number of the next operation: how many were ever recorded.
    recorded: u64,
    /// The number of the first operation that is not part of the commit under way.
    sent_before: u64,
    /// How many records were ever made, so that a scope can tell its records from older ones.
    made: u64,
    /// New entities by those to which they refer; some may be outdated.
    joining: HashMap<u32, Vec<u32>>,
    /// How many entities are marked for deletion, or were since nothing was changed.
    marked_deleted: usize,
    /// How often values were invalidated, so that a read can tell that this happened meanwhile.
    invalidations: u64,
    /// When records were last used, if their number is limited.
    recency: Option<cache::Recency>,
}

struct Record {
    key: Key,
    entity_type: TypeId,
    state: Life,
    group: u32,
    /// Its number among all records that were ever made.
    number: u64,
    remote: Attributes,
    local: Option<Box<Local>>,
    handle: Weak<Handle>,
}

impl Record {
    /// The local values, then the remote ones.
    fn slots<'a>(&'a self, shapes: &'a Shapes) -> impl Iterator<Item = (NameId, &'a Slot)> {
        let local = self.local.iter().flat_map(|local| local.iter());
        let local = local.map(|setting| (setting.name, &setting.value));
        local.chain(self.remote.iter(shapes))
    }
}

/// Where an entity stands between its creation and its deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Persisted,
    /// Created here and not committed.
    Created,
    /// Marked for deletion here, still on the server.
    Deleted,
    /// Does not exist: deleted on the server, or its creation was discarded.
    Missing,
}

/// What was done to an entity since the last commit, as in the Python client.
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

/// The part of an entity outside the store. A record is not evicted while its handle is alive.
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
            made: 0,
            joining: HashMap::default(),
            marked_deleted: 0,
            invalidations: 0,
            recency: None,
        }
    }

    /// The handle of the record at `place`.
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

    /// The place of a known entity of this type or a related one.
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

    /// The place of an entity by its key. It gets a record if it has none.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`](crate::error::ErrorKind::UnknownType) if the schema lacks the type.
    /// - [`ErrorKind::Validation`](crate::error::ErrorKind::Validation) if the number of key values
    ///   is wrong.
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

    /// Whether anything but its key is known.
    pub(crate) fn is_loaded(&self, place: u32) -> bool {
        let record = &self.records[place as usize];
        record.state == Life::Created || record.remote.len() > 0
    }

    pub(crate) fn state(&self, place: u32) -> Option<EntityState> {
        let record = &self.records[place as usize];
        match record.state {
            Life::Created => Some(EntityState::Created),
            Life::Deleted => Some(EntityState::Deleted),
            Life::Missing if self.is_deletion_queued(place) => Some(EntityState::Deleted),
            Life::Persisted | Life::Missing => {
                let local = record.local.as_ref();
                let is_recorded = local.is_some_and(|local| local.is_recorded());
                is_recorded.then_some(EntityState::Modified)
            }
        }
    }

    /// Whether the next commit deletes a new entity that an earlier commit may have created.
    fn is_deletion_queued(&self, place: u32) -> bool {
        let mut queued = self.queued.iter().zip(&self.queued_notes);
        queued.any(|(operation, note)| {
            note.place == place && matches!(operation, Operation::Delete { .. })
        })
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
        self.made += 1;
        let record = Record {
            key,
            entity_type,
            state,
            group: peers::NO_GROUP,
            number: self.made,
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

    /// Puts a record back into the identity map, unless another one with its key is there.
    fn index_again(&mut self, place: u32) {
        let record = self.record(place);
        if self.find(record.entity_type, &record.key).is_none() {
            let hash = self.hasher.hash_one(&record.key);
            self.index_at(hash, place);
        }
    }

    /// Removes the record from the identity map. It stays readable through handles.
    fn unindex(&mut self, place: u32) {
        let hash = self.hasher.hash_one(&self.records[place as usize].key);
        if let Ok(entry) = self.index.find_entry(hash, |&found| found == place) {
            entry.remove();
        }
    }

    /// Replaces a base type, which references may name (`Context`), by the concrete one.
    fn refine_type(&mut self, place: u32, entity_type: TypeId) {
        let known = self.record(place).entity_type;
        let name = |id: TypeId| self.schema.by_id(id).name();
        if known != entity_type && self.schema.is_kind_of(name(entity_type), name(known)) {
            self.set_type(place, entity_type);
        }
    }

    /// Takes over the type that the server gives, unless it is a base type of the known one. A
    /// reference may have named an older client's type: `Task` for any typed context.
    fn correct_type(&mut self, place: u32, entity_type: TypeId) {
        let known = self.record(place).entity_type;
        let name = |id: TypeId| self.schema.by_id(id).name();
        if known != entity_type && !self.schema.is_kind_of(name(known), name(entity_type)) {
            self.set_type(place, entity_type);
        }
    }

    fn set_type(&mut self, place: u32, entity_type: TypeId) {
        let record = &mut self.records[place as usize];
        record.entity_type = entity_type;
        if let Some(handle) = record.handle.upgrade() {
            handle.entity_type.store(entity_type.0, Ordering::Relaxed);
        }
        if self.changed.contains(&place) {
            self.rename_recorded(|note| note.place == place);
        }
    }

    fn same_family(&self, one: TypeId, other: TypeId) -> bool {
        let schema = &self.schema;
        one == other || schema.are_related(schema.by_id(one).name(), schema.by_id(other).name())
    }

    /// The public form of a value.
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
