//! The hub: connections, what waits for each of them, and publishing to them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use uuid::Uuid;

use crate::events::routing::{ConnectionId, Routing};
use crate::events::sessions::Sessions;
use crate::events::{Settings, packet};

/// A handle on the event server. Clones are the same server.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    sessions: Mutex<Sessions>,
    /// One lock for routing and delivery: all connections see events in the same order.
    state: Mutex<State>,
    frozen: watch::Sender<bool>,
    heartbeats_skipped: AtomicBool,
}

#[derive(Default)]
struct State {
    routing: Routing,
    outboxes: HashMap<ConnectionId, Outbox>,
    last_connection: ConnectionId,
}

/// The sending end of a connection. Dropping it ends the connection.
struct Outbox {
    packets: UnboundedSender<Utf8Bytes>,
    /// How many bytes wait.
    waiting: Arc<AtomicUsize>,
    /// Since when more than half of the backlog has been waiting.
    slow_since: Option<Instant>,
}

/// The receiving end of a connection's outbox.
pub(super) struct Inbox {
    pub(super) connection: ConnectionId,
    packets: UnboundedReceiver<Utf8Bytes>,
    waiting: Waiting,
}

/// How many bytes wait for a connection.
#[derive(Clone)]
pub(super) struct Waiting(Arc<AtomicUsize>);

/// What became of a published event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How many connections it was sent to.
    pub connections: usize,
    /// Whether one of them is slow in reading, so that the publisher had better wait.
    pub congested: bool,
}

