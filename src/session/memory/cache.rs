//! The caches of a session: what the builder is told of them, and what a program sees of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value as Json;

use crate::cache::{Cache, CacheStatistics, Counters, KeyMaker, SerialisedCache, StringKeyMaker};
use crate::handle::{Entity, Session};
use crate::value::EntityKey;

use super::Lower;
use crate::session::{SessionBuilder, Strategy};

type Maker = dyn FnOnce(&Session) -> anyhow::Result<Option<Arc<dyn Cache>>> + Send;

/// What a builder was told of caches.
#[derive(Default)]
pub(crate) struct CacheSettings {
    maker: Option<Box<Maker>>,
    key_maker: Option<Box<dyn KeyMaker>>,
    max_age: Option<Duration>,
    is_shared: bool,
    memory_limit: Option<usize>,
}

/// Counts what the memory did.
#[derive(Default)]
pub(crate) struct MemoryCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

impl SessionBuilder {
    /// Keeps what the server says in `cache` too, below the memory of the session: it is looked
    /// there before the server is asked.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// use std::sync::Arc;
    /// use ftrack_api::Session;
    /// use ftrack_api::cache::MemoryCache;
    ///
    /// let cache: Arc<MemoryCache> = Arc::default();
    /// let builder = || Session::builder().server_url(url).api_key(key).api_user(user);
    /// let task = builder().cache(cache.clone()).open()?.query("Task")?.first()?.expect("a task");
    ///
    /// let session = builder().cache(cache).open()?;
    /// session.with_request_budget(0, || session.get("Task", task.id()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache(self, cache: impl Cache) -> Self {
        self.cache_maker(|_| Ok(Some(Arc::new(cache))))
    }

    /// Keeps what the server says in the cache that `make` makes for the session once it is open;
    /// with `None` there is none. An error is logged, and the session goes on without a cache.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// use std::sync::Arc;
    /// use ftrack_api::Session;
    /// use ftrack_api::cache::MemoryCache;
    ///
    /// let session = Session::builder().server_url(url).api_key(key).api_user(user)
    ///     .cache_maker(|session| match session.api_user() {
    ///         "render" => Ok(None),
    ///         _ => Ok(Some(Arc::new(MemoryCache::new()))),
    ///     })
    ///     .open()?;
    /// assert_eq!(session.cache().statistics().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache_maker(
        mut self,
        make: impl FnOnce(&Session) -> anyhow::Result<Option<Arc<dyn Cache>>> + Send + 'static,
    ) -> Self {
        self.caching.maker = Some(Box::new(make));
        self
    }

    /// Makes the keys of the cache from: the server, the hash of its schema, the user, the entity
    /// type and the values of the entity's key. A [`StringKeyMaker`] unless set.
    pub fn cache_key_maker(mut self, key_maker: impl KeyMaker) -> Self {
        self.caching.key_maker = Some(Box::new(key_maker));
        self
    }

    /// Takes for unknown what the server said longer ago than this, whatever the cache's own time
    /// to live. It is counted from the answer, in whole seconds, by the clocks of those who share
    /// the cache. Values in the session's memory do not age; see [`Session::refresh`].
    pub fn cache_max_age(mut self, age: Duration) -> Self {
        self.caching.max_age = Some(age);
        self
    }

    /// Shares the cache between users. Do so only where every user of the cache may see
    /// everything: else one user's session gives what the server told another one.
    pub fn cache_for_all_users(mut self, shared: bool) -> Self {
        self.caching.is_shared = shared;
        self
    }

    /// Opens the session without asking the server, with the schema that an earlier session has
    /// cached: to read what is cached, and to build operations. Everything that needs the server
    /// is an error of kind [`Connection`](crate::ErrorKind::Connection). Nothing but the schema's
    /// hash is known of the server then.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// # let folder = tempfile::tempdir()?;
    /// use ftrack_api::{SchemaCache, Session, data};
    ///
    /// let builder = || Session::builder().server_url(url).api_key(key).api_user(user)
    ///     .schema_cache(SchemaCache::Dir(folder.path().into()));
    /// builder().open()?;
    ///
    /// let session = builder().offline(true).open()?;
    /// session.create("Task", data! { "name": "lighting" })?;
    /// assert_eq!(session.recorded_operations().len(), 1);
    /// assert!(session.commit().is_err());
    /// assert_eq!(session.recorded_operations().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offline(mut self, offline: bool) -> Self {
        self.settings.offline = offline;
        self
    }

    /// Keeps at most so many entities in memory. When there are more, those go that were used
    /// least recently, are not held by anybody, and have no changes that pending commits need.
    pub fn memory_limit(mut self, entities: usize) -> Self {
        self.caching.memory_limit = Some(entities);
        self
    }
}

impl CacheSettings {
    /// Gives an open session what was asked for.
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
                log::warn!("no cache can be used: {error:#}");
                return;
            }
        };
        let user = match self.is_shared {
            true => "*",
            false => session.api_user(),
        };
        let scope = [session.server_url(), session.schema().hash(), user];
        let lower = Lower {
            cache,
            key_maker: self.key_maker.unwrap_or_else(|| Box::new(StringKeyMaker)),
            scope: scope.into_iter().map(Json::from).collect(),
            max_age: self.max_age,
            not_before: AtomicU64::new(0),
            counters: Counters::default(),
        };
        let _ = session.shared.lower.set(lower);
    }
}

