//! An event, in memory and on the wire.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::event::lexical::quote_for;
use crate::event::matching::{Candidate, Field, Found, Root};

/// What the server publishes for every change.
pub(crate) const UPDATE_TOPIC: &str = "ftrack.update";
/// What a hub publishes to its own subscribers when it is connected.
pub(crate) const CONNECTED_TOPIC: &str = "ftrack.meta.connected";
/// The same for when it has lost its connection.
pub(crate) const DISCONNECTED_TOPIC: &str = "ftrack.meta.disconnected";

/// A message under a topic: something that happened, or a request.
///
/// ```
/// use ftrack_api::Event;
/// use serde_json::json;
///
/// let event = Event::new("studio.render.done").with_data(json!({ "frames": 120 }));
/// assert_eq!(event.topic(), "studio.render.done");
/// assert_eq!(event.data()["frames"], 120);
/// ```
#[derive(Clone)]
pub struct Event {
    id: String,
    topic: String,
    data: Value,
    /// An object, unless the caller gave something else, which `check` reports.
    source: Value,
    target: String,
    sent: Value,
    in_reply_to_event: Option<String>,
    stopped: Flag,
}

impl Event {
    /// An event of this topic with a new id, no data and no target.
    ///
    /// ```
    /// let event = ftrack_api::Event::new("studio.ping");
    /// assert_eq!(event.id().len(), 32);
    /// ```
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string(),
            topic: topic.into(),
            data: Value::Object(Map::new()),
            source: Value::Object(Map::new()),
            target: String::new(),
            sent: Value::Null,
            in_reply_to_event: None,
            stopped: Flag::default(),
        }
    }

    /// Sets the data, usually an object.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = data.into();
        self
    }

    /// Restricts the event to subscribers whose metadata matches this filter, such as `id=…`.
    /// An empty text means everybody.
    #[must_use]
    pub fn with_target(mut self, filter: impl Into<String>) -> Self {
        self.target = filter.into();
        self
    }

    /// Sets the source, an object that says who sent the event. Publishing adds `id`, `user` and
    /// `host` where they are missing, and rejects a source that is not an object.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// use serde_json::json;
    ///
    /// let event = Event::new("studio.done").with_source(json!({ "id": "farm", "job": 7 }));
    /// assert_eq!(event.source()["job"], 7);
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Value>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets the id. A hub delivers an id once, so use an id for one event only.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// A reply to `event`: topic `ftrack.meta.reply`, targeted at its sender.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// use serde_json::json;
    ///
    /// let question = Event::new("studio.ping");
    /// let reply = Event::reply_to(&question, json!("pong"));
    /// assert_eq!(reply.in_reply_to_event(), Some(question.id()));
    /// ```
    pub fn reply_to(event: &Event, data: impl Into<Value>) -> Self {
        let mut reply = Self::new("ftrack.meta.reply").with_data(data);
        let sender = event.source_id().unwrap_or_default();
        // An id that cannot be written makes a target that publishing rejects.
        let quote = quote_for(sender).unwrap_or("\"");
        reply.target = format!("id={quote}{sender}{quote}");
        reply.in_reply_to_event = Some(event.id.clone());
        reply
    }

    /// The id, unique to this event.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn into_id(self) -> String {
        self.id
    }

    /// The topic, such as `ftrack.update`.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The data, usually an object.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// The data, deserialised into a type of your own.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if the data has another shape.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Done { frames: u32 }
    /// let event = ftrack_api::Event::new("done").with_data(serde_json::json!({ "frames": 3 }));
    /// assert_eq!(event.data_as::<Done>()?.frames, 3);
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn data_as<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        T::deserialize(&self.data).map_err(|error| {
            let message = format!("the data of event {} has an unexpected shape", self.topic);
            Error::new(ErrorKind::BadResponse, message).with_source(error)
        })
    }

    /// Who sent it: `id`, `user`, `host` or `applicationId`; in a reply, the subscriber.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Fails if the source is not an object.
    pub(crate) fn check_source(&self) -> Result<()> {
        if self.source.is_object() {
            return Ok(());
        }
        let (topic, source) = (&self.topic, &self.source);
        let message = format!("the source of event {topic} must be an object, not {source}");
        Err(Error::new(ErrorKind::Validation, message))
    }

    /// The id of the hub, or for a reply of the subscriber, that sent it.
    pub fn source_id(&self) -> Option<&str> {
        self.source.get("id")?.as_str()
    }

    /// The name of the user who sent it.
    pub fn username(&self) -> Option<&str> {
        self.source.get("user")?.get("username")?.as_str()
    }

    /// The filter that selects the subscribers it is for; empty for everybody.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// When it was sent, as the sender wrote it; usually null.
    pub fn sent(&self) -> &Value {
        &self.sent
    }

    /// The id of the event that this one replies to.
    pub fn in_reply_to_event(&self) -> Option<&str> {
        self.in_reply_to_event.as_deref()
    }

    /// The token of the session whose change caused this `ftrack.update`.
    pub fn client_token(&self) -> Option<&str> {
        let in_data = self.data.get("clientToken");
        in_data.or_else(|| self.source.get("clientToken"))?.as_str()
    }

    /// Withholds the event from the subscribers after the current one.
    ///
    /// ```
    /// let event = ftrack_api::Event::new("studio.ping");
    /// event.stop();
    /// assert!(event.is_stopped());
    /// ```
    pub fn stop(&self) {
        self.stopped.0.store(true, Ordering::Relaxed);
    }

    /// Whether a subscriber stopped it.
    pub fn is_stopped(&self) -> bool {
        self.stopped.0.load(Ordering::Relaxed)
    }

    /// The event as JSON, with what the sender left out of the source.
    pub(crate) fn to_json(&self, defaults: &Map<String, Value>) -> String {
        // Without a copy of the source.
        let outgoing = self.written(Source(&self.source, defaults));
        serde_json::to_string(&outgoing).expect("an event is made of JSON values")
    }

    fn written<S>(&self, source: S) -> Written<'_, S> {
        Written {
            id: &self.id,
            topic: &self.topic,
            data: &self.data,
            source,
            target: &self.target,
            sent: &self.sent,
            in_reply_to_event: self.in_reply_to_event(),
        }
    }

    /// Adds what the sender left out of the source.
    pub(crate) fn complete_source(&mut self, defaults: &Map<String, Value>) {
        let Value::Object(source) = &mut self.source else {
            return;
        };
        for (key, value) in defaults {
            source.entry(key).or_insert_with(|| value.clone());
        }
    }
}

