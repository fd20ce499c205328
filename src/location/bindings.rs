//! Which accessor, structure and priority each location has in a session.

use std::collections::HashMap;
use std::sync::Arc;

use super::binding::Binding;
use crate::lock::{Mutex, RwLock};

/// Where a component is, and its size, as the server replies to one query.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(super) resource_identifier: String,
    pub(super) size: Option<u64>,
    /// The size of the container that it is a member of.
    pub(super) whole: Option<u64>,
}

/// The bindings of a session by location id, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Bindings {
    /// Locked to copy a binding out or to store one, never while a binding is used.
    bound: RwLock<Vec<(String, Arc<Binding>)>>,
    /// Resource identifiers in locations that the server does not know about, by location and
    /// component.
    in_memory: Mutex<HashMap<(String, String), String>>,
    /// Where components are as the server has said, by location and component.
    loaded: Mutex<HashMap<(String, String), Located>>,
}

/// The most of these that are cached.
const MAX_LOADED: usize = 100_000;

impl Bindings {
    pub(crate) fn bind(&self, id: &str, binding: Binding) {
        let mut binding = Arc::new(binding);
        let mut bound = self.bound.write();
        match bound.iter_mut().find(|(known, _)| known == id) {
            // The old one is dropped after the lock: an accessor may look at locations when it goes.
            Some((_, old)) => std::mem::swap(old, &mut binding),
            None => bound.push((id.to_owned(), binding)),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Binding>> {
        let bound = self.bound.read();
        let found = bound.iter().find(|(known, _)| known == id)?;
        Some(found.1.clone())
    }

    /// Ids of locations that have an accessor, those with the lowest priority first.
    pub(crate) fn accessible(&self) -> Vec<String> {
        let bound = self.bound.read();
        let usable = bound
            .iter()
            .filter(|(_, binding)| binding.accessor.is_some());
        let mut found: Vec<(i32, &String)> = usable.map(|(id, b)| (b.priority, id)).collect();
        found.sort_by_key(|(priority, _)| *priority);
        found.into_iter().map(|(_, id)| id.clone()).collect()
    }

    pub(super) fn add(&self, location: &str, component: String, resource_identifier: String) {
        let key = (location.to_owned(), component);
        self.in_memory.lock().insert(key, resource_identifier);
    }

    pub(super) fn find(&self, location: &str, component: &str) -> Option<String> {
        let key = (location.to_owned(), component.to_owned());
        self.in_memory.lock().get(&key).cloned()
    }

    pub(crate) fn remove(&self, location: &str, component: &str) {
        let key = (location.to_owned(), component.to_owned());
        self.in_memory.lock().remove(&key);
    }

    /// Caches what the server has stored.
    pub(super) fn cache(&self, location: &str, component: &str, located: &Located) {
        let key = (location.to_owned(), component.to_owned());
        let mut loaded = self.loaded.lock();
        if loaded.len() >= MAX_LOADED {
            loaded.clear();
        }
        loaded.insert(key, located.clone());
    }

    pub(super) fn cached(&self, location: &str, component: &str) -> Option<Located> {
        let key = (location.to_owned(), component.to_owned());
        self.loaded.lock().get(&key).cloned()
    }

    /// Drops what is cached about a component.
    pub(super) fn invalidate(&self, location: &str, component: &str) {
        let key = (location.to_owned(), component.to_owned());
        self.loaded.lock().remove(&key);
    }

    /// Drops what is known about all components.
    pub(crate) fn clear(&self) {
        self.in_memory.lock().clear();
        self.loaded.lock().clear();
    }
}