impl MemoryCounters {
    pub(crate) fn looked_up(&self, found: bool) {
        let counter = if found { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn evicted(&self, count: usize) {
        self.evictions.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Session {
    /// The caches of this session: its memory, and the cache below it.
    pub fn cache(&self) -> SessionCache<'_> {
        SessionCache { session: self }
    }
}

/// The caches of a session: its memory, and the cache below it if there is one. Made by
/// [`Session::cache`].
///
/// ```
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let session = ftrack_api::Session::builder()
/// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
/// let task = session.query("select name from Task")?.first()?.expect("a task");
/// session.cache().remove(&task.key());
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
    /// The entity, if it is in memory or in the cache below; the server is never asked. As with
    /// [`Session::get`], the cache below must have all that a query would bring.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let task = session.query("Task")?.first()?.expect("a task");
    /// assert_eq!(session.cache().get(&task.key()), Some(task.clone()));
    /// assert!(session.cache().values().contains(&task));
    /// session.reset();
    /// assert_eq!(session.cache().get(&task.key()), None);
    /// assert!(!session.cache().keys().contains(&task.key()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, entity: &EntityKey) -> Option<Entity> {
        let entity_type = self.session.schema().find(entity.entity_type())?;
        self.session.get_without_asking(entity_type, entity)
    }

    /// The keys of the entities in memory of which anything is known, in no particular order.
    pub fn keys(&self) -> Vec<EntityKey> {
        let store = self.session.shared.store.lock();
        store.loaded().map(|place| store.key(place)).collect()
    }

    /// The entities in memory of which anything is known, in no particular order.
    pub fn values(&self) -> Vec<Entity> {
        let mut store = self.session.shared.store.lock();
        let places: Vec<u32> = store.loaded().collect();
        let handles = places.into_iter().map(|place| Entity {
            session: self.session.clone(),
            handle: store.handle(place),
        });
        handles.collect()
    }

    /// Forgets in every layer what the server said of an entity, so that the next read asks
    /// again. What was set here and is not yet committed stays.
    pub fn remove(&self, entity: &EntityKey) {
        self.session.shared.store.lock().invalidate(entity);
        self.session.remove_from_cache(std::slice::from_ref(entity));
    }

    /// Forgets in every layer everything that the server said: in the layers below the memory
    /// what sessions like this one have put there, on the same server, schema and user. What was
    /// set here and is not yet committed stays.
    ///
    /// The layers below are not asked one by one: every key is looked at.
    pub fn clear(&self) {
        self.session.shared.store.lock().invalidate_all();
        if let Some(lower) = self.session.shared.lower.get() {
            let start = lower.key_maker.key(&lower.scope);
            let pattern = format!("^{}", regex_lite::escape(&start));
            lower.ask("be cleared", lower.cache.clear(Some(&pattern)));
        }
    }

    /// Under which key the cache below the memory keeps an entity; `None` without such a cache,
    /// or if the server has no such type.
    pub fn key(&self, entity: &EntityKey) -> Option<String> {
        let schema = self.session.schema();
        let entity_type = schema.find(entity.entity_type())?;
        let lower = self.session.shared.lower.get()?;
        Some(lower.key(schema, entity_type.id(), entity.key()))
    }

    /// The cache below the memory, as it was given to the builder.
    pub fn below(&self) -> Option<&dyn Cache> {
        Some(self.session.shared.lower.get()?.cache.as_ref())
    }

    /// What happened in each layer, the memory first. In the memory, hits and misses are those of
    /// [`Session::get`]; for attributes see [`Statistics::loads_on_access`].
    ///
    /// [`Statistics::loads_on_access`]: crate::Statistics::loads_on_access
    pub fn statistics(&self) -> Vec<CacheStatistics> {
        let counters = &self.session.shared.memory_counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let store = self.session.shared.store.lock();
        let memory = CacheStatistics {
            layer: "memory".to_owned(),
            hits: read(&counters.hits),
            misses: read(&counters.misses),
            evictions: read(&counters.evictions),
            writes: store.records_made(),
            entries: Some(store.len() as u64),
            bytes: Some(store.memory_estimate() as u64),
            ..CacheStatistics::default()
        };
        drop(store);
        let mut all = vec![memory];
        if let Some(lower) = self.session.shared.lower.get() {
            let counted = lower.cache.statistics();
            match counted.is_empty() {
                true => all.push(lower.counters.read("cache")),
                false => all.extend(counted),
            }
        }
        all
    }
}

impl std::fmt::Debug for SessionCache<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCache")
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

impl<C: Cache> SerialisedCache<Entity, C> {
    /// Keeps entities of a session in a cache of texts, encoded and decoded by the session.
    ///
    /// The session itself needs no such cache: it keeps what the server said as texts.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use ftrack_api::Strategy;
    /// use ftrack_api::cache::{Cache, MemoryCache, SerialisedCache};
    ///
    /// let favourites = SerialisedCache::entities(&session, MemoryCache::new(), Strategy::SetOnly);
    /// let task = session.query("select name from Task")?.first()?.expect("a task");
    /// favourites.set("first", task.clone())?;
    /// assert_eq!(favourites.get("first")?, Some(task));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn entities(session: &Session, proxied: C, strategy: Strategy) -> Self {
        let (encoder, decoder) = (session.clone(), session.clone());
        let encode = move |entity: &Entity| Ok(encoder.encode(entity, strategy)?.to_string());
        let decode = move |text: &str| {
            let decoded = decoder.decode(&serde_json::from_str(text)?)?;
            let first = decoded.into_iter().next();
            first.ok_or_else(|| anyhow::anyhow!("it holds no entity"))
        };
        Self::new(proxied, encode, decode)
    }
}
