//! The caches of a session: its settings in the builder, and [`SessionCache`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cache::python::{KeyMaker, SerialisedCache, StringKeyMaker};
use crate::cache::{BackingCache, Cache, CacheStatistics};
use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::session::AttributeStrategy;
use crate::value::EntityKey;

type Maker = dyn FnOnce(&Session) -> anyhow::Result<Option<Arc<dyn Cache>>> + Send;

/// The caching settings of a builder.
#[derive(Default)]
pub(crate) struct CacheSettings {
    pub(crate) maker: Option<Box<Maker>>,
    pub(crate) key_maker: Option<Box<dyn KeyMaker>>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) is_shared: bool,
    pub(crate) memory_limit: Option<usize>,
}

impl CacheSettings {
    /// Applies the settings to an open session.
    pub(crate) fn apply(self, session: &Session) {
        if let Some(limit) = self.memory_limit {
            session.shared.store.lock().set_limit(limit);
        }
        let Some(maker) = self.maker else {
            return;
        };
        let cache = match maker(session) {
            Ok(Some(cache)) => cache,
            Ok(None) => return,
            Err(error) => {
                log::warn!("the session has no backing cache: {error:#}");
                return;
            }
        };
        let user = match self.is_shared {
            true => "*",
            false => session.api_user(),
        };
        let scope = [session.server_url(), session.schema().hash(), user];
        let key_maker = self.key_maker.unwrap_or_else(|| Box::new(StringKeyMaker));
        let scope = scope.into_iter().map(Json::from).collect();
        let backing = BackingCache::new(cache, key_maker, scope, self.max_age);
        let _ = session.shared.backing.set(backing);
    }
}

impl Session {
    /// The caches of this session: its memory and its backing cache.
    pub fn cache(&self) -> SessionCache<'_> {
        SessionCache { session: self }
    }
}

/// The caches of a session: its memory, and its backing cache if it has one. Made by
/// [`Session::cache`].
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// let task = session.query("select name from Task")?.first()?.expect("a task");
/// assert!(session.cache().remove(&task)?);
/// let before = session.statistics().requests;
/// task.get::<String>("name")?;
/// assert_eq!(session.statistics().requests, before + 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct SessionCache<'a> {
    session: &'a Session,
}

impl SessionCache<'_> {
    /// The entity, if it is in memory or in the backing cache. No request is sent. As for
    /// [`Session::get`], the backing cache must have all default projections of the type.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("Task")?.first()?.expect("a task");
    /// assert_eq!(session.cache().get(&task)?, Some(task.clone()));
    /// assert!(session.cache().values().contains(&task));
    /// session.reset();
    /// assert_eq!(session.cache().get(&task)?, None);
    /// assert!(!session.cache().keys().contains(&task.key()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`](crate::ErrorKind::UnknownType) if the server has no such type.
    pub fn get(&self, entity: impl Into<EntityKey>) -> Result<Option<Entity>> {
        let entity = entity.into();
        let entity_type = self.session.schema().entity_type(entity.entity_type())?;
        Ok(self.session.get_without_asking(entity_type, &entity))
    }

    /// The keys of the entities in memory that have a loaded value, in no particular order.
    pub fn keys(&self) -> Vec<EntityKey> {
        let store = self.session.shared.store.lock();
        store.loaded().map(|place| store.key(place)).collect()
    }

    /// The entities in memory that have a loaded value, in no particular order.
    pub fn values(&self) -> Vec<Entity> {
        let mut store = self.session.shared.store.lock();
        let places: Vec<u32> = store.loaded().collect();
        let places = places.into_iter();
        places
            .map(|place| self.session.entity_at(&mut store, place))
            .collect()
    }

    /// Removes the remote values of an entity from memory and from the backing cache, so that the
    /// next read fetches them. Uncommitted local values stay. Returns whether there were any.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`](crate::ErrorKind::UnknownType) if the server has no such type.
    pub fn remove(&self, entity: impl Into<EntityKey>) -> Result<bool> {
        let entity = entity.into();
        self.session.schema().entity_type(entity.entity_type())?;
        let mut store = self.session.shared.store.lock();
        let place = store.find_key(&entity);
        let was_loaded = place.is_some_and(|place| store.is_loaded(place));
        store.invalidate(&entity);
        drop(store);
        let removed = self
            .session
            .remove_from_cache(std::slice::from_ref(&entity));
        Ok(was_loaded || removed > 0)
    }

    /// Removes all remote values from memory, and from the backing cache the entries of sessions
    /// with the same server, schema and user. Uncommitted local values stay.
    ///
    /// The backing cache goes through all of its keys for this.
    pub fn clear(&self) {
        self.session.shared.store.lock().invalidate_all();
        if let Some(backing) = self.session.shared.backing.get() {
            backing.clear();
        }
    }

    /// The key of an entity in the backing cache; `None` without a backing cache.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`](crate::ErrorKind::UnknownType) if the server has no such type.
    pub fn key(&self, entity: impl Into<EntityKey>) -> Result<Option<String>> {
        let entity = entity.into();
        let schema = self.session.schema();
        let entity_type = schema.entity_type(entity.entity_type())?;
        let backing = self.session.shared.backing.get();
        Ok(backing.map(|backing| backing.key(schema, entity_type.id(), entity.key())))
    }

    /// The backing cache, as it was given to the builder.
    pub fn backing(&self) -> Option<&dyn Cache> {
        Some(self.session.shared.backing.get()?.cache())
    }

    /// Counters of each layer, the memory first. The hits and misses of the memory are those of
    /// [`Session::get`]; for attributes see [`Statistics::loads_on_access`].
    ///
    /// [`Statistics::loads_on_access`]: crate::session::Statistics::loads_on_access
    pub fn statistics(&self) -> Vec<CacheStatistics> {
        let store = self.session.shared.store.lock();
        let memory = CacheStatistics {
            writes: store.records_made(),
            entries: Some(store.len() as u64),
            bytes: Some(store.memory_estimate() as u64),
            ..self.session.shared.memory_counters.read("memory")
        };
        drop(store);
        let mut all = vec![memory];
        if let Some(backing) = self.session.shared.backing.get() {
            all.extend(backing.statistics());
        }
        all
    }
}

debug_fields!(SessionCache<'_>, |this| statistics: this.statistics());

impl<C: Cache> SerialisedCache<Entity, C> {
    /// Caches entities of a session as texts, encoded and decoded by the session.
    ///
    /// The backing cache of a session needs no such layer: its values are texts already.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::session::AttributeStrategy;
    /// use ftrack_api::cache::{Cache, MemoryCache, python::SerialisedCache};
    ///
    /// let favourites = SerialisedCache::entities(&session, MemoryCache::new(), AttributeStrategy::SetOnly);
    /// let task = session.query("select name from Task")?.first()?.expect("a task");
    /// favourites.set("first", task.clone())?;
    /// assert_eq!(favourites.get("first")?, Some(task));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn entities(session: &Session, proxied: C, strategy: AttributeStrategy) -> Self {
        let (encoder, decoder) = (session.clone(), session.clone());
        let encode = move |entity: &Entity| Ok(encoder.encode(entity, strategy)?.to_string());
        let decode = move |text: &str| {
            let decoded = decoder.decode(&serde_json::from_str(text)?)?;
            let first = decoded.into_iter().next();
            first.ok_or_else(|| anyhow::anyhow!("the text has no entity"))
        };
        Self::new(proxied, encode, decode)
    }
}
