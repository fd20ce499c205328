//! What a relay takes from its hub.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::hub::{Arrival, EventHub};
use crate::relay::engine::NewEntry;
use crate::relay::order::{LATENESS, millis};

use super::{HOLD_INTERVAL, MAX_BATCH, Running};

impl Running {
    /// Waits for the first event, and takes those that are queued behind it.
    pub(in crate::relay) fn receive(&mut self, hub: &EventHub, timeout: Duration) -> Result<usize> {
        let due = match (self.away_until, self.reported_at) {
            (Some(until), _) => until.saturating_duration_since(Instant::now()),
            (None, Some(at)) => self.interval().saturating_sub(at.elapsed()),
            (None, None) => HOLD_INTERVAL,
        };
        let mut wait = timeout.min(due);
        let mut count = 0;
        self.floor = self.drained_at;
        // If the queue is found empty later, all that came before was received.
        let heard = hub.heard();
        let mut was_whole = self.record.since.is_some();
        for _ in 0..MAX_BATCH {
            let asked_at = self.clock.earliest();
            let Some(arrival) = hub.next_arrival(wait)? else {
                self.drained_at = self
                    .clock
                    .earliest()
                    .min(asked_at.saturating_add(millis(wait)));
                if let (true, Some(heard)) = (was_whole, heard) {
                    let heard = self
                        .clock
                        .earliest()
                        .saturating_sub(millis(heard.elapsed()));
                    self.record.last = self.last().max(Some(heard));
                }
                break;
            };
            wait = Duration::ZERO;
            // The hub drops the oldest: before this event, or after it.
            let dropped = hub.counts().dropped;
            let has_dropped = dropped != self.seen_dropped;
            self.seen_dropped = dropped;
            if has_dropped {
                self.order.break_off();
            }
            match arrival {
                Arrival::Event(event) => {
                    if self.filters.iter().any(|filter| filter.matches(&event)) {
                        self.push_event(&event);
                        count += 1;
                    }
                }
                Arrival::Connected => {
                    was_whole = false;
                    self.connected();
                }
                Arrival::Subscribed => {
                    was_whole = false;
                    self.subscribed();
                }
            }
            if has_dropped {
                self.order.break_off();
            }
        }
        Ok(count)
    }

    /// There is a new connection: what was sent since the last one is missing.
    pub(super) fn connected(&mut self) {
        let last = self.last().map(|last| last.saturating_sub(LATENESS));
        if let Some(from) = last.or(self.record.since) {
            self.record.owed = Some(self.record.owed.map_or(from, |owed| owed.min(from)));
        }
        (self.record.since, self.owing_since) = (None, None);
        self.order.break_off();
    }

    /// From now on it receives everything.
    fn subscribed(&mut self) {
        self.record.since = Some(self.clock.latest());
        self.owing_since = Some(Instant::now());
        self.order.begin(self.floor, self.clock.latest());
        // Whoever asks from now on knows that it is connected.
        self.reported_at = None;
    }

    /// An event may have waited in the hub. So that nobody takes it for newer than it is, its time is the earliest
    /// at which it can have arrived.
    pub(super) fn push_event(&mut self, event: &Event) {
        let at = self.floor;
        self.received += 1;
        self.record.last_event = Some((event.id().to_owned(), event.topic().to_owned(), at));
        if self.record.since.is_none() {
            // Not all subscriptions are confirmed: what another one asks for may be missing.
            self.order.break_off();
        }
        let first = self.order.next(event.id(), at, self.clock.latest());
        match self.backlog.push(NewEntry::event(event, at), first.clone()) {
            Some(number) => self.order.push(number, event.id(), first),
            None => self.order.break_off(),
        }
    }

    /// Notes what the hub has dropped.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Permission`] if the server has rejected a subscription.
    pub(in crate::relay) fn look(&mut self, hub: &EventHub) -> Result<()> {
        let (now, counts) = (self.clock.earliest(), hub.counts());
        let dropped = counts.dropped - self.counts.dropped;
        if dropped > 0 {
            let (from, before) = self.too_slow.unwrap_or((self.seen_at, 0));
            self.too_slow = Some((from, before + dropped));
            self.record.dropped += dropped;
            self.order.break_off();
            // What says so may have been dropped, too.
            if counts.reconnects != self.counts.reconnects {
                self.connected();
            }
            if self.record.since.is_none() && hub.is_subscribed() {
                self.subscribed();
            }
        }
        let rejected = counts.rejected_subscriptions > self.counts.rejected_subscriptions;
        self.counts = counts;
        self.seen_at = now;
        match rejected {
            true => {
                let message = "the event server has rejected a subscription of the relay";
                Err(Error::new(ErrorKind::Permission, message))
            }
            false => Ok(()),
        }
    }
}
