//! Entities as JSON in the wire format, and back.

use serde_json::Value as Json;

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::schema::Attribute;
use crate::value::Value;
use crate::wire::{Batch, decode, reference, value_to_json};

/// The attributes of an entity that [`Session::encode`] includes, as in the Python client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeStrategy {
    /// All of them except restricted ones; those that are not loaded are fetched.
    All,
    /// Those that are loaded or were set; nothing is fetched.
    SetOnly,
    /// Those that were set and are not committed.
    ModifiedOnly,
    /// The values that the server has, as far as they are loaded. Computed attributes are left out,
    /// because they change without notice.
    PersistedOnly,
}

impl Session {
    /// An entity as JSON: its type, its key and the attributes that `strategy` selects. References
    /// are encoded as type and key.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::session::AttributeStrategy;
    ///
    /// let task = session.query("select name, status from Task")?.first()?.expect("a task");
    /// let json = session.encode(&task, AttributeStrategy::SetOnly)?;
    /// assert_eq!(json["status"]["__entity_type__"], "Status");
    /// assert_eq!(session.decode(&json)?, [task]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - With [`AttributeStrategy::All`], any error of [`populate`](Self::populate).
    pub fn encode(&self, entity: &Entity, strategy: AttributeStrategy) -> Result<Json> {
        if strategy == AttributeStrategy::All {
            self.load_all(entity)?;
        }
        self.encode_values(entity, |attribute| match strategy {
            AttributeStrategy::All | AttributeStrategy::SetOnly => {
                entity.known_value(attribute.name())
            }
            AttributeStrategy::ModifiedOnly => entity.local_value(attribute.name()),
            AttributeStrategy::PersistedOnly if attribute.is_computed() => Ok(None),
            AttributeStrategy::PersistedOnly => entity.remote_value(attribute.name()),
        })
    }

    /// An entity as JSON, with the values that `value` returns.
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

    /// Merges entities in the wire format, one object or a list of them, into the session, as a
    /// response of the server would be.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`](crate::ErrorKind::BadResponse) if `json` is not of that form:
    ///   nothing is merged.
    pub fn decode(&self, json: &Json) -> Result<Vec<Entity>> {
        let body = serde_json::to_vec(&[serde_json::json!({"data": json})]);
        let body = body.expect("JSON values print");
        let Batch { replies, rows } = decode(self.schema(), &body.as_slice().into())?;
        let roots = replies.into_iter().flat_map(|reply| reply.roots);
        let mut store = self.shared.store.lock();
        let places = store.absorb(rows);
        let entities = roots.map(|row| self.entity_at(&mut store, places[row as usize]));
        Ok(entities.collect())
    }

    /// An entity's type and key as JSON: the form in which actions refer to it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation) if the key has too few or too many
    ///   values.
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
