//! Errors of the crate as Python exceptions, and back.

use std::error::Error as _;

use ftrack_api::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::signals;

/// What a call was about: `ftrack_api.exception` chooses the class by it and the kind.
#[derive(Clone, Copy)]
pub(crate) enum About {
    Session,
    Query,
    Entity,
    Collection,
    Location,
    Hub,
}

impl About {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Query => "query",
            Self::Entity => "entity",
            Self::Collection => "collection",
            Self::Location => "location",
            Self::Hub => "hub",
        }
    }
}

/// For `map_err`: the exception for an error.
pub(crate) fn raise(about: About) -> impl Fn(Error) -> PyErr {
    move |error| Python::attach(|py| exception(py, &error, about).unwrap_or_else(|error| error))
}

/// [`raise`] for what callbacks and accessors return.
pub(crate) fn raise_any(about: About) -> impl Fn(anyhow::Error) -> PyErr {
    move |error| {
        let error = match error.downcast::<PyErr>() {
            Ok(own) => return own,
            Err(error) => error,
        };
        let error = match error.downcast::<Error>() {
            Ok(own) => own,
            Err(error) => Error::new(ErrorKind::Callback, format!("{error:#}")),
        };
        raise(about)(error)
    }
}

/// An exception that a callback or Ctrl-C raised arrives as what it was.
fn exception(py: Python<'_>, error: &Error, about: About) -> PyResult<PyErr> {
    if error.kind() == ErrorKind::Cancelled
        && let Some(raised) = signals::raised()
    {
        return Ok(raised);
    }
    let details = PyDict::new(py);
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(raised) = found.downcast_ref::<PyErr>() {
            return Ok(raised.clone_ref(py));
        }
        if let Some(number) = found
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error)
        {
            details.set_item("errno", number)?;
        }
        cause = found.source();
    }
    details.set_item("kind", format!("{:?}", error.kind()))?;
    if let Some(server) = error.server() {
        details.set_item("exception", &server.exception)?;
        details.set_item("content", &server.content)?;
        details.set_item("code", &server.code)?;
        details.set_item("status", server.status)?;
        details.set_item("operation", server.operation)?;
        details.set_item("attribute", &server.attribute)?;
    }
    let module = py.import("ftrack_api.exception")?;
    let made = module.call_method1("_from_core", (error.to_string(), details, about.name()))?;
    Ok(PyErr::from_value(made))
}

/// An exception of a callback as an error of the crate, which keeps it as its source.
pub(crate) fn from_callback(py: Python<'_>, raised: PyErr) -> anyhow::Error {
    let kind = py
        .import("ftrack_api.exception")
        .and_then(|module| module.call_method1("_kind_of", (raised.value(py),)))
        .and_then(|name| name.extract::<String>());
    let kind = match kind.as_deref() {
        Ok("NotFound") => ErrorKind::NotFound,
        Ok("Unsupported") => ErrorKind::Unsupported,
        Ok("Permission") => ErrorKind::Permission,
        Ok("Validation") => ErrorKind::Validation,
        Ok("Duplicate") => ErrorKind::Duplicate,
        Ok("Io") => ErrorKind::Io,
        _ => ErrorKind::Callback,
    };
    let message = raised.value(py).to_string();
    Error::new(kind, message).with_source(raised).into()
}
