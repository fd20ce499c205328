//! The figures of a stream, its relays and its groups.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gap::timestamp;

/// How full a stream is; see [`Stream::status`](super::Stream::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamStatus {
    /// How many entries it has.
    pub length: u64,
    /// How many entries were ever appended.
    pub appended: u64,
    /// Every relay that ever wrote to it and was not [removed](super::Stream::remove_relay), as it last reported: each
    /// second while it runs.
    pub relays: Vec<RelayStatus>,
    /// Every group that ever began and was not [removed](super::Stream::remove_group), by name.
    pub groups: Vec<GroupStatus>,
}

/// The work of a relay; see [`Relay::status`](super::Relay::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Its name.
    pub name: String,
    /// When it last heard from the event server, which says something every few seconds; `None` if it never has.
    pub connected_at: Option<Timestamp>,
    /// Whether it was dropped and had nothing left. One that was killed has not said so.
    pub has_ended: bool,
    /// Events that it has appended.
    pub appended: u64,
    /// Events that were in the stream already, from another relay or from an earlier attempt.
    pub repeated: u64,
    /// Events that it had to drop because its memory and its journal were full.
    pub dropped: u64,
    /// Events that wait in its memory and its journal to be appended.
    pub waiting: u64,
    /// How long the oldest of them has been waiting.
    pub lag: Duration,
    /// Events received in a second, over the ten seconds before its last report; 0 if it has ended.
    pub rate: f64,
    /// The last event that it has received: its id, its topic, and when.
    pub last_event: Option<(String, String, Timestamp)>,
}

/// The first event of those between which a relay has missed none. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct First {
    pub(super) id: String,
    /// By when it was received.
    pub(super) at: i64,
    /// The moment from which on nothing is missing: after one time, by the other.
    pub(super) after: i64,
    pub(super) by: i64,
}

/// What a relay writes beside the stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RelayRecord {
    /// What it subscribes to, as a hash: only others that subscribe to the same make up for what it misses.
    pub(super) filters: String,
    /// Since when it has received everything; milliseconds since 1970 by the stream's clock, like all times
    /// here. `None` while it is not connected.
    pub(super) since: Option<i64>,
    /// When it last heard from the event server, with all that was sent before received and not lost if it dies.
    pub(super) last: Option<i64>,
    /// The beginning of gaps that it has not reported yet.
    pub(super) owed: Option<i64>,
    /// When it wrote this.
    pub(super) reported: Option<i64>,
    /// The first of the events that it holds because others may have earlier ones, once it has appended all others.
    pub(super) held: Option<First>,
    /// The first events of what others hold that it lacks: it has received all that was sent before them.
    pub(super) lacks: Vec<String>,
    /// Everything that it received before is in the stream.
    pub(super) cleared: Option<i64>,
    /// Whether it is gone, and has appended all that it had.
    pub(super) has_ended: bool,
    /// Its process, and how many entries that had appended before it wrote this.
    pub(super) process: u64,
    pub(super) sent: u64,
    pub(super) appended: u64,
    pub(super) repeated: u64,
    pub(super) dropped: u64,
    pub(super) waiting: u64,
    pub(super) lag: u64,
    pub(super) rate: f64,
    pub(super) last_event: Option<(String, String, i64)>,
}

impl RelayRecord {
    /// A record of another version says nothing.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(super) fn status(self, name: String) -> RelayStatus {
        RelayStatus {
            name,
            connected_at: self.last.map(timestamp),
            has_ended: self.has_ended,
            appended: self.appended,
            repeated: self.repeated,
            dropped: self.dropped,
            waiting: self.waiting,
            lag: Duration::from_millis(self.lag),
            rate: if self.has_ended { 0.0 } else { self.rate },
            last_event: self
                .last_event
                .map(|(id, topic, at)| (id, topic, timestamp(at))),
        }
    }
}

/// The work of a group of workers; see [`Stream::group`](super::Stream::group).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// How many events of the stream it has not handled yet.
    pub lag: u64,
    /// How many of them its workers have now.
    pub in_flight: u64,
    /// How many wait for another attempt.
    pub delayed: u64,
    /// Deliveries that were acknowledged.
    pub handled: u64,
    /// Deliveries that were put off.
    pub retried: u64,
    /// Deliveries whose worker did not finish them in time, and that were given to another.
    pub taken_over: u64,
    /// Deliveries that became dead letters.
    pub dead: u64,
    /// How many dead letters there are now.
    pub dead_letters: u64,
}