/// Set through a shared reference, because a handler gets one.
#[derive(Default)]
struct Flag(AtomicBool);

impl Clone for Flag {
    fn clone(&self) -> Self {
        Self(AtomicBool::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Candidate for Event {
    fn find(&self, field: &Field) -> Option<Found<'_>> {
        match field.root {
            Root::Topic => field.text(self.topic()),
            Root::Data => field.below(&self.data),
            Root::Id => field.text(self.id()),
            Root::Target => field.text(self.target()),
            Root::Sent => field.below(self.sent()),
            Root::InReplyTo => field.text(self.in_reply_to_event()?),
            Root::Source => field.below(&self.source),
            Root::Other => None,
        }
    }
}

debug_fields!(Event, |this|
    id: this.id,
    topic: this.topic,
    data: this.data,
    source: this.source,
    target: this.target,
    in_reply_to_event: this.in_reply_to_event,
);

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.written(&self.source).serialize(serializer)
    }
}

/// Exactly these seven keys: the Python client drops events with any other.
#[derive(Serialize)]
struct Written<'a, S> {
    id: &'a str,
    topic: &'a str,
    data: &'a Value,
    source: S,
    target: &'a str,
    sent: &'a Value,
    #[serde(rename = "inReplyToEvent")]
    in_reply_to_event: Option<&'a str>,
}

/// What the sender gave, completed with the defaults.
struct Source<'a>(&'a Value, &'a Map<String, Value>);

impl Serialize for Source<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Value::Object(given) = self.0 else {
            return self.0.serialize(serializer);
        };
        let missing = self.1.iter().filter(|(key, _)| !given.contains_key(*key));
        serializer.collect_map(given.iter().chain(missing))
    }
}

impl<'de> Deserialize<'de> for Event {
    /// Keys may be missing, null or unknown: JavaScript sends neither `sent` nor a target.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            id: wire.id.unwrap_or_default(),
            topic: wire.topic,
            data: wire.data,
            source: Value::Object(wire.source.unwrap_or_default()),
            target: wire.target.unwrap_or_default(),
            sent: wire.sent,
            in_reply_to_event: wire.in_reply_to_event,
            stopped: Flag::default(),
        })
    }
}

#[derive(Deserialize)]
struct Wire {
    id: Option<String>,
    topic: String,
    #[serde(default)]
    data: Value,
    source: Option<Map<String, Value>>,
    target: Option<String>,
    #[serde(default)]
    sent: Value,
    #[serde(rename = "inReplyToEvent")]
    in_reply_to_event: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn has_exactly_the_keys_of_the_protocol() {
        let event = Event::new("t")
            .with_data(json!({"a": 1}))
            .with_target("id=x");
        let wire = serde_json::to_value(&event).unwrap();
        let mut keys: Vec<_> = wire.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        let expected = [
            "data",
            "id",
            "inReplyToEvent",
            "sent",
            "source",
            "target",
            "topic",
        ];
        assert_eq!(keys, expected);
        assert_eq!(wire["sent"], Value::Null);
        assert_eq!(wire["target"], "id=x");
    }

    #[test]
    fn the_source_is_completed_not_replaced() {
        let defaults = json!({"id": "hub", "user": {"username": "ada"}});
        let defaults = defaults.as_object().cloned().unwrap();
        let event = Event::new("t").with_source(json!({"id": "mine", "job": 7}));
        let text = event.to_json(&defaults);
        let wire: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"id": "mine", "job": 7, "user": {"username": "ada"}});
        assert_eq!(wire["source"], expected);
        assert_eq!(text.matches(r#""id":"mine""#).count(), 1, "{text}");
    }

    #[test]
    fn reads_what_other_clients_send() {
        for text in [
            r#"{"topic":"t"}"#,
            r#"{"topic":"t","id":null,"data":null,"source":null,"target":null,"sent":null}"#,
            r#"{"topic":"t","future":[1],"data":{}}"#,
            r#"{"topic":"t","sent":true,"source":{"id":"x","applicationId":"js"}}"#,
        ] {
            let event: Event = serde_json::from_str(text).unwrap();
            assert_eq!((event.topic(), event.target()), ("t", ""), "{text}");
        }
        for text in [
            "{}",
            "[]",
            "3",
            r#"{"topic":4}"#,
            r#"{"topic":"t","source":"me"}"#,
        ] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reply_is_targeted_at_the_sender() {
        let question = Event::new("q").with_source(json!({"id": "hub"}));
        let reply = Event::reply_to(&question, json!(1));
        assert_eq!(reply.topic(), "ftrack.meta.reply");
        assert_eq!(reply.target(), "id=hub");
        assert_eq!(reply.in_reply_to_event(), Some(question.id()));
        let spaced = Event::new("q").with_source(json!({"id": "a b"}));
        let reply = Event::reply_to(&spaced, json!(1));
        assert_eq!(reply.target(), "id=\"a b\"");
    }
}
