//! Subscribing: who wants which events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::{Event, Expression, IntoExpression, Subscriber};
use crate::hub::shared::Command;
use crate::hub::{Callback, EventHub};

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

/// How to subscribe, beyond the expression and the callback.
///
/// ```
/// use ftrack_api::{EventHub, HubConfig, SubscribeOptions};
/// use serde_json::json;
///
/// let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
/// let options = SubscribeOptions::new()
///     .priority(10)
///     .subscriber(json!({ "id": "studio.farm", "kind": "farm" }));
/// let id = hub.subscribe_with("topic=studio.*", options, |_| Ok(None))?;
/// assert_eq!(id.as_str(), "studio.farm");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug)]
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

    /// Sets the subscriber's metadata: an object that targets are matched with and that is the
    /// source of its replies. Without an `id` it gets a new one.
    #[must_use]
    pub fn subscriber(mut self, metadata: impl Into<Value>) -> Self {
        self.subscriber = metadata.into();
        self
    }

    /// Sets the priority: the lower, the earlier among the subscribers of this hub.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Leaves out events that this hub has published, and updates that its session has caused.
    #[must_use]
    pub fn ignore_own(mut self) -> Self {
        self.ignore_own = true;
        self
    }

    /// Waits so long for the server to confirm the subscription; the hub must be connected, or
    /// about to be.
    #[must_use]
    pub fn acknowledged(mut self, timeout: Duration) -> Self {
        self.acknowledged = Some(timeout);
        self
    }
}

/// A subscriber as [`EventHub::get_subscriber_by_identifier`] shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubscriberInfo {
    /// Its metadata, with its `id`.
    pub metadata: Map<String, Value>,
    /// What it subscribes to.
    pub subscription: Expression,
    /// The lower, the earlier.
    pub priority: i32,
}

/// Unsubscribes when it is dropped.
#[derive(Debug)]
#[must_use = "the subscription ends when this is dropped"]
pub struct ScopedSubscription {
    /// None if the subscription is to stay.
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
            // Somebody may have unsubscribed it already.
            let _ = hub.unsubscribe(&self.id);
        }
    }
}

