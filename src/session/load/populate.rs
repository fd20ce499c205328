//! Loading attributes: ahead, or when they are read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::config::Populate;
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session, Shared};
use crate::schema::EntityType;
use crate::store::{EntityState, Fetch, Handle, Read};
use crate::value::{EntityKey, Key, Paths, Value};

use super::get::by_keys;

/// The most entities that one request names: their keys take some 20 kB.
const MAX_KEYS_PER_REQUEST: usize = 500;

impl Session {
    /// Fetches attributes of entities in advance, with one request for every 500 entities of a type.
    /// Attributes that are loaded already are fetched again.
    ///
    /// Local values stay, and entities that are not committed are skipped. The entities may be of
    /// several types; for each type, those of `paths` that it has are fetched.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let tasks = session.query("Task limit 20")?.all()?;
    /// session.populate(&tasks, "bid, status.name")?;
    /// let before = session.statistics().requests;
    /// for task in &tasks {
    ///     task.get::<Option<String>>("status.name")?;
    /// }
    /// assert_eq!(session.statistics().requests, before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if none of the entities' types has one of the paths: the
    ///   others were fetched.
    /// - Any error of a request: entities asked for by earlier requests were fetched.
    pub fn populate(&self, entities: impl Entities, paths: impl Paths) -> Result<()> {
        let entities = entities.to_entities()?;
        let mut by_type: BTreeMap<&str, Vec<EntityKey>> = BTreeMap::new();
        for entity in entities.iter() {
            let keys = by_type.entry(entity.entity_type()).or_default();
            // The server does not know the others yet; their paths are checked all the same.
            if entity.state() != Some(EntityState::Created) {
                keys.push(entity.key());
            }
        }
        let wanted = paths.to_paths();
        let mut had = vec![false; wanted.len()];
        let mut unknown = None;
        for (name, keys) in by_type {
            let entity_type = self.schema().entity_type(name)?;
            let mut fits = Vec::with_capacity(wanted.len());
            for (path, had) in wanted.iter().zip(&mut had) {
                match self.schema().check_path(entity_type, path) {
                    Ok(()) => {
                        *had = true;
                        fits.push(*path);
                    }
                    Err(error) => unknown = Some(error),
                }
            }
            if !fits.is_empty() && !keys.is_empty() {
                self.fetch(entity_type, &keys, &fits)?;
            }
        }
        match unknown {
            Some(error) if had.contains(&false) => Err(error),
            _ => Ok(()),
        }
    }

    /// Fetches all loaded attributes of entities again, so that they are what the server has now.
    /// Local values stay. [`populate`](Self::populate) does this for chosen attributes.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let open = || ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open();
    /// let (session, other) = (open()?, open()?);
    /// let task = session.query("select bid from Task")?.first()?.expect("there are tasks");
    /// other.update("Task", &task, ftrack_api::data! { "bid": 7200 })?;
    /// other.commit()?;
    /// session.refresh(&task)?;
    /// assert_eq!(task.get::<f64>("bid")?, 7200.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`populate`](Self::populate).
    pub fn refresh(&self, entities: impl Entities) -> Result<()> {
        let entities = entities.to_entities()?;
        // Entities with the same attributes loaded are fetched together.
        let mut alike: BTreeMap<String, Vec<&Entity>> = BTreeMap::new();
        for entity in entities.iter() {
            let place = self.own(entity)?.handle.place;
            let loaded = self.shared.store.lock().loaded_names(place);
            alike.entry(loaded.join(",")).or_default().push(entity);
        }
        for (loaded, entities) in alike {
            self.populate(entities, &loaded)?;
        }
        Ok(())
    }

