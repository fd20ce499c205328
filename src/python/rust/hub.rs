//! The event hub.

use std::time::{Duration, Instant};

use ftrack_api::event::{self, Event};
use ftrack_api::hub::{HubConfig, PublishOptions, SubscribeOptions};
use ftrack_api::serde_json::{self, Map, Value as Json, json};
use ftrack_api::{Error, ErrorKind, EventHub};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyWeakrefReference};

use crate::convert::{from_json, to_json};
use crate::error::{About, from_callback, raise};
use crate::logging::released;
use crate::session::seconds_of;

/// How long a wait goes without looking for Ctrl-C.
const WAIT_STEP: Duration = Duration::from_millis(100);

#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Hub {
    core: EventHub,
}

impl Hub {
    pub(crate) fn new(core: EventHub) -> Self {
        Self { core }
    }
}

#[pymethods]
impl Hub {
    /// One without a session.
    #[staticmethod]
    fn of(
        server_url: &str,
        api_user: &str,
        api_key: &str,
        headers: Vec<(String, String)>,
        cookies: Vec<(String, String)>,
    ) -> Self {
        let mut config = HubConfig::new(server_url, api_user, api_key);
        for (name, value) in headers {
            config = config.header(name, value);
        }
        for (name, value) in cookies {
            config = config.cookie(name, value);
        }
        Self::new(EventHub::new(config))
    }

    #[getter]
    fn id(&self) -> &str {
        self.core.id()
    }

    #[getter]
    fn server_url(&self) -> String {
        self.core.server_url()
    }

    #[getter]
    fn connected(&self) -> bool {
        self.core.is_connected()
    }

    fn connect(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.core.connect()).map_err(raise(About::Hub))
    }

    fn connect_in_background(&self) -> PyResult<()> {
        self.core.connect_in_background().map_err(raise(About::Hub))
    }

    fn reconnect(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.core.reconnect()).map_err(raise(About::Hub))
    }

    fn disconnect(&self, py: Python<'_>) {
        released(py, || self.core.disconnect());
    }

    fn close(&self, py: Python<'_>) {
        released(py, || self.core.close());
    }

    fn flush(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let timeout = seconds_of(seconds)?;
        released(py, || self.core.flush(timeout)).map_err(raise(About::Hub))
    }

    fn poll(&self, py: Python<'_>) -> usize {
        released(py, || self.core.poll())
    }

    /// Runs handlers until the time is over; without one, until the hub is disconnected. `check` is
    /// called in between, and may raise.
    fn wait(&self, py: Python<'_>, seconds: Option<f64>, check: &Bound<'_, PyAny>) -> PyResult<()> {
        let end = seconds.map(|seconds| seconds_of(seconds.max(0.0)));
        let end = end.transpose()?;
        let end = end.and_then(|length| Instant::now().checked_add(length));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let slice = left.map_or(WAIT_STEP, |left| left.min(WAIT_STEP));
            let begun = Instant::now();
            released(py, || self.core.wait(slice)).map_err(raise(About::Hub))?;
            py.check_signals()?;
            check.call0()?;
            if left.is_some_and(|left| left <= slice) {
                return Ok(());
            }
            // It came back early because the hub was disconnected.
            if begun.elapsed() < slice && !self.core.is_connected() {
                return Ok(());
            }
        }
    }

    /// Calls `handler` of the Python side with each event, as long as that is there.
    fn subscribe(
        &self,
        filter: &str,
        subscriber: &Bound<'_, PyDict>,
        priority: i32,
        handler: &Bound<'_, PyAny>,
    ) -> PyResult<String> {
        let options = SubscribeOptions::new()
            .subscriber(to_json(subscriber)?)
            .priority(priority);
        let weak = PyWeakrefReference::new(handler)?.unbind();
        let id = self.core.subscribe_with(filter, options, move |event| {
            Python::attach(|py| handle(py, &weak, event))
        });
        Ok(id.map_err(raise(About::Hub))?.to_string())
    }

    fn unsubscribe(&self, py: Python<'_>, id: &str) -> bool {
        released(py, || self.core.unsubscribe(id))
    }

    /// `handler` is called with each reply, as long as it is there.
    fn publish(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyDict>,
        handler: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let event = read(event)?;
        let mut options = PublishOptions::new();
        if let Some(handler) = handler {
            let weak = PyWeakrefReference::new(handler)?.unbind();
            options = options.on_reply(move |event| {
                Python::attach(|py| {
                    if let Err(error) = handle(py, &weak, event) {
                        log_error(py, &error.to_string());
                    }
                });
            });
        }
        released(py, || self.core.publish_with(event, options)).map_err(raise(About::Hub))
    }

    /// What the source of an event is completed with.
    fn publish_synchronous<'py>(
        &self,
        py: Python<'py>,
        event: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event = read(event)?;
        let replies = released(py, || self.core.publish_synchronous(event));
        from_json(py, &Json::Array(replies))
    }
}