impl EventHub {
    /// Calls the callback for every event that matches the expression; see
    /// [`Expression`] for the language.
    ///
    /// What it returns is sent back as the reply, unless it is `None`. An error is logged and
    /// the next subscriber is called; so is a panic. The callback runs in whatever thread waits
    /// for events, while other events wait: give long work to a thread of your own.
    ///
    /// # Errors
    ///
    /// `Syntax` if the expression cannot be read.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
    /// let id = hub.subscribe("topic=ftrack.update and source.user.username != bot", |event| {
    ///     println!("{}", event.get_data());
    ///     Ok(None)
    /// })?;
    /// hub.unsubscribe(&id)?;
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn subscribe(
        &self,
        subscription: impl IntoExpression,
        callback: impl Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<SubscriberId> {
        self.subscribe_with(subscription, SubscribeOptions::new(), callback)
    }

    /// [`subscribe`](Self::subscribe) with metadata, a priority and more.
    ///
    /// # Errors
    ///
    /// `Syntax` if the expression cannot be read, `Duplicate` if there is a subscriber with
    /// this id, `Validation` if the metadata is no object or its id no text. If it was to be
    /// acknowledged: `Permission` if the server refuses, `Timeout`, `Connection`; then there is
    /// no subscription.
    pub fn subscribe_with(
        &self,
        subscription: impl IntoExpression,
        options: SubscribeOptions,
        callback: impl Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<SubscriberId> {
        let expression = subscription.into_expression()?;
        let metadata = metadata(options.subscriber)?;
        let callback: Callback = Arc::new(move |event| caught(|| callback(event)));
        let mut subscriber = Subscriber::new(expression, metadata, callback);
        subscriber.priority = options.priority;
        subscriber.ignore_own = options.ignore_own;
        let subscriber = self.inner.registry.write().add(subscriber)?;
        let id = SubscriberId(subscriber.id().to_string());
        if let Err(error) = self.announce(&subscriber, options.acknowledged) {
            let _ = self.unsubscribe(&id);
            return Err(error.context(format!("subscribing to {}", subscriber.expression)));
        }
        Ok(id)
    }

    /// [`subscribe`](Self::subscribe) until the answer is dropped.
    ///
    /// # Errors
    ///
    /// `Syntax` if the expression cannot be read.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
    /// {
    ///     let guard = hub.subscribe_scoped("topic=studio.ping", |_| Ok(None))?;
    ///     assert!(hub.get_subscriber_by_identifier(guard.id()).is_some());
    /// }
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn subscribe_scoped(
        &self,
        subscription: impl IntoExpression,
        callback: impl Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<ScopedSubscription> {
        let id = self.subscribe(subscription, callback)?;
        Ok(ScopedSubscription {
            hub: Some(self.clone()),
            id,
        })
    }

    /// Subscribes without a callback, for [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// `Syntax` if the expression cannot be read.
    pub fn listen(&self, subscription: impl IntoExpression) -> Result<SubscriberId> {
        self.subscribe(subscription, |_| Ok(None))
    }

    /// Ends a subscription. Once this returns the callback is not called any more, except that
    /// another thread may be in the middle of it.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such subscriber.
    pub fn unsubscribe(&self, id: impl AsRef<str>) -> Result<()> {
        let subscriber = self.inner.registry.write().remove(id.as_ref())?;
        let data = json!({"subscriber": subscriber.metadata});
        let text = self.control_event("ftrack.meta.unsubscribe", data);
        let id = subscriber.id().to_string();
        // Without a connection there is nobody to tell.
        let _ = self.inner.line.command(Command::Unsubscribe { id, text });
        Ok(())
    }

    /// Whether anybody has subscribed to anything.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.inner.registry.read().iter().next().is_some()
    }

    /// The subscriber with this id, if there is one.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
    /// let id = hub.subscribe("topic = studio.ping", |_| Ok(None))?;
    /// let subscriber = hub.get_subscriber_by_identifier(&id).unwrap();
    /// assert_eq!(subscriber.subscription.to_string(), "topic=studio.ping");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn get_subscriber_by_identifier(&self, id: impl AsRef<str>) -> Option<SubscriberInfo> {
        let registry = self.inner.registry.read();
        registry.get(id.as_ref()).map(|subscriber| SubscriberInfo {
            metadata: subscriber.metadata.clone(),
            subscription: subscriber.expression.clone(),
            priority: subscriber.priority,
        })
    }

    /// What the server is to be told on a new connection: replies first, then everybody else.
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
        let answer = wait.map(|_| sender);
        let sent = self
            .inner
            .line
            .command(Command::Subscribe { id, text, answer });
        let Some(timeout) = wait else {
            // Without a connection the next one will be told.
            return Ok(());
        };
        sent?;
        match receiver.recv_timeout(timeout) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Error::new(ErrorKind::Permission, format!("refused: {why}"))),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                Err(Error::new(ErrorKind::Timeout, "not acknowledged in time"))
            }
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Err(Error::new(
                ErrorKind::Connection,
                "the hub was disconnected meanwhile",
            )),
        }
    }

    fn subscribe_event(&self, subscriber: &Subscriber<Callback>) -> String {
        let subscription = subscriber.expression.to_string();
        let data = json!({"subscriber": subscriber.metadata, "subscription": subscription});
        self.control_event("ftrack.meta.subscribe", data)
    }

    fn control_event(&self, topic: &str, data: Value) -> String {
        Event::new(topic).data(data).to_json(&self.inner.source)
    }
}

/// Metadata with an id.
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
            let message = format!("the id of a subscriber must be a text, not {id}");
            Err(Error::new(ErrorKind::Validation, message))
        }
    }
}
