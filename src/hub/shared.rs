//! What the handles and the thread share: queues and counters.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::event::Event;
use crate::hub::config::HubConfig;
use crate::hub::gate::Gate;
use crate::lock::Mutex;

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
    pub(super) counts: Mutex<HubCounts>,
    /// How many undelivered events `flush` has reported.
    flushed: Mutex<u64>,
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
            counts: Mutex::default(),
            flushed: Mutex::default(),
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
            let mut counts = self.counts.lock();
            counts.dropped += 1;
            if counts.dropped == 1 {
                drop(counts);
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
        self.counts.lock().undelivered += 1;
        // As above.
        let _ = self.reports.0.send((event, why));
    }

    pub(super) fn reports(&self) -> &Receiver<Report> {
        &self.reports.1
    }

    /// How many events were handed back since the last call.
    pub(super) fn take_undelivered(&self) -> usize {
        let all = self.counts.lock().undelivered;
        let before = std::mem::replace(&mut *self.flushed.lock(), all);
        usize::try_from(all.saturating_sub(before)).unwrap_or(usize::MAX)
    }
}