fn handle(
    py: Python<'_>,
    weak: &Py<PyWeakrefReference>,
    event: &Event,
) -> anyhow::Result<Option<Json>> {
    let Some(handler) = weak.bind(py).upgrade() else {
        return Ok(None);
    };
    let called = to_python(py, event).and_then(|given| {
        let reply = handler.call_method1("_handle", (given,))?;
        let (reply, stopped) = reply.extract::<(Bound<'_, PyAny>, bool)>()?;
        if stopped {
            event.stop();
        }
        match reply.is_none() {
            true => Ok(None),
            false => to_json(&reply).map(Some),
        }
    });
    called.map_err(|raised| from_callback(py, raised))
}

fn log_error(py: Python<'_>, message: &str) {
    let logged = py
        .import("logging")
        .and_then(|logging| logging.call_method1("getLogger", ("ftrack_api.event.hub",)))
        .and_then(|logger| logger.call_method1("error", (message,)));
    if let Err(raised) = logged {
        raised.write_unraisable(py, None);
    }
}

fn to_python<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    dict.set_item("id", event.id())?;
    dict.set_item("topic", event.topic())?;
    dict.set_item("data", from_json(py, event.data())?)?;
    dict.set_item("source", from_json(py, event.source())?)?;
    dict.set_item("target", event.target())?;
    dict.set_item("sent", from_json(py, event.sent())?)?;
    dict.set_item("in_reply_to_event", event.in_reply_to_event())?;
    Ok(dict.into_any())
}

/// An event, from a mapping with the names of the Python client.
fn read(given: &Bound<'_, PyDict>) -> PyResult<Event> {
    let mut wire = Map::new();
    for (name, value) in given.iter() {
        let name: String = name.extract()?;
        let name = match name.as_str() {
            "in_reply_to_event" => "inReplyToEvent".to_owned(),
            _ => name,
        };
        wire.insert(name, to_json(&value)?);
    }
    let event = serde_json::from_value(Json::Object(wire)).map_err(|error| {
        let message = format!("this is not an event: {error}");
        raise(About::Hub)(Error::new(ErrorKind::Validation, message))
    })?;
    Ok(event)
}

/// A filter of events.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Filter {
    core: event::Filter,
}

#[pymethods]
impl Filter {
    #[new]
    fn new(expression: &str) -> PyResult<Self> {
        let core = expression.parse::<event::Filter>();
        Ok(Self {
            core: core.map_err(raise(About::Hub))?,
        })
    }

    /// Whether it matches; members of the data that are not JSON count as missing.
    fn matches(&self, event: &Bound<'_, PyDict>) -> PyResult<bool> {
        let mut wire = Map::new();
        for (name, value) in event.iter() {
            let name: String = name.extract()?;
            if name == "data"
                && let Ok(members) = value.cast::<PyDict>()
            {
                let pairs = members.iter().filter_map(|(key, value)| {
                    Some((key.str().ok()?.to_string(), to_json(&value).ok()?))
                });
                wire.insert(name, Json::Object(pairs.collect()));
                continue;
            }
            let name = match name.as_str() {
                "in_reply_to_event" => "inReplyToEvent".to_owned(),
                _ => name,
            };
            wire.insert(name, to_json(&value)?);
        }
        wire.entry("topic").or_insert_with(|| json!(""));
        let event: Event = serde_json::from_value(Json::Object(wire)).map_err(|error| {
            raise(About::Hub)(Error::new(ErrorKind::Validation, error.to_string()))
        })?;
        Ok(self.core.matches(&event))
    }

    /// Whether it matches the metadata of a subscriber.
    fn matches_subscriber(&self, metadata: &Bound<'_, PyDict>) -> PyResult<bool> {
        match to_json(metadata)? {
            Json::Object(members) => Ok(self.core.matches_subscriber(&members)),
            _ => Ok(false),
        }
    }

    fn __str__(&self) -> String {
        self.core.to_string()
    }
}