    /// Reads an attribute or a path, and fetches values that are not loaded.
    ///
    /// # Errors
    ///
    /// - Any error of [`Store::read`](crate::store::Store::read).
    /// - [`ErrorKind::NotLoaded`] if fetching is not allowed.
    /// - [`ErrorKind::NotFound`] if the server does not have the entity any more.
    /// - Any error of a request.
    pub(crate) fn read(&self, place: u32, path: &str) -> Result<Option<Value>> {
        let mut looked: Option<Missing> = None;
        let mut asked: Option<Missing> = None;
        let mut asked_after = 0;
        let mut reading = None;
        loop {
            let mut store = self.shared.store.lock();
            let invalidations = store.invalidations();
            let missing = match store.read(place, path)? {
                Read::Known(value) => return Ok(Some(value)),
                Read::NotSet => return Ok(None),
                Read::NotLoaded { place, path } => Missing {
                    entity: store.handle(place),
                    path,
                },
            };
            reading.get_or_insert_with(|| Reading {
                began: store.begin_read(),
                shared: &self.shared,
            });
            drop(store);
            let mode = self.populate_mode();
            match mode {
                Populate::Off => return Ok(None),
                Populate::Raise => {
                    return Err(self.not_loaded(&self.key_of(&missing.entity), &missing.path));
                }
                Populate::Peers | Populate::One => {}
            }
            // Another thread may have invalidated the value between the fetch and this read.
            let is_valid = asked_after == invalidations;
            if is_valid && asked.as_ref().is_some_and(|asked| asked.is(&missing)) {
                return Err(self.not_returned(&self.key_of(&missing.entity), &missing.path));
            }
            let peers = mode == Populate::Peers;
            let place = missing.entity.place;
            if !looked.as_ref().is_some_and(|looked| looked.is(&missing))
                && self.look_up(place, &missing.path, peers)
            {
                looked = Some(missing);
                continue;
            }
            self.fetch_missing(place, &missing.path, peers)?;
            (asked, asked_after) = (Some(missing), invalidations);
        }
    }

    fn key_of(&self, handle: &Handle) -> EntityKey {
        let name = self.schema().by_id(handle.type_id()).name();
        EntityKey::from_key(name, handle.key.clone())
    }

    /// Fetches those of `paths` whose first attribute is not loaded for the entity at `place`, in one
    /// request for it and its peers. The rest of a path is loaded when it is read.
    ///
    /// # Errors
    ///
    /// - Any error of [`read`](Self::read).
    pub(crate) fn load_paths(&self, place: u32, paths: &[String]) -> Result<()> {
        let mode = self.populate_mode();
        let own = self.shared.store.lock().type_of(place);
        let mut wanted: BTreeMap<String, (BTreeSet<EntityKey>, Vec<&str>)> = BTreeMap::new();
        for path in paths {
            self.schema().check_path(self.schema().by_id(own), path)?;
            let name = path.split('.').next().unwrap_or(path);
            let mut store = self.shared.store.lock();
            if !matches!(store.read(place, name)?, Read::NotLoaded { .. }) {
                continue;
            }
            if matches!(mode, Populate::Peers | Populate::One) && self.has_cache() {
                drop(store);
                self.look_up(place, name, mode == Populate::Peers);
                store = self.shared.store.lock();
                if !matches!(store.read(place, name)?, Read::NotLoaded { .. }) {
                    continue;
                }
            }
            let fetch = store.lacking(place, name, mode == Populate::Peers);
            drop(store);
            match mode {
                Populate::Off => return Ok(()),
                Populate::Raise => {
                    let entity = self.shared.store.lock().key(place);
                    return Err(self.not_loaded(&entity, path));
                }
                Populate::Peers | Populate::One => {}
            }
            let (keys, paths) = wanted.entry(fetch.entity_type).or_default();
            keys.extend(fetch.keys);
            paths.push(path);
        }
        for (entity_type, (keys, paths)) in wanted {
            for path in &paths {
                let counters = self.shared.api.counters();
                counters.loaded_on_access(&entity_type, path);
            }
            let keys: Vec<EntityKey> = keys.into_iter().collect();
            self.fetch(self.schema().entity_type(&entity_type)?, &keys, &paths)?;
        }
        Ok(())
    }

