//! Reading and writing the backing cache, outside the store's lock.

use crate::handle::{Entity, Session, Shared};
use crate::lock::MutexGuard;
use crate::schema::{Attribute, EntityType, NameId, Schema, TypeId};
use crate::store::{Fetch, Store};
use crate::value::{EntityKey, Key};
use crate::wire::{Batch, EntityDelta, deltas_in, join_rows};

impl Shared {
    /// Evicts what is over the limit after these records arrived, and counts it without the lock.
    pub(crate) fn evict(&self, mut store: MutexGuard<'_, Store>, arrived: &[u32]) {
        let evicted = store.evict(arrived);
        drop(store);
        self.memory_counters.evicted(evicted);
    }
}

impl Session {
    /// The entity with this key, if the backing cache has all default projections of its type.
    pub(crate) fn get_from_cache(
        &self,
        entity_type: &EntityType,
        key: &EntityKey,
    ) -> Option<Entity> {
        let backing = self.shared.backing.get()?;
        let found = backing.read(self.schema(), &[(entity_type.id(), key.key())]);
        let rows = found.into_iter().next()?;
        let root = rows.rows.iter().rev().find(|row| row.key == *key.key())?;
        let real = self.schema().by_id(root.entity_type);
        if !self.schema().is_kind_of(real.name(), entity_type.name()) {
            return None;
        }
        let names: &[NameId] = &rows.shapes[root.shape as usize];
        if !default_names(self.schema(), real).all(|name| names.contains(&name)) {
            return None;
        }
        let real = real.id();
        let mut store = self.shared.store.lock();
        let places = store.fill_in(rows);
        let place = store.find(real, key.key())?;
        let entity = self.entity_at(&mut store, place);
        self.shared.evict(store, &places);
        Some(entity)
    }

    /// Fills in what the backing cache has of these entities; returns whether it had any.
    pub(crate) fn fill_from_cache(&self, fetch: &Fetch) -> bool {
        let Some(backing) = self.shared.backing.get() else {
            return false;
        };
        let schema = self.schema();
        let Some(entity_type) = schema.find(&fetch.entity_type) else {
            return false;
        };
        let entities = fetch.keys.iter().map(|key| (entity_type.id(), key.key()));
        let found = backing.read(schema, &entities.collect::<Vec<_>>());
        if found.is_empty() {
            return false;
        }
        let mut store = self.shared.store.lock();
        let places = store.fill_in(join_rows(found));
        self.shared.evict(store, &places);
        true
    }

    pub(crate) fn has_cache(&self) -> bool {
        self.shared.backing.get().is_some()
    }

    /// The values in a response that belong into the backing cache; none without one.
    pub(crate) fn news(&self, batch: &Batch) -> Vec<EntityDelta> {
        if !self.has_cache() {
            return Vec::new();
        }
        let schema = self.schema();
        let roots = batch
            .replies
            .iter()
            .flat_map(|reply| reply.roots.iter().copied());
        let mut news = deltas_in(schema, &batch.rows, roots);
        // An entity without attributes is worth an entry only if its type has no default
        // projections, so that a later `get` finds the entry.
        news.retain(|one| {
            let entity_type = schema.by_id(one.entity_type);
            !one.attributes.is_empty() || default_names(schema, entity_type).next().is_none()
        });
        news
    }

    pub(crate) fn write_to_cache(&self, known: &[EntityDelta]) {
        self.shared.write_to_cache(known);
    }

    /// Removes the entries of entities; returns how many there were.
    pub(crate) fn remove_from_cache(&self, entities: &[EntityKey]) -> usize {
        let schema = self.schema();
        let known = entities.iter().filter_map(|entity| {
            Some((
                schema.find(entity.entity_type())?.id(),
                entity.key().clone(),
            ))
        });
        self.shared.remove_from_cache(&known.collect::<Vec<_>>())
    }
}

/// The attributes of a query without projections, but for keys and computed attributes.
fn default_names<'a>(
    schema: &'a Schema,
    entity_type: &'a EntityType,
) -> impl Iterator<Item = NameId> + 'a {
    let names = entity_type.default_projections().iter();
    let names = names.filter_map(|path| path.split('.').next());
    let names = names.filter_map(|name| schema.name_id(name));
    names.filter(|name| {
        let is_cached = |one: &Attribute| !one.is_computed();
        entity_type.by_id(*name).is_some_and(is_cached)
            && !entity_type.primary_key_ids().contains(name)
    })
}

/// Whether a query for such an entity loads nothing but its key.
pub(crate) fn is_key_enough(schema: &Schema, entity_type: &EntityType) -> bool {
    default_names(schema, entity_type).next().is_none()
}

impl Shared {
    pub(crate) fn write_to_cache(&self, known: &[EntityDelta]) {
        if let (Some(backing), false) = (self.backing.get(), known.is_empty()) {
            backing.write(&self.schema, known);
        }
    }

    pub(crate) fn remove_from_cache(&self, entities: &[(TypeId, Key)]) -> usize {
        let Some(backing) = self.backing.get() else {
            return 0;
        };
        let keys = entities.iter();
        let keys = keys.map(|(entity_type, key)| backing.key(&self.schema, *entity_type, key));
        backing.remove(&keys.collect::<Vec<_>>())
    }
}
