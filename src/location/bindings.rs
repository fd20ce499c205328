//! Which accessor, structure and priority each location has in a session.

use std::collections::HashMap;
use std::sync::Arc;

use super::binding::Binding;
use crate::lock::{Mutex, RwLock};

/// The bindings of a session by location id, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Bindings {
    /// Locked to copy a binding out or to store one, never while a binding is used.
    bound: RwLock<Vec<(String, Arc<Binding>)>>,
    /// Resource identifiers in locations that the server does not know about, by location and
    /// component.
    in_memory: Mutex<HashMap<(String, String), String>>,
}

impl Bindings {
    pub(crate) fn bind(&self, id: &str, binding: Binding) {
        let mut bound = self.bound.write();
        match bound.iter_mut().find(|(known, _)| known == id) {
            Some((_, old)) => *old = Arc::new(binding),
            None => bound.push((id.to_owned(), Arc::new(binding))),
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

    pub(super) fn remove(&self, location: &str, component: &str) {
        let key = (location.to_owned(), component.to_owned());
        self.in_memory.lock().remove(&key);
    }
}
