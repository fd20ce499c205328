//! What waits to be sent and what waits to be acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::socketio::packet;
use crate::socketio::settings::Settings;

/// A published event that the server has not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// The event as JSON.
    pub(crate) text: String,
    /// How many connections broke over it; see [`Settings::strikes`].
    pub(crate) strikes: u32,
}

/// A packet that wants an acknowledgement.
#[derive(Debug)]
pub(crate) enum Wanted {
    Event(Outgoing),
    /// The id of the subscriber.
    Subscription(String),
    Unsubscription,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It was requested.
    Asked,
    /// It broke: maybe over the first event, if none was acknowledged.
    Broken,
    /// The first event was not acknowledged in time.
    Overdue,
}

/// The packets to send and those in flight, with a window between them.
///
/// The window is small because the server counts the bytes it has buffered again for every
/// frame it takes out of them and closes connections at a total of 100 MB (npm `socket.io`
/// 0.9.17 to 0.9.19): many events in one piece end a connection early.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Outgoing>,
    /// Subscriptions go first: what is published afterwards may come back through them.
    control: VecDeque<(Wanted, String)>,
    flight: BTreeMap<u64, Flying>,
    flying_bytes: usize,
    last_number: u64,
    /// The quickest acknowledgement on this connection; none before the first.
    quickest: Option<Duration>,
    /// Whether an event was acknowledged on this connection.
    progress: bool,
}

struct Flying {
    wanted: Wanted,
    bytes: usize,
    since: Duration,
}

impl Queue {
    pub(crate) fn publish(&mut self, event: Outgoing) {
        self.waiting.push_back(event);
    }

    pub(crate) fn control(&mut self, wanted: Wanted, text: String) {
        self.control.push_back((wanted, text));
    }

    /// Whether every event has been acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.flight.values().all(|flying| !flying.wanted.is_event())
    }

    /// The next packet that may be sent now.
    pub(crate) fn next(&mut self, now: Duration, settings: &Settings) -> Option<String> {
        if !self.has_room(settings) {
            return None;
        }
        let (wanted, packet) = match self.control.pop_front() {
            Some((wanted, text)) => (wanted, packet::event_packet(self.last_number + 1, &text)),
            None => {
                let event = self.waiting.pop_front()?;
                let packet = packet::event_packet(self.last_number + 1, &event.text);
                (Wanted::Event(event), packet)
            }
        };
        self.last_number += 1;
        self.flying_bytes += packet.len();
        let flying = Flying {
            wanted,
            bytes: packet.len(),
            since: now,
        };
        self.flight.insert(self.last_number, flying);
        Some(packet)
    }

    /// Takes what the server has acknowledged; nothing if the number is unknown.
    pub(crate) fn acknowledge(&mut self, now: Duration, number: u64) -> Option<Wanted> {
        let flying = self.take(number)?;
        let took = now.saturating_sub(flying.since);
        self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
        self.progress |= flying.wanted.is_event();
        Some(flying.wanted)
    }

    /// Takes what the server has not acknowledged in time.
    pub(crate) fn give_up(&mut self, number: u64) -> Option<Wanted> {
        Some(self.take(number)?.wanted)
    }

    fn take(&mut self, number: u64) -> Option<Flying> {
        let flying = self.flight.remove(&number)?;
        self.flying_bytes -= flying.bytes;
        Some(flying)
    }

    /// The number of the packet that waits longest, when it was sent, and what it is.
    pub(crate) fn oldest(&self) -> Option<(u64, Duration, &Wanted)> {
        let (number, flying) = self.flight.first_key_value()?;
        Some((*number, flying.since, &flying.wanted))
    }

    /// The connection is gone: what was in flight goes back to the front, in order. If the first
    /// event may be the cause it gets a strike, and is returned if that was one too many.
    pub(crate) fn rewind(&mut self, cause: Cause, settings: &Settings) -> Option<Outgoing> {
        let suspicious = match cause {
            Cause::Asked => false,
            Cause::Broken => !self.progress,
            Cause::Overdue => true,
        };
        let flight = std::mem::take(&mut self.flight);
        let events = flight
            .into_values()
            .filter_map(|flying| match flying.wanted {
                Wanted::Event(event) => Some(event),
                Wanted::Subscription(_) | Wanted::Unsubscription => None,
            });
        let mut events: VecDeque<Outgoing> = events.collect();
        let mut culprit = None;
        if suspicious && let Some(first) = events.front_mut() {
            first.strikes += 1;
            if first.strikes >= settings.strikes {
                culprit = events.pop_front();
            }
        }
        events.append(&mut self.waiting);
        self.waiting = events;
        self.control.clear();
        self.flying_bytes = 0;
        self.quickest = None;
        self.progress = false;
        culprit
    }

    /// Takes everything that was never acknowledged.
    pub(crate) fn drain(&mut self, settings: &Settings) -> VecDeque<Outgoing> {
        self.rewind(Cause::Asked, settings);
        std::mem::take(&mut self.waiting)
    }

    /// The window grows with the distance to the server: a number of packets per millisecond.
    fn has_room(&self, settings: &Settings) -> bool {
        let near = settings.window;
        let window = match self.quickest {
            // The event that a connection broke over is tried alone.
            _ if !self.progress && self.has_suspect() => 1,
            None => near,
            Some(quickest) => {
                let far = near as u128 * quickest.as_micros() / 1000;
                usize::try_from(far)
                    .unwrap_or(usize::MAX)
                    .clamp(near, near * 16)
            }
        };
        let within = self.flight.len() < window && self.flying_bytes < settings.window_bytes;
        within || self.flight.is_empty()
    }

    fn has_suspect(&self) -> bool {
        self.flight.values().any(|flying| match &flying.wanted {
            Wanted::Event(event) => event.strikes > 0,
            Wanted::Subscription(_) | Wanted::Unsubscription => false,
        })
    }
}

impl Wanted {
    pub(crate) fn is_event(&self) -> bool {
        matches!(self, Self::Event(_))
    }
}
