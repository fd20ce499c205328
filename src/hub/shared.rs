//! What the handles and the thread share: queues and counters.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::event::Event;
use crate::hub::config::HubConfig;
use crate::hub::gate::Gate;

/// The work of a hub since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubCounts {
    /// Events passed to `publish`, `request` and `request_all`.
    pub published: u64,
    /// Published events that the server has acknowledged.
    pub acknowledged: u64,
    /// Published events that were handed back as not delivered.
    pub undelivered: u64,
    /// Events that arrived, without duplicates.
    pub received: u64,
    /// Events that arrived again and were not delivered again.
    pub duplicates: u64,
    /// Events that arrived and were dropped because nobody handled them in time.
    pub dropped: u64,
    /// Handlers that failed or panicked.
    pub failed_handlers: u64,
    /// Connections opened after the first.
    pub reconnects: u64,
    /// Subscriptions that the server rejected while no caller waited for the confirmation, such as
    /// those that are restored on a new connection.
    pub rejected_subscriptions: u64,
}

/// An event that was not delivered, and why.
pub(super) type Report = (Event, String);

/// Shared by the handles and the thread; keeps neither alive.
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) counters: Counters,
    /// Events that wait to be handled, as JSON: parsed they may take a hundred times the memory.
    /// Not a bounded channel: that would allocate all its slots at once, and most sessions never
    /// connect.
    incoming: (Sender<String>, Receiver<String>),
    /// The bytes of the texts in it.
    incoming_bytes: AtomicUsize,
    max_incoming: usize,
    max_incoming_bytes: usize,
    reports: (Sender<Report>, Receiver<Report>),
    /// Whether a local event says when all subscriptions are confirmed.
    announces_subscribed: AtomicBool,
}

impl Shared {
    pub(super) fn new(config: &HubConfig) -> Self {
        Self {
            gate: Gate::new(config.outgoing_limit),
            counters: Counters::default(),
            incoming: crossbeam_channel::unbounded(),
            incoming_bytes: AtomicUsize::new(0),
            max_incoming: config.incoming_limit,
            max_incoming_bytes: config.incoming_bytes,
            reports: crossbeam_channel::unbounded(),
            announces_subscribed: AtomicBool::new(false),
        }
    }

    #[cfg(any(feature = "redis", feature = "file-cache"))]
    pub(super) fn announce_subscribed(&self) {
        self.announces_subscribed.store(true, Ordering::Relaxed);
    }

    pub(super) fn announces_subscribed(&self) -> bool {
        self.announces_subscribed.load(Ordering::Relaxed)
    }

    /// Queues an event for the handlers. If the queue is full the oldest are dropped: to a program
    /// that is late, new events matter more.
    pub(super) fn deliver(&self, text: String) {
        let (sender, receiver) = &self.incoming;
        let mut bytes = self.incoming_bytes.fetch_add(text.len(), Ordering::Relaxed) + text.len();
        while receiver.len() >= self.max_incoming || bytes > self.max_incoming_bytes {
            // An event that is larger than all room is delivered alone.
            let Ok(oldest) = receiver.try_recv() else {
                break;
            };
            bytes = self
                .incoming_bytes
                .fetch_sub(oldest.len(), Ordering::Relaxed)
                - oldest.len();
            if Counters::add(&self.counters.dropped) == 0 {
                log::warn!("event hub: events are not handled in time; the oldest are dropped");
            }
        }
        // The receiver lives as long as the sender.
        let _ = sender.send(text);
    }

    /// The events that wait to be handled; [`read`](Self::read) what is received.
    pub(super) fn incoming(&self) -> &Receiver<String> {
        &self.incoming.1
    }

    /// The event in a text that was received from the queue. One that cannot be read is logged.
    pub(super) fn read(&self, text: &str) -> Option<Event> {
        self.incoming_bytes.fetch_sub(text.len(), Ordering::Relaxed);
        serde_json::from_str(text)
            .map_err(|error| log::warn!("event hub: ignored an invalid event: {error}"))
            .ok()
    }

    /// Hands back an event that was not delivered.
    pub(super) fn report(&self, event: Event, why: String) {
        Counters::add(&self.counters.undelivered);
        // As above.
        let _ = self.reports.0.send((event, why));
    }

    pub(super) fn reports(&self) -> &Receiver<Report> {
        &self.reports.1
    }
}

/// See [`HubCounts`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) published: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) undelivered: AtomicU64,
    /// Of these, those that `flush` has reported.
    flushed: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed_handlers: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) rejected_subscriptions: AtomicU64,
}

impl Counters {
    /// Adds one; returns the count before.
    pub(super) fn add(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::Relaxed)
    }

    /// How many events were handed back since the last call.
    pub(super) fn take_undelivered(&self) -> usize {
        let all = self.undelivered.load(Ordering::Relaxed);
        let new = all.saturating_sub(self.flushed.swap(all, Ordering::Relaxed));
        usize::try_from(new).unwrap_or(usize::MAX)
    }

    pub(super) fn read(&self) -> HubCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HubCounts {
            published: get(&self.published),
            acknowledged: get(&self.acknowledged),
            undelivered: get(&self.undelivered),
            received: get(&self.received),
            duplicates: get(&self.duplicates),
            dropped: get(&self.dropped),
            failed_handlers: get(&self.failed_handlers),
            reconnects: get(&self.reconnects),
            rejected_subscriptions: get(&self.rejected_subscriptions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the queue, and how many events were dropped.
    fn queue(config: &HubConfig, texts: &[&str]) -> (Vec<String>, u64) {
        let shared = Shared::new(config);
        for text in texts {
            shared.deliver((*text).to_string());
        }
        let left: Vec<String> = shared.incoming().try_iter().collect();
        for text in &left {
            shared.read(text);
        }
        assert_eq!(shared.incoming_bytes.load(Ordering::Relaxed), 0);
        (left, shared.counters.read().dropped)
    }

    #[test]
    fn a_full_queue_drops_the_oldest() {
        let config = || HubConfig::new("http://h", "u", "k");
        let two = config().incoming_limit(2);
        let left = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_string()).collect()
        };
        assert_eq!(queue(&two, &["a", "b", "c"]), (left(&["b", "c"]), 1));
        let bytes = config().incoming_bytes(10);
        assert_eq!(
            queue(&bytes, &["aaaa", "bbbb", "cc", "dddd"]),
            (left(&["bbbb", "cc", "dddd"]), 1)
        );
        let large = "x".repeat(20);
        assert_eq!(
            queue(&bytes, &["aaaa", &large]),
            (left(&[large.as_str()]), 1)
        );
        assert_eq!(
            queue(&bytes, &[large.as_str(), "aaaa"]),
            (left(&["aaaa"]), 1)
        );
    }
}
