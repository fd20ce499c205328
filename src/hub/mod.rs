//! The event hub: a handle for any thread, and one thread that talks to the event server.

mod action;
mod closing;
mod config;
mod core;
mod dispatch;
mod farewell;
mod link;
mod poller;
mod publish;
mod remote;
mod shared;
mod stream;
mod subscribe;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::{Event, Registry};
use crate::lock::{Mutex, RwLock};

pub use action::ActionRegistration;
pub(crate) use action::action_handlers;
pub use config::HubConfig;
pub use publish::Publish;
pub use shared::{HubCounts, HubState};
pub use subscribe::{ScopedSubscription, SubscribeOptions, SubscriberId, SubscriberInfo};

use dispatch::Replies;
use remote::{Line, Remote};
use shared::{Command, Shared, after};

/// What is called for an event; `Some` is sent back as the reply.
pub(crate) type Callback =
    Arc<dyn Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static>;

/// What is called for an event that was not delivered, with the reason.
type OnUndelivered = Arc<dyn Fn(&Event, &str) -> anyhow::Result<()> + Send + Sync + 'static>;

/// Publishes events, and hands events to those who subscribe to them.
///
/// A handle: clones are the same hub, and may be used from any thread. Subscribing and
/// [`publish_synchronous`](Self::publish_synchronous) need no connection. From
/// [`connect`](Self::connect) to [`disconnect`](Self::disconnect) one thread called
/// `ftrack-event-hub` keeps the connection; it makes a new one when it breaks, and never runs
/// your code. Handlers run in the thread that calls [`wait`](Self::wait),
/// [`poll`](Self::poll), [`next`](Self::next) or `publish_synchronous`; no lock is held then,
/// so they may call anything here.
///
/// Every published event is kept until the server acknowledges it. After a lost connection it
/// is sent again under the same id; if that is over, it is handed to
/// [`on_undelivered`](Self::on_undelivered) and counted. Every event that arrives is delivered
/// once, even if the server sends its id again.
///
/// The thread ends with the last handle. A handler that owns a handle of its own hub keeps it
/// alive: call [`close`](Self::close), which drops the handlers.
///
/// ```
/// use ftrack_api::{Event, EventHub, HubConfig};
/// use serde_json::json;
///
/// let hub = EventHub::new(HubConfig::new("https://studio.example.com", "ada", "key")?);
/// hub.subscribe("topic=studio.double", |event| {
///     let number = event.get_data()["number"].as_i64().unwrap_or_default();
///     Ok(Some(json!(number * 2)))
/// })?;
/// let event = Event::new("studio.double").data(json!({ "number": 21 }));
/// assert_eq!(hub.publish_synchronous(event), [json!(42)]);
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone)]
pub struct EventHub {
    inner: Arc<Inner>,
}

/// What all clones of a hub share; dropping it ends the thread.
struct Inner {
    id: String,
    config: Arc<HubConfig>,
    /// What is added to the source of published events.
    source: Map<String, Value>,
    registry: RwLock<Registry<Callback>>,
    replies: Mutex<Replies>,
    on_undelivered: RwLock<Option<OnUndelivered>>,
    shared: Arc<Shared>,
    line: Arc<Line>,
    /// Whether it was closed for good.
    has_ended: AtomicBool,
}

/// So much longer than it has to open a connection `connect` gives a thread for which a failure
/// is the end: the server may take ten seconds more to accept us, and the thread knows better what
/// went wrong, unless it waits for the system.
const LATER: Duration = Duration::from_secs(11);

/// How long `disconnect` waits for the thread: a little longer than that waits for
/// acknowledgements.
const PROMPT: Duration = Duration::from_millis(95);

/// So much longer it waits for a thread that works: many events to hand back take their time.
const BUSY: Duration = Duration::from_secs(5);

impl EventHub {
    /// A hub that is not connected.
    pub fn new(config: HubConfig) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        let host = whoami::hostname().unwrap_or_default();
        let source = json!({"id": id, "user": {"username": config.api_user}, "host": host});
        let Value::Object(source) = source else {
            unreachable!("json! of braces is an object");
        };
        let shared = Shared::new(config.outgoing_limit, config.incoming_limit);
        let inner = Inner {
            id,
            config: Arc::new(config),
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

    /// The id of this hub: what it publishes has it as its source.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Scheme, host and port of the server.
    ///
    /// ```
    /// use ftrack_api::{EventHub, HubConfig};
    /// let hub = EventHub::new(HubConfig::new("https://studio.example.com/", "ada", "key")?);
    /// assert_eq!(hub.server_url(), "https://studio.example.com");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn server_url(&self) -> String {
        let config = &self.inner.config;
        format!(
            "{}://{}",
            config.server_url.scheme(),
            config.authority(false)
        )
    }

