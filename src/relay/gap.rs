//! Times in which events may be missing.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A time in which events may have passed that are not in the stream.
///
/// A worker gets it as a delivery of its own, see [`Delivery::gap`](super::Delivery::gap).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gap {
    /// No event that was sent before is missing because of this gap; `None` if that is not known.
    pub from: Option<Timestamp>,
    /// No event that was sent afterwards is missing because of this gap.
    pub to: Timestamp,
    /// What happened.
    pub reason: GapReason,
    /// How many events are missing, if it is known.
    pub lost: Option<u64>,
    /// How many events were made from the server's log, if it was asked.
    pub caught_up: Option<u64>,
    /// The relay that reports it; `None` if the stream itself has noticed it.
    pub relay: Option<String>,
}

/// Why there is a [`Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapReason {
    /// The relay was not running, or its hub was not connected, and no other relay was.
    NotConnected,
    /// The relay did not handle the hub's events in time, and the hub dropped some.
    TooSlow,
    /// The stream was away for so long that the relay's memory and journal were full.
    JournalFull,
    /// Entries were removed from the stream before the group has handled them: by its bounds, or by hand.
    Removed,
    /// The stream lost its data, as after `FLUSHALL`, or the latest of it, as when Redis was restored from a snapshot.
    StreamLost,
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "no relay was connected",
            Self::TooSlow => "the relay was too slow",
            Self::JournalFull => "the stream was away, and the relay's journal was full",
            Self::Removed => "entries were removed before they were handled",
            Self::StreamLost => "the stream lost its data",
        })
    }
}

impl Gap {
    /// Times in milliseconds since 1970.
    pub(super) fn new(from: Option<i64>, to: i64, reason: GapReason) -> Self {
        Self {
            from: from.map(timestamp),
            to: timestamp(to),
            reason,
            lost: None,
            caught_up: None,
            relay: None,
        }
    }
}

/// Milliseconds since 1970 as a time; the nearest that there is.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    let fallback = if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(millis).unwrap_or(fallback)
}

/// What of a time is not covered by any of the others: where relays were not connected.
///
/// ```text
/// time      |-------------------|
/// others  |----|     |---|
/// left          |---|     |-----|
/// ```
pub(super) fn uncovered(time: (i64, i64), others: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut others = others.to_vec();
    others.sort_unstable();
    let (mut from, to) = time;
    let mut left = Vec::new();
    for (start, end) in others {
        if start > from && from < to {
            left.push((from, start.min(to)));
        }
        from = from.max(end);
    }
    if from < to {
        left.push((from, to));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_cover_is_no_gap() {
        for (others, left) in [
            (vec![], vec![(10, 20)]),
            (vec![(0, 30)], vec![]),
            (vec![(0, 12)], vec![(12, 20)]),
            (vec![(18, 30)], vec![(10, 18)]),
            (vec![(12, 14)], vec![(10, 12), (14, 20)]),
            (vec![(15, 30), (0, 15)], vec![]),
            (vec![(0, 5), (25, 30)], vec![(10, 20)]),
            (vec![(11, 19), (12, 13)], vec![(10, 11), (19, 20)]),
        ] {
            assert_eq!(uncovered((10, 20), &others), left, "{others:?}");
        }
    }
}
