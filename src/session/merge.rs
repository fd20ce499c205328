//! Entities of another session.

use std::collections::HashSet;

use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::store::EntityState;
use crate::value::{EntityKey, Value};

use super::Strategy;

impl Session {
    /// Takes over an entity of another session, with what that session knows of it and of the
    /// entities that it leads to. What was set there and not committed is set here too. Answers
    /// with this session's entity; the other one stays as it is.
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
    /// [`ErrorKind::Validation`] if the entity, or one that it leads to, is not committed there;
    /// [`ErrorKind::UnknownType`] if this session's server has no such type.
    pub fn merge(&self, entity: &Entity) -> Result<Entity> {
        let mut seen = HashSet::from([entity.key()]);
        let mut waiting = vec![entity.clone()];
        let mut encoded: Vec<Json> = Vec::new();
        let mut settings: Vec<(EntityKey, String, Value)> = Vec::new();
        while let Some(next) = waiting.pop() {
            if next.state() == Some(EntityState::Created) {
                return Err(Error::new(
                    ErrorKind::Validation,
                    format!("{next} is not committed in its own session; commit it first"),
                ));
            }
            encoded.push(next.session.encode(&next, Strategy::PersistedOnly)?);
            for attribute in next.type_info().attributes() {
                let local = next.local_value(attribute.name());
                let values = next
                    .remote_value(attribute.name())
                    .into_iter()
                    .chain(local.clone());
                for key in values.flat_map(|value| references(&value)) {
                    if seen.insert(key.clone()) {
                        waiting.push(next.session.entity(&key)?);
                    }
                }
                settings
                    .extend(local.map(|value| (next.key(), attribute.name().to_owned(), value)));
            }
        }
        self.decode(&Json::Array(encoded))?;
        for (key, name, value) in settings {
            self.entity(&key)?.set(&name, value)?;
        }
        self.entity(&entity.key())
    }
}

fn references(value: &Value) -> Vec<EntityKey> {
    match value {
        Value::Reference(key) => vec![key.clone()],
        Value::Collection(keys) => keys.clone(),
        _ => Vec::new(),
    }
}
