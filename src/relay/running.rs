//! A relay at work: what it has received, what it reports, and what it owes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Filter};
use crate::handle::Session;
use crate::hub::{EventHub, HubCounts};

use super::backlog::Backlog;
use super::catch_up::missed;
use super::engine::{Appended, Kind, NewEntry};
use super::gap::{Gap, GapReason, uncovered};
use super::stream::{RelayRecord, Stream};
use super::worker::is_passing;

/// How often a relay reports.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the stream is not tried after a failure, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// The events of one batch.
const MAX_BATCH: usize = 500;

/// How many batches are appended before the hub is looked at again.
const MAX_BATCHES: usize = 20;

/// How long a dead connection may have been silent before the hub noticed: milliseconds.
const SILENCE: i64 = 30_000;

/// How long a relay waits for others to report, which may have been connected when it was not.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a relay reports, and looks at the others' reports, while it holds entries.
const HOLD_INTERVAL: Duration = Duration::from_millis(50);

/// How much the clocks of two relays may differ, after they were set by the stream's: milliseconds.
const CLOCK_ERROR: i64 = 300;

/// The time over which the rate is measured.
const RATE_TIME: Duration = Duration::from_secs(10);

/// What there is from the first call of `poll` on.
pub(super) struct Running {
    filters: Vec<Filter>,
    backlog: Backlog,
    record: RelayRecord,
    /// The counts of the hub when it was last looked at, and when.
    counts: HubCounts,
    seen_at: i64,
    /// What must be added to this machine's clock to get the stream's.
    offset: i64,
    /// Whether the record of an earlier process was read.
    is_introduced: bool,
    /// All relays, as they had last reported when this one asked.
    records: BTreeMap<String, RelayRecord>,
    /// Set while entries wait for what other relays have received before.
    hold: Option<Hold>,
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

/// A relay that has connected may receive events while another still has earlier ones, which this one never
/// received, in its backlog. So it waits until the others have appended what they received before.
struct Hold {
    /// Entries from this time on are held.
    from: i64,
    /// When the connection was noticed, and the first one since which entries are held.
    since: i64,
    first: i64,
    /// Since when the stream can be asked, and for which relays this one waits.
    waiting: Option<(Instant, Vec<String>)>,
}

impl Running {
    pub(super) fn new(filters: Vec<Filter>, backlog: Backlog, counts: HubCounts) -> Self {
        Self {
            filters,
            backlog,
            record: RelayRecord::default(),
            counts,
            seen_at: clock(),
            offset: 0,
            is_introduced: false,
            records: BTreeMap::new(),
            hold: None,
            drained_at: clock(),
            floor: clock(),
            too_slow: None,
            owing_since: None,
            unsaved: None,
            reported_at: None,
            away_until: None,
            received: 0,
            rate: VecDeque::new(),
        }
    }

    /// The stream's clock.
    fn now(&self) -> i64 {
        clock().saturating_add(self.offset)
    }

    /// Waits for the first event, and takes those that are queued behind it.
    pub(super) fn receive(&mut self, hub: &EventHub, timeout: Duration) -> Result<usize> {
        let due = match self.reported_at {
            Some(at) if self.away_until.is_none() => REPORT_INTERVAL.saturating_sub(at.elapsed()),
            _ => PAUSE,
        };
        let due = match self.is_introduced || self.away_until.is_some() {
            true if self.hold.is_none() => due,
            _ => HOLD_INTERVAL,
        };
        let mut wait = timeout.min(due);
        let mut count = 0;
        self.floor = self.drained_at;
        for _ in 0..MAX_BATCH {
            let Some(event) = hub.next(wait)? else {
                self.drained_at = self.now();
                break;
            };
            wait = Duration::ZERO;
            if self.filters.iter().any(|filter| filter.matches(&event)) {
                self.push_event(&event);
                count += 1;
            }
        }
        Ok(count)
    }

    /// An event may have waited in the hub. So that relays can compare what they have, its time is the earliest
    /// at which it can have arrived.
    fn push_event(&mut self, event: &Event) {
        let at = self.floor;
        self.received += 1;
        self.record.last_event = Some((event.id().to_owned(), event.topic().to_owned(), at));
        self.backlog.push(NewEntry::event(event, at));
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
        let at = self.now();
        self.backlog.push_anyway(NewEntry {
            id: format!("gap:{name}:{at}:{}", gap.reason),
            at,
            kind: Kind::Gap,
            body,
        });
    }

