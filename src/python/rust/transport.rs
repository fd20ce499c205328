//! Lets a `call` that a subclass of the session overrides see the session's own requests.

use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftrack_api::transport::{Request, Response, Transport};
use ftrack_api::url::Url;
use ftrack_api::{Error, ErrorKind, serde_json};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;

use crate::convert::{from_json, to_json};
use crate::error::{About, raise};
use crate::logging::released;
use crate::session::lock;

/// Hands requests with actions to `session.call`, and all others on.
pub(crate) struct CallHook {
    inner: Arc<dyn Transport>,
    session: Py<PyWeakrefReference>,
}

impl CallHook {
    pub(crate) fn new(inner: Box<dyn Transport>, session: Py<PyWeakrefReference>) -> Self {
        Self {
            inner: inner.into(),
            session,
        }
    }

    /// `None` if there is no session any more.
    fn by_call(
        &self,
        py: Python<'_>,
        request: &Request<'_>,
    ) -> ftrack_api::Result<Option<Response>> {
        let Some(session) = self.session.bind(py).upgrade() else {
            return Ok(None);
        };
        let Ok(serde_json::Value::Array(actions)) = serde_json::from_slice(request.body) else {
            return Ok(None);
        };
        let actions = from_json(py, &serde_json::Value::Array(actions)).map_err(error_of)?;
        let pending = Pending {
            inner: self.inner.clone(),
            url: request.url.clone(),
            headers: request.headers.to_vec(),
            timeout: request.timeout,
            is_sent: AtomicBool::new(false),
            received: Mutex::default(),
        };
        let pending = Bound::new(py, pending).map_err(error_of)?;
        let replies = session.call_method1("_call_for", (actions, &pending));
        let replies =
            replies.map_err(
                |raised| match pending.get().is_sent.load(Ordering::Relaxed) {
                    // The server may have done it: the next commit asks.
                    true => {
                        Error::new(ErrorKind::Cancelled, raised.to_string()).with_source(raised)
                    }
                    false => error_of(raised),
                },
            )?;
        let received = lock(&pending.get().received).take();
        let Some((mut response, body, given)) = received else {
            return Err(error_of(PyRuntimeError::new_err(
                "call() of the session's class did not call super().call()",
            )));
        };
        let body = match replies.is(&given) {
            true => body,
            false => to_json(&replies)
                .map_err(error_of)?
                .to_string()
                .into_bytes(),
        };
        response.body = Box::new(Cursor::new(body));
        Ok(Some(response))
    }
}

impl Transport for CallHook {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        if request.method != "POST" {
            return self.inner.send(request);
        }
        let replies = Python::attach(|py| self.by_call(py, request));
        match replies? {
            Some(response) => Ok(response),
            None => self.inner.send(request),
        }
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// An error of the transport passes as it is; what `call` raises reaches the caller as it was.
fn error_of(raised: PyErr) -> Error {
    Error::new(ErrorKind::Callback, raised.to_string()).with_source(raised)
}

type Received = (Response, Vec<u8>, Py<PyAny>);

/// A request that waits for `super().call()`.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Pending {
    inner: Arc<dyn Transport>,
    url: Url,
    headers: Vec<(String, String)>,
    timeout: Duration,
    is_sent: AtomicBool,
    received: Mutex<Option<Received>>,
}

#[pymethods]
impl Pending {
    /// Sends these actions; the replies as JSON.
    fn send<'py>(&self, py: Python<'py>, actions: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        let body = to_json(actions)?.to_string().into_bytes();
        let request = Request::new("POST", &self.url, &self.headers, &body, self.timeout);
        self.is_sent.store(true, Ordering::Relaxed);
        let received = released(py, || -> ftrack_api::Result<_> {
            let mut response = self.inner.send(&request)?;
            let mut body = Vec::new();
            let read = response.body.read_to_end(&mut body);
            read.map_err(|error| {
                let message = format!("the response could not be read: {error}");
                Error::new(ErrorKind::Connection, message).with_source(error)
            })?;
            Ok((response, body))
        });
        let (response, body) = received.map_err(raise(About::Session))?;
        let json = serde_json::from_slice(&body).unwrap_or_default();
        let replies = from_json(py, &json)?.unbind();
        *lock(&self.received) = Some((response, body, replies.clone_ref(py)));
        Ok(replies)
    }
}
