//! What the handles and the thread share: queues and counters.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::event::Event;
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
}

/// An event that was not delivered, and why.
pub(super) type Report = (Event, String);

/// Shared by the handles and the thread; keeps neither alive.
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) counters: Counters,
    /// Not a bounded channel: that would allocate all its slots at once, and most sessions never
    /// connect.
    incoming: (Sender<Event>, Receiver<Event>),
    incoming_limit: usize,
    reports: (Sender<Report>, Receiver<Report>),
}

impl Shared {
    pub(super) fn new(outgoing: usize, incoming: usize) -> Self {
        Self {
            gate: Gate::new(outgoing),
            counters: Counters::default(),
            incoming: crossbeam_channel::unbounded(),
            incoming_limit: incoming,
            reports: crossbeam_channel::unbounded(),
        }
    }

    /// Queues an event for the handlers. If the queue is full the oldest is dropped: to a program
    /// that is late, new events matter more.
    pub(super) fn deliver(&self, event: Event) {
        let (sender, receiver) = &self.incoming;
        while receiver.len() >= self.incoming_limit && receiver.try_recv().is_ok() {
            if Counters::add(&self.counters.dropped) == 0 {
                log::warn!("event hub: events are not handled in time; the oldest are dropped");
            }
        }
        // The receiver lives as long as the sender.
        let _ = sender.send(event);
    }

    pub(super) fn incoming(&self) -> &Receiver<Event> {
        &self.incoming.1
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_drops_the_oldest() {
        let shared = Shared::new(1, 2);
        for id in ["a", "b", "c"] {
            shared.deliver(Event::new("t").with_id(id));
        }
        let ids: Vec<String> = shared
            .incoming()
            .try_iter()
            .map(|event| event.id().into())
            .collect();
        assert_eq!(ids, ["b", "c"]);
        assert_eq!(shared.counters.read().dropped, 1);
    }
}
