//! Callbacks for the replies to published events.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::Event;

/// The callback for replies to an event.
pub(super) type OnReply = Arc<dyn Fn(&Event) -> anyhow::Result<()> + Send + Sync + 'static>;

/// Callbacks for replies, of a limited number of events.
#[derive(Default)]
pub(super) struct Replies {
    callbacks: HashMap<String, OnReply>,
    order: VecDeque<String>,
}

/// The most events whose replies are passed to callbacks.
const MAX_REPLY_CALLBACKS: usize = 4096;

impl Replies {
    /// Adds one; returns those that it displaces, to be dropped without a lock.
    pub(super) fn add(&mut self, id: &str, callback: OnReply) -> Vec<OnReply> {
        let mut displaced: Vec<_> = self
            .callbacks
            .insert(id.to_string(), callback)
            .into_iter()
            .collect();
        self.order.push_back(id.to_string());
        while self.order.len() > MAX_REPLY_CALLBACKS {
            let oldest = self.order.pop_front().unwrap_or_default();
            displaced.extend(self.callbacks.remove(&oldest));
        }
        displaced
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<OnReply> {
        self.order.retain(|one| one != id);
        self.callbacks.remove(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<OnReply> {
        self.callbacks.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_publishes_displace_nothing() {
        let mut replies = Replies::default();
        replies.add("waits", Arc::new(|_| Ok(())));
        for number in 0..2 * MAX_REPLY_CALLBACKS {
            let id = number.to_string();
            assert!(replies.add(&id, Arc::new(|_| Ok(()))).is_empty());
            assert!(replies.remove(&id).is_some());
        }
        assert!(replies.get("waits").is_some());
    }
}
