//! Who is to receive an event: the subscriptions of all connections, and nothing about sockets.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::events::expression::Expression;

/// How many subscriptions a connection may hold.
pub const MAX_SUBSCRIPTIONS: usize = 10_000;

/// The number of a connection; never used twice.
pub type ConnectionId = u64;

/// The subscriptions of all connections, found by topic where they demand one.
#[derive(Debug, Default)]
pub struct Routing {
    by_topic: HashMap<String, Vec<Subscription>>,
    /// Subscriptions that several topics can satisfy.
    any_topic: Vec<Subscription>,
    /// Under which topic each connection's subscribers are kept.
    subscribers: HashMap<ConnectionId, HashMap<String, Option<String>>>,
}

#[derive(Debug)]
struct Subscription {
    connection: ConnectionId,
    /// What the client says about its subscriber; targets are matched against it.
    subscriber: Value,
    expression: Expression,
}

impl Routing {
    /// Adds a subscription for `connection` from the data of a subscribe event:
    /// `{subscriber: {id, …}, subscription}`.
    ///
    /// # Errors
    ///
    /// A sentence for the client: the data has another shape, the expression cannot be parsed,
    /// the connection already has a subscriber of that id (ids recur freely on *other*
    /// connections), or it has too many.
    pub fn subscribe(&mut self, connection: ConnectionId, data: &Value) -> Result<(), String> {
        let (id, subscriber) = subscriber(data)?;
        let text = data.get("subscription").and_then(Value::as_str);
        let text = text.ok_or("a subscription is a text such as topic=ftrack.update")?;
        let expression = Expression::parse(text)?;
        let ids = self.subscribers.entry(connection).or_default();
        if ids.contains_key(&id) {
            return Err(format!("duplicate subscriber, {id} is already subscribed"));
        }
        if ids.len() >= MAX_SUBSCRIPTIONS {
            return Err(format!(
                "a connection has at most {MAX_SUBSCRIPTIONS} subscribers"
            ));
        }
        let topic = expression.topic().map(str::to_owned);
        ids.insert(id, topic.clone());
        let place = match topic {
            Some(topic) => self.by_topic.entry(topic).or_default(),
            None => &mut self.any_topic,
        };
        place.push(Subscription {
            connection,
            subscriber: subscriber.clone(),
            expression,
        });
        Ok(())
    }

    /// Takes a subscription of `connection` away, named by the data of an unsubscribe event:
    /// `{subscriber: {id, …}}`.
    ///
    /// # Errors
    ///
    /// A sentence for the client: there is no such subscriber on this connection.
    pub fn unsubscribe(&mut self, connection: ConnectionId, data: &Value) -> Result<(), String> {
        let (id, _) = subscriber(data)?;
        let ids = self.subscribers.get_mut(&connection);
        let topic = ids.and_then(|ids| ids.remove(&id));
        let topic = topic.ok_or_else(|| format!("there is no subscriber {id} to unsubscribe"))?;
        self.drop_from(topic.as_deref(), |held| {
            held.connection == connection && held.subscriber["id"] == id
        });
        Ok(())
    }

    /// Forgets everything about a connection that has closed.
    pub fn remove(&mut self, connection: ConnectionId) {
        let ids = self.subscribers.remove(&connection).unwrap_or_default();
        let topics: BTreeSet<_> = ids.into_values().collect();
        for topic in topics {
            self.drop_from(topic.as_deref(), |held| held.connection == connection);
        }
    }

    /// The connections that receive `event`, each once.
    ///
    /// A connection does when one of its subscriptions matches the event and, if the event has
    /// a target, the same subscription's subscriber matches that.
    ///
    /// # Errors
    ///
    /// A sentence for the client: the target is no expression.
    pub fn recipients(&self, event: &Value) -> Result<BTreeSet<ConnectionId>, String> {
        let target = parse_target(event)?;
        let topic = event.get("topic").and_then(Value::as_str);
        let demanded = topic.and_then(|topic| self.by_topic.get(topic));
        let candidates = demanded.into_iter().flatten().chain(&self.any_topic);
        let mut recipients = BTreeSet::new();
        for held in candidates {
            let aimed_at = target
                .as_ref()
                .is_none_or(|target| target.matches(&held.subscriber));
            if aimed_at && !recipients.contains(&held.connection) && held.expression.matches(event)
            {
                recipients.insert(held.connection);
            }
        }
        Ok(recipients)
    }

    /// How many subscriptions there are in all.
    pub fn len(&self) -> usize {
        self.subscribers.values().map(HashMap::len).sum()
    }

    /// Whether nobody has subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn drop_from(&mut self, topic: Option<&str>, drop: impl Fn(&Subscription) -> bool) {
        let place = match topic {
            Some(topic) => self.by_topic.get_mut(topic),
            None => Some(&mut self.any_topic),
        };
        let Some(place) = place else { return };
        place.retain(|held| !drop(held));
        if let Some(topic) = topic.filter(|_| place.is_empty()) {
            self.by_topic.remove(topic);
        }
    }
}

