//! What the hub's handles and its thread share: queues, counters, how the thread is doing.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::hub::config::{EVENT_BYTES, OUTGOING_BYTES};
use crate::lock::{Condvar, Mutex};

/// Where a hub stands with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HubState {
    /// Not connected and not trying.
    Disconnected,
    /// Opening the first connection.
    Connecting,
    /// The server has accepted the connection.
    Connected,
    /// The connection was lost; a new one is being made.
    Reconnecting,
}

/// What a hub has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubCounts {
    /// Events given to `publish`, `request` and the like.
    pub published: u64,
    /// Published events that the server has acknowledged.
    pub acknowledged: u64,
    /// Published events that were handed back.
    pub undelivered: u64,
    /// Events that arrived, without duplicates.
    pub received: u64,
    /// Events that arrived again and were not delivered again.
    pub duplicates: u64,
    /// Events that arrived and were dropped because nobody waited for them.
    pub dropped: u64,
    /// Handlers that failed or panicked.
    pub failed_handlers: u64,
    /// Connections made after the first.
    pub reconnects: u64,
}

/// What the thread is told.
pub(super) enum Command {
    Publish {
        text: String,
        /// Where replies to this event go.
        replies: Option<(String, Sender<Event>)>,
    },
    /// Nobody waits for replies to this event any more.
    Forget {
        id: String,
    },
    Subscribe {
        id: String,
        text: String,
        answer: Option<Sender<Result<(), String>>>,
    },
    Unsubscribe {
        id: String,
        text: String,
    },
    /// Answered when the server has accepted us, or with what went wrong.
    WhenUp(Sender<Result<()>>),
    Reconnect,
    Stop,
}

/// How a thread is doing, as others see it.
pub(super) struct Status {
    /// Disconnected when the thread has ended, or is left to itself.
    pub(super) ended: Receiver<()>,
    alive: Mutex<Option<Sender<()>>>,
    /// Whether commands are still taken.
    running: AtomicBool,
    /// The process that it runs in; one that was forked has inherited no thread.
    process: u32,
    state: AtomicU8,
    /// Why it ended, if nobody asked for it.
    pub(super) failure: Mutex<Option<(ErrorKind, String)>>,
    /// Why there is no connection, until there is one.
    pub(super) trouble: Mutex<Option<(ErrorKind, String)>>,
}

impl Status {
    pub(super) fn new() -> Self {
        let (alive, ended) = crossbeam_channel::bounded(0);
        Self {
            ended,
            alive: Mutex::new(Some(alive)),
            running: AtomicBool::new(true),
            process: std::process::id(),
            state: AtomicU8::new(HubState::Connecting as u8),
            failure: Mutex::new(None),
            trouble: Mutex::new(None),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) && self.process == std::process::id()
    }

    /// Takes no more commands. To be called while none can be sent.
    pub(super) fn stop_running(&self) {
        self.running.store(false, Ordering::Release);
    }

    /// Tells those who wait that nothing more will come.
    pub(super) fn finish(&self) {
        self.stop_running();
        drop(self.alive.lock().take());
    }

    /// Why it has ended, for one of several who want to know.
    pub(super) fn why(&self) -> Error {
        self.failed().unwrap_or_else(|| {
            let message = "the event hub was disconnected meanwhile";
            Error::new(ErrorKind::Cancelled, message)
        })
    }

    /// What it failed with, if it has.
    pub(super) fn failed(&self) -> Option<Error> {
        again(&self.failure)
    }

    /// Why there is no connection: that this was the end, or what is tried again.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.failed().or_else(|| again(&self.trouble))
    }

    pub(super) fn state(&self) -> HubState {
        let is = |state: HubState| self.state.load(Ordering::Acquire) == state as u8;
        let states = [
            HubState::Connecting,
            HubState::Connected,
            HubState::Reconnecting,
        ];
        states
            .into_iter()
            .find(|state| is(*state))
            .unwrap_or(HubState::Disconnected)
    }

    pub(super) fn set_state(&self, state: HubState) {
        self.state.store(state as u8, Ordering::Release);
    }
}

/// An error for one more who wants to know.
fn again(error: &Mutex<Option<(ErrorKind, String)>>) -> Option<Error> {
    let error = error.lock();
    error
        .as_ref()
        .map(|(kind, message)| Error::new(*kind, message.clone()))
}

/// An event that was not delivered, and why.
pub(super) type Report = (Event, String);

