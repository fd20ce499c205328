//! The exchange of values with a backing cache, and the limit of the number of records.

use std::cell::Cell;

use crate::operation::Operation;
use crate::schema::{Attribute, AttributeKind, NameId, TypeId};
use crate::value::{EntityKey, HashMap, HashSet, Key, Slot, Value};
use crate::wire::{EntityDelta, Rows};

use super::{Life, Stale, Store};

/// When each record was last used, counted in uses of the store.
#[derive(Default)]
pub(super) struct Recency {
    limit: usize,
    clock: Cell<u64>,
    used: Vec<Cell<u64>>,
    /// When each read that is under way began.
    reads: Vec<u64>,
}

impl Recency {
    pub(super) fn touch(&self, place: u32) {
        if let Some(used) = self.used.get(place as usize) {
            self.clock.set(self.clock.get() + 1);
            used.set(self.clock.get());
        }
    }

    pub(super) fn begin(&mut self, place: u32) {
        let place = place as usize;
        if self.used.len() <= place {
            self.used.resize(place + 1, Cell::new(0));
        }
        self.clock.set(self.clock.get() + 1);
        self.used[place].set(self.clock.get());
    }
}

/// What a commit changes in a cache, as far as it must be found out before the commit ends.
pub(crate) struct Effects {
    operations: Vec<(u32, Effect)>,
    pub(crate) deleted: Vec<(TypeId, Key)>,
    /// Entities whose collections may have changed, and the type of the member.
    owners: Vec<(u32, TypeId)>,
}

enum Effect {
    Created,
    Set(NameId),
    Extended(NameId),
}

impl Effects {
    /// Keeps only the effects on collections.
    pub(crate) fn on_collections(mut self) -> Self {
        self.operations.clear();
        self
    }
}

