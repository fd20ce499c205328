//! The settings of a session, as Python names them.

use ftrack_api::Session as Core;
use ftrack_api::config::{Populate, SchemaCache};
use ftrack_api::session::SessionBuilder;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyWeakrefReference};

use crate::cache;
use crate::session::{Session, seconds_of};
use crate::transport::CallHook;

/// Every setting has its name in `options`, or its default.
pub(crate) fn builder(
    session: &Bound<'_, Session>,
    options: &Bound<'_, PyDict>,
) -> PyResult<SessionBuilder> {
    let py = session.py();
    let given = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
        Ok(options.get_item(name)?.filter(|value| !value.is_none()))
    };
    let text = |name: &str| -> PyResult<Option<String>> {
        given(name)?.map(|value| value.extract()).transpose()
    };
    let pairs = |name: &str| -> PyResult<Vec<(String, String)>> {
        let Some(given) = given(name)? else {
            return Ok(Vec::new());
        };
        let given = py.get_type::<PyDict>().call1((given,))?;
        let pairs = given.cast::<PyDict>()?.iter();
        pairs
            .map(|(name, value)| Ok((name.str()?.to_string(), value.str()?.to_string())))
            .collect()
    };
    let truth = |name: &str| -> PyResult<bool> {
        given(name)?.map_or(Ok(false), |value| value.is_truthy())
    };
    let mut builder = Core::builder()
        .plugin_paths(Vec::<String>::new())
        .strict_api(truth("strict_api")?);
    if !truth("auto_populate")? {
        builder = builder.populate(Populate::Off);
    }
    if let Some(url) = text("server_url")? {
        builder = builder.server_url(url);
    }
    if let Some(key) = text("api_key")? {
        builder = builder.api_key(key);
    }
    if let Some(user) = text("api_user")? {
        builder = builder.api_user(user);
    }
    for (name, value) in pairs("headers")? {
        builder = builder.header(name, value);
    }
    for (name, value) in pairs("cookies")? {
        builder = builder.cookie(name, value);
    }
    if let Some(seconds) = given("timeout")? {
        builder = builder.timeout(seconds_of(seconds.extract()?)?);
    }
    if let Some(cache) = given("schema_cache_path")? {
        builder = match cache.extract::<String>() {
            Ok(path) => builder.schema_cache(SchemaCache::Dir(path.into())),
            Err(_) if cache.is_truthy()? => {
                let path = py.import("os")?.call_method1("fspath", (cache,))?;
                builder.schema_cache(SchemaCache::Dir(path.extract::<String>()?.into()))
            }
            Err(_) => builder.schema_cache(SchemaCache::Off),
        };
    }
    if let Some(made) = given("cache")? {
        builder = builder.cache(cache::PythonCache::new(&made)?);
    }
    if let Some(maker) = given("cache_key_maker")? {
        builder = builder.cache_key_maker(cache::PythonKeyMaker::new(&maker)?);
    }
    if truth("call")? {
        let weak = PyWeakrefReference::new(session.as_any())?.unbind();
        builder = builder.wrap_transport(|inner| CallHook::new(inner, weak));
    }
    Ok(builder)
}
