//! Subscribing to events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::{Event, Filter, IntoFilter, Subscriber};
use crate::hub::cancel::Cancellation;
use crate::hub::gate::after;
use crate::hub::handle::{Callback, EventHub};
use crate::hub::line::Command;

/// The id of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriberId(pub(super) String);

impl SubscriberId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SubscriberId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Options of [`EventHub::subscribe_with`].
///
/// ```
/// use ftrack_api::EventHub;
/// use ftrack_api::hub::{HubConfig, SubscribeOptions};
/// use serde_json::json;
///
/// let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
/// let options = SubscribeOptions::new()
///     .priority(10)
///     .subscriber(json!({ "id": "studio.farm", "kind": "farm" }));
/// let id = hub.subscribe_with("topic=studio.*", options, |_| Ok(None))?;
/// assert_eq!(id.as_str(), "studio.farm");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it has no effect until it is passed to `subscribe_with`"]
pub struct SubscribeOptions {
    subscriber: Value,
    priority: i32,
    ignore_own: bool,
    acknowledged: Option<Duration>,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            subscriber: json!({}),
            priority: 100,
            ignore_own: false,
            acknowledged: None,
        }
    }
}

impl SubscribeOptions {
    /// Priority 100, a new id, events of all senders.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the subscriber's metadata: an object against which targets are matched, and the
    /// source of its replies. Without an `id` it gets a new one.
    pub fn subscriber(mut self, metadata: impl Into<Value>) -> Self {
        self.subscriber = metadata.into();
        self
    }

    /// Sets the priority, 100 by default: subscribers with lower numbers are called earlier.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Whether to ignore events that this hub has published, and updates that its session has
    /// caused.
    pub fn ignore_own(mut self, ignore: bool) -> Self {
        self.ignore_own = ignore;
        self
    }

    /// Waits this long for the server to confirm the subscription; the hub must be connected or
    /// connecting.
    pub fn acknowledged(mut self, timeout: Duration) -> Self {
        self.acknowledged = Some(timeout);
        self
    }
}

/// A subscriber, as [`EventHub::subscriber`] returns it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubscriberInfo {
    /// Its metadata, with its `id`.
    pub metadata: Map<String, Value>,
    /// The events that it subscribes to.
    pub filter: Filter,
    /// Lower numbers are called earlier.
    pub priority: i32,
}

/// Ends a subscription when it is dropped; see [`EventHub::scoped`].
#[derive(Debug)]
#[must_use = "bind it: `let _subscription = …`; `let _ = …` would drop it at once"]
pub struct ScopedSubscription {
    /// `None` if the subscription is to stay.
    hub: Option<EventHub>,
    id: SubscriberId,
}

impl ScopedSubscription {
    /// The id of the subscriber.
    pub fn id(&self) -> &SubscriberId {
        &self.id
    }

    /// Lets the subscription stay.
    pub fn keep(mut self) -> SubscriberId {
        self.hub = None;
        self.id.clone()
    }
}

impl Drop for ScopedSubscription {
    fn drop(&mut self) {
        if let Some(hub) = &self.hub {
            hub.unsubscribe(&self.id);
        }
    }
}

