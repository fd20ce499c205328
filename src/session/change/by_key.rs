//! Changing entities by key, without loading them.

use crate::entity::{METADATA, take_mappings};
use crate::error::Result;
use crate::handle::Session;
use crate::value::{Data, IntoKey};

impl Session {
    /// Records changes to an entity that need not be loaded. The next [`commit`](Self::commit) sends
    /// them. Suitable for thousands of entities.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let id = "adb4ad6c-7679-11e2-8df2-f23c91df25eb";
    /// session.update("Task", id, data! { "bid": 7200 })?;
    /// session.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::set`](crate::Entity::set) and [`get`](Self::get): nothing is
    ///   recorded. If the entity does not exist, the commit fails.
    pub fn update(&self, entity_type: &str, key: impl IntoKey, data: Data) -> Result<()> {
        let entity_type = self.schema().entity_type(entity_type)?;
        let entity = self.entity(key.into_key(entity_type.name()))?;
        self.check_writable()?;
        let recording = self.is_recording();
        let mut data = data;
        let mappings = take_mappings(&mut data);
        let place = entity.handle.place;
        if !mappings.is_empty() {
            // What may fail comes before anything is recorded: checking all values, loading metadata.
            let store = &self.shared.store;
            store.lock().check_update(place, &data, recording)?;
            if mappings.iter().any(|(name, _)| *name == METADATA) {
                entity.metadata()?.to_map()?;
            }
        }
        for (name, value) in mappings {
            entity.set(name, value)?;
        }
        self.shared.store.lock().update(place, data, recording)
    }

    /// Marks an entity that need not be loaded for deletion.
    ///
    /// # Errors
    ///
    /// - Any error of [`get`](Self::get). Deleting a missing entity is not an error.
    pub fn delete_by_key(&self, entity_type: &str, key: impl IntoKey) -> Result<()> {
        let entity_type = self.schema().entity_type(entity_type)?;
        self.delete(&self.entity(key.into_key(entity_type.name()))?)
    }
}