impl Hub {
    /// An event server without connections.
    pub fn new(settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                settings,
                sessions: Mutex::default(),
                state: Mutex::default(),
                frozen: watch::Sender::new(false),
                heartbeats_skipped: AtomicBool::new(false),
            }),
        }
    }

    /// Publishes an event that the server makes, such as `ftrack.update`.
    ///
    /// Never blocks; may be called from any thread. Missing keys are filled in as for events of
    /// clients.
    ///
    /// # Errors
    ///
    /// A sentence: the event is no object, has no topic, or a target that cannot be read.
    pub fn publish(&self, event: Value) -> Result<Delivery, String> {
        let event = complete(event)?;
        self.deliver(&event)
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.inner.state.lock().outboxes.len()
    }

    /// How many subscriptions they hold together.
    pub fn subscriptions(&self) -> usize {
        self.inner.state.lock().routing.len()
    }

    /// Fault: cuts every connection without a close frame. Returns how many there were.
    pub fn drop_connections(&self) -> usize {
        let dropped = std::mem::take(&mut self.inner.state.lock().outboxes);
        dropped.len()
    }

    /// Fault: while on, connections stay open, but nothing is read from or written to them.
    pub fn freeze(&self, on: bool) {
        self.inner.frozen.send_replace(on);
    }

    /// Fault: while on, no heartbeats are sent.
    pub fn skip_heartbeats(&self, on: bool) {
        self.inner.heartbeats_skipped.store(on, Ordering::Relaxed);
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Whether heartbeats are being skipped.
    pub fn heartbeats_skipped(&self) -> bool {
        self.inner.heartbeats_skipped.load(Ordering::Relaxed)
    }

    /// Whether the connections are frozen.
    pub fn is_frozen(&self) -> bool {
        *self.inner.frozen.borrow()
    }

    /// Whether some connection is slow in reading; ends those that have been for too long.
    pub(super) fn congested(&self) -> bool {
        let mut state = self.inner.state.lock();
        let (settings, now) = (&self.inner.settings, Instant::now());
        state
            .outboxes
            .retain(|_, outbox| outbox.keeps_up(settings, now));
        let mut outboxes = state.outboxes.values();
        outboxes.any(|outbox| outbox.slow_since.is_some())
    }

    pub(super) fn frozen(&self) -> watch::Receiver<bool> {
        self.inner.frozen.subscribe()
    }

    /// The response to a handshake: session id, heartbeat and close time-outs, transports. Python
    /// insists on all four.
    pub(super) fn handshake(&self, user: &str) -> String {
        let settings = &self.inner.settings;
        let mut sessions = self.inner.sessions.lock();
        let id = sessions.open(user, Instant::now(), settings.handshake);
        let heartbeat = (settings.heartbeat * 3 / 2).as_secs().max(1);
        format!("{id}:{heartbeat}:{}:websocket", settings.silence.as_secs())
    }

    pub(super) fn take_session(&self, id: &str) -> Option<String> {
        self.inner.sessions.lock().take(id, Instant::now())
    }

    pub(super) fn connect(&self) -> Inbox {
        let (sender, receiver) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox {
            packets: sender,
            waiting: waiting.clone(),
            slow_since: None,
        };
        let mut state = self.inner.state.lock();
        state.last_connection += 1;
        let connection = state.last_connection;
        state.outboxes.insert(connection, outbox);
        Inbox {
            connection,
            packets: receiver,
            waiting: Waiting(waiting),
        }
    }

    pub(super) fn disconnect(&self, connection: ConnectionId) {
        let mut state = self.inner.state.lock();
        state.outboxes.remove(&connection);
        state.routing.remove(connection);
    }

    /// Sends one packet to one connection.
    pub(super) fn send(&self, connection: ConnectionId, packet: impl Into<Utf8Bytes>) {
        let mut state = self.inner.state.lock();
        state.send(connection, packet.into(), &self.inner.settings);
    }

    /// Does what an event of a client asks for: a subscription command, or delivery.
    ///
    /// # Errors
    ///
    /// A sentence for the client.
    pub(super) fn accept(
        &self,
        connection: ConnectionId,
        user: &str,
        event: Value,
    ) -> Result<Delivery, String> {
        let mut event = complete(event)?;
        match event["topic"].as_str() {
            Some("ftrack.meta.subscribe") => {
                let mut state = self.inner.state.lock();
                state.routing.subscribe(connection, &event["data"])?;
                Ok(Delivery::default())
            }
            Some("ftrack.meta.unsubscribe") => {
                let mut state = self.inner.state.lock();
                state.routing.unsubscribe(connection, &event["data"])?;
                Ok(Delivery::default())
            }
            _ => {
                if let Some(source) = event["source"].as_object_mut() {
                    source
                        .entry("user")
                        .or_insert_with(|| json!({"username": user}));
                }
                self.deliver(&event)
            }
        }
    }

    fn deliver(&self, event: &Value) -> Result<Delivery, String> {
        let mut delivery = Delivery::default();
        let mut state = self.inner.state.lock();
        let recipients = state.routing.recipients(event)?;
        if recipients.is_empty() {
            return Ok(delivery);
        }
        let packet = Utf8Bytes::from(packet::event(event));
        for connection in recipients {
            if let Some(slow) = state.send(connection, packet.clone(), &self.inner.settings) {
                delivery.connections += 1;
                delivery.congested |= slow;
            }
        }
        Ok(delivery)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hub")
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Queues a packet and returns whether the connection is slow in reading; `None` if it has
    /// ended, which too long a queue makes it do.
    fn send(
        &mut self,
        connection: ConnectionId,
        packet: Utf8Bytes,
        settings: &Settings,
    ) -> Option<bool> {
        let outbox = self.outboxes.get_mut(&connection)?;
        outbox.waiting.fetch_add(weight(&packet), Ordering::Relaxed);
        let sent = outbox.packets.send(packet).is_ok();
        if sent && outbox.keeps_up(settings, Instant::now()) {
            return Some(outbox.slow_since.is_some());
        }
        self.outboxes.remove(&connection);
        None
    }
}

impl Outbox {
    /// Whether the connection may stay. Notes since when it has been slow.
    fn keeps_up(&mut self, settings: &Settings, now: Instant) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting <= settings.backlog / 2 {
            self.slow_since = None;
            return true;
        }
        let since = *self.slow_since.get_or_insert(now);
        waiting <= settings.backlog && now.duration_since(since) <= settings.patience
    }
}

impl Inbox {
    /// Moves everything that waits to `queue`.
    pub(super) fn take(&mut self, queue: &mut VecDeque<Utf8Bytes>) {
        while let Ok(packet) = self.packets.try_recv() {
            queue.push_back(packet);
        }
    }

    /// Waits for the next packet. `None` if the hub has ended the connection.
    pub(super) async fn next(&mut self) -> Option<Utf8Bytes> {
        self.packets.recv().await
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }
}

impl Waiting {
    /// Notes that a packet has been written.
    pub(super) fn written(&self, packet: &Utf8Bytes) {
        self.0.fetch_sub(weight(packet), Ordering::Relaxed);
    }
}

/// What a queued packet counts: its text and the place it takes in the queue.
fn weight(packet: &Utf8Bytes) -> usize {
    packet.len() + size_of::<Utf8Bytes>()
}

