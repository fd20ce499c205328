//! Queries and their pages.

use std::mem;
use std::sync::Mutex;

use ftrack_api::session::QueryPages;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::error::{About, raise};
use crate::logging::released;
use crate::session::{Session, lock};

#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Query {
    pub(crate) core: ftrack_api::Query,
    pub(crate) session: Py<Session>,
}

#[pymethods]
impl Query {
    fn pages(slf: &Bound<'_, Self>) -> Pages {
        Pages {
            core: Mutex::new(State::Ready(slf.get().core.pages())),
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

enum State {
    Ready(QueryPages),
    /// A thread fetches a page: no other waits for its request with a lock held.
    Busy,
    Ended,
}

/// The pages of a query, each fetched when it is asked for.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Pages {
    core: Mutex<State>,
    query: Py<Query>,
}

#[pymethods]
impl Pages {
    /// The entities of the next page; `None` at the end.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut pages = match mem::replace(&mut *lock(&self.core), State::Busy) {
            State::Ready(pages) => pages,
            State::Busy => {
                let message = "another thread is fetching a page of this query";
                return Err(PyRuntimeError::new_err(message));
            }
            State::Ended => {
                *lock(&self.core) = State::Ended;
                return Ok(None);
            }
        };
        let query = self.query.get();
        let page = released(py, || -> ftrack_api::Result<_> {
            let page = pages.next().transpose()?;
            query.complete(page.as_ref().and_then(|page| page.first()))?;
            Ok(page)
        });
        *lock(&self.core) = match &page {
            Ok(Some(_)) => State::Ready(pages),
            _ => State::Ended,
        };
        let Some(page) = page.map_err(raise(About::Query))? else {
            return Ok(None);
        };
        Session::wrap_all(query.session.bind(py), page).map(Some)
    }
}
