//! Creating, deleting and discarding entities.

use uuid::Uuid;

use crate::entity::take_mappings;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::store::EntityState;
use crate::value::{Data, Value};

impl Session {
    /// Creates an entity. The next [`commit`](Self::commit) sends it to the server.
    ///
    /// Attributes that are not in `data` get the schema's defaults. The key is made here, so that
    /// other new entities can refer to this one at once. `metadata` and `custom_attributes` are
    /// given as JSON objects.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let project = session.query("Project where name is test")?.one()?;
    /// let folder = session.create("Folder", data! { "name": "assets", "parent": &project })?;
    /// let task = session.create("Task", data! { "name": "model", "parent": &folder })?;
    /// session.commit()?;
    /// assert_eq!(task.get::<String>("parent.name")?, "assets");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After any error nothing is recorded.
    ///
    /// - [`ErrorKind::UnknownType`], [`ErrorKind::UnknownAttribute`] or [`ErrorKind::WrongType`] if
    ///   `data` does not fit the schema.
    /// - [`ErrorKind::Validation`] if a part of the key is missing, or for a `Job` of another type
    ///   than `api_job`.
    /// - [`ErrorKind::Duplicate`] if the session knows an entity with this key.
    /// - [`ErrorKind::ReadOnly`] or [`ErrorKind::Closed`] if the session cannot change anything.
    pub fn create(&self, entity_type: &str, data: Data) -> Result<Entity> {
        self.check_writable()?;
        check_job(entity_type, &data)?;
        let recording = self.is_recording();
        let mut data = data;
        let mappings = take_mappings(&mut data);
        let mut store = self.shared.store.lock();
        let mut new_id = || Uuid::new_v4().to_string();
        let place = store.create(entity_type, data, recording, &mut new_id)?;
        let entity = self.entity_at(&mut store, place);
        drop(store);
        for (name, value) in &mappings {
            let assigned = match value {
                Value::Json(json) => entity.replace_mapping(name, &json.to_json()),
                _ => Ok(()),
            };
            if let Err(error) = assigned {
                self.discard(&[entity]);
                return Err(error);
            }
        }
        Ok(entity)
    }

    /// Marks an entity for deletion. The next [`commit`](Self::commit) deletes it on the server. An
    /// entity that was never committed is discarded at once, with everything recorded about it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if the entity does not exist any more.
    /// - [`ErrorKind::ReadOnly`] or [`ErrorKind::Closed`] if the session cannot change anything.
    pub fn delete(&self, entity: &Entity) -> Result<()> {
        self.check_writable()?;
        if !self.is_recording() {
            return Ok(());
        }
        let entity = self.own(entity)?;
        self.shared.store.lock().delete(entity.handle.place)
    }

    /// Commits a new entity together with everything else that is recorded; discards it if the
    /// commit fails.
    pub(crate) fn commit_with(&self, created: Result<Entity>) -> Result<Entity> {
        let created = created?;
        if let Err(error) = self.commit() {
            if !self.is_in_doubt() {
                self.discard(std::slice::from_ref(&created));
                return Err(error.with_remedy(None));
            }
            return Err(error);
        }
        Ok(created)
    }

    /// Deletes entities and commits. If the commit is refused, the deletions are not recorded any more,
    /// except those that were before.
    pub(crate) fn commit_deletion(&self, entities: &[Entity]) -> Result<()> {
        let is_new = |entity: &&Entity| entity.state() != Some(EntityState::Deleted);
        let marked: Vec<&Entity> = entities.iter().filter(is_new).collect();
        let outcome = marked.iter().try_for_each(|entity| self.delete(entity));
        let Err(error) = outcome.and_then(|()| self.commit()) else {
            return Ok(());
        };
        if self.is_in_doubt() {
            return Err(error);
        }
        for entity in marked {
            self.shared.store.lock().revive(&entity.key())?;
        }
        Err(error.with_remedy(None))
    }

    /// Discards those entities that are not committed, with everything recorded about them, their
    /// metadata and their custom attributes: the clean-up after an error.
    pub(crate) fn discard(&self, created: &[Entity]) {
        let places: Vec<u32> = created.iter().map(|entity| entity.handle.place).collect();
        self.shared.store.lock().discard(&places);
    }

    /// # Errors
    ///
    /// - [`ErrorKind::ReadOnly`] or [`ErrorKind::Closed`] if the session cannot change anything.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.shared.api.check_open()?;
        self.shared.api.check_writable()
    }

    /// This session's entity: entities of another session are found by key.
    pub(crate) fn own(&self, entity: &Entity) -> Result<Entity> {
        if std::sync::Arc::ptr_eq(&self.shared, &entity.session.shared) {
            return Ok(entity.clone());
        }
        self.entity(entity.key())
    }
}

/// Programs can create jobs of one type only; the server runs all others itself.
fn check_job(entity_type: &str, data: &Data) -> Result<()> {
    match data.get("type") {
        Some(Value::Text(found)) if entity_type == "Job" && found != "api_job" => {
            let message = format!("a new Job cannot have type {found:?}, only \"api_job\"");
            Err(Error::new(ErrorKind::Validation, message))
        }
        _ => Ok(()),
    }
}
