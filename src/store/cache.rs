//! What goes between the store and the caches below it, and the store's own limit.

use std::cell::Cell;

use crate::operation::Operation;
use crate::schema::{Attribute, AttributeKind, NameId, TypeId};
use crate::value::{EntityKey, HashMap, HashSet, Key, Slot, Value};
use crate::wire::{Known, Rows};

use super::{Life, Store};

/// When each record was last used, in uses of the store; only where there is a limit.
#[derive(Default)]
pub(super) struct Recency {
    limit: usize,
    clock: Cell<u64>,
    used: Vec<Cell<u64>>,
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

/// What a commit means for the caches, as far as it must be found out before the commit ends.
pub(crate) struct Effects {
    operations: Vec<(u32, Effect)>,
    pub(crate) deleted: Vec<(TypeId, Key)>,
    /// Whose collections may have changed, and by entities of which type.
    owners: Vec<(u32, TypeId)>,
}

enum Effect {
    Created,
    Set(NameId),
    Extended(NameId),
}

impl Effects {
    /// Leaves only whose collections may have changed.
    pub(crate) fn on_collections(mut self) -> Self {
        self.operations.clear();
        self
    }
}

impl Store {
    /// Keeps at most so many records, if that many are not in use.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.recency = Some(Recency {
            limit,
            ..Recency::default()
        });
    }

    /// Forgets records that were used least recently, if there are more than the limit, and says
    /// how many. Those that somebody holds or that pending changes need stay.
    pub(crate) fn evict(&mut self) -> usize {
        let Some(recency) = &self.recency else {
            return 0;
        };
        if self.records.len() <= recency.limit {
            return 0;
        }
        // A tenth more than needed, so that the next page need not do this again.
        let excess = self.records.len() - recency.limit / 10 * 9;
        let needed = self.needed_by_changes();
        let mut free: Vec<(u64, u32)> = self
            .records
            .iter()
            .filter(|(_, record)| record.handle.strong_count() == 0)
            .map(|(place, _)| u32::try_from(place).expect("places are 32 bits"))
            .filter(|place| !needed.contains(place))
            .map(|place| (recency.used[place as usize].get(), place))
            .collect();
        if free.len() > excess {
            free.select_nth_unstable(excess);
            free.truncate(excess);
        }
        let dying: HashSet<u32> = free.into_iter().map(|(_, place)| place).collect();
        self.forget(&dying);
        dying.len()
    }

    /// The places of entities of which anything is known, and which are not deleted.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = u32> {
        let places = self.records.iter().map(|(place, _)| place);
        let places = places.map(|place| u32::try_from(place).expect("places are 32 bits"));
        places.filter(|&place| {
            let is_there = matches!(self.record(place).state, Life::Persisted | Life::Created);
            is_there && self.is_loaded(place)
        })
    }

    /// Takes in what a cache knows, as far as it is lacking here: what a server said in this
    /// session is newer. Answers with the place of each row.
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
                // `status` and `status_id` are two faces of one fact: one may be newer here.
                let counterpart = entity_type.by_id(name);
                let counterpart = counterpart.and_then(|one| schema.counterpart(entity_type, one));
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

    /// Whether the entity was in an answer, if only by name.
    pub(crate) fn has_arrived(&self, place: u32) -> bool {
        self.record(place).group != super::peers::NO_GROUP
    }

    /// Forgets what the server said of an entity, so that the next read asks again.
    pub(crate) fn forget_values(&mut self, entity: &EntityKey) {
        if let Some(place) = self.find_key(entity) {
            self.leave_group(place);
            self.records[place as usize].remote = super::Attributes::default();
        }
    }

    /// Takes note that an entity is not on the server any more. With changes that are not
    /// committed it stays: the commit will tell.
    pub(crate) fn deleted_elsewhere(&mut self, entity: &EntityKey) {
        let Some(place) = self.find_key(entity) else {
            return;
        };
        if self.changed.contains(&place) {
            self.forget_values(entity);
        } else {
            for owner in self.linked(place) {
                self.forget_collections_of(owner, entity.entity_type());
            }
            self.bury(place);
        }
    }

    /// Forgets the collections of an entity that may hold entities of type `member`.
    pub(crate) fn forget_members(&mut self, owner: &EntityKey, member: &str) {
        if let Some(place) = self.find_key(owner) {
            self.forget_collections_of(place, member);
        }
    }

    /// What the commit under way means for the caches; to be asked before it ends.
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
            let owners = self.owners(Some(place), operation);
            effects
                .owners
                .extend(owners.into_iter().map(|owner| (owner, member)));
            let effect = match operation {
                Operation::Create { .. } => Effect::Created,
                Operation::Update { attribute_name, .. } => {
                    match self.schema.name_id(attribute_name) {
                        Some(name) => Effect::Set(name),
                        None => continue,
                    }
                }
                Operation::Extend { attribute_name, .. } => {
                    match self.schema.name_id(attribute_name) {
                        Some(name) => Effect::Extended(name),
                        None => continue,
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

    /// What is known after a commit that had these effects.
    pub(crate) fn known_after(&self, effects: &Effects) -> Vec<Known> {
        let mut known: Vec<Known> = Vec::new();
        let mut numbers: HashMap<u32, usize> = HashMap::default();
        let mut of = |place: u32, change: &dyn Fn(&mut Known)| {
            // It may be gone by now.
            let Some(record) = self.records.get(place as usize) else {
                return;
            };
            let number = *numbers.entry(place).or_insert_with(|| {
                known.push(Known::new(record.entity_type, record.key.clone()));
                known.len() - 1
            });
            change(&mut known[number]);
        };
        for (place, effect) in &effects.operations {
            let Some(record) = self.records.get(*place as usize) else {
                continue;
            };
            if record.state == Life::Gone {
                continue;
            }
            of(*place, &|known| match effect {
                Effect::Created => {
                    for (name, slot) in record.remote.iter(&self.shapes) {
                        known.learn(&self.schema, name, slot, |to| self.target(to));
                    }
                }
                Effect::Set(name) => match record.remote.get(&self.shapes, *name) {
                    Some(slot) => known.learn(&self.schema, *name, slot, |to| self.target(to)),
                    None => known.forgotten.push(*name),
                },
                Effect::Extended(name) => known.forgotten.push(*name),
            });
        }
        for (owner, member) in &effects.owners {
            of(*owner, &|known| known.moved.push(*member));
        }
        known
    }

    /// Forgets what is known of entities and collections that these operations may have changed.
    pub(super) fn distrust(&mut self, operations: &[Operation], effects: &Effects) {
        for operation in operations {
            self.forget_values(operation.entity());
        }
        let schema = self.schema.clone();
        for (owner, member) in &effects.owners {
            self.forget_collections_of(*owner, schema.by_id(*member).name());
        }
    }

    fn target(&self, place: u32) -> (TypeId, &Key) {
        let record = self.record(place);
        (record.entity_type, &record.key)
    }

    /// Whose collections an operation may change: that of the parent, old and new. To be asked
    /// while the old one is known.
    ///
    /// `place` is that of the operation's entity.
    pub(super) fn owners(&mut self, place: Option<u32>, operation: &Operation) -> Vec<u32> {
        match (place, operation) {
            (
                Some(place),
                Operation::Update {
                    attribute_name,
                    new_value,
                    ..
                },
            ) => self.referred(place, attribute_name, new_value),
            (Some(place), Operation::Create { .. } | Operation::Delete { .. }) => {
                self.linked(place)
            }
            (Some(_), Operation::Extend { .. }) | (None, _) => Vec::new(),
        }
    }

    /// What a reference refers to on the server, and what with this value, given under its own
    /// name or that of its foreign key.
    fn referred(&mut self, place: u32, name: &str, new: &Value) -> Vec<u32> {
        let schema = self.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let attribute = schema.name_id(name).and_then(|id| entity_type.by_id(id));
        let counterpart = attribute.and_then(|one| schema.counterpart(entity_type, one));
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

    /// About how many bytes the records take, what is outside of them not counted.
    pub(crate) fn weigh(&self) -> usize {
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
