//! An entity: the base of the classes that Python sees.

use std::cell::RefCell;

use ftrack_api::schema::{Attribute, AttributeKind};
use ftrack_api::{EntityState, ErrorKind, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::containers;
use crate::convert::{from_value, to_data, to_value};
use crate::error::{About, raise};
use crate::logging::released;
use crate::session::Session;

thread_local! {
    /// What the next new object of a Python class stands for. A stack: making an object may run
    /// the garbage collector, and that may make others.
    static NEXT: RefCell<Vec<(ftrack_api::Entity, u64)>> = const { RefCell::new(Vec::new()) };
}

/// One entity of a session. There is at most one such object for each at any time.
#[pyclass(subclass, weakref, frozen, module = "ftrack_api._core")]
pub(crate) struct Entity {
    pub(crate) core: ftrack_api::Entity,
    pub(crate) session: Py<Session>,
    /// Tells this object from a later one for the same entity.
    pub(crate) number: u64,
}

impl Entity {
    /// A new object of a Python class, by its `__new__`.
    pub(crate) fn make<'py>(
        new: &Bound<'py, PyAny>,
        class: &Bound<'py, PyAny>,
        session: &Bound<'py, Session>,
        core: ftrack_api::Entity,
        number: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let depth = NEXT.with_borrow_mut(|next| {
            next.push((core, number));
            next.len()
        });
        let made = new.call1((class, session));
        // A custom `__new__` may not have called this one.
        NEXT.with_borrow_mut(|next| next.truncate(depth - 1));
        made
    }

    fn kind_of(&self, name: &str) -> Option<&AttributeKind> {
        let attribute = self.core.type_info().attribute(name);
        attribute.ok().map(Attribute::kind)
    }
}

#[pymethods]
impl Entity {
    #[new]
    fn new(session: Py<Session>) -> PyResult<Self> {
        let next = NEXT.with_borrow_mut(Vec::pop);
        let (core, number) = next.ok_or_else(|| {
            PyTypeError::new_err("entities are made by session.create() and by queries")
        })?;
        Ok(Self {
            core,
            session,
            number,
        })
    }

    #[getter]
    fn session<'py>(&self, py: Python<'py>) -> Bound<'py, Session> {
        self.session.bind(py).clone()
    }

    #[getter]
    fn _id(&self) -> String {
        self.core.id()
    }

    /// The values of the primary key.
    fn _key(&self) -> Vec<String> {
        self.core.key().parts().collect()
    }

    fn _describe(&self) -> String {
        format!("{:?}", self.core)
    }

    fn _state(&self) -> Option<&'static str> {
        Some(match self.core.state()? {
            EntityState::Created => "created",
            EntityState::Modified => "modified",
            _ => "deleted",
        })
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let text = name.to_cow()?;
        let text = &*text;
        let session = this.session.bind(py);
        match this.kind_of(text) {
            Some(AttributeKind::Collection(_) | AttributeKind::Mapped(_)) => {
                if !session.get().populates() && this.known(text)?.is_none() {
                    return not_set(py);
                }
                containers::live(slf, text)
            }
            Some(_) => {
                let value = match this.known(text)? {
                    Some(value) => Some(value),
                    None => released(py, || this.core.value(text)).map_err(raise(About::Entity))?,
                };
                match value {
                    Some(value) => from_value(session, value),
                    None => not_set(py),
                }
            }
            None => {
                let value = released(py, || this.core.value(text));
                match value.map_err(raise(About::Entity))? {
                    Some(value) => from_value(session, value),
                    None => not_set(py),
                }
            }
        }
    }

    fn __setitem__(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let kind = self.kind_of(name);
        let value = to_value(value, kind)?;
        released(py, || self.core.set(name, value)).map_err(raise(About::Entity))
    }

    fn __delitem__(&self, name: &str) -> PyResult<()> {
        self.core.unset(name).map_err(raise(About::Entity))
    }

    /// All values at once, in one request for what is missing: pairs of names and values.
    fn _items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let this = slf.get();
        let session = this.session.bind(py);
        let items = released(py, || this.core.items()).map_err(raise(About::Entity))?;
        let list = PyList::empty(py);
        for (name, value) in items {
            let value = match (this.kind_of(name), value) {
                (Some(AttributeKind::Collection(_) | AttributeKind::Mapped(_)), Some(_)) => {
                    containers::live(slf, name)?
                }
                (_, Some(value)) => from_value(session, value)?,
                (_, None) => not_set(py)?,
            };
            list.append((name, value))?;
        }
        Ok(list)
    }

    /// Sets several attributes: all of them or none.
    fn _update(&self, py: Python<'_>, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let data = to_data(Some(self.core.type_info()), values)?;
        let session = self.core.session();
        released(py, || {
            session.update(self.core.entity_type(), self.core.key(), data)
        })
        .map_err(raise(About::Entity))
    }

    /// The value without a request, of the side that is named; `NOT_SET` if there is none.
    fn _peek<'py>(slf: &Bound<'py, Self>, name: &str, side: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let core = &slf.get().core;
        let value = match side {
            "local" => core.local_value(name),
            "remote" => core.remote_value(name),
            _ => core.known_value(name),
        };
        match value.map_err(raise(About::Entity))? {
            Some(value) => from_value(slf.get().session.bind(py), value),
            None => not_set(py),
        }
    }

    fn clear(&self) {
        self.core.clear();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.session)
    }
}

impl Entity {
    /// The value, if it is known without a request.
    fn known(&self, name: &str) -> PyResult<Option<Value>> {
        match self.core.known_value(name) {
            Ok(value) => Ok(value),
            Err(error) if error.kind() == ErrorKind::UnknownAttribute => Ok(None),
            Err(error) => Err(raise(About::Entity)(error)),
        }
    }
}

pub(crate) fn not_set(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import(intern!(py, "ftrack_api.symbol"))?
        .getattr(intern!(py, "NOT_SET"))
}

impl Drop for Entity {
    fn drop(&mut self) {
        self.session.get().forget(&self.core.key(), self.number);
    }
}