    /// Connects, and returns when the server has accepted the connection; at once if it has
    /// already. From then on a lost connection is replaced without end (or as the
    /// configuration says).
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`, `Tls`, `Authentication`, `BadResponse` or `Unsupported` if the
    /// first attempt fails: then nothing goes on in the background. `Timeout` also if the hub was
    /// trying already: then it goes on. `Cancelled` if another thread disconnects meanwhile.
    pub fn connect(&self) -> Result<()> {
        if let Some(remote) = self.inner.line.running() {
            return self.await_up(&remote, Duration::ZERO);
        }
        let remote = self.start(false)?;
        let result = self.await_up(&remote, LATER);
        if matches!(&result, Err(error) if error.kind() == ErrorKind::Timeout) {
            self.disconnect();
        }
        result.map_err(|error| self.or_closed(error))
    }

    /// Connects in the background, trying until it succeeds. What is published meanwhile is
    /// sent in order as soon as the connection stands.
    ///
    /// # Errors
    ///
    /// `Io` if the thread cannot be started.
    pub fn connect_in_background(&self) -> Result<()> {
        self.start(true).map(drop)
    }

    /// Ends the connection and the thread, within 100 milliseconds. Events on their way have
    /// that long to be acknowledged; the others are handed to
    /// [`on_undelivered`](Self::on_undelivered), here, before this returns, which takes as long as
    /// that takes. Call [`flush`](Self::flush) before to have everything delivered. Subscribers
    /// stay, and are subscribed again by the next [`connect`](Self::connect). Does nothing if the
    /// hub is not connected.
    ///
    /// If the thread is waiting for the system to look up a host name, which cannot be broken
    /// off, or for the server to end its side, ten seconds at most, it ends by itself afterwards.
    pub fn disconnect(&self) {
        self.inner.stop();
        self.inner.report_undelivered();
    }

    /// Disconnects and drops all subscribers.
    pub fn close(&self) {
        self.disconnect();
        let subscribers = self.inner.registry.write().clear();
        let replies = std::mem::take(&mut *self.inner.replies.lock());
        let on_undelivered = self.inner.on_undelivered.write().take();
        // Dropping handlers is user code: it comes after the locks.
        drop((subscribers, replies, on_undelivered));
    }

    /// Replaces the connection by a new one, and returns when the server has accepted it.
    /// Nothing that was published is lost. Connects if the hub is not connected.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); but after `Timeout` the hub goes on trying.
    pub fn reconnect(&self) -> Result<()> {
        let Some(remote) = self.inner.line.running() else {
            return self.connect();
        };
        self.inner.line.command(Command::Reconnect)?;
        remote.signals.cancel();
        self.await_up(&remote, Duration::ZERO)
    }

    /// Whether the server has accepted the connection, and nothing says that it is lost.
    pub fn connected(&self) -> bool {
        self.state() == HubState::Connected
    }

    /// Where the hub stands with its server.
    ///
    /// ```
    /// use ftrack_api::{EventHub, HubConfig, HubState};
    /// let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
    /// assert_eq!(hub.state(), HubState::Disconnected);
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn state(&self) -> HubState {
        let remote = self.inner.line.running();
        remote.map_or(HubState::Disconnected, |remote| remote.status.state())
    }

    /// Why there is no connection: what the last attempt failed with, or how the connection was
    /// lost. `None` while there is one, and before the first attempt has failed.
    ///
    /// ```
    /// use ftrack_api::{ErrorKind, EventHub, HubConfig};
    /// let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
    /// hub.connect_in_background()?;
    /// while hub.connection_error().is_none() {
    ///     std::thread::sleep(std::time::Duration::from_millis(10));
    /// }
    /// assert_eq!(hub.connection_error().unwrap().kind(), ErrorKind::Connection);
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn connection_error(&self) -> Option<Error> {
        self.inner.line.last()?.status.trouble()
    }