impl Store {
    /// Limits the number of records that are not in use.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.recency = Some(Recency {
            limit,
            ..Recency::default()
        });
    }

    /// Begins a read that may need several requests: nothing that arrives from now on is evicted
    /// before [`end_read`](Self::end_read) is called with the result. `None` without a limit.
    pub(crate) fn begin_read(&mut self) -> Option<u64> {
        let recency = self.recency.as_mut()?;
        let now = recency.clock.get();
        recency.reads.push(now);
        Some(now)
    }

    pub(crate) fn end_read(&mut self, began: u64) {
        if let Some(recency) = &mut self.recency
            && let Some(index) = recency.reads.iter().position(|&read| read == began)
        {
            recency.reads.swap_remove(index);
        }
    }

    /// Evicts the least recently used records if there are more than the limit, and returns their
    /// number. Records with live handles and those that pending changes need stay, and so do those
    /// that have `arrived` just now or since a read began that is under way: whoever asked for them
    /// has not read them yet.
    pub(crate) fn evict(&mut self, arrived: &[u32]) -> usize {
        let Some(recency) = &self.recency else {
            return 0;
        };
        let now = recency.clock.get();
        let unused_since = recency.reads.iter().copied().min().unwrap_or(now);
        arrived.iter().for_each(|&place| recency.touch(place));
        if self.records.len() <= recency.limit {
            return 0;
        }
        // A tenth below the limit, so that not every page evicts.
        let excess = self.records.len() - recency.limit / 10 * 9;
        let needed = self.needed_by_changes();
        let mut free: Vec<(u64, u32)> = self
            .records
            .iter()
            .filter(|(_, record)| record.handle.strong_count() == 0)
            .map(|(place, _)| u32::try_from(place).expect("places are 32 bits"))
            .filter(|place| !needed.contains(place))
            .map(|place| (recency.used[place as usize].get(), place))
            .filter(|(used, _)| *used <= unused_since)
            .collect();
        if free.len() > excess {
            free.select_nth_unstable(excess);
            free.truncate(excess);
        }
        let evicted: HashSet<u32> = free.into_iter().map(|(_, place)| place).collect();
        self.evict_records(&evicted);
        evicted.len()
    }

    /// The places of entities that are loaded and not deleted.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = u32> {
        let places = self.records.iter().map(|(place, _)| place);
        let places = places.map(|place| u32::try_from(place).expect("places are 32 bits"));
        places.filter(|&place| {
            let exists = matches!(self.record(place).state, Life::Persisted | Life::Created);
            exists && self.is_loaded(place)
        })
    }

    /// Adds values from a cache that are not loaded; those of the server are newer. Returns the place
    /// of each row.
    pub(crate) fn fill_in(&mut self, rows: Rows) -> Vec<u32> {
        let places: Vec<u32> = rows
            .rows
            .iter()
            .map(|row| self.find_or_insert(row.entity_type, &row.key))
            .collect();
        self.join_lone_groups(&rows, &places);
        let schema = self.schema.clone();
        let mut slots = rows.slots.into_iter();
        for (row, &place) in rows.rows.iter().zip(&places) {
            let names = &rows.shapes[row.shape as usize];
            let values: Vec<Slot> = slots.by_ref().take(names.len()).collect();
            let record = &mut self.records[place as usize];
            if !matches!(record.state, Life::Persisted | Life::Deleted) {
                continue;
            }
            let entity_type = schema.by_id(record.entity_type);
            let lacks = |name: NameId| record.remote.get(&self.shapes, name).is_none();
            let is_lacking = |name: NameId| {
                // `status` and `status_id` are one fact, and the loaded one is newer.
                let counterpart = entity_type.by_id(name);
                let counterpart = counterpart.and_then(|one| entity_type.counterpart(one));
                lacks(name) && counterpart.is_none_or(|other| lacks(other.id()))
            };
            let lacking: Vec<(NameId, Slot)> = names
                .iter()
                .zip(values)
                .filter(|(name, _)| is_lacking(**name))
                .map(|(&name, mut slot)| {
                    slot.relink(|row| places[row as usize]);
                    (name, slot)
                })
                .collect();
            record.remote.merge(&mut self.shapes, lacking.into_iter());
        }
        places
    }

    /// Whether a response contained the entity, if only by reference.
    pub(crate) fn has_arrived(&self, place: u32) -> bool {
        self.record(place).group != super::peers::NO_GROUP
    }

    /// Invalidates all values of an entity, so that the next read fetches them.
    pub(crate) fn invalidate(&mut self, entity: &EntityKey) {
        if let Some(place) = self.find_key(entity) {
            self.invalidate_at(place);
        }
    }

    pub(super) fn invalidate_at(&mut self, place: u32) {
        self.invalidations += 1;
        self.leave_group(place);
        self.records[place as usize].remote = super::Attributes::default();
    }

    /// Marks an entity as missing that another session has deleted. With uncommitted changes it is only
    /// invalidated: the commit will report it.
    pub(crate) fn deleted_elsewhere(&mut self, entity: &EntityKey) {
        let Some(place) = self.find_key(entity) else {
            return;
        };
        if self.changed.contains(&place) {
            self.invalidate(entity);
        } else {
            for owner in self.linked(place) {
                self.invalidate_collections(owner, entity.entity_type());
            }
            self.mark_missing(place);
        }
    }

    /// Invalidates the collections of an entity that may contain entities of type `member`.
    pub(crate) fn invalidate_collections_of_key(&mut self, owner: &EntityKey, member: &str) {
        if let Some(place) = self.find_key(owner) {
            self.invalidate_collections(place, member);
        }
    }

    /// The effects of the commit under way; to be called before it ends.
    pub(crate) fn effects(&mut self, operations: &[Operation]) -> Effects {
        let mut effects = Effects {
            operations: Vec::new(),
            deleted: Vec::new(),
            owners: Vec::new(),
        };
        for operation in operations {
            let Some(place) = self.find_key(operation.entity()) else {
                continue;
            };
            let member = self.record(place).entity_type;
            let owners = self.owners(place, operation);
            effects
                .owners
                .extend(owners.into_iter().map(|owner| (owner, member)));
            let effect = match operation {
                Operation::Create { .. } => Effect::Created,
                Operation::Update { attribute_name, .. }
                | Operation::Extend { attribute_name, .. } => {
                    let Some(name) = self.schema.name_id(attribute_name) else {
                        continue;
                    };
                    match operation {
                        Operation::Update { .. } => Effect::Set(name),
                        _ => Effect::Extended(name),
                    }
                }
                Operation::Delete { .. } => {
                    let record = self.record(place);
                    effects
                        .deleted
                        .push((record.entity_type, record.key.clone()));
                    continue;
                }
            };
            effects.operations.push((place, effect));
        }
        effects
    }

    /// What is known after a commit with these effects.
    pub(crate) fn known_after(&self, effects: &Effects) -> Vec<EntityDelta> {
        let mut known: Vec<EntityDelta> = Vec::new();
        let mut numbers: HashMap<u32, usize> = HashMap::default();
        let mut of = |place: u32, change: &dyn Fn(&mut EntityDelta)| {
            // It may have been evicted.
            let Some(record) = self.records.get(place as usize) else {
                return;
            };
            let number = *numbers.entry(place).or_insert_with(|| {
                known.push(EntityDelta::new(record.entity_type, record.key.clone()));
                known.len() - 1
            });
            change(&mut known[number]);
        };
        for (place, effect) in &effects.operations {
            let Some(record) = self.records.get(*place as usize) else {
                continue;
            };
            if record.state == Life::Missing {
                continue;
            }
            of(*place, &|known| match effect {
                Effect::Created => {
                    for (name, slot) in record.remote.iter(&self.shapes) {
                        known.record(&self.schema, name, slot, |to| self.target(to));
                    }
                }
                Effect::Set(name) => match record.remote.get(&self.shapes, *name) {
                    Some(slot) => known.record(&self.schema, *name, slot, |to| self.target(to)),
                    None => known.stale.push(*name),
                },
                Effect::Extended(name) => known.stale.push(*name),
            });
        }
        for (owner, member) in &effects.owners {
            of(*owner, &|known| known.changed_types.push(*member));
        }
        known
    }

    /// Invalidates entities and collections that these operations may have changed.
    pub(super) fn invalidate_affected(&mut self, operations: &[Operation], effects: &Effects) {
        for operation in operations {
            self.invalidate(operation.entity());
        }
        let schema = self.schema.clone();
        for (owner, member) in &effects.owners {
            self.invalidate_collections(*owner, schema.by_id(*member).name());
        }
    }

    /// What a commit made stale, for the cache: attributes, and entities that may be deleted.
    pub(crate) fn deltas_of(&self, stale: &Stale) -> (Vec<EntityDelta>, Vec<(TypeId, Key)>) {
        let known = |place: &u32| self.records.get(*place as usize);
        let deltas = stale.attributes.iter().filter_map(|(place, names)| {
            let record = known(place)?;
            let mut delta = EntityDelta::new(record.entity_type, record.key.clone());
            delta.stale.extend(names);
            Some(delta)
        });
        let entities = stale.entities.iter().filter_map(known);
        let entities = entities.map(|record| (record.entity_type, record.key.clone()));
        (deltas.collect(), entities.collect())
    }

    fn target(&self, place: u32) -> (TypeId, &Key) {
        let record = self.record(place);
        (record.entity_type, &record.key)
    }

    /// The entities whose collections an operation on the entity at `place` may change, such as its
    /// old and new parent. To be called while the old one is known.
    fn owners(&mut self, place: u32, operation: &Operation) -> Vec<u32> {
        match operation {
            Operation::Update {
                attribute_name,
                new_value,
                ..
            } => self.referred(place, attribute_name, new_value),
            Operation::Create { .. } | Operation::Delete { .. } => self.linked(place),
            Operation::Extend { .. } => Vec::new(),
        }
    }

    /// The remote target of a reference, and the one with this new value. `name` is that of the
    /// reference or of its foreign key.
    pub(super) fn referred(&mut self, place: u32, name: &str, new: &Value) -> Vec<u32> {
        let schema = self.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let attribute = schema.name_id(name).and_then(|id| entity_type.by_id(id));
        let counterpart = attribute.and_then(|one| entity_type.counterpart(one));
        let both = || attribute.into_iter().chain(counterpart);
        let is_reference = |one: &&Attribute| matches!(one.kind(), AttributeKind::Reference(_));
        let Some(target) = both().find(is_reference).and_then(Attribute::target) else {
            return Vec::new();
        };
        let old = both().filter_map(|one| self.record(place).remote.get(&self.shapes, one.id()));
        let values: Vec<Value> = old
            .map(|slot| self.value(slot))
            .chain([new.clone()])
            .collect();
        let keys = values.into_iter().filter_map(|value| match value {
            Value::Reference(key) => Some(key),
            Value::Text(id) => Some(EntityKey::new(target, id)),
            _ => None,
        });
        keys.filter_map(|key| self.place(&key).ok()).collect()
    }

    /// The approximate size of all records in bytes, without JSON values.
    pub(crate) fn memory_estimate(&self) -> usize {
        let values = |slot: &Slot| {
            size_of::<Slot>()
                + match slot {
                    Slot::Text(text) => text.heap_bytes(),
                    Slot::Links(members) => size_of_val(members.as_ref()),
                    _ => 0,
                }
        };
        let records = self.records.iter().map(|(_, record)| {
            let remote = record.remote.iter(&self.shapes);
            size_of_val(record) + remote.map(|(_, slot)| values(slot)).sum::<usize>()
        });
        records.sum()
    }
}
