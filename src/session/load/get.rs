//! Entities by key.

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::query::{Criterion, Statement, all_of, field, select};
use crate::schema::EntityType;
use crate::store::Store;
use crate::value::{EntityKey, IntoKey};
use crate::wire::check_key;

use crate::session::memory::is_key_enough;

impl Session {
    /// The entity with this key: from memory if it is loaded, else fetched with its default
    /// projections. `None` if it does not exist.
    ///
    /// `key` is an id as text or [`Uuid`](uuid::Uuid), a whole [`EntityKey`], or a list of texts
    /// for types with several key attributes.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let user = session.get("User", "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb")?;
    /// assert_eq!(user.expect("the API user").get::<String>("username")?, "jenkins");
    /// assert!(session.get("User", "nobody")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`] with the nearest name if there is no such entity type.
    /// - [`ErrorKind::Validation`] for a key with too few or too many values.
    /// - Any error of a request.
    pub fn get(&self, entity_type: &str, key: impl IntoKey) -> Result<Option<Entity>> {
        let entity_type = self.schema().entity_type(entity_type)?;
        let key = key.into_key(entity_type.name());
        check_key(entity_type, &key)?;
        if let Some(found) = self.get_without_asking(entity_type, &key) {
            return Ok(Some(found));
        }
        let statement = by_keys(entity_type, entity_type.name(), std::slice::from_ref(&key));
        let found = self.query(statement)?.first()?;
        if found.is_none() {
            self.mark_missing(std::slice::from_ref(&key), &[]);
        }
        Ok(found)
    }

    /// The user that the session works as, with one request unless it is known already.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let user = session.user()?;
    /// assert_eq!(user.get::<String>("username")?, session.api_user());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if no user has the name of [`api_user`](Self::api_user).
    /// - Any error of a request.
    pub fn user(&self) -> Result<Entity> {
        if let Some(known) = self.shared.user.get() {
            return self.entity(known);
        }
        let found = select("User").filter(field("username").eq(self.api_user()));
        let user = self.query(found)?.first()?.ok_or_else(|| {
            let message = format!("no user has the name {:?} of this session", self.api_user());
            Error::new(ErrorKind::NotFound, message)
        })?;
        let _ = self.shared.user.set(user.key());
        Ok(user)
    }

    /// A handle of the entity with this key, without a request: whether the entity exists shows when
    /// it is read or committed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`] with the nearest name if there is no such entity type.
    /// - [`ErrorKind::Validation`] for a key with too few or too many values.
    pub fn entity(&self, key: impl Into<EntityKey>) -> Result<Entity> {
        self.entity_of(&key.into())
    }

    /// Asks for the entity's own type if no more is known than that it is a context.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if it does not exist.
    /// - Any error of a request.
    pub(crate) fn learn_type(&self, entity: &Entity) -> Result<()> {
        if entity.entity_type() == "Context" && self.get("Context", entity.key())?.is_none() {
            let message = format!("{entity} does not exist");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(())
    }

    /// [`entity`](Self::entity) without a copy of the key.
    pub(crate) fn entity_of(&self, key: &EntityKey) -> Result<Entity> {
        let mut store = self.shared.store.lock();
        let place = store.place(key)?;
        Ok(self.entity_at(&mut store, place))
    }

    /// The entity, if it is in memory or in the backing cache.
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
        self.shared.memory_counters.looked_up(&[place]);
        place.map(|place| self.entity_at(&mut store, place))
    }

    /// The entity at a place of the session's store.
    pub(crate) fn entity_at(&self, store: &mut Store, place: u32) -> Entity {
        Entity {
            session: self.clone(),
            handle: store.handle(place),
        }
    }
}

/// The query for the entities with these keys, which must have the form of the type's keys.
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
