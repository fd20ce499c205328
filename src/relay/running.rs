//! A relay at work: what it has received, what it reports, and what it owes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Filter};
use crate::handle::Session;
use crate::hub::{Arrival, EventHub, HubCounts};

use super::backlog::Backlog;
use super::catch_up::missed;
use super::clock::{self, StreamClock};
use super::engine::{Appended, Kind, NewEntry};
use super::gap::{Gap, GapReason, uncovered};
use super::order::{LATENESS, Order, millis};
use super::status::RelayRecord;
use super::stream::Stream;
use super::worker::is_passing;

/// How often a relay reports.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the stream is not tried after a failure, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// The events of one batch.
const MAX_BATCH: usize = 500;

/// How many batches are appended before the hub is looked at again.
const MAX_BATCHES: usize = 20;

/// How long a relay waits for others to prove that they were connected when it was not: longer than event
/// servers are silent.
const PROOF_TIME: Duration = Duration::from_secs(20);

/// How often a relay reports, and looks at the others' reports, while it holds entries.
const HOLD_INTERVAL: Duration = Duration::from_millis(50);

/// The time over which the rate is measured.
const RATE_TIME: Duration = Duration::from_secs(10);

/// The state of a relay from the first call of `poll` on.
pub(super) struct Running {
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
    /// Until when the stream is not tried, after a failure.
    away_until: Option<Instant>,
    received: u64,
    rate: VecDeque<(Instant, u64)>,
}

impl Running {
    pub(super) fn new(filters: Vec<Filter>, mut backlog: Backlog, counts: HubCounts) -> Self {
        Self {
            filters,
            order: Order::new(backlog.take_left()),
            backlog,
            record: RelayRecord::default(),
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
            away_until: None,
            received: 0,
            rate: VecDeque::new(),
        }
    }

    /// How often it reports.
    fn interval(&self) -> Duration {
        match self.is_introduced && self.order.held().is_none() {
            true => REPORT_INTERVAL,
            false => HOLD_INTERVAL,
        }
    }