    /// What the hub has done so far.
    pub fn counts(&self) -> HubCounts {
        self.inner.shared.counters.read()
    }

    /// How many published events the server has not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.inner.shared.gate.held()
    }

    /// Waits until the server has acknowledged everything published so far.
    ///
    /// # Errors
    ///
    /// `Timeout` if it takes longer; `Connection` if the hub is disconnected, or if events were
    /// handed back since the last call: [`on_undelivered`](Self::on_undelivered) tells which.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let shared = &self.inner.shared;
        let running = self.inner.line.running();
        let _waiting = running.as_ref().map(|remote| remote.wait());
        let left = shared.gate.wait_empty(after(timeout));
        let lost = shared.counters.take_untold();
        match left + lost {
            0 => Ok(()),
            _ if lost == 0 && self.inner.line.running().is_some() => {
                Err(self.late(format!("{left} events have not been acknowledged")))
            }
            count => {
                let message = format!("{count} events were not delivered");
                Err(Error::new(ErrorKind::Connection, message))
            }
        }
    }

    /// Calls this for every event that is not delivered, with the reason: the hub gave up or
    /// was closed, the server refused it, or several connections broke over it. It runs where
    /// handlers run, in [`disconnect`](Self::disconnect), and where the last handle is dropped.
    /// Without it a warning is logged.
    pub fn on_undelivered(&self, callback: impl Fn(&Event, &str) + Send + Sync + 'static) {
        let old = self
            .inner
            .on_undelivered
            .write()
            .replace(Arc::new(move |event, why| {
                caught(|| {
                    callback(event, why);
                    Ok(())
                })
            }));
        drop(old);
    }

    /// Whether this hub, or the session with its client token, caused the event.
    pub fn is_own(&self, event: &Event) -> bool {
        let token = self.inner.config.client_token.as_deref();
        event.source_id() == Some(self.id()) || (token.is_some() && event.client_token() == token)
    }

    /// The thread; a new one if there is none.
    fn start(&self, persistent: bool) -> Result<Arc<Remote>> {
        let inner = &self.inner;
        inner.line.start(|| {
            // Under the lock that ending takes too: nothing starts after the end.
            self.check_open()?;
            let start = worker::Start {
                subscriptions: self.subscriptions(),
                persistent,
                config: Arc::clone(&inner.config),
                source: inner.source.clone(),
            };
            worker::spawn(&inner.line, &inner.shared, start)
        })
    }

    /// The time is up: says why, if it is that there is no connection.
    fn late(&self, message: String) -> Error {
        let message = match self.connection_error() {
            Some(why) => format!("{message}; there is no connection: {why}"),
            None => message,
        };
        Error::new(ErrorKind::Timeout, message)
    }

    /// Waits for the connection, and so much longer than an attempt to open one may take.
    fn await_up(&self, remote: &Remote, longer: Duration) -> Result<()> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        if self.inner.line.command(Command::WhenUp(sender)).is_err() {
            return Err(remote.status.why());
        }
        let patience = self.inner.config.connect_timeout.saturating_add(longer);
        match receiver.recv_timeout(patience) {
            Ok(result) => result,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Err(remote.status.why()),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                let message = "the event server did not accept the connection in time";
                Err(self.late(message.to_string()))
            }
        }
    }
}

impl Inner {
    /// Ends the thread; waits for it a moment, then leaves it to itself.
    fn stop(&self) {
        let Some(remote) = self.line.running() else {
            return;
        };
        // If it has ended meanwhile there is nobody to tell.
        let _ = self.line.command(Command::Stop);
        remote.signals.cancel();
        let late = |patience: Duration| {
            let ended = remote.status.ended.recv_timeout(patience);
            ended == Err(crossbeam_channel::RecvTimeoutError::Timeout)
        };
        let is_late = || {
            let is_late = late(BUSY);
            if is_late {
                log::warn!("event hub: its thread did not end in time and is left to itself");
            }
            is_late
        };
        if late(PROMPT) && (remote.signals.is_stuck() || is_late()) {
            self.line.stop(&remote);
            remote.status.finish();
        }
        self.shared.gate.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
        self.report_undelivered();
    }
}

impl fmt::Debug for EventHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHub")
            .field("id", &self.inner.id)
            .field("server", &self.inner.config.authority(true))
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