/// Shared by handles and thread; owns neither.
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) counters: Counters,
    /// Not a bounded channel: that one takes the memory of all its places from the start, and most
    /// sessions never connect.
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

    /// Queues an event for whoever waits. If the queue is full the oldest is dropped: what is
    /// new matters more to a program that comes late.
    pub(super) fn deliver(&self, event: Event) {
        let (sender, receiver) = &self.incoming;
        while receiver.len() >= self.incoming_limit && receiver.try_recv().is_ok() {
            if Counters::add(&self.counters.dropped) == 0 {
                log::warn!("event hub: nobody waits for events; dropping the oldest");
            }
        }
        // Both ends live here.
        let _ = sender.send(event);
    }

    pub(super) fn incoming(&self) -> &Receiver<Event> {
        &self.incoming.1
    }

    /// Hands an event back that was not delivered.
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
    /// Of these, those that `flush` has told of.
    told: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed_handlers: AtomicU64,
    pub(super) reconnects: AtomicU64,
}

impl Counters {
    /// Adds one and answers what was there before.
    pub(super) fn add(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::Relaxed)
    }

    /// How many events were handed back since this was asked last.
    pub(super) fn take_untold(&self) -> usize {
        let all = self.undelivered.load(Ordering::Relaxed);
        let new = all.saturating_sub(self.told.swap(all, Ordering::Relaxed));
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

/// Keeps the queue of unacknowledged events within bounds.
pub(super) struct Gate {
    limit: usize,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    events: usize,
    bytes: usize,
    /// Counts closings, so that whoever waits notices one.
    closings: u64,
}

impl Gate {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Mutex::new(Held::default()),
            changed: Condvar::new(),
        }
    }

    /// Takes room for an event, waiting for some if need be.
    pub(super) fn enter(&self, bytes: usize, timeout: Duration) -> Result<()> {
        if bytes > EVENT_BYTES {
            let message =
                format!("an event of {bytes} bytes is too large; the most is {EVENT_BYTES}");
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let deadline = after(timeout);
        let mut held = self.held.lock();
        let closings = held.closings;
        while held.events >= self.limit || held.bytes + bytes > OUTGOING_BYTES {
            if held.closings != closings {
                return Err(not_connected());
            }
            if self.changed.wait_until(&mut held, deadline) {
                let message = format!(
                    "{} events wait to be acknowledged by the event server: publish again later",
                    held.events
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
        held.events += 1;
        held.bytes += bytes;
        Ok(())
    }

    pub(super) fn leave(&self, bytes: usize) {
        let mut held = self.held.lock();
        held.events = held.events.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// Sends away whoever waits for room.
    pub(super) fn close(&self) {
        self.held.lock().closings += 1;
        self.changed.notify_all();
    }

    /// Waits until nothing is held; answers how much still is.
    pub(super) fn wait_empty(&self, deadline: Instant) -> usize {
        let mut held = self.held.lock();
        let closings = held.closings;
        while held.events > 0 && held.closings == closings {
            if self.changed.wait_until(&mut held, deadline) {
                break;
            }
        }
        held.events
    }

    pub(super) fn held(&self) -> usize {
        self.held.lock().events
    }
}

/// A moment in the future; about thirty years are for ever, and the clock can hold them.
pub(super) fn after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(Duration::from_secs(1_000_000_000))
}

pub(super) fn not_connected() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the event hub is not connected: call connect first",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_gate_bounds_and_releases() {
        let gate = Gate::new(2);
        gate.enter(10, Duration::ZERO).unwrap();
        gate.enter(10, Duration::ZERO).unwrap();
        let full = gate.enter(10, Duration::from_millis(5)).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Timeout);
        gate.leave(10);
        gate.enter(10, Duration::ZERO).unwrap();
        let large = gate.enter(EVENT_BYTES + 1, Duration::ZERO).unwrap_err();
        assert_eq!(large.kind(), ErrorKind::Validation);
        assert_eq!(gate.wait_empty(Instant::now()), 2);
    }

    #[test]
    fn closing_sends_publishers_away() {
        let gate = Arc::new(Gate::new(1));
        gate.enter(1, Duration::ZERO).unwrap();
        let other = Arc::clone(&gate);
        let waiting = std::thread::spawn(move || other.enter(1, Duration::from_secs(60)));
        while !waiting.is_finished() {
            gate.close();
            std::thread::yield_now();
        }
        assert_eq!(
            waiting.join().unwrap().unwrap_err().kind(),
            ErrorKind::Connection
        );
    }

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