    /// Looks in the backing cache for an attribute that an entity and its peers lack. Returns whether
    /// it had a value for any of them.
    fn look_up(&self, place: u32, path: &str, peers: bool) -> bool {
        if !self.has_cache() {
            return false;
        }
        let name = path.split('.').next().unwrap_or(path);
        let fetch = self.shared.store.lock().lacking(place, name, peers);
        self.fill_from_cache(&fetch)
    }

    /// Fetches attributes of entities, those of one type together.
    pub(crate) fn fetch_by_type<'a>(
        &self,
        wanted: impl IntoIterator<Item = (EntityKey, &'a str)>,
    ) -> Result<()> {
        let mut by_type: BTreeMap<String, (BTreeSet<EntityKey>, BTreeSet<&str>)> = BTreeMap::new();
        for (key, path) in wanted {
            let entry = by_type.entry(key.entity_type().to_owned());
            let (keys, paths) = entry.or_default();
            keys.insert(key);
            paths.insert(path);
        }
        for (entity_type, (keys, paths)) in by_type {
            let entity_type = self.schema().entity_type(&entity_type)?;
            for path in &paths {
                self.schema().check_path(entity_type, path)?;
            }
            let keys: Vec<EntityKey> = keys.into_iter().collect();
            let paths: Vec<&str> = paths.into_iter().collect();
            self.fetch(entity_type, &keys, &paths)?;
        }
        Ok(())
    }

    /// Fetches `path` for the entity at `place` and for its peers that lack it too.
    fn fetch_missing(&self, place: u32, path: &str, peers: bool) -> Result<()> {
        let name = path.split('.').next().unwrap_or(path);
        let Fetch { entity_type, keys } = self.shared.store.lock().lacking(place, name, peers);
        let entity_type = self.schema().entity_type(&entity_type)?;
        self.schema().check_path(entity_type, path)?;
        log::debug!("loading {path} for {} × {}", keys.len(), entity_type.name());
        let counters = self.shared.api.counters();
        counters.loaded_on_access(entity_type.name(), path);
        self.fetch(entity_type, &keys, &[path])
    }

    pub(crate) fn fetch(
        &self,
        entity_type: &EntityType,
        keys: &[EntityKey],
        paths: &[&str],
    ) -> Result<()> {
        for keys in keys.chunks(MAX_KEYS_PER_REQUEST) {
            let statement = by_keys(entity_type, entity_type.name(), keys).fields(paths);
            let found = self.query(statement)?.all()?;
            if found.len() < keys.len() {
                self.mark_missing(keys, &found);
            }
        }
        Ok(())
    }

    /// Marks those of the entities with these keys as missing that the server did not return.
    pub(crate) fn mark_missing(&self, keys: &[EntityKey], found: &[Entity]) {
        let found: HashSet<&Key> = found.iter().map(|one| &one.handle.key).collect();
        let missing = keys.iter().filter(|key| !found.contains(key.key()));
        let missing: Vec<EntityKey> = missing.cloned().collect();
        self.shared.store.lock().not_found(&missing);
        self.remove_from_cache(&missing);
    }

    pub(crate) fn not_loaded(&self, entity: &EntityKey, path: &str) -> Error {
        Error::new(
            ErrorKind::NotLoaded,
            format!(
                "{path:?} of {entity} is not loaded; project it in the query, populate it, or \
                 allow loading on access"
            ),
        )
    }

    pub(crate) fn not_returned(&self, entity: &EntityKey, path: &str) -> Error {
        self.remove_from_cache(std::slice::from_ref(entity));
        Error::new(
            ErrorKind::NotFound,
            format!(
                "the server returned no {path:?} for {entity}: the entity has been deleted, or the \
                 user may not read it"
            ),
        )
    }
}

/// A read under way, which keeps what its requests bring from being evicted by the next of them.
struct Reading<'a> {
    shared: &'a Shared,
    began: Option<u64>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            self.shared.store.lock().end_read(began);
        }
    }
}

/// An attribute to fetch: the first of `path`. The handle keeps the record from being evicted in
/// the meantime.
struct Missing {
    entity: Arc<Handle>,
    path: String,
}

impl Missing {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entity, &other.entity) && self.path == other.path
    }
}
