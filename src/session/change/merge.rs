//! Taking over entities of another session.

use std::collections::HashSet;

use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::schema::Attribute;
use crate::store::EntityState;
use crate::value::{EntityKey, Value};

impl Session {
    /// Takes over an entity of another session, with everything that is loaded there of it and of
    /// the entities that it refers to. Values that were set there and not committed are set here
    /// too. Returns this session's entity; the other session is not changed.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let open = || ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open();
    /// let (one, two) = (open()?, open()?);
    /// let task = one.query("select name, status.name from Task")?.first()?.expect("a task");
    /// let before = two.statistics().requests;
    /// let merged = two.merge(&task)?;
    /// assert_eq!(merged.get::<String>("status.name")?, task.get::<String>("status.name")?);
    /// assert_eq!(two.statistics().requests, before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the entity, or one that it refers to, is not committed there.
    /// - [`ErrorKind::UnknownType`] if this session's server has no such type.
    pub fn merge(&self, entity: &Entity) -> Result<Entity> {
        let mut seen = HashSet::from([entity.key()]);
        let mut waiting = vec![entity.clone()];
        let mut encoded: Vec<Json> = Vec::new();
        let mut changes: Vec<(EntityKey, String, LocalChange)> = Vec::new();
        while let Some(next) = waiting.pop() {
            if next.state() == Some(EntityState::Created) {
                return Err(Error::new(
                    ErrorKind::Validation,
                    format!("{next} is not committed in its own session; commit it first"),
                ));
            }
            let remote = |attribute: &Attribute| next.remote_value(attribute.name());
            encoded.push(next.session.encode_values(&next, remote)?);
            for attribute in next.type_info().attributes() {
                let name = attribute.name();
                let change = LocalChange::of(&next, name);
                let remote = next.remote_value(name)?.unwrap_or_default();
                let [local, left] = change.as_ref().map_or([&[][..]; 2], LocalChange::keys);
                for key in remote.references().iter().chain(local).chain(left) {
                    if seen.insert(key.clone()) {
                        waiting.push(next.session.entity(key)?);
                    }
                }
                changes.extend(change.map(|change| (next.key(), name.to_owned(), change)));
            }
        }
        self.decode(&Json::Array(encoded))?;
        for (key, name, change) in changes {
            change.apply(&self.entity(&key)?, &name)?;
        }
        self.entity(entity.key())
    }
}

/// A change of an attribute that is not committed.
enum LocalChange {
    Set(Value),
    /// The members that are added to the collection and removed from it.
    Extended(Vec<EntityKey>, Vec<EntityKey>),
}

impl LocalChange {
    fn of(entity: &Entity, name: &str) -> Option<Self> {
        let store = entity.session.shared.store.lock();
        let place = entity.handle.place;
        let extension = store.extension(place, name);
        let extended = extension.map(|(added, removed)| Self::Extended(added, removed));
        extended.or_else(|| store.local(place, name).map(Self::Set))
    }

    fn keys(&self) -> [&[EntityKey]; 2] {
        match self {
            Self::Set(value) => [value.references(), &[]],
            Self::Extended(added, removed) => [added, removed],
        }
    }

    fn apply(self, entity: &Entity, name: &str) -> Result<()> {
        let (added, removed) = match self {
            Self::Set(value) => return entity.set(name, value),
            Self::Extended(added, removed) => (added, removed),
        };
        let collection = entity.collection(name)?;
        let known = entity.known_value(name)?;
        let has = |key: &EntityKey| match &known {
            Some(Value::Collection(known)) => Some(known.contains(key)),
            _ => None,
        };
        for key in added.iter().filter(|key| has(key) != Some(true)) {
            collection.push(&entity.session.entity(key)?)?;
        }
        for key in removed.iter().filter(|key| has(key) != Some(false)) {
            collection.remove(&entity.session.entity(key)?)?;
        }
        Ok(())
    }
}