/// Exactly the keys that Python's `Event` takes; one more and it drops the event.
///
/// The source stays as it is apart from its `user`: replies carry the replying *subscriber* as
/// their source, which the server cannot make up.
fn complete(event: Value) -> Result<Value, String> {
    let Value::Object(mut given) = event else {
        return Err("an event is an object".to_owned());
    };
    let mut take = |key: &str| given.remove(key).filter(|value| !value.is_null());
    let topic = take("topic").filter(|topic| topic.as_str().is_some_and(|text| !text.is_empty()));
    let topic = topic.ok_or("an event has a topic, which is a text")?;
    let id = take("id").unwrap_or_else(|| Uuid::new_v4().simple().to_string().into());
    let source = take("source").filter(Value::is_object);
    let mut event = Map::new();
    event.insert("id".into(), id);
    event.insert("topic".into(), topic);
    event.insert("data".into(), take("data").unwrap_or_else(|| json!({})));
    event.insert("source".into(), source.unwrap_or_else(|| json!({})));
    event.insert("target".into(), take("target").unwrap_or_else(|| "".into()));
    // Python sends null and JavaScript nothing; nobody here knows whether a site stamps it [?].
    event.insert("sent".into(), take("sent").unwrap_or(Value::Null));
    let in_reply_to = take("inReplyToEvent").unwrap_or(Value::Null);
    event.insert("inReplyToEvent".into(), in_reply_to);
    Ok(Value::Object(event))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn events_have_exactly_the_known_keys() {
        let keys = |event: Value| -> Vec<String> {
            let event = complete(event).unwrap();
            event.as_object().unwrap().keys().cloned().collect()
        };
        let known = [
            "id",
            "topic",
            "data",
            "source",
            "target",
            "sent",
            "inReplyToEvent",
        ];
        assert_eq!(keys(json!({"topic": "x"})), known);
        assert_eq!(
            keys(json!({"extra": 1, "topic": "x", "in_reply_to_event": 2})),
            known
        );
        for bad in [
            json!({}),
            json!([]),
            json!({"topic": 5}),
            json!({"topic": ""}),
            Value::Null,
        ] {
            assert!(complete(bad).is_err());
        }
    }

    #[test]
    fn a_reader_over_its_backlog_is_cut_off_and_the_others_are_not() {
        let settings = Settings {
            backlog: 4096,
            ..Settings::default()
        };
        let hub = Hub::new(settings);
        let (mut slow, mut quick) = (hub.connect(), hub.connect());
        for inbox in [&slow, &quick] {
            let data = json!({"subscriber": {"id": "a"}, "subscription": "topic=x"});
            let event = json!({"topic": "ftrack.meta.subscribe", "data": data});
            hub.accept(inbox.connection, "ada", event).unwrap();
        }
        let event = json!({"topic": "x", "data": {"text": "x".repeat(1000)}});
        let mut congested = Vec::new();
        for _ in 0..4 {
            congested.push(hub.publish(event.clone()).unwrap().congested);
            let packet = futures(quick.next()).unwrap();
            quick.waiting().written(&packet);
        }
        // Half of the limit is exceeded from the second on, and all of it with the fourth.
        assert_eq!(congested, [false, true, true, false]);
        assert_eq!(hub.connections(), 1);
        assert_eq!(hub.publish(event).unwrap().connections, 1);
        // The outbox is gone: after what had been queued comes the end.
        slow.take(&mut VecDeque::new());
        assert_eq!(futures(slow.next()), None);
        assert_eq!(hub.subscriptions(), 2);
        hub.disconnect(slow.connection);
        assert_eq!(hub.subscriptions(), 1);
    }

    #[test]
    fn a_reader_that_stays_slow_is_cut_off_after_a_while() {
        let settings = Settings {
            backlog: 1000,
            ..Settings::default()
        };
        let hub = Hub::new(settings.clone());
        let inbox = hub.connect();
        hub.send(inbox.connection, "x".repeat(600));
        assert!(hub.congested());
        let mut state = hub.inner.state.lock();
        let outbox = state.outboxes.get_mut(&inbox.connection).unwrap();
        let later = Instant::now() + settings.patience;
        assert!(outbox.keeps_up(&settings, later - settings.patience / 2));
        assert!(!outbox.keeps_up(&settings, later + settings.patience / 2));
    }

    fn futures<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }
}
