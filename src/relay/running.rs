//! A relay at work: what it has received, what it reports, and what it owes.

mod appending;
mod arriving;
mod gaps;
mod recent;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::event::Filter;
use crate::hub::HubCounts;
use crate::value::derived_id;

use super::backlog::Backlog;
use super::clock::{self, StreamClock};
use super::order::Order;
use super::status::RelayRecord;
use super::stream::Stream;
use recent::Recent;

/// How often a relay reports.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the stream is not tried after a failure, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// The events of one batch.
const MAX_BATCH: usize = 500;

/// How often a relay reports, and looks at the others' reports, while it holds entries.
const HOLD_INTERVAL: Duration = Duration::from_millis(50);

/// The state of a relay from the first call of `poll` on.
pub(super) struct Running {
    stream: Stream,
    name: String,
    filters: Vec<Filter>,
    backlog: Backlog,
    record: RelayRecord,
    /// The counts of the hub when it was last looked at, and when.
    counts: HubCounts,
    /// How many events the hub had dropped when the last event was taken from it.
    seen_dropped: u64,
    seen_at: i64,
    clock: StreamClock,
    /// Whether the record of an earlier process was read.
    is_introduced: bool,
    /// All relays, as they had last reported when this one asked.
    records: BTreeMap<String, RelayRecord>,
    order: Order,
    /// When the hub had nothing more.
    drained_at: i64,
    /// What was received last had not arrived before.
    floor: i64,
    /// What the hub has dropped and was not reported: since when, and how much.
    too_slow: Option<(i64, u64)>,
    /// Since when a gap is to be decided on.
    owing_since: Option<Instant>,
    /// The beginning of gaps that wait to be appended.
    unsaved: Option<i64>,
    reported_at: Option<Instant>,
    /// Whether its last report says that it holds entries.
    has_told_hold: bool,
    /// Until when the stream is not tried, after a failure.
    away_until: Option<Instant>,
    received: u64,
    rate: VecDeque<(Instant, u64)>,
    recent: Recent,
}

impl Running {
    pub(super) fn new(
        stream: &Stream,
        name: &str,
        filters: Vec<Filter>,
        mut backlog: Backlog,
        memory_bytes: usize,
        counts: HubCounts,
    ) -> Self {
        Self {
            stream: stream.clone(),
            name: name.to_owned(),
            record: RelayRecord {
                filters: hash(&filters),
                ..RelayRecord::default()
            },
            filters,
            order: Order::new(backlog.take_left()),
            backlog,
            seen_dropped: counts.dropped,
            counts,
            seen_at: clock::now(),
            clock: StreamClock::default(),
            is_introduced: false,
            records: BTreeMap::new(),
            drained_at: clock::now(),
            floor: clock::now(),
            too_slow: None,
            owing_since: None,
            unsaved: None,
            reported_at: None,
            has_told_hold: false,
            away_until: None,
            received: 0,
            rate: VecDeque::new(),
            recent: Recent::new(memory_bytes),
        }
    }

    /// How often it reports.
    fn interval(&self) -> Duration {
        match self.is_introduced && self.order.held().is_none() {
            true => REPORT_INTERVAL,
            false => HOLD_INTERVAL,
        }
    }

    /// When it last heard from the server. No time is later than now, if the clock was set back.
    fn last(&self) -> Option<i64> {
        self.record.last.map(|last| last.min(self.clock.latest()))
    }

    pub(super) fn current_record(&self) -> RelayRecord {
        let lag = self
            .backlog
            .oldest()
            .map_or(0, |at| self.clock.latest().saturating_sub(at));
        let rate = self.rate.front().map_or(0.0, |(at, before)| {
            let seconds = at.elapsed().as_secs_f64().max(0.001);
            (self.received - before) as f64 / seconds
        });
        // What is in memory, or still in the hub, is lost if this process dies: then the gap begins with it.
        let in_memory = self.backlog.unsafe_since().unwrap_or(i64::MAX);
        let last = self
            .record
            .last
            .or(self.record.since)
            .map(|last| last.min(self.drained_at).min(in_memory));
        RelayRecord {
            last,
            owed: self.record.owed.or(self.unsaved),
            reported: Some(self.clock.latest()),
            process: self.recent.process(),
            sent: self.recent.count(),
            held: self.order.held().and_then(|(number, first)| {
                (number == self.backlog.first_number()).then(|| first.clone())
            }),
            cleared: Some(
                self.backlog
                    .oldest()
                    .map_or(self.drained_at, |at| at.min(self.drained_at)),
            ),
            waiting: self.backlog.len(),
            lag: u64::try_from(lag).unwrap_or(0),
            rate,
            dropped: self.record.dropped + self.backlog.total_dropped(),
            ..self.record.clone()
        }
    }
}

