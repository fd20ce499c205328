//! Entities as JSON in the wire's form, and back.

use serde_json::Value as Json;

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::schema::Attribute;
use crate::value::Value;
use crate::wire::{Answer, decode, reference, value_to_json};

/// Which attributes of an entity are encoded; the strategies of the Python client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// All of them, loading those that are not loaded. Restricted ones are left out.
    All,
    /// Those that are loaded or were set, without loading any.
    SetOnly,
    /// Those that were set here and are not committed.
    ModifiedOnly,
    /// Those that the server gave, as it gave them, without computed ones: nobody tells when those
    /// change.
    PersistedOnly,
}

impl Session {
    /// An entity as JSON: its type, its key and the attributes that `strategy` chooses;
    /// references as type and key.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use ftrack_api::Strategy;
    ///
    /// let task = session.query("select name, status from Task")?.first()?.expect("a task");
    /// let json = session.encode(&task, Strategy::SetOnly)?;
    /// assert_eq!(json["status"]["__entity_type__"], "Status");
    /// assert_eq!(session.decode(&json)?, [task]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// With [`Strategy::All`], what kept the server's answer from arriving.
    pub fn encode(&self, entity: &Entity, strategy: Strategy) -> Result<Json> {
        if strategy == Strategy::All {
            self.load_all(entity)?;
        }
        self.encode_values(entity, |attribute| match strategy {
            Strategy::All | Strategy::SetOnly => entity.known_value(attribute.name()),
            Strategy::ModifiedOnly => entity.local_value(attribute.name()),
            Strategy::PersistedOnly if attribute.is_computed() => Ok(None),
            Strategy::PersistedOnly => entity.remote_value(attribute.name()),
        })
    }

    /// An entity as JSON, with the values that `value` gives.
    pub(crate) fn encode_values(
        &self,
        entity: &Entity,
        value: impl Fn(&Attribute) -> Result<Option<Value>>,
    ) -> Result<Json> {
        let mut object = reference(self.schema(), &entity.key())?;
        for attribute in entity.type_info().attributes() {
            let name = attribute.name();
            if let Some(value) = value(attribute)?
                && !object.contains_key(name)
            {
                object.insert(name.to_owned(), value_to_json(self.schema(), &value)?);
            }
        }
        Ok(Json::Object(object))
    }

    /// Takes entities in the wire's form into the session: one object, or a list of them. They
    /// merge into what is known as a server's answer would.
    ///
    /// # Errors
    ///
    /// [`BadResponse`](crate::ErrorKind::BadResponse) if it is not of that form.
    pub fn decode(&self, json: &Json) -> Result<Vec<Entity>> {
        let body = serde_json::to_vec(&[serde_json::json!({"data": json})]);
        let Answer { replies, rows } = decode(self.schema(), &body.expect("JSON values print"))?;
        let roots = replies.into_iter().flat_map(|reply| reply.roots);
        let mut store = self.shared.store.lock();
        let places = store.absorb(rows);
        let entities = roots.map(|row| Entity {
            session: self.clone(),
            handle: store.handle(places[row as usize]),
        });
        Ok(entities.collect())
    }

    /// An entity's type and key as JSON, which is how actions refer to it.
    ///
    /// # Errors
    ///
    /// [`Validation`](crate::ErrorKind::Validation) for a key with too few or too many values.
    pub fn entity_reference(&self, entity: &Entity) -> Result<Json> {
        reference(self.schema(), &entity.key()).map(Json::Object)
    }

    fn load_all(&self, entity: &Entity) -> Result<()> {
        let mut missing = Vec::new();
        for attribute in entity.type_info().attributes() {
            if !attribute.is_restricted() && entity.known_value(attribute.name())?.is_none() {
                missing.push(attribute.name());
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => self.populate(entity, missing),
        }
    }
}
