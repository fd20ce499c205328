//! Queries and their pages.

use std::sync::Mutex;

use ftrack_api::session::QueryPages;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::error::{About, raise};
use crate::logging::released;
use crate::session::Session;

#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Query {
    pub(crate) core: ftrack_api::Query,
    pub(crate) session: Py<Session>,
}

#[pymethods]
impl Query {
    fn pages(slf: &Bound<'_, Self>) -> Pages {
        Pages {
            core: Mutex::new(Some(slf.get().core.pages())),
            query: slf.clone().unbind(),
        }
    }

    fn one<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = released(py, || {
            let found = self.core.one()?;
            self.complete(Some(&found)).map(|()| found)
        });
        let found = found.map_err(raise(About::Query))?;
        Session::wrap(self.session.bind(py), found)
    }

    fn first<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = released(py, || {
            let found = self.core.first()?;
            self.complete(found.as_ref()).map(|()| found)
        });
        let found = found.map_err(raise(About::Query))?;
        let session = self.session.bind(py);
        found.map(|found| Session::wrap(session, found)).transpose()
    }

    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        released(py, || self.core.count()).map_err(raise(About::Query))
    }

    fn __str__(&self) -> String {
        self.core.statement().to_string()
    }
}

impl Query {
    /// Loads what reading projected custom attributes needs, once for a session: then reading them
    /// asks for nothing.
    fn complete(&self, first: Option<&ftrack_api::Entity>) -> ftrack_api::Result<()> {
        if let Some(first) = first
            && first
                .known_value("custom_attributes")
                .is_ok_and(|value| value.is_some())
        {
            first.custom_attributes()?.keys()?;
        }
        Ok(())
    }
}

/// The pages of a query, each fetched when it is asked for.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Pages {
    /// Taken out while a page is fetched: no thread waits for another's request with a lock held.
    core: Mutex<Option<QueryPages>>,
    query: Py<Query>,
}

#[pymethods]
impl Pages {
    /// The entities of the next page; `None` at the end.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let taken = self.core.lock().map_or(None, |mut pages| pages.take());
        let Some(mut pages) = taken else {
            return Ok(None);
        };
        let query = self.query.get();
        let page = released(py, || -> ftrack_api::Result<_> {
            let page = pages.next().transpose()?;
            query.complete(page.as_ref().and_then(|page| page.first()))?;
            Ok(page)
        });
        let Some(page) = page.map_err(raise(About::Query))? else {
            return Ok(None);
        };
        if let Ok(mut place) = self.core.lock() {
            *place = Some(pages);
        }
        Session::wrap_all(query.session.bind(py), page).map(Some)
    }
}
