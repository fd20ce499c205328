//! A session: the base of the class that Python sees, with its entities' identities.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ftrack_api::EntityKey;
use ftrack_api::config::Populate;
use ftrack_api::serde_json::Value as Json;
use ftrack_api::session::{AttributeStrategy, ThreadScope};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyWeakrefReference};

use crate::convert::{from_json, to_entities, to_json};
use crate::entity::Entity;
use crate::error::{About, raise};
use crate::hub::Hub;
use crate::logging::released;
use crate::open;
use crate::query::Query;

/// The rows of a page, as in the official client.
const DEFAULT_PAGE: u64 = 500;

/// Numbers objects and scopes.
static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The settings of `auto_populating` and `operation_recording` blocks of this thread.
    static SCOPES: RefCell<HashMap<u64, ThreadScope>> = RefCell::default();
}

/// A class of entities and its `__new__`.
struct Class {
    class: Py<PyAny>,
    new: Py<PyAny>,
}

#[pyclass(subclass, weakref, dict, frozen, module = "ftrack_api._core")]
pub(crate) struct Session {
    core: OnceLock<ftrack_api::Session>,
    /// The Python object of each entity that has one. Never locked while Python code may run.
    known: Mutex<HashMap<EntityKey, (u64, Py<PyWeakrefReference>)>>,
    classes: Mutex<HashMap<String, Class>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(crate) fn core(&self) -> PyResult<&ftrack_api::Session> {
        self.core.get().ok_or_else(|| {
            PyRuntimeError::new_err(
                "the session is not open: call super().__init__() first, and do not use the \
                 session before it has returned",
            )
        })
    }

    pub(crate) fn populates(&self) -> bool {
        let mode = self.core.get().map(ftrack_api::Session::populate_mode);
        mode != Some(Populate::Off)
    }

