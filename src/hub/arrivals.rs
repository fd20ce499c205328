//! What has arrived, with marks where events may be missing: for callers that must know what they have not
//! received.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::event::{CONNECTED_TOPIC, Event};
use crate::hub::EventHub;
use crate::hub::dispatch::{Received, deadline};
use crate::hub::driver::SUBSCRIBED;

/// What has arrived, in its order.
#[allow(clippy::large_enum_variant, reason = "nearly all are events")]
pub(crate) enum Arrival {
    Event(Event),
    /// A new connection: what was sent between it and the one before is missing.
    Connected,
    /// From here on nothing is missing: the server knows all subscriptions.
    Subscribed,
}

impl EventHub {
    /// Makes [`next_arrival`](Self::next_arrival) report when all subscriptions are confirmed.
    pub(crate) fn follow(&self) {
        self.inner.shared.announce_subscribed();
    }

    /// Like [`next`](Self::next), with the announcements in between.
    pub(crate) fn next_arrival(&self, timeout: Duration) -> Result<Option<Arrival>> {
        let deadline = deadline(Some(timeout));
        let mut was_running = false;
        loop {
            let Received::Event(event) = self.receive(deadline, &mut was_running)? else {
                return Ok(None);
            };
            match event.topic() {
                CONNECTED_TOPIC if self.is_own(&event) => return Ok(Some(Arrival::Connected)),
                SUBSCRIBED if self.is_own(&event) => return Ok(Some(Arrival::Subscribed)),
                _ if self.is_own(&event) && event.topic().starts_with("ftrack.meta.") => {}
                _ if self.select(&event).is_empty() => {}
                _ => return Ok(Some(Arrival::Event(event))),
            }
        }
    }

    /// Whether the server has confirmed all subscriptions on the current connection.
    pub(crate) fn is_subscribed(&self) -> bool {
        let remote = self.inner.line.last();
        remote.is_some_and(|remote| remote.status.is_subscribed())
    }

    /// When the server was last heard from. What arrived until then is in the queue, or was taken from it.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.inner.line.last()?.status.heard()
    }
}
