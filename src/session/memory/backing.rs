//! The cache below the memory: what is read from it before the server is asked, and what is
//! written to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use crate::cache::{Cache, Counters, KeyMaker};
use crate::handle::{Entity, Session, Shared};
use crate::schema::{Attribute, EntityType, NameId, Schema, TypeId};
use crate::store::Fetch;
use crate::value::{EntityKey, Key};
use crate::wire::{
    Batch, EntityDelta, Rows, deltas_in, join_rows, merge_cached, read_cached, root_type,
};

/// How many entities are looked up or written at once.
const CHUNK: usize = 500;

/// The cache below the memory, as a session uses it.
pub(crate) struct Lower {
    pub(crate) cache: Arc<dyn Cache>,
    pub(crate) key_maker: Box<dyn KeyMaker>,
    /// What all keys of this session begin with.
    pub(crate) scope: Vec<Json>,
    pub(crate) max_age: Option<Duration>,
    /// What was put there before, in seconds since 1970, does not count.
    pub(crate) not_before: AtomicU64,
    pub(crate) counters: Counters,
}

impl Lower {
    pub(crate) fn key(&self, schema: &Schema, entity_type: TypeId, key: &Key) -> String {
        let mut items = self.scope.clone();
        items.push(root_type(schema, entity_type).name().into());
        items.extend(key.parts().iter().map(|part| Json::String(part.to_text())));
        self.key_maker.key(&items)
    }

    /// From when on values count, in seconds since 1970.
    fn oldest(&self) -> u64 {
        let age = self.max_age.map(|age| now().saturating_sub(age.as_secs()));
        let not_before = self.not_before.load(Ordering::Relaxed);
        age.unwrap_or(0).max(not_before)
    }

    /// Takes for unknown what is there now.
    pub(crate) fn distrust(&self) {
        self.not_before.store(now() + 1, Ordering::Relaxed);
    }

    /// What the cache says, or nothing if it fails.
    pub(crate) fn ask<T: Default>(&self, what: &str, answer: anyhow::Result<T>) -> T {
        answer.unwrap_or_else(|error| {
            self.counters.failed();
            log::warn!("the cache cannot {what}, which costs requests only: {error:#}");
            T::default()
        })
    }

    fn get_many(&self, keys: &[String]) -> Vec<Option<String>> {
        let mut found = self.ask("be read", self.cache.get_many(keys));
        found.resize(keys.len(), None);
        self.counters.looked_up(&found);
        found
    }

    /// The rows that the cache has of these entities.
    fn read(&self, schema: &Schema, entities: &[(TypeId, &Key)]) -> Vec<Rows> {
        let oldest = self.oldest();
        let mut all = Vec::new();
        for entities in entities.chunks(CHUNK) {
            let keys = entities
                .iter()
                .map(|(entity_type, key)| self.key(schema, *entity_type, key));
            let keys: Vec<String> = keys.collect();
            for ((entity, key), text) in entities.iter().zip(&keys).zip(self.get_many(&keys)) {
                match text.map(|text| read_cached(schema, *entity, &text, oldest)) {
                    Some(Ok(Some(rows))) => all.push(rows),
                    Some(Err(error)) => {
                        log::warn!("what is cached under {key} is unusable: {error}");
                    }
                    Some(Ok(None)) | None => {}
                }
            }
        }
        all
    }

    /// Writes what became known, with what was known before and is still true.
    fn write(&self, schema: &Schema, known: &[EntityDelta]) {
        let (oldest, now) = (self.oldest(), now());
        for known in known.chunks(CHUNK) {
            let keys = known
                .iter()
                .map(|one| self.key(schema, one.entity_type, &one.key));
            let keys: Vec<String> = keys.collect();
            let mut sizes: Vec<Option<usize>> = vec![None; keys.len()];
            let written = self.cache.update_many(&keys, &mut |number, before| {
                let text = merge_cached(schema, &known[number], before.as_deref(), oldest, now);
                sizes[number] = text.as_ref().map(String::len);
                text
            });
            match written {
                Ok(()) => self.counters.written(sizes.into_iter().flatten()),
                Err(error) => {
                    self.ask::<()>("be written", Err(error));
                    // Who cannot be read is not written either: something would be lost.
                    self.remove(&keys);
                }
            }
        }
    }