fn hash(filters: &[Filter]) -> String {
    let mut texts: Vec<String> = filters.iter().map(Filter::to_string).collect();
    texts.sort_unstable();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    derived_id("", &texts).to_string()
}

/// Keeps what is in memory for the next process, and says goodbye.
impl Drop for Running {
    fn drop(&mut self) {
        self.backlog.spill();
        self.say_goodbye();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::event::{Event, IntoFilter};
    use crate::relay::engine::Kind;
    use crate::relay::gap::{Gap, GapReason};

    fn running() -> Running {
        let stream = Stream::local("nowhere");
        let backlog = Backlog::new(1000, None);
        Running::new(
            &stream,
            "one",
            Vec::new(),
            backlog,
            1000,
            HubCounts::default(),
        )
    }

    fn connected(since: i64, last: i64) -> RelayRecord {
        RelayRecord {
            filters: hash(&[]),
            since: Some(since),
            last: Some(last),
            reported: Some(last),
            ..RelayRecord::default()
        }
    }

    #[test]
    fn what_is_dropped_while_entries_are_held_is_one_gap() {
        let mut running = running();
        for number in 0..100 {
            running.push_event(&Event::new(format!("studio.{number}")));
            running.decide(None);
        }
        let (kept, dropped) = (running.backlog.len(), running.backlog.total_dropped());
        assert!(kept > 0 && kept + dropped == 100, "{kept} and {dropped}");
        running.order.note("one", &BTreeMap::new(), Instant::now());
        running
            .order
            .release("one", &BTreeMap::new(), 0, |_| Ok::<_, Error>(false))
            .unwrap();
        running.decide(None);
        let entries = running.backlog.batch(100, u64::MAX).unwrap();
        let gaps: Vec<Gap> = entries
            .iter()
            .filter(|entry| entry.kind == Kind::Gap)
            .map(|entry| serde_json::from_str(&entry.body).unwrap())
            .collect();
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].lost, Some(dropped));
    }

    #[test]
    fn the_loss_of_what_was_dropped_is_known_if_the_process_dies_before_it_says_so() {
        let mut running = running();
        running.record = connected(0, i64::MAX);
        running.drained_at = i64::MAX;
        running.floor = 7;
        while running.backlog.total_dropped() == 0 {
            running.push_event(&Event::new("studio.test"));
        }
        // What was received before is appended.
        let kept = usize::try_from(running.backlog.len()).unwrap();
        running.backlog.done(kept).unwrap();
        assert_eq!(running.current_record().last, Some(7));
    }

    #[test]
    fn gaps_at_the_same_time_are_told_apart() {
        let mut running = running();
        for _ in 0..100 {
            running.push_gap(Gap::new(Some(1), 2, GapReason::TooSlow), None);
        }
        let entries = running.backlog.batch(100, u64::MAX).unwrap();
        let ids: std::collections::BTreeSet<&str> =
            entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids.len(), 100);
    }

    #[test]
    fn a_relay_that_has_not_heard_from_a_quiet_server_yet_is_waited_for() {
        let mut running = running();
        running.record = connected(9000, 9000);
        running.record.owed = Some(5000);
        running.owing_since = Some(Instant::now());
        let mut hear = |other: RelayRecord| {
            running.records = BTreeMap::from([("other".to_owned(), other)]);
            let records = &running.records;
            running.order.note("one", records, Instant::now());
            running.decide(None);
            (running.record.owed, running.backlog.len())
        };
        assert_eq!(hear(connected(4000, 6000)), (Some(5000), 0));
        assert_eq!(hear(connected(4000, 12_000)), (None, 0));
    }

    #[test]
    fn a_relay_with_other_subscriptions_hides_no_gap() {
        let mut running = running();
        running.record = connected(9000, 9000);
        running.record.owed = Some(5000);
        running.owing_since = Some(Instant::now());
        let filter = "topic=studio.other".into_filter().unwrap();
        let other = RelayRecord {
            filters: hash(&[filter]),
            ..connected(4000, 12_000)
        };
        running.records = BTreeMap::from([("other".to_owned(), other)]);
        running.decide(None);
        assert_eq!((running.record.owed, running.backlog.len()), (None, 1));
    }

    #[test]
    fn a_clock_that_was_set_back_hides_no_gap() {
        let mut running = running();
        let now = running.clock.latest();
        running.record = connected(now, now + 7_200_000);
        running.connected();
        assert!(running.record.owed.unwrap() <= running.clock.latest());
    }
}
