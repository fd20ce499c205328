//! The order among relays: an entry waits until all that others may have received before it is in the stream.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::status::{First, RelayRecord};

/// How much later than to one relay an event comes to another, and how much their clocks may differ: milliseconds.
pub(super) const LATENESS: i64 = 3000;

/// How long a relay that does not report is waited for, while the stream can be used.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long relays wait for each other at most.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Of so many events that are held the ids are known.
pub(super) const MAX_KNOWN: usize = 20_000;

/// An entry that an earlier process has left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) number: u64,
    pub(super) first: First,
    /// Whether something may be missing before it.
    pub(super) is_after_gap: bool,
}

/// Events between which this relay has missed none.
#[derive(Debug)]
struct Run {
    /// The number of the first.
    number: u64,
    first: First,
    /// Since when the stream can be asked about it.
    waiting: Option<Instant>,
}

/// What of a relay's backlog is held.
///
/// A relay that has missed events cannot know whether another has received them and not yet appended. So each
/// run is held until its first event is in the stream, since then another relay has appended all that came
/// before; or until no other relay can have any. Of two relays that hold runs, the one whose run has the first
/// event of the other's was connected before, and goes first.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The runs that are held, oldest first.
    runs: VecDeque<Run>,
    /// The numbers of events that are held, by their ids.
    numbers: HashMap<String, u64>,
    /// Whether something may be missing before the next event.
    is_broken: bool,
    /// What other relays have last reported, and when that was seen.
    heard: BTreeMap<String, (Option<i64>, Instant)>,
    /// Whether the reports are older than a failure of the stream.
    is_stale: bool,
}

impl Order {
    /// With the entries that an earlier process has left.
    pub(super) fn new(left: impl IntoIterator<Item = Left>) -> Self {
        let mut order = Self::default();
        for one in left {
            order.is_broken |= one.is_after_gap || order.runs.is_empty();
            order.push(one.number, &one.first.id, one.first.at);
        }
        order.is_broken = true;
        order
    }

    /// Something may be missing before the next event.
    pub(super) fn break_off(&mut self) {
        self.is_broken = true;
    }

    /// Whether the next event begins a run.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// An event was received, and waits under this number.
    pub(super) fn push(&mut self, number: u64, id: &str, at: i64) {
        if std::mem::take(&mut self.is_broken) {
            let id = id.to_owned();
            self.runs.push_back(Run {
                number,
                first: First { at, id },
                waiting: None,
            });
        }
        if !self.runs.is_empty() && self.numbers.len() < MAX_KNOWN {
            self.numbers.entry(id.to_owned()).or_insert(number);
        }
    }

    /// The first event that is held, and its number.
    pub(super) fn held(&self) -> Option<(u64, &First)> {
        let run = self.runs.front()?;
        Some((run.number, &run.first))
    }

    /// The stream cannot be used: nobody else can have reported.
    pub(super) fn pause(&mut self) {
        self.is_stale = true;
        for run in &mut self.runs {
            run.waiting = None;
        }
    }

    /// Takes notice of the reports of all relays.
    pub(super) fn note(
        &mut self,
        name: &str,
        records: &BTreeMap<String, RelayRecord>,
        now: Instant,
    ) {
        let is_new = self.heard.is_empty();
        if std::mem::take(&mut self.is_stale) {
            // They may have been away as long as this one.
            self.heard.values_mut().for_each(|(_, at)| *at = now);
        }
        let newest = records.values().filter_map(|record| record.reported).max();
        let oldest = newest.unwrap_or(0).saturating_sub(millis(PATIENCE));
        for (other, record) in records {
            // What ended long before this relay has begun is not waited for.
            if other == name || is_new && record.reported.is_none_or(|at| at < oldest) {
                continue;
            }
            let heard = self.heard.entry(other.clone()).or_insert((None, now));
            if heard.0 != record.reported {
                *heard = (record.reported, now);
            }
        }
    }

    /// Whether this relay has reported lately.
    pub(super) fn is_alive(&self, name: &str, now: Instant) -> bool {
        let heard = self.heard.get(name);
        heard.is_some_and(|(_, at)| now.saturating_duration_since(*at) < PATIENCE)
    }

    /// Releases what need not wait any longer. `knows` says whether an event is in the stream.
    pub(super) fn release<E>(
        &mut self,
        name: &str,
        records: &BTreeMap<String, RelayRecord>,
        now: Instant,
        mut knows: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<(), E> {
        if self.is_stale {
            return Ok(());
        }
        if let Some(run) = self.runs.front_mut() {
            run.waiting.get_or_insert(now);
        }
        while let Some(run) = self.runs.front() {
            let waited = run
                .waiting
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            let is_first = records
                .iter()
                .filter(|(other, _)| *other != name && self.is_alive(other, now))
                .all(|(other, record)| self.is_before(run, waited, name, other, record));
            if !is_first && (run.first.id.is_empty() || !knows(&run.first.id)?) {
                break;
            }
            self.runs.pop_front();
            match self.runs.front() {
                Some(next) => self.numbers.retain(|_, number| *number >= next.number),
                None => self.numbers = HashMap::new(),
            }
        }
        Ok(())
    }

    /// Whether this relay's run begins before everything that another one has.
    fn is_before(
        &self,
        run: &Run,
        waited: Duration,
        name: &str,
        other: &str,
        record: &RelayRecord,
    ) -> bool {
        let well_after = run.first.at.saturating_add(LATENESS);
        if record.cleared.is_some_and(|at| at >= well_after) {
            return true;
        }
        // It appends what it has received before.
        let Some(held) = &record.held else {
            return false;
        };
        match self.numbers.get(&held.id) {
            Some(number) if *number > run.number => true,
            Some(_) if name < other => true,
            // Neither has the first event of the other: their runs do not overlap.
            None if millis(waited) >= LATENESS && (&run.first, name) < (held, other) => true,
            // Times and events may contradict each other, among three: then nobody would go first.
            _ => waited >= STANDSTILL && run.first.at <= held.at.saturating_add(LATENESS),
        }
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod simulation;