    fn remove(&self, keys: &[String]) {
        if !keys.is_empty() {
            self.ask("forget", self.cache.remove_many(keys));
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

impl Session {
    /// The entity with this key, if the cache below the memory has what a query would bring.
    pub(crate) fn get_from_cache(
        &self,
        entity_type: &EntityType,
        key: &EntityKey,
    ) -> Option<Entity> {
        let lower = self.shared.lower.get()?;
        let found = lower.read(self.schema(), &[(entity_type.id(), key.key())]);
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
        store.fill_in(rows);
        let place = store.find(real, key.key())?;
        Some(Entity {
            session: self.clone(),
            handle: store.handle(place),
        })
    }

    /// Takes from the cache what it knows of these entities. Says whether it knew any.
    pub(crate) fn fill_from_cache(&self, fetch: &Fetch) -> bool {
        let Some(lower) = self.shared.lower.get() else {
            return false;
        };
        let schema = self.schema();
        let Some(entity_type) = schema.find(&fetch.entity_type) else {
            return false;
        };
        let entities = fetch.keys.iter().map(|key| (entity_type.id(), key.key()));
        let found = lower.read(schema, &entities.collect::<Vec<_>>());
        if found.is_empty() {
            return false;
        }
        self.shared.store.lock().fill_in(join_rows(found));
        true
    }

    pub(crate) fn has_cache(&self) -> bool {
        self.shared.lower.get().is_some()
    }

    /// What an answer tells that the cache is to know; nothing without a cache.
    pub(crate) fn news(&self, answer: &Batch) -> Vec<EntityDelta> {
        if !self.has_cache() {
            return Vec::new();
        }
        let schema = self.schema();
        let roots = answer
            .replies
            .iter()
            .flat_map(|reply| reply.roots.iter().copied());
        let mut news = deltas_in(schema, &answer.rows, roots);
        // That an entity exists is worth keeping where nothing more is asked of it.
        news.retain(|one| {
            let entity_type = schema.by_id(one.entity_type);
            !one.attributes.is_empty() || default_names(schema, entity_type).next().is_none()
        });
        news
    }

    /// Tells the cache what became known; outside the store's lock.
    pub(crate) fn write_to_cache(&self, known: &[EntityDelta]) {
        self.shared.write_to_cache(known);
    }

    /// Removes an entity that is not there any more from the cache.
    pub(crate) fn remove_from_cache(&self, entities: &[EntityKey]) {
        let schema = self.schema();
        let known = entities.iter().filter_map(|entity| {
            Some((
                schema.find(entity.entity_type())?.id(),
                entity.key().clone(),
            ))
        });
        self.shared.remove_from_cache(&known.collect::<Vec<_>>());
    }
}

/// The attributes that a query without projections brings, keys and computed ones excepted.
fn default_names<'a>(
    schema: &'a Schema,
    entity_type: &'a EntityType,
) -> impl Iterator<Item = NameId> + 'a {
    let names = entity_type.default_projections().iter();
    let names = names.filter_map(|path| path.split('.').next());
    let names = names.filter_map(|name| schema.name_id(name));
    names.filter(|name| {
        let is_kept = |one: &Attribute| !one.is_computed();
        entity_type.by_id(*name).is_some_and(is_kept)
            && !entity_type.primary_key_ids().contains(name)
    })
}

/// Whether a query for such an entity brings nothing but its key.
pub(crate) fn is_key_enough(schema: &Schema, entity_type: &EntityType) -> bool {
    default_names(schema, entity_type).next().is_none()
}

impl Shared {
    pub(crate) fn write_to_cache(&self, known: &[EntityDelta]) {
        if let (Some(lower), false) = (self.lower.get(), known.is_empty()) {
            lower.write(&self.schema, known);
        }
    }

    pub(crate) fn remove_from_cache(&self, entities: &[(TypeId, Key)]) {
        if let Some(lower) = self.lower.get() {
            let keys = entities.iter();
            let keys = keys.map(|(entity_type, key)| lower.key(&self.schema, *entity_type, key));
            lower.remove(&keys.collect::<Vec<_>>());
        }
    }
}