impl EventHub {
    /// Calls the handler for every event that the filter matches; see [`Filter`] for the
    /// language.
    ///
    /// What the handler returns is sent as the reply, unless it is `None`. If it fails or panics,
    /// that is logged and the next subscriber is called. It runs on whichever thread waits for
    /// events, while other events wait: give long work to a thread of your own. A handler that
    /// needs the session is better subscribed with [`Session::subscribe`](crate::Session::subscribe).
    ///
    /// # Errors
    ///
    /// - `Syntax` if the filter is invalid.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, hub::HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// let id = hub.subscribe("topic=ftrack.update and source.user.username != bot", |event| {
    ///     println!("{}", event.data());
    ///     Ok(None)
    /// })?;
    /// assert!(hub.unsubscribe(&id));
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn subscribe(
        &self,
        filter: impl IntoFilter,
        callback: impl Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<SubscriberId> {
        self.subscribe_with(filter, SubscribeOptions::new(), callback)
    }

    /// [`subscribe`](Self::subscribe) with options: metadata, a priority and more.
    ///
    /// # Errors
    ///
    /// There is no subscription then.
    ///
    /// - `Syntax` if the filter is invalid.
    /// - `Duplicate` if there is a subscriber with this id.
    /// - `Validation` if the metadata is not an object, or its id not a text.
    /// - If the server was to confirm it: `Permission` if it rejects the subscription, `Timeout`
    ///   if it does not confirm it in time, `Connection` if the hub is not connected, `Cancelled` if
    ///   a [`CancelToken`](crate::CancelToken) of this thread is cancelled.
    pub fn subscribe_with(
        &self,
        filter: impl IntoFilter,
        options: SubscribeOptions,
        callback: impl Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<SubscriberId> {
        let filter = filter.into_filter()?;
        let metadata = metadata(options.subscriber)?;
        let callback: Callback = Arc::new(move |event| caught(|| callback(event)));
        let mut subscriber = Subscriber::new(filter, metadata, callback);
        subscriber.priority = options.priority;
        subscriber.ignore_own = options.ignore_own;
        let subscriber = self.inner.registry.write().add(subscriber)?;
        let id = SubscriberId(subscriber.id().to_string());
        if let Err(error) = self.announce(&subscriber, options.acknowledged) {
            self.unsubscribe(&id);
            return Err(error.context(format!("subscribing to {}", subscriber.filter)));
        }
        Ok(id)
    }

    /// Ends the subscription of this subscriber when the returned value is dropped.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, hub::HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// let subscription = hub.scoped(hub.subscribe("topic=studio.ping", |_| Ok(None))?);
    /// let id = subscription.id().clone();
    /// assert!(hub.subscriber(&id).is_some());
    /// drop(subscription);
    /// assert!(hub.subscriber(&id).is_none());
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn scoped(&self, id: SubscriberId) -> ScopedSubscription {
        ScopedSubscription {
            hub: Some(self.clone()),
            id,
        }
    }

    /// Subscribes without a handler, for [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// - `Syntax` if the filter is invalid.
    pub fn listen(&self, filter: impl IntoFilter) -> Result<SubscriberId> {
        self.subscribe(filter, |_| Ok(None))
    }

    /// Ends a subscription; returns whether there was one. The handler is not called afterwards,
    /// although another thread may be running it at this moment.
    pub fn unsubscribe(&self, id: impl AsRef<str>) -> bool {
        let Some(subscriber) = self.inner.registry.write().remove(id.as_ref()) else {
            return false;
        };
        let data = json!({"subscriber": subscriber.metadata});
        let text = self.control_event("ftrack.meta.unsubscribe", data);
        let id = subscriber.id().to_string();
        // Without a connection there is nobody to tell.
        let _ = self.inner.line.command(Command::Unsubscribe { id, text });
        true
    }

    /// Whether there is any subscriber.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.inner.registry.read().iter().next().is_some()
    }

    /// The subscriber with this id, if there is one.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, hub::HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// let id = hub.subscribe("topic = studio.ping", |_| Ok(None))?;
    /// let subscriber = hub.subscriber(&id).expect("it has subscribed");
    /// assert_eq!(subscriber.filter.to_string(), "topic=studio.ping");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn subscriber(&self, id: impl AsRef<str>) -> Option<SubscriberInfo> {
        let registry = self.inner.registry.read();
        registry.get(id.as_ref()).map(|subscriber| SubscriberInfo {
            metadata: subscriber.metadata.clone(),
            filter: subscriber.filter.clone(),
            priority: subscriber.priority,
        })
    }

    /// What a new connection begins with: the subscription to replies, then all others.
    pub(super) fn subscriptions(&self) -> Vec<(String, String)> {
        let data =
            json!({"subscriber": {"id": self.id()}, "subscription": "topic=ftrack.meta.reply"});
        let own = (
            self.id().to_string(),
            self.control_event("ftrack.meta.subscribe", data),
        );
        let registry = self.inner.registry.read();
        let others = registry.iter().map(|subscriber| {
            (
                subscriber.id().to_string(),
                self.subscribe_event(subscriber),
            )
        });
        std::iter::once(own).chain(others).collect()
    }

    fn announce(&self, subscriber: &Subscriber<Callback>, wait: Option<Duration>) -> Result<()> {
        let id = subscriber.id().to_string();
        let text = self.subscribe_event(subscriber);
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let confirmation = wait.map(|_| sender);
        let sent = self.inner.line.command(Command::Subscribe {
            id,
            text,
            confirmation,
        });
        let Some(timeout) = wait else {
            // Without a connection the next one begins with it.
            return Ok(());
        };
        sent?;
        match Cancellation::of_thread().receive(&receiver, after(timeout))? {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Error::new(
                ErrorKind::Permission,
                format!("rejected: {why}"),
            )),
            Err(RecvTimeoutError::Timeout) => {
                let message = "the server did not confirm it in time";
                Err(Error::new(ErrorKind::Timeout, message))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the event hub was disconnected meanwhile";
                Err(Error::new(ErrorKind::Connection, message))
            }
        }
    }

    fn subscribe_event(&self, subscriber: &Subscriber<Callback>) -> String {
        let subscription = subscriber.filter.to_string();
        let data = json!({"subscriber": subscriber.metadata, "subscription": subscription});
        self.control_event("ftrack.meta.subscribe", data)
    }

    fn control_event(&self, topic: &str, data: Value) -> String {
        Event::new(topic)
            .with_data(data)
            .to_json(&self.inner.source)
    }
}

/// The metadata, with an id.
fn metadata(given: Value) -> Result<Map<String, Value>> {
    let Value::Object(mut metadata) = given else {
        let message = format!("subscriber metadata must be an object, not {given}");
        return Err(Error::new(ErrorKind::Validation, message));
    };
    let id = metadata
        .entry("id")
        .or_insert_with(|| Uuid::new_v4().simple().to_string().into());
    match id.as_str() {
        Some(id) if !id.is_empty() => Ok(metadata),
        _ => {
            let message =
                format!("the id of a subscriber must be a text that is not empty, not {id}");
            Err(Error::new(ErrorKind::Validation, message))
        }
    }
}