    /// The Python object for an entity.
    pub(crate) fn wrap<'py>(
        session: &Bound<'py, Self>,
        core: ftrack_api::Entity,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = session.py();
        let key = core.key();
        if let Some(found) = session.get().find(py, &key) {
            return Ok(found);
        }
        let (class, new) = Self::class_of(session, key.entity_type())?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = Entity::make(&new, &class, session, core, number)?;
        let weak = PyWeakrefReference::new(&made)?.unbind();
        // Another thread may have made one meanwhile, if the interpreter switched in between.
        if let Some(found) = session.get().find(py, &key) {
            return Ok(found);
        }
        let old = lock(&session.get().known).insert(key, (number, weak));
        drop(old);
        Ok(made)
    }

    pub(crate) fn wrap_all<'py>(
        session: &Bound<'py, Self>,
        entities: impl IntoIterator<Item = ftrack_api::Entity>,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(session.py());
        for entity in entities {
            list.append(Self::wrap(session, entity)?)?;
        }
        Ok(list)
    }

    /// The Python object for the entity that a reference names.
    pub(crate) fn entity_of<'py>(
        session: &Bound<'py, Self>,
        key: &EntityKey,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(found) = session.get().find(session.py(), key) {
            return Ok(found);
        }
        let core = session.get().core()?;
        let entity = core.entity(key.clone()).map_err(raise(About::Entity))?;
        Self::wrap(session, entity)
    }

    fn find<'py>(&self, py: Python<'py>, key: &EntityKey) -> Option<Bound<'py, PyAny>> {
        let weak = {
            let known = lock(&self.known);
            known.get(key).map(|(_, weak)| weak.clone_ref(py))
        };
        weak?.bind(py).upgrade()
    }

    /// The object of this number is gone.
    pub(crate) fn forget(&self, key: &EntityKey, number: u64) {
        let gone = {
            let mut known = lock(&self.known);
            match known.get(key) {
                Some((have, _)) if *have == number => known.remove(key),
                _ => None,
            }
        };
        drop(gone);
    }

    fn class_of<'py>(
        session: &Bound<'py, Self>,
        name: &str,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = session.py();
        {
            let classes = lock(&session.get().classes);
            if let Some(found) = classes.get(name) {
                return Ok((found.class.bind(py).clone(), found.new.bind(py).clone()));
            }
        }
        let class = session.call_method1(intern!(py, "_class_of"), (name,))?;
        let new = class.getattr(intern!(py, "__new__"))?;
        let entry = Class {
            class: class.clone().unbind(),
            new: new.clone().unbind(),
        };
        let old = lock(&session.get().classes).insert(name.to_owned(), entry);
        drop(old);
        Ok((class, new))
    }
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            core: OnceLock::new(),
            known: Mutex::default(),
            classes: Mutex::default(),
        }
    }

    /// Opens it with the settings of [`open::builder`].
    fn _open(slf: &Bound<'_, Self>, options: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = slf.py();
        let builder = open::builder(slf, options)?;
        let core = released(py, || builder.open()).map_err(raise(About::Session))?;
        let _ = slf.get().core.set(core);
        Ok(())
    }

    #[getter]
    fn closed(&self) -> bool {
        self.core.get().is_none_or(ftrack_api::Session::is_closed)
    }

    #[getter]
    fn server_url(&self) -> PyResult<String> {
        Ok(self.core()?.server_url().to_owned())
    }

    #[getter]
    fn api_user(&self) -> PyResult<String> {
        Ok(self.core()?.api_user().to_owned())
    }

    fn _close(&self, py: Python<'_>) {
        if let Some(core) = self.core.get() {
            released(py, || core.close());
        }
    }

    fn _server_information<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let information = self.core()?.server_information();
        from_json(py, &Json::Object(information.as_object().clone()))
    }

    fn _hub(&self) -> PyResult<Hub> {
        Ok(Hub::new(self.core()?.event_hub().clone()))
    }

    fn _query(slf: &Bound<'_, Self>, expression: &str, page_size: u64) -> PyResult<Query> {
        let core = slf.get().core()?;
        if core.is_closed() {
            // Said at once, not when the rows are asked for.
            let message = "Connection closed.";
            let closed = ftrack_api::Error::new(ftrack_api::ErrorKind::Closed, message);
            return Err(raise(About::Query)(closed));
        }
        let query = core.query(expression).map_err(raise(About::Query))?;
        Ok(Query {
            core: match page_size {
                DEFAULT_PAGE => query,
                // A page size that was set bounds a response, so a request has one page.
                _ => query.page_size(page_size).pages_per_request(1),
            },
            session: slf.clone().unbind(),
        })
    }

    fn _get<'py>(
        slf: &Bound<'py, Self>,
        entity_type: &str,
        key: Vec<String>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let core = slf.get().core()?;
        let key = EntityKey::composite(entity_type, key);
        let found = released(py, || core.get(entity_type, key));
        let found = found.map_err(raise(About::Query))?;
        found.map(|found| Self::wrap(slf, found)).transpose()
    }

    fn _reset(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        released(py, || core.reset());
        Ok(())
    }

    fn _populate(
        &self,
        py: Python<'_>,
        entities: &Bound<'_, PyAny>,
        projections: &str,
    ) -> PyResult<()> {
        let core = self.core()?;
        let entities = to_entities(entities)?;
        released(py, || core.populate(entities, projections)).map_err(raise(About::Query))
    }

    /// Sends actions and returns the replies, as JSON.
    fn _send<'py>(
        &self,
        py: Python<'py>,
        actions: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let core = self.core()?;
        let Json::Array(actions) = to_json(actions)? else {
            return Err(PyValueError::new_err("actions are given as a list"));
        };
        let replies = released(py, || core.call(&actions));
        let replies = replies.map_err(raise(About::Session))?;
        from_json(py, &Json::Array(replies))
    }

    /// Takes entities in the wire format into the session.
    fn _decode<'py>(
        slf: &Bound<'py, Self>,
        entities: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let json = to_json(entities)?;
        let core = slf.get().core()?;
        let found = core.decode(&json).map_err(raise(About::Session))?;
        Self::wrap_all(slf, found)
    }

    fn _encode<'py>(
        slf: &Bound<'py, Self>,
        entity: &Bound<'py, Entity>,
        strategy: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let core = slf.get().core()?;
        let entity = &entity.get().core;
        let strategy = match strategy {
            "all" => AttributeStrategy::All,
            "set_only" => AttributeStrategy::SetOnly,
            "modified_only" => AttributeStrategy::ModifiedOnly,
            "persisted_only" => AttributeStrategy::PersistedOnly,
            _ => {
                let message = format!("Unsupported entity_attribute_strategy {strategy:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        let json = released(py, || core.encode(entity, strategy));
        // Points in time stay as the wire has them: the caller makes a text of it.
        let text = json.map_err(raise(About::Entity))?.to_string();
        py.import("json")?.call_method1("loads", (text,))
    }

    fn _reference<'py>(
        &self,
        py: Python<'py>,
        entity: &Bound<'py, Entity>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reference = self.core()?.entity_reference(&entity.get().core);
        from_json(py, &reference.map_err(raise(About::Entity))?)
    }

    fn _file_type(&self, py: Python<'_>, path: &str) -> PyResult<String> {
        let core = self.core()?;
        Ok(released(py, || core.file_type_from_string(path)))
    }

    #[getter]
    fn _populates(&self) -> bool {
        self.populates()
    }

    #[getter]
    fn _records(&self) -> bool {
        self.core
            .get()
            .is_none_or(ftrack_api::Session::is_recording)
    }

    /// Sets something for this thread until `_leave` is called with the number.
    fn _enter(&self, what: &str, on: bool) -> PyResult<u64> {
        let core = self.core()?;
        let scope = match what {
            "populate" if on => core.auto_populating(Populate::Peers),
            "populate" => core.auto_populating(Populate::Off),
            _ => core.operation_recording(on),
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        SCOPES.with_borrow_mut(|scopes| scopes.insert(number, scope));
        Ok(number)
    }

    #[staticmethod]
    fn _leave(number: u64) {
        drop(SCOPES.with_borrow_mut(|scopes| scopes.remove(&number)));
    }

    fn _cache_keys(&self) -> PyResult<Vec<String>> {
        let keys = self.core()?.cache().keys();
        Ok(keys.iter().map(ToString::to_string).collect())
    }

    /// Forgets what is loaded of the entities with these keys, or of all.
    fn _cache_clear(&self, py: Python<'_>, keys: Option<HashSet<String>>) -> PyResult<()> {
        let core = self.core()?;
        let Some(keys) = keys else {
            released(py, || core.cache().clear());
            return Ok(());
        };
        for key in core.cache().keys() {
            if keys.contains(&key.to_string()) {
                core.cache().remove(key).map_err(raise(About::Session))?;
            }
        }
        Ok(())
    }

    /// Drops the class of a type, which is made again on next use.
    fn _forget_class(&self, name: &str) {
        let old = lock(&self.classes).remove(name);
        drop(old);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(classes) = self.classes.try_lock() {
            for entry in classes.values() {
                visit.call(&entry.class)?;
                visit.call(&entry.new)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn seconds_of(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("{seconds} seconds: {error}")))
}

/// Closing the last handle may wait for the network, so not with the interpreter's lock.
impl Drop for Session {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            Python::attach(|py| released(py, || drop(core)));
        }
    }
}
