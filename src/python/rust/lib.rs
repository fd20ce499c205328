//! The Rust side of the Python module `ftrack_api`: conversions, handles and callbacks.
//!
//! The Python side, in `src/python/ftrack_api`, has the names of the official client; what it does
//! not find in Python's own libraries it asks for here, and this asks the crate.

mod access;
mod cache;
mod change;
mod components;
mod containers;
mod convert;
mod entity;
mod error;
mod hub;
mod logging;
mod open;
mod operation;
mod query;
mod schema;
mod session;
mod signals;
mod structure;
mod transport;

use std::sync::OnceLock;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// The `sys` module of the interpreter that imported this one: there is one for each interpreter.
static HOME: OnceLock<usize> = OnceLock::new();

/// For the tests: a fault of ours, in the middle of whatever calls this.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "that is what it is for")]
#[pyo3::pyfunction]
fn _panic(message: &str) {
    panic!("{message}");
}

#[pymodule]
fn _core(into: &Bound<'_, PyModule>) -> PyResult<()> {
    // The classes below are static: a second interpreter would share their objects with the first.
    let home = into.py().import("sys")?.as_ptr() as usize;
    if *HOME.get_or_init(|| home) != home {
        return Err(PyImportError::new_err(
            "ftrack_api was imported by another interpreter of this process; sub-interpreters are \
             not supported",
        ));
    }
    logging::start();
    into.add("__version__", env!("CARGO_PKG_VERSION"))?;
    into.add_class::<session::Session>()?;
    into.add_class::<entity::Entity>()?;
    into.add_class::<query::Query>()?;
    into.add_class::<query::Pages>()?;
    into.add_class::<containers::Collection>()?;
    into.add_class::<containers::Metadata>()?;
    into.add_class::<containers::CustomAttributes>()?;
    into.add_class::<access::Accessor>()?;
    into.add_class::<access::Reader>()?;
    into.add_class::<structure::Structure>()?;
    into.add_class::<hub::Hub>()?;
    into.add_class::<hub::Filter>()?;
    into.add_class::<transport::Pending>()?;
    #[cfg(debug_assertions)]
    into.add_function(pyo3::wrap_pyfunction!(_panic, into)?)?;
    Ok(())
}
