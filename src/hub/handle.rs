//! The handle of a hub, and what its clones share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::{Event, Registry};
use crate::lock::{Mutex, RwLock};

use super::config::{Endpoint, HubConfig};
use super::line::Line;
use super::replies::Replies;
use super::shared::{HubCounts, Shared};

/// The handler of a subscriber; `Some` is sent as the reply.
pub(crate) type Callback =
    Arc<dyn Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static>;

/// The callback for events that were not delivered, with the reason.
pub(super) type OnUndelivered =
    Arc<dyn Fn(&Event, &str) -> anyhow::Result<()> + Send + Sync + 'static>;

/// Publishes events, and passes events to those who subscribe to them.
///
/// A handle: clones are the same hub, and may be used from any thread. Subscribing and
/// [`publish_synchronous`](Self::publish_synchronous) need no connection. From
/// [`connect`](Self::connect) to [`disconnect`](Self::disconnect) one thread called `ftrack-hub`
/// maintains the connection; it opens a new one when the connection is lost, and never runs your
/// code. Handlers run on the thread that calls [`wait`](Self::wait), [`poll`](Self::poll) or
/// `publish_synchronous`; no lock is held then, so they may call anything here.
///
/// Every published event is retained until the server acknowledges it. After a lost connection it
/// is sent again under the same id; when the hub gives up or is closed it is handed to
/// [`on_undelivered`](Self::on_undelivered) and counted. Every event that arrives is delivered
/// once, even if the server repeats it.
///
/// The thread ends with the last handle. A handler that owns a handle of its own hub keeps it
/// alive: call [`close`](Self::close), which drops the handlers.
///
/// ```
/// use ftrack_api::hub::HubConfig;
/// use ftrack_api::{Event, EventHub};
/// use serde_json::json;
///
/// let hub = EventHub::new(HubConfig::new("https://studio.example.com", "ada", "key"));
/// hub.subscribe("topic=studio.double", |event| {
///     let number = event.data()["number"].as_i64().unwrap_or_default();
///     Ok(Some(json!(number * 2)))
/// })?;
/// let event = Event::new("studio.double").with_data(json!({ "number": 21 }));
/// assert_eq!(hub.publish_synchronous(event), [json!(42)]);
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone)]
pub struct EventHub {
    pub(super) inner: Arc<Inner>,
}

/// What all clones of a hub share; dropping it ends the thread.
pub(super) struct Inner {
    pub(super) id: String,
    pub(super) config: HubConfig,
    /// What connecting needs, or why the configuration is invalid.
    pub(super) endpoint: std::result::Result<Arc<Endpoint>, (ErrorKind, String)>,
    /// The source that published events are completed with.
    pub(super) source: Map<String, Value>,
    pub(super) registry: RwLock<Registry<Callback>>,
    pub(super) replies: Mutex<Replies>,
    pub(super) on_undelivered: RwLock<Option<OnUndelivered>>,
    pub(super) shared: Arc<Shared>,
    pub(super) line: Arc<Line>,
    /// Whether its session was closed.
    pub(super) has_ended: AtomicBool,
}

impl EventHub {
    /// A hub that is not connected. An invalid configuration is reported when it connects.
    pub fn new(config: HubConfig) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        let host = whoami::hostname().unwrap_or_default();
        let source = json!({"id": id, "user": {"username": config.api_user()}, "host": host});
        let Value::Object(source) = source else {
            unreachable!("json! of braces is an object");
        };
        let shared = Shared::new(&config);
        let endpoint = config.resolve().map(Arc::new);
        let inner = Inner {
            id,
            endpoint: endpoint.map_err(|error| (error.kind(), error.to_string())),
            config,
            source,
            registry: RwLock::new(Registry::new()),
            replies: Mutex::new(Replies::default()),
            on_undelivered: RwLock::new(None),
            shared: Arc::new(shared),
            line: Arc::new(Line::default()),
            has_ended: AtomicBool::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The id of this hub: the source of what it publishes.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Scheme, host and port of the server; empty if the configured URL is invalid.
    ///
    /// ```
    /// use ftrack_api::EventHub;
    /// use ftrack_api::hub::HubConfig;
    /// let hub = EventHub::new(HubConfig::new("https://studio.example.com/", "ada", "key"));
    /// assert_eq!(hub.server_url(), "https://studio.example.com");
    /// ```
    pub fn server_url(&self) -> String {
        let endpoint = self.inner.endpoint.as_ref();
        endpoint.map_or_else(
            |_| String::new(),
            |endpoint| format!("{}://{}", endpoint.url.scheme(), endpoint.authority(false)),
        )
    }

    /// The work of the hub so far.
    pub fn counts(&self) -> HubCounts {
        *self.inner.shared.counts.lock()
    }

    /// How many published events the server has not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.inner.shared.gate.len()
    }

    /// Calls this for every event that is not delivered, with the reason: the hub gave up or was
    /// closed, the server rejected the event, or several connections were lost over it. It runs
    /// where handlers run, in [`disconnect`](Self::disconnect), and where the last handle is
    /// dropped. Without it a warning is logged.
    pub fn on_undelivered(&self, callback: impl Fn(&Event, &str) + Send + Sync + 'static) {
        let callback: OnUndelivered = Arc::new(move |event, why| {
            caught(|| {
                callback(event, why);
                Ok(())
            })
        });
        let old = self.inner.on_undelivered.write().replace(callback);
        // Dropping user code comes after the lock.
        drop(old);
    }

    /// Whether this hub, or the session with its client token, caused the event.
    pub fn is_own(&self, event: &Event) -> bool {
        let token = self.inner.config.client_token.as_deref();
        event.source_id() == Some(self.id()) || (token.is_some() && event.client_token() == token)
    }

    /// What connecting needs.
    pub(super) fn endpoint(&self) -> Result<Arc<Endpoint>> {
        match &self.inner.endpoint {
            Ok(endpoint) => Ok(Arc::clone(endpoint)),
            Err((kind, message)) => Err(Error::new(*kind, message.clone())),
        }
    }
}

debug_fields!(EventHub, |this| id: this.inner.id, server: this.server_url(), state: this.state());