fn parse_target(event: &Value) -> Result<Option<Expression>, String> {
    match event.get("target") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => match Expression::parse(text) {
            Ok(target) => Ok(Some(target)),
            Err(message) => Err(format!("the target cannot be read, {message}")),
        },
        Some(_) => Err("the target of an event is a text such as id=…".to_owned()),
    }
}

fn subscriber(data: &Value) -> Result<(String, &Value), String> {
    let subscriber = data.get("subscriber").unwrap_or(&Value::Null);
    match subscriber.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok((id.to_owned(), subscriber)),
        _ => Err("the subscriber has no id".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscribe(routing: &mut Routing, connection: u64, id: &str, subscription: &str) {
        let data = json!({"subscriber": {"id": id, "kind": "test"}, "subscription": subscription});
        routing.subscribe(connection, &data).unwrap();
    }

    fn recipients(routing: &Routing, event: &Value) -> Vec<ConnectionId> {
        routing.recipients(event).unwrap().into_iter().collect()
    }

    #[test]
    fn each_interested_connection_once() {
        let mut routing = Routing::default();
        subscribe(&mut routing, 1, "a", "topic=x");
        subscribe(&mut routing, 1, "b", "topic=x and data.n=1");
        subscribe(&mut routing, 1, "c", "topic=*");
        subscribe(&mut routing, 2, "a", "topic=x and data.n=2");
        subscribe(&mut routing, 3, "a", "not topic=x");
        assert_eq!(
            recipients(&routing, &json!({"topic": "x", "data": {"n": 1}})),
            [1]
        );
        assert_eq!(
            recipients(&routing, &json!({"topic": "x", "data": {"n": 2}})),
            [1, 2]
        );
        assert_eq!(recipients(&routing, &json!({"topic": "y"})), [1, 3]);
    }

    #[test]
    fn a_target_selects_by_subscriber() {
        let mut routing = Routing::default();
        subscribe(&mut routing, 1, "hub-1", "topic=ftrack.meta.reply");
        subscribe(&mut routing, 2, "hub-2", "topic=ftrack.meta.reply");
        // The subscriber that is aimed at must itself want the event.
        subscribe(&mut routing, 3, "hub-3", "topic=other");
        subscribe(&mut routing, 3, "else", "topic=ftrack.meta.reply");
        let to = |target| {
            recipients(
                &routing,
                &json!({"topic": "ftrack.meta.reply", "target": target}),
            )
        };
        assert_eq!(to(json!("id=hub-2")), [2]);
        assert!(to(json!("id=hub-3")).is_empty());
        assert_eq!(to(json!("kind=test")), [1, 2, 3]);
        assert_eq!(to(json!("")), [1, 2, 3]);
        assert_eq!(to(Value::Null), [1, 2, 3]);
        for bad in [json!("id="), json!(5)] {
            assert!(
                routing
                    .recipients(&json!({"topic": "x", "target": bad}))
                    .is_err()
            );
        }
    }

    #[test]
    fn ids_are_unique_on_a_connection_and_free_again_afterwards() {
        let mut routing = Routing::default();
        subscribe(&mut routing, 1, "a", "topic=x");
        subscribe(&mut routing, 2, "a", "topic=x");
        let again = json!({"subscriber": {"id": "a"}, "subscription": "topic=y"});
        let message = routing.subscribe(1, &again).unwrap_err();
        assert!(message.contains("duplicate"), "{message}");
        assert!(recipients(&routing, &json!({"topic": "y"})).is_empty());

        routing.unsubscribe(1, &again).unwrap();
        assert!(routing.unsubscribe(1, &again).is_err());
        assert_eq!(recipients(&routing, &json!({"topic": "x"})), [2]);
        routing.subscribe(1, &again).unwrap();
        assert_eq!(recipients(&routing, &json!({"topic": "y"})), [1]);
    }

    #[test]
    fn a_closed_connection_leaves_nothing() {
        let mut routing = Routing::default();
        subscribe(&mut routing, 1, "a", "topic=x");
        subscribe(&mut routing, 1, "b", "topic=x*");
        subscribe(&mut routing, 2, "b", "topic=x*");
        routing.remove(1);
        assert_eq!(recipients(&routing, &json!({"topic": "x"})), [2]);
        routing.remove(2);
        assert!(routing.is_empty() && routing.by_topic.is_empty());
        assert!(routing.any_topic.is_empty() && routing.subscribers.is_empty());
    }

    #[test]
    fn refuses_malformed_subscriptions() {
        let mut routing = Routing::default();
        for data in [
            json!(null),
            json!([]),
            json!({}),
            json!({"subscriber": "a", "subscription": "topic=x"}),
            json!({"subscriber": {"id": 1}, "subscription": "topic=x"}),
            json!({"subscriber": {"id": ""}, "subscription": "topic=x"}),
            json!({"subscriber": {"id": "a"}}),
            json!({"subscriber": {"id": "a"}, "subscription": "topic"}),
        ] {
            assert!(routing.subscribe(1, &data).is_err(), "{data}");
        }
        assert!(routing.is_empty());
    }
}
