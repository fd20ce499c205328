//! Ctrl-C while a call waits: Python notices it only in the main thread, and only when asked.

use std::cell::RefCell;

use ftrack_api::CancelToken;
use ftrack_api::session::ThreadScope;
use pyo3::prelude::*;

thread_local! {
    /// What a signal's handler has raised in this thread, for which its call was cancelled.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What a signal's handler has raised while the call that ended last was waiting.
pub(crate) fn raised() -> Option<PyErr> {
    RAISED.take()
}

/// Until the scope ends, what this thread waits for is cancelled if a signal's handler raises.
pub(crate) fn heed() -> ThreadScope {
    RAISED.set(None);
    CancelToken::asking(is_interrupted).enter()
}

fn is_interrupted() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(raised) => {
            RAISED.set(Some(raised));
            true
        }
    })
}