    /// Notes since when the hub has been connected, and what it has dropped.
    pub(super) fn look(&mut self, hub: &EventHub) {
        let (now, counts) = (self.now(), hub.counts());
        let is_lost = counts.reconnects != self.counts.reconnects;
        let is_first = self.record.since.is_none() && (hub.is_connected() || counts.received > 0);
        // It may be lost again by now.
        if is_lost || is_first {
            if let Some(last) = self.record.last {
                let from = last.saturating_sub(SILENCE);
                let owed = self.record.owed.map_or(from, |owed| owed.min(from));
                self.record.owed = Some(owed);
                self.owing_since = Some(Instant::now());
            }
            self.record.since = Some(now);
            self.hold = Some(Hold {
                from: self.hold.as_ref().map_or(self.floor, |hold| hold.from),
                first: self.hold.as_ref().map_or(now, |hold| hold.first),
                since: now,
                waiting: None,
            });
            // Whoever asks from now on knows that it is connected.
            self.reported_at = None;
            self.counts.reconnects = counts.reconnects;
        }
        if hub.is_connected() {
            self.record.last = Some(now);
        }
        let dropped = counts.dropped - self.counts.dropped;
        if dropped > 0 {
            let (from, before) = self.too_slow.unwrap_or((self.seen_at, 0));
            self.too_slow = Some((from, before + dropped));
            self.record.dropped += dropped;
            self.counts.dropped = counts.dropped;
        }
        self.seen_at = now;
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
            let reply = engine.append(&[], name, None, bounds).map_err(failed)?;
            self.introduce(&reply, name);
        }
        for _ in 0..MAX_BATCHES {
            self.decide(name, session);
            self.release(name);
            let before = self.hold.as_ref().map_or(i64::MAX, |hold| hold.from);
            let batch = self.backlog.batch(MAX_BATCH, before).map_err(|error| {
                let message = format!("cannot read the journal of relay {name}: {error}");
                failed(Error::new(ErrorKind::Io, message))
            })?;
            let is_due = self
                .reported_at
                .is_none_or(|at| at.elapsed() >= REPORT_INTERVAL);
            if batch.is_empty() && !is_due {
                break;
            }
            let record = serde_json::to_string(&self.current_record()).ok();
            let reply = engine.append(&batch, name, record.as_deref(), bounds);
            let reply = reply.map_err(failed)?;
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
        self.offset = reply.now.saturating_sub(clock());
        self.is_introduced = true;
        self.records = records(reply);
        let Some(earlier) = self.records.get(name) else {
            return;
        };
        let last = earlier.last.map(|last| last.saturating_sub(SILENCE));
        if let Some(from) = earlier.owed.or(last) {
            self.record.owed = Some(self.record.owed.map_or(from, |owed| owed.min(from)));
            self.owing_since = Some(Instant::now());
        }
    }

    fn note(&mut self, reply: &Appended, name: &str) {
        self.offset = reply.now.saturating_sub(clock());
        self.records = records(reply);
        // The first report of a relay whose name is new is no loss.
        let has_reported =
            self.record.appended + self.record.repeated > reply.added + reply.repeated;
        if has_reported && !reply.relays.contains_key(name) {
            let gap = Gap::new(None, self.now(), GapReason::StreamLost);
            self.push_gap(gap, name, None);
        }
    }

    /// Reports gaps, unless other relays were connected meanwhile, or may yet say so.
    fn decide(&mut self, name: &str, session: Option<&Session>) {
        // While the stream is away there will be more.
        if self.away_until.is_some() {
            return;
        }
        if let Some(dropped) = self.backlog.take_dropped() {
            let mut gap = Gap::new(Some(dropped.from), dropped.to, GapReason::JournalFull);
            gap.lost = Some(dropped.count);
            self.push_gap(gap, name, session);
        }
        if let Some((from, count)) = self.too_slow.take() {
            let mut gap = Gap::new(Some(from), self.now(), GapReason::TooSlow);
            gap.lost = Some(count);
            self.push_gap(gap, name, session);
        }
        let (Some(owed), Some(since), Some(waiting)) =
            (self.record.owed, self.record.since, self.owing_since)
        else {
            return;
        };
        let others = self.records.iter().filter(|(other, _)| *other != name);
        let times = others.filter_map(|(_, other)| Some((other.since?, other.last?)));
        let times: Vec<_> = times.collect();
        let left = uncovered((owed, since), &times);
        let oldest_report = self.now().saturating_sub(millis(PATIENCE));
        let may_say_more = times.iter().any(|(_, last)| *last > oldest_report);
        if !left.is_empty() && may_say_more && waiting.elapsed() < PATIENCE {
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

    /// Ends the hold if the other relays have appended what they received before, or were not heard of.
    fn release(&mut self, name: &str) {
        let Some(hold) = &mut self.hold else {
            return;
        };
        let records = &self.records;
        let (began, names) = hold.waiting.get_or_insert_with(|| {
            let newest = records.values().filter_map(|record| record.reported).max();
            let oldest = newest.unwrap_or(0).saturating_sub(millis(PATIENCE));
            let was_there = |record: &RelayRecord| record.reported.is_some_and(|at| at >= oldest);
            let others = records
                .iter()
                .filter(|(other, record)| *other != name && was_there(record));
            (
                Instant::now(),
                others.map(|(other, _)| other.clone()).collect(),
            )
        });
        let (since, first) = (hold.since, hold.first);
        let is_late = began.elapsed() >= PATIENCE;
        let heard_at = clock()
            .saturating_add(self.offset)
            .saturating_sub(millis(PATIENCE));
        let is_clear = |other: &String| {
            let Some(record) = records.get(other) else {
                return true;
            };
            let cleared = record.cleared.unwrap_or(0);
            // Of two that wait for each other, the one that has been connected for longer goes first.
            let yields = record
                .held
                .is_some_and(|held| (held, other.as_str()) > (first, name));
            let is_gone = is_late && record.reported.is_none_or(|at| at < heard_at);
            is_gone || yields || cleared >= since.saturating_add(CLOCK_ERROR)
        };
        if names.iter().all(is_clear) {
            self.hold = None;
        }
    }

    pub(super) fn current_record(&self) -> RelayRecord {
        let lag = self
            .backlog
            .oldest()
            .map_or(0, |at| self.now().saturating_sub(at));
        let rate = self.rate.front().map_or(0.0, |(at, before)| {
            let seconds = at.elapsed().as_secs_f64().max(0.001);
            (self.received - before) as f64 / seconds
        });
        // What is in memory, or still in the hub, is lost if this process dies: then the gap begins with it.
        let in_memory = self.backlog.oldest_in_memory().unwrap_or(i64::MAX);
        let last = self
            .record
            .last
            .map(|last| last.min(self.drained_at).min(in_memory));
        RelayRecord {
            last,
            owed: self.record.owed.or(self.unsaved),
            reported: Some(self.now()),
            held: self.hold.as_ref().map(|hold| hold.first),
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970 by this machine's clock.
fn clock() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
