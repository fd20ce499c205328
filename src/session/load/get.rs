//! Entities by key.

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::query::{Criterion, Statement, all_of, field, select};
use crate::schema::EntityType;
use crate::value::{EntityKey, IntoKey};
use crate::wire::check_key;

use crate::session::memory::is_key_enough;

impl Session {
    /// The entity with this key: the one that the session knows, else fetched with its default
    /// projections. `None` if there is no such entity, or it was deleted.
    ///
    /// `key` is an id as text or [`Uuid`](uuid::Uuid), a whole [`EntityKey`], or a list of texts
    /// for types with several key attributes.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let user = session.get("User", "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb")?;
    /// assert_eq!(user.expect("the API user").get::<String>("username")?, "jenkins");
    /// assert!(session.get("User", "nobody")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownType`](crate::ErrorKind::UnknownType);
    /// [`ErrorKind::Validation`](crate::ErrorKind::Validation) for a key with too few or too
    /// many values; else what kept the server's answer from arriving.
    pub fn get(&self, entity_type: &str, key: impl IntoKey) -> Result<Option<Entity>> {
        let entity_type = self.schema().entity_type(entity_type)?;
        let key = key.into_key(entity_type.name());
        check_key(entity_type, &key)?;
        if let Some(found) = self.get_without_asking(entity_type, &key) {
            return Ok(Some(found));
        }
        let statement = by_keys(entity_type, entity_type.name(), std::slice::from_ref(&key));
        self.query(statement)?.first()
    }

    /// A handle of the entity with this key, without asking whether it exists. Reading from it
    /// fetches; writing to it does not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownType`](crate::ErrorKind::UnknownType), and
    /// [`ErrorKind::Validation`](crate::ErrorKind::Validation) for a key with too few or too
    /// many values.
    pub fn entity(&self, key: impl Into<EntityKey>) -> Result<Entity> {
        self.entity_of(&key.into())
    }

    /// [`entity`](Self::entity) without a copy of the key.
    pub(crate) fn entity_of(&self, key: &EntityKey) -> Result<Entity> {
        let mut store = self.shared.store.lock();
        let place = store.place(key)?;
        Ok(Entity {
            session: self.clone(),
            handle: store.handle(place),
        })
    }

    /// The entity, if it is in memory or in the cache below it.
    pub(crate) fn get_without_asking(
        &self,
        entity_type: &EntityType,
        key: &EntityKey,
    ) -> Option<Entity> {
        let known = self.known(entity_type, key);
        known.or_else(|| self.get_from_cache(entity_type, key))
    }

    fn known(&self, entity_type: &EntityType, key: &EntityKey) -> Option<Entity> {
        let mut store = self.shared.store.lock();
        let place = store.find(entity_type.id(), key.key());
        let place = place.filter(|&place| {
            let is_named = || store.has_arrived(place) && is_key_enough(self.schema(), entity_type);
            store.is_loaded(place) || is_named()
        });
        self.shared.memory_counters.looked_up(place.is_some());
        place.map(|place| Entity {
            session: self.clone(),
            handle: store.handle(place),
        })
    }
}

/// The query for the entities with these keys, which must be of the type's form.
pub(crate) fn by_keys(entity_type: &EntityType, asked: &str, keys: &[EntityKey]) -> Statement {
    let names = entity_type.primary_key();
    let criterion = match (names, keys) {
        ([name], [key]) => field(name).eq(key.id()),
        ([name], keys) => field(name).is_in(keys.iter().map(EntityKey::id)),
        (names, keys) => crate::query::any_of(keys.iter().map(|key| {
            let parts = names.iter().zip(key.parts());
            all_of(parts.map(|(name, part)| -> Criterion { field(name).eq(part) }))
        })),
    };
    select(asked).filter(criterion)
}
