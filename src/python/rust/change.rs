//! The unit of work: what a session creates, deletes, records and commits.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::convert::to_data;
use crate::entity::Entity;
use crate::error::{About, raise};
use crate::logging::released;
use crate::operation;
use crate::session::Session;

#[pymethods]
impl Session {
    fn _create<'py>(
        slf: &Bound<'py, Self>,
        entity_type: &str,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let core = slf.get().core()?;
        let kind = core.schema().entity_type(entity_type);
        let data = to_data(kind.ok(), data)?;
        let made = released(py, || core.create(entity_type, data));
        Self::wrap(slf, made.map_err(raise(About::Entity))?)
    }

    fn _ensure<'py>(
        slf: &Bound<'py, Self>,
        entity_type: &str,
        data: &Bound<'py, PyAny>,
        keys: Vec<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let core = slf.get().core()?;
        let kind = core.schema().entity_type(entity_type);
        let data = to_data(kind.ok(), data)?;
        let found = released(py, || core.ensure(entity_type, data, keys));
        Self::wrap(slf, found.map_err(raise(About::Entity))?)
    }

    fn _delete(&self, py: Python<'_>, entity: &Bound<'_, Entity>) -> PyResult<()> {
        let core = self.core()?;
        let entity = &entity.get().core;
        released(py, || core.delete(entity)).map_err(raise(About::Entity))
    }

    fn _commit(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        released(py, || core.commit()).map_err(raise(About::Session))
    }

    fn _rollback(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        released(py, || core.rollback());
        Ok(())
    }

    fn _merge<'py>(
        slf: &Bound<'py, Self>,
        entity: &Bound<'py, Entity>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let core = slf.get().core()?;
        let entity = &entity.get().core;
        let merged = released(slf.py(), || core.merge(entity));
        Self::wrap(slf, merged.map_err(raise(About::Entity))?)
    }

    /// Entities in the given state, `created`, `modified` or `deleted`.
    fn _changed<'py>(slf: &Bound<'py, Self>, state: &str) -> PyResult<Bound<'py, PyList>> {
        let core = slf.get().core()?;
        let found = match state {
            "created" => core.created(),
            "modified" => core.modified(),
            _ => core.deleted(),
        };
        Self::wrap_all(slf, found)
    }

    fn _operations<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let list = PyList::empty(py);
        for operation in slf.get().core()?.recorded_operations() {
            list.append(operation::to_dict(slf, operation)?)?;
        }
        Ok(list)
    }

    fn _operation_count(&self) -> PyResult<usize> {
        Ok(self.core()?.recorded_operations().len())
    }
}