    /// Waits for the first event, and takes those that are queued behind it.
    pub(super) fn receive(&mut self, hub: &EventHub, timeout: Duration) -> Result<usize> {
        let due = match self.reported_at {
            _ if self.away_until.is_some() => PAUSE,
            Some(at) => self.interval().saturating_sub(at.elapsed()),
            None => HOLD_INTERVAL,
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
                    self.record.last = self.record.last.max(Some(heard));
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
    fn connected(&mut self) {
        let last = self.record.last.map(|last| last.saturating_sub(LATENESS));
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
    fn push_event(&mut self, event: &Event) {
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

    fn push_gap(&mut self, mut gap: Gap, name: &str, session: Option<&Session>) {
        gap.relay = Some(name.to_owned());
        if let (Some(session), Some(from)) = (session, gap.from) {
            match missed(session, from, gap.to) {
                Ok(events) => {
                    gap.caught_up = Some(events.len() as u64);
                    events
                        .into_iter()
                        .for_each(|event| self.backlog.push_anyway(event));
                }
                Err(error) => log::error!("relay {name}: the server's log cannot be read: {error}"),
            }
        }
        log::warn!(
            "relay {name}: events may be missing until {}: {}",
            gap.to,
            gap.reason
        );
        let body = serde_json::to_string(&gap).expect("a gap is made of JSON values");
        let at = self.clock.latest();
        self.backlog.push_anyway(NewEntry {
            // The same time may have several gaps.
            id: format!("gap:{name}:{at}:{}", self.backlog.next_number()),
            at,
            kind: Kind::Gap,
            body,
        });
    }

    /// Notes what the hub has dropped.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Permission`] if the server has rejected a subscription.
    pub(super) fn look(&mut self, hub: &EventHub) -> Result<()> {
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

    /// Appends what waits, and reports.
    pub(super) fn flush(
        &mut self,
        stream: &Stream,
        name: &str,
        session: Option<&Session>,
    ) -> Result<()> {
        if self.away_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        match self.append_all(stream, name, session) {
            Ok(()) => {
                if self.away_until.take().is_some() {
                    log::info!("relay {name}: the stream works again");
                }
                Ok(())
            }
            Err((error, took)) => {
                self.reported_at = None;
                let level = match self.away_until {
                    Some(_) => log::Level::Debug,
                    None => log::Level::Warn,
                };
                // A server that takes long to refuse must not hold up the hub.
                self.away_until = Instant::now().checked_add(PAUSE.max(took));
                if !is_passing(error.kind()) {
                    return Err(error);
                }
                log::log!(level, "relay {name}: events wait meanwhile: {error}");
                Ok(())
            }
        }
    }

    fn append_all(
        &mut self,
        stream: &Stream,
        name: &str,
        session: Option<&Session>,
    ) -> std::result::Result<(), (Error, Duration)> {
        let started = Instant::now();
        let failed = |error| (error, started.elapsed());
        let engine = stream.engine().map_err(failed)?;
        let bounds = stream.bounds();
        if !self.is_introduced {
            let request = || engine.append(&[], name, None, bounds);
            let reply = self.clock.ask(request).map_err(failed)?;
            self.introduce(&reply, name);
        }
        for _ in 0..MAX_BATCHES {
            self.decide(name, session);
            let knows = |id: &str| engine.knows(id);
            self.order
                .release(name, &self.records, self.drained_at, knows)
                .map_err(failed)?;
            let end = self.order.held().map_or(u64::MAX, |(number, _)| number);
            let batch = self.backlog.batch(MAX_BATCH, end).map_err(|error| {
                let message = format!("cannot read the journal of relay {name}: {error}");
                failed(Error::new(ErrorKind::Io, message))
            })?;
            let is_due = self
                .reported_at
                .is_none_or(|at| at.elapsed() >= self.interval());
            if batch.is_empty() && !is_due {
                break;
            }
            self.record.lacks = self.order.lacks(name, &self.records, self.drained_at);
            let record = serde_json::to_string(&self.current_record()).ok();
            let request = || engine.append(&batch, name, record.as_deref(), bounds);
            let reply = self.clock.ask(request).map_err(failed)?;
            if is_due {
                self.measure();
            }
            self.record.appended += reply.added;
            self.record.repeated += reply.repeated;
            self.backlog.done(batch.len()).map_err(|error| {
                let message = format!("cannot write the journal of relay {name}: {error}");
                failed(Error::new(ErrorKind::Io, message))
            })?;
            if self.backlog.len() == 0 {
                self.unsaved = None;
            }
            self.note(&reply, name);
            if batch.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn measure(&mut self) {
        let now = Instant::now();
        self.reported_at = Some(now);
        self.rate.push_back((now, self.received));
        while self.rate.len() > 2 && self.rate[1].0.elapsed() > RATE_TIME {
            self.rate.pop_front();
        }
    }

    /// Goes on where an earlier process of this name has ended.
    fn introduce(&mut self, reply: &Appended, name: &str) {
        self.is_introduced = true;
        self.records = records(reply);
        self.order.note(name, &self.records, Instant::now());
        let Some(earlier) = self.records.get(name) else {
            return;
        };
        let last = earlier.last.map(|last| last.saturating_sub(LATENESS));
        if let Some(from) = earlier.owed.or(last) {
            self.record.owed = Some(self.record.owed.map_or(from, |owed| owed.min(from)));
            self.owing_since = Some(Instant::now());
        }
    }

    fn note(&mut self, reply: &Appended, name: &str) {
        self.records = records(reply);
        self.order.note(name, &self.records, Instant::now());
        // The first report of a relay whose name is new is no loss.
        let has_reported =
            self.record.appended + self.record.repeated > reply.added + reply.repeated;
        if has_reported && !reply.relays.contains_key(name) {
            let gap = Gap::new(None, self.clock.latest(), GapReason::StreamLost);
            self.push_gap(gap, name, None);
        }
    }

    /// Reports gaps, unless other relays were connected meanwhile, or may yet say so.
    fn decide(&mut self, name: &str, session: Option<&Session>) {
        // While the stream is away there will be more.
        if self.away_until.is_some() {
            return;
        }
        // While entries are held, there is no more room than before.
        if self.order.held().is_none()
            && let Some(dropped) = self.backlog.take_dropped()
        {
            let mut gap = Gap::new(Some(dropped.from), dropped.to, GapReason::JournalFull);
            gap.lost = Some(dropped.count);
            self.push_gap(gap, name, session);
        }
        if let Some((from, count)) = self.too_slow.take() {
            let mut gap = Gap::new(Some(from), self.clock.latest(), GapReason::TooSlow);
            gap.lost = Some(count);
            self.push_gap(gap, name, session);
        }
        let (Some(owed), Some(since), Some(waiting)) =
            (self.record.owed, self.record.since, self.owing_since)
        else {
            return;
        };
        let others = self.records.iter().filter(|(other, _)| *other != name);
        let connected = others.filter_map(|(other, record)| Some((other, record.since?, record)));
        let (mut times, mut may_say_more) = (Vec::new(), false);
        for (other, from, record) in connected.filter(|(_, from, _)| *from < since) {
            // What it has heard since then proves that it was connected.
            let to = record.last.unwrap_or(from).saturating_sub(LATENESS);
            may_say_more |= to < since && self.order.is_alive(other);
            if from < to {
                times.push((from, to));
            }
        }
        let left = uncovered((owed, since), &times);
        if !left.is_empty() && may_say_more && waiting.elapsed() < PROOF_TIME {
            return;
        }
        for (from, to) in left {
            self.push_gap(
                Gap::new(Some(from), to, GapReason::NotConnected),
                name,
                session,
            );
        }
        self.unsaved = self.unsaved.or(Some(owed));
        (self.record.owed, self.owing_since) = (None, None);
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

/// Keeps what is in memory for the next process.
impl Drop for Running {
    fn drop(&mut self) {
        self.backlog.spill();
    }
}

fn records(reply: &Appended) -> BTreeMap<String, RelayRecord> {
    let records = reply.relays.iter();
    records
        .map(|(name, record)| (name.clone(), RelayRecord::read(record)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn connected(since: i64, last: i64) -> RelayRecord {
        RelayRecord {
            since: Some(since),
            last: Some(last),
            reported: Some(last),
            ..RelayRecord::default()
        }
    }

    #[test]
    fn what_is_dropped_while_entries_are_held_is_one_gap() {
        let mut running = Running::new(Vec::new(), Backlog::new(1000, None), HubCounts::default());
        for number in 0..100 {
            running.push_event(&Event::new(format!("studio.{number}")));
            running.decide("one", None);
        }
        let (kept, dropped) = (running.backlog.len(), running.backlog.total_dropped());
        assert!(kept > 0 && kept + dropped == 100, "{kept} and {dropped}");
        running
            .order
            .release("one", &BTreeMap::new(), 0, |_| Ok::<_, Error>(false))
            .unwrap();
        running.decide("one", None);
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
        let mut running = Running::new(Vec::new(), Backlog::new(1000, None), HubCounts::default());
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
        let mut running = Running::new(Vec::new(), Backlog::new(1000, None), HubCounts::default());
        for _ in 0..100 {
            running.push_gap(Gap::new(Some(1), 2, GapReason::TooSlow), "one", None);
        }
        let entries = running.backlog.batch(100, u64::MAX).unwrap();
        let ids: std::collections::BTreeSet<&str> =
            entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids.len(), 100);
    }

    #[test]
    fn a_relay_that_has_not_heard_from_a_quiet_server_yet_is_waited_for() {
        let mut running = Running::new(Vec::new(), Backlog::new(1000, None), HubCounts::default());
        running.record = connected(9000, 9000);
        running.record.owed = Some(5000);
        running.owing_since = Some(Instant::now());
        let mut hear = |other: RelayRecord| {
            running.records = BTreeMap::from([("other".to_owned(), other)]);
            let records = &running.records;
            running.order.note("one", records, Instant::now());
            running.decide("one", None);
            (running.record.owed, running.backlog.len())
        };
        assert_eq!(hear(connected(4000, 6000)), (Some(5000), 0));
        assert_eq!(hear(connected(4000, 12_000)), (None, 0));
    }
}
