//! Creating and deleting entities.

use uuid::Uuid;

use crate::entity::set_metadata;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::store::EntityState;
use crate::value::{Data, Value};

impl Session {
    /// Creates an entity; the server learns of it at the next [`commit`](Self::commit).
    ///
    /// Attributes that `data` does not give get the schema's defaults; the key is made here, so
    /// that other new entities can refer to this one at once. `metadata` and
    /// `custom_attributes` are given as JSON objects.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// [`UnknownType`](crate::ErrorKind::UnknownType),
    /// [`UnknownAttribute`](crate::ErrorKind::UnknownAttribute) and
    /// [`WrongType`](crate::ErrorKind::WrongType) for what does not fit the schema;
    /// [`Validation`](crate::ErrorKind::Validation) if a part of the key is missing, and for a `Job`
    /// of another type than `api_job`;
    /// [`Duplicate`](crate::ErrorKind::Duplicate) for a key that the session knows already;
    /// [`Closed`](crate::ErrorKind::Closed).
    pub fn create(&self, entity_type: &str, data: Data) -> Result<Entity> {
        self.check_writable()?;
        check_job(entity_type, &data)?;
        let recording = self.is_recording();
        // Key-value pairs are entities of their own, which refer to this one.
        let mut data = data;
        let is_json = |name: &&str| matches!(data.get(name), Some(Value::Json(_)));
        let names = [METADATA, CUSTOM_ATTRIBUTES].into_iter().filter(is_json);
        let names: Vec<&str> = names.collect();
        let pairs = names
            .iter()
            .filter_map(|name| Some((*name, data.remove(name)?)));
        let pairs: Vec<(&str, Value)> = pairs.collect();
        let mut store = self.shared.store.lock();
        let mut new_id = || Uuid::new_v4().to_string();
        let place = store.create(entity_type, data, recording, &mut new_id)?;
        let entity = Entity {
            session: self.clone(),
            handle: store.handle(place),
        };
        drop(store);
        for (name, value) in &pairs {
            if let Err(error) = set_pairs(&entity, name, value) {
                self.take_back_pairs(&entity);
                self.take_back(&[entity]);
                return Err(error);
            }
        }
        Ok(entity)
    }

    /// Forgets the key-value pairs of a new entity.
    fn take_back_pairs(&self, entity: &Entity) {
        for name in [METADATA, CUSTOM_ATTRIBUTES] {
            let Some(Value::Collection(rows)) = entity.known_value(name).ok().flatten() else {
                continue;
            };
            for row in rows.iter().filter_map(|row| self.entity(row).ok()) {
                row.clear();
                self.take_back(&[row]);
            }
        }
    }

    /// Marks an entity for deletion; the server deletes it at the next
    /// [`commit`](Self::commit). One that was never committed goes away at once.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is gone already,
    /// [`Closed`](crate::ErrorKind::Closed).
    pub fn delete(&self, entity: &Entity) -> Result<()> {
        self.check_writable()?;
        if !self.is_recording() {
            return Ok(());
        }
        let entity = self.own(entity)?;
        self.shared.store.lock().delete(entity.handle.place)
    }

    /// Commits with a new entity, or takes it back.
    pub(crate) fn commit_with(&self, created: Result<Entity>) -> Result<Entity> {
        let created = created?;
        if let Err(error) = self.commit() {
            if !self.is_in_doubt() {
                self.take_back(std::slice::from_ref(&created));
            }
            return Err(error);
        }
        Ok(created)
    }

    /// Deletes those that are still new, the last first: when what they were made for has failed.
    pub(crate) fn take_back(&self, made: &[Entity]) {
        let new = |one: &&Entity| one.state() == Some(EntityState::Created);
        for one in made.iter().rev().filter(new) {
            // Nobody has heard of it, so it only has to be forgotten.
            let _ = self.delete(one);
        }
    }

    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) and [`ReadOnly`](crate::ErrorKind::ReadOnly).
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.shared.api.check_open()?;
        self.shared.api.check_writable()
    }

    /// The entity as this session knows it: entities of another session are found by key.
    pub(crate) fn own(&self, entity: &Entity) -> Result<Entity> {
        if std::sync::Arc::ptr_eq(&self.shared, &entity.session.shared) {
            return Ok(entity.clone());
        }
        self.entity(&entity.key())
    }
}

/// The server runs jobs of other types itself; a program's own are of one type.
fn check_job(entity_type: &str, data: &Data) -> Result<()> {
    match data.get("type") {
        Some(Value::Text(found)) if entity_type == "Job" && found != "api_job" => {
            let message = format!("a new Job cannot have type {found:?}, only \"api_job\"");
            Err(Error::new(ErrorKind::Validation, message))
        }
        _ => Ok(()),
    }
}

const METADATA: &str = "metadata";
const CUSTOM_ATTRIBUTES: &str = "custom_attributes";

fn set_pairs(entity: &Entity, name: &str, value: &Value) -> Result<()> {
    let Value::Json(json) = value else {
        return Ok(());
    };
    let Some(pairs) = json.as_object() else {
        return Err(Error::new(
            ErrorKind::WrongType,
            format!(
                "{name} of a new {} takes a JSON object",
                entity.entity_type()
            ),
        ));
    };
    if name == METADATA {
        return set_metadata(entity, pairs);
    }
    let attributes = entity.custom_attributes()?;
    for (key, value) in pairs {
        attributes.set(key, value.clone())?;
    }
    Ok(())
}
