//! The backing cache of a session: rows of the server under text keys, in a cache that the user
//! gave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use super::python::KeyMaker;
use super::{Cache, CacheStatistics, Counters};
use crate::schema::{Schema, TypeId};
use crate::value::Key;
use crate::wire::{EntityDelta, Rows, merge_cached, read_cached, root_type};

/// How many entities one call to the cache reads or writes.
const MAX_ENTITIES_PER_CALL: usize = 500;

/// The cache under the store, with what a session adds to it: keys, ages, counters.
///
/// A cache that fails counts as empty; the failure is logged.
pub(crate) struct BackingCache {
    cache: Arc<dyn Cache>,
    key_maker: Box<dyn KeyMaker>,
    /// The first items of all keys of this session.
    scope: Vec<Json>,
    max_age: Option<Duration>,
    /// In seconds since 1970; earlier entries are ignored.
    not_before: AtomicU64,
    counters: Counters,
}

impl BackingCache {
    pub(crate) fn new(
        cache: Arc<dyn Cache>,
        key_maker: Box<dyn KeyMaker>,
        scope: Vec<Json>,
        max_age: Option<Duration>,
    ) -> Self {
        Self {
            cache,
            key_maker,
            scope,
            max_age,
            not_before: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    pub(crate) fn cache(&self) -> &dyn Cache {
        self.cache.as_ref()
    }

    /// The key of an entity. Types of one family share it, because a reference may name any of them.
    pub(crate) fn key(&self, schema: &Schema, entity_type: TypeId, key: &Key) -> String {
        let mut items = self.scope.clone();
        items.push(root_type(schema, entity_type).name().into());
        items.extend(key.parts().iter().map(|part| Json::String(part.to_text())));
        self.key_maker.key(&items)
    }

    /// Ignores from now on every entry that the cache has now.
    pub(crate) fn invalidate_all(&self) {
        self.not_before.store(now() + 1, Ordering::Relaxed);
    }

    /// The time of the oldest valid entry, in seconds since 1970.
    fn oldest(&self) -> u64 {
        let age = self.max_age.map(|age| now().saturating_sub(age.as_secs()));
        let not_before = self.not_before.load(Ordering::Relaxed);
        age.unwrap_or(0).max(not_before)
    }

    /// The rows that the cache has of these entities.
    pub(crate) fn read(&self, schema: &Schema, entities: &[(TypeId, &Key)]) -> Vec<Rows> {
        let oldest = self.oldest();
        let mut all = Vec::new();
        for entities in entities.chunks(MAX_ENTITIES_PER_CALL) {
            let keys = entities
                .iter()
                .map(|(entity_type, key)| self.key(schema, *entity_type, key));
            let keys: Vec<String> = keys.collect();
            for ((entity, key), text) in entities.iter().zip(&keys).zip(self.get_many(&keys)) {
                match text.map(|text| read_cached(schema, *entity, &text, oldest)) {
                    Some(Ok(Some(rows))) => all.push(rows),
                    Some(Err(error)) => log::warn!("ignored the cache entry {key}: {error}"),
                    Some(Ok(None)) | None => {}
                }
            }
        }
        all
    }

    fn get_many(&self, keys: &[String]) -> Vec<Option<String>> {
        let mut found = self.unless_failed("read", self.cache.get_many(keys));
        found.resize(keys.len(), None);
        self.counters.looked_up(&found);
        found
    }

    /// Merges new values into the entries of their entities.
    pub(crate) fn write(&self, schema: &Schema, known: &[EntityDelta]) {
        let (oldest, now) = (self.oldest(), now());
        for known in known.chunks(MAX_ENTITIES_PER_CALL) {
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
                    self.unless_failed::<()>("write to", Err(error));
                    // The old values may be stale now.
                    self.remove(&keys);
                }
            }
        }
    }

    /// Removes entries; returns how many there were.
    pub(crate) fn remove(&self, keys: &[String]) -> usize {
        match keys {
            [] => 0,
            keys => self.unless_failed("remove entries from", self.cache.remove_many(keys)),
        }
    }

    /// Removes the entries of all sessions with the same server, schema and user.
    pub(crate) fn clear(&self) {
        let start = self.key_maker.key(&self.scope);
        let pattern = format!("^{}", regex_lite::escape(&start));
        self.unless_failed("clear", self.cache.clear(Some(&pattern)));
    }

    /// What the cache itself counts, or what the session counted of it.
    pub(crate) fn statistics(&self) -> Vec<CacheStatistics> {
        let counted = self.cache.statistics();
        match counted.is_empty() {
            true => vec![self.counters.read("cache")],
            false => counted,
        }
    }

    fn unless_failed<T: Default>(&self, action: &str, result: anyhow::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.counters.failed();
            log::warn!("cannot {action} the cache; the server is asked instead: {error:#}");
            T::default()
        })
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
