//! The subscribers in calling order; this module selects them for an event and never calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::event::filter::Filter;
use crate::event::model::Event;

/// One subscriber: its filter, its metadata and its callback.
pub(crate) struct Subscriber<C> {
    pub(crate) filter: Filter,
    /// Always has an `id`; replies of this subscriber carry it as their source.
    pub(crate) metadata: Map<String, Value>,
    /// Lower numbers are called earlier.
    pub(crate) priority: i32,
    pub(crate) ignore_own: bool,
    pub(crate) callback: C,
    unsubscribed: AtomicBool,
}

impl<C> Subscriber<C> {
    pub(crate) fn new(filter: Filter, metadata: Map<String, Value>, callback: C) -> Self {
        Self {
            filter,
            metadata,
            priority: 100,
            ignore_own: false,
            callback,
            unsubscribed: AtomicBool::new(false),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.metadata
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether it was unsubscribed, possibly by a handler of the same event.
    pub(crate) fn is_unsubscribed(&self) -> bool {
        self.unsubscribed.load(Ordering::Acquire)
    }
}

/// All subscribers, in the order in which they are called.
pub(crate) struct Registry<C> {
    subscribers: Vec<Arc<Subscriber<C>>>,
}

impl<C> Registry<C> {
    pub(crate) fn new() -> Self {
        Self {
            subscribers: Vec::new(),
        }
    }

    /// Inserts a subscriber after those of the same priority.
    pub(crate) fn add(&mut self, subscriber: Subscriber<C>) -> Result<Arc<Subscriber<C>>> {
        if self.get(subscriber.id()).is_some() {
            let message = format!("a subscriber with id {} exists already", subscriber.id());
            return Err(Error::new(ErrorKind::Duplicate, message));
        }
        let subscriber = Arc::new(subscriber);
        let place = |other: &Arc<Subscriber<C>>| other.priority <= subscriber.priority;
        let at = self.subscribers.partition_point(place);
        self.subscribers.insert(at, Arc::clone(&subscriber));
        Ok(subscriber)
    }

    /// Removes a subscriber, if there is one with this id.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Arc<Subscriber<C>>> {
        let is_it = |subscriber: &Arc<Subscriber<C>>| subscriber.id() == id;
        let subscriber = self
            .subscribers
            .remove(self.subscribers.iter().position(is_it)?);
        subscriber.unsubscribed.store(true, Ordering::Release);
        Some(subscriber)
    }

    /// Removes all of them.
    pub(crate) fn clear(&mut self) -> Vec<Arc<Subscriber<C>>> {
        for subscriber in &self.subscribers {
            subscriber.unsubscribed.store(true, Ordering::Release);
        }
        std::mem::take(&mut self.subscribers)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Subscriber<C>>> {
        self.subscribers
            .iter()
            .find(|subscriber| subscriber.id() == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Subscriber<C>>> {
        self.subscribers.iter()
    }

    /// The subscribers of this event, in calling order. `own` says that this hub or its session
    /// caused the event.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if the event's target is not a valid filter: as in Python, nobody
    ///   gets the event.
    pub(crate) fn select(&self, event: &Event, own: bool) -> Result<Vec<Arc<Subscriber<C>>>> {
        let target = match event.target() {
            "" => None,
            text => Some(text.parse::<Filter>()?),
        };
        let wanted = |subscriber: &&Arc<Subscriber<C>>| {
            !(own && subscriber.ignore_own)
                && target
                    .as_ref()
                    .is_none_or(|target| target.matches_subscriber(&subscriber.metadata))
                && subscriber.filter.matches(event)
        };
        Ok(self.subscribers.iter().filter(wanted).cloned().collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscriber(id: &str, filter: &str, priority: i32) -> Subscriber<()> {
        let metadata = json!({"id": id, "kind": "test"})
            .as_object()
            .cloned()
            .unwrap();
        let made = Subscriber::new(filter.parse().unwrap(), metadata, ());
        Subscriber { priority, ..made }
    }

    fn ids(registry: &Registry<()>, event: &Event, own: bool) -> Vec<String> {
        let chosen = registry.select(event, own).unwrap();
        chosen
            .iter()
            .map(|subscriber| subscriber.id().to_string())
            .collect()
    }

    #[test]
    fn selects_in_order_of_priority_and_arrival() {
        let mut registry = Registry::new();
        for (id, priority) in [("a", 100), ("b", 0), ("c", 100), ("d", -5), ("e", 0)] {
            registry.add(subscriber(id, "topic=x", priority)).unwrap();
        }
        registry.add(subscriber("f", "topic=y", 0)).unwrap();
        assert_eq!(
            ids(&registry, &Event::new("x"), false),
            ["d", "b", "e", "a", "c"]
        );
    }

    #[test]
    fn targets_and_own_events() {
        let mut registry = Registry::new();
        registry.add(subscriber("a", "topic=x", 1)).unwrap();
        let deaf = Subscriber {
            ignore_own: true,
            ..subscriber("b", "topic=x", 2)
        };
        registry.add(deaf).unwrap();
        for (target, own, expected) in [
            ("", false, vec!["a", "b"]),
            ("", true, vec!["a"]),
            ("id=b", false, vec!["b"]),
            ("kind=test", false, vec!["a", "b"]),
            ("id=z", false, vec![]),
        ] {
            assert_eq!(
                ids(&registry, &Event::new("x").with_target(target), own),
                expected,
                "{target}"
            );
        }
        let event = Event::new("x").with_target("not a filter");
        assert_eq!(
            registry.select(&event, false).err().unwrap().kind(),
            ErrorKind::Syntax
        );
    }

    #[test]
    fn ids_are_unique_and_removal_is_seen() {
        let mut registry = Registry::new();
        let first = registry.add(subscriber("a", "topic=x", 1)).unwrap();
        let error = registry.add(subscriber("a", "topic=y", 1)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Duplicate);
        assert!(registry.remove("a").is_some());
        assert!(first.is_unsubscribed());
        assert!(registry.remove("a").is_none());
    }
}
