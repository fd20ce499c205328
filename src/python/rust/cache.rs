//! Caches and key makers written in Python.

use ftrack_api::cache::Cache;
use ftrack_api::cache::python::KeyMaker;
use ftrack_api::serde_json::Value as Json;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyWeakrefReference};

use crate::convert::from_json;
use crate::error::from_callback;

/// A cache by the interface of the official client: `get` raises `KeyError`, values are texts.
/// The session on the Python side keeps it alive, where the garbage collector sees that.
pub(crate) struct PythonCache(Py<PyWeakrefReference>);

impl PythonCache {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(PyWeakrefReference::new(object)?.unbind()))
    }

    fn call<T>(
        &self,
        run: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> anyhow::Result<T> {
        Python::attach(|py| {
            let cache = self.0.bind(py).upgrade();
            let cache = cache.ok_or_else(|| anyhow::anyhow!("the session is gone"))?;
            run(&cache).map_err(|raised| from_callback(py, raised))
        })
    }
}

/// `None` for the exception that stands for it.
fn unless_missing<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(raised) if raised.is_instance_of::<PyKeyError>(py) => Ok(None),
        Err(raised) => Err(raised),
    }
}

impl Cache for PythonCache {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        self.call(|cache| {
            let found = cache.call_method1("get", (key,));
            let found = unless_missing(cache.py(), found)?;
            found
                .filter(|value| !value.is_none())
                .map(|value| value.extract())
                .transpose()
        })
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        self.call(|cache| cache.call_method1("set", (key, value)).map(drop))
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.call(|cache| {
            let removed = cache.call_method1("remove", (key,));
            Ok(unless_missing(cache.py(), removed)?.is_some())
        })
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.call(|cache| {
            let keys = cache.call_method0("keys")?;
            keys.try_iter()?.map(|key| key?.extract()).collect()
        })
    }
}

pub(crate) struct PythonKeyMaker(Py<PyWeakrefReference>);

impl PythonKeyMaker {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(PyWeakrefReference::new(object)?.unbind()))
    }
}

impl KeyMaker for PythonKeyMaker {
    fn key(&self, items: &[Json]) -> String {
        let key = Python::attach(|py| {
            let items = items.iter().map(|item| from_json(py, item));
            let items = items.collect::<PyResult<Vec<_>>>()?;
            let items = PyTuple::new(py, items)?;
            let Some(maker) = self.0.bind(py).upgrade() else {
                return Err(PyKeyError::new_err("the session is gone"));
            };
            let key = maker.call_method1("key", items)?;
            PyResult::Ok(key.str()?.to_string())
        });
        // Without a key of its own an item has that of the default.
        key.unwrap_or_else(|raised| {
            Python::attach(|py| raised.write_unraisable(py, None));
            ftrack_api::cache::python::StringKeyMaker.key(items)
        })
    }
}
