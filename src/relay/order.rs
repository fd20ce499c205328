//! The order among relays: an entry waits until all that others may have received before it is in the stream.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::status::{First, RelayRecord};

/// How much later than to one relay an event comes to another, and how much their clocks may differ: milliseconds.
pub(super) const LATENESS: i64 = 3000;

/// How long a relay that does not report is waited for, while the stream can be used.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one that has said that it has ended is waited for at first: it may be about to say that it has begun again.
const RETURN_TIME: Duration = Duration::from_secs(3);

/// How long relays wait for each other at most.
const STANDSTILL: Duration = Duration::from_secs(30);

/// So much of the time between two looks at the reports counts: the stream may have been away.
const STEP: Duration = Duration::from_secs(1);

/// Of so many events of a run the ids are known.
pub(super) const MAX_KNOWN: usize = 20_000;

/// An entry that an earlier process has left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) number: u64,
    pub(super) id: String,
    /// If something may be missing before it.
    pub(super) first: Option<First>,
}

/// Events between which this relay has missed none.
#[derive(Debug)]
struct Run {
    /// The number of the first.
    number: u64,
    first: First,
    /// The first ids, as many as are known.
    ids: HashSet<String>,
}

/// What of a relay's backlog is held.
///
/// A relay that has missed events cannot know whether another has received them and not yet appended. So each
/// run is held until its first event is in the stream, since then another relay has appended all that came
/// before; or until no other relay can have any: it has appended all that it received until well after that
/// event, or what it holds itself is later. Of two runs that are held,
///
/// - one that has the first event of the other is earlier,
/// - else, one that has begun well before the other is earlier: it would have the other's events if they had
///   been sent before its own,
/// - else, once both relays have said that they lack the first event of the other, the one that has begun before.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The runs that are held, oldest first.
    runs: VecDeque<Run>,
    /// How long the first of them has been waiting.
    waited: Duration,
    /// Whether something may be missing before the next event.
    is_broken: bool,
    /// If it is, and nothing was missed from some moment on: after the first time, by the second.
    began: Option<(i64, i64)>,
    /// What other relays have last reported, and how long ago that was, while the stream could be used.
    heard: BTreeMap<String, (Option<i64>, Duration)>,
    noted: Option<Instant>,
    /// Whether they say too little to release anything. If a run has begun since then, a relay that has connected before
    /// it may be missing in them.
    needs_reports: bool,
}

impl Order {
    /// With the entries that an earlier process has left. What came before the first of them is in the stream, unless
    /// it says that something may be missing.
    pub(super) fn new(left: impl IntoIterator<Item = Left>) -> Self {
        let mut order = Self::default();
        for one in left {
            order.push(one.number, &one.id, one.first);
        }
        order.is_broken = true;
        order
    }

    /// Something may be missing before the next event.
    pub(super) fn break_off(&mut self) {
        (self.is_broken, self.began) = (true, None);
    }

    /// Something may be missing, and nothing from now on, which is between these times.
    pub(super) fn begin(&mut self, after: i64, by: i64) {
        (self.is_broken, self.began) = (true, Some((after, by)));
    }

    /// What the next event begins, which was received between these times, if something may be missing before it.
    pub(super) fn next(&self, id: &str, after: i64, by: i64) -> Option<First> {
        let began = self.began.unwrap_or((after, by));
        self.is_broken.then(|| First {
            id: id.to_owned(),
            at: by,
            after: began.0,
            by: began.1,
        })
    }

    /// An event waits under this number.
    pub(super) fn push(&mut self, number: u64, id: &str, first: Option<First>) {
        if let Some(first) = first {
            (self.is_broken, self.began) = (false, None);
            self.needs_reports = true;
            self.runs.push_back(Run {
                number,
                first,
                ids: HashSet::new(),
            });
        }
        if let Some(run) = self.runs.back_mut()
            && run.ids.len() < MAX_KNOWN
        {
            run.ids.insert(id.to_owned());
        }
    }

    /// The first event that is held, and its number.
    pub(super) fn held(&self) -> Option<(u64, &First)> {
        let run = self.runs.front()?;
        Some((run.number, &run.first))
    }

    /// Takes notice of the reports of all relays.
    pub(super) fn note(
        &mut self,
        name: &str,
        records: &BTreeMap<String, RelayRecord>,
        now: Instant,
    ) {
        let step = self.noted.replace(now).map_or(Duration::ZERO, |noted| {
            now.saturating_duration_since(noted).min(STEP)
        });
        self.waited = match self.runs.is_empty() {
            true => Duration::ZERO,
            false => self.waited + step,
        };
        for (other, record) in records.iter().filter(|(other, _)| *other != name) {
            let heard = self.heard.entry(other.clone()).or_default();
            let silent = match heard.0 == record.reported {
                true => heard.1 + step,
                false if record.has_ended => PATIENCE - RETURN_TIME,
                false => Duration::ZERO,
            };
            *heard = (record.reported, silent);
        }
        self.needs_reports = false;
    }

    /// Whether the reports must be read before anything is released.
    pub(super) fn needs_reports(&self) -> bool {
        self.needs_reports
    }

    /// The stream is away: others may begin meanwhile and be unable to say so.
    pub(super) fn lose_sight(&mut self) {
        for (_, silent) in self.heard.values_mut() {
            *silent = Duration::ZERO;
        }
        self.needs_reports = true;
    }

    /// Whether this relay has reported lately, or has had no time to.
    pub(super) fn is_alive(&self, name: &str) -> bool {
        let heard = self.heard.get(name);
        heard.is_some_and(|(_, silent)| *silent < PATIENCE)
    }

    /// The first events of what others hold that this relay, which holds others, has not received and will not.
    /// `drained` is the time until which it has received all.
    pub(super) fn lacks(
        &self,
        name: &str,
        records: &BTreeMap<String, RelayRecord>,
        drained: i64,
    ) -> Vec<String> {
        let others = records.iter().filter(|(other, _)| *other != name);
        let held = others.filter_map(|(_, record)| record.held.as_ref());
        held.filter(|held| self.is_without(held, drained))
            .map(|held| held.id.clone())
            .collect()
    }

    fn is_without(&self, held: &First, drained: i64) -> bool {
        let is_known = |run: &Run| run.ids.len() < MAX_KNOWN;
        let came = held.at.saturating_add(LATENESS) <= drained;
        came && self.runs.front().is_some_and(is_known) && !self.has(&held.id)
    }

    fn has(&self, id: &str) -> bool {
        self.runs.iter().any(|run| run.ids.contains(id))
    }

    /// Releases what need not wait any longer. `knows` says whether an event is in the stream.
    pub(super) fn release<E>(
        &mut self,
        name: &str,
        records: &BTreeMap<String, RelayRecord>,
        drained: i64,
        mut knows: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<(), E> {
        while let Some(run) = self.runs.front() {
            let is_first = !self.needs_reports
                && records
                    .iter()
                    .filter(|(other, _)| *other != name && self.is_alive(other))
                    .all(|(other, record)| {
                        self.is_before(&run.first, name, other, record, drained)
                    });
            if !is_first && (run.first.id.is_empty() || !knows(&run.first.id)?) {
                break;
            }
            self.runs.pop_front();
            self.waited = Duration::ZERO;
        }
        Ok(())
    }

    /// Whether the first event that is held comes before everything that another relay has.
    fn is_before(
        &self,
        first: &First,
        name: &str,
        other: &str,
        record: &RelayRecord,
        drained: i64,
    ) -> bool {
        let well_after = first.at.saturating_add(LATENESS);
        if record.cleared.is_some_and(|at| at >= well_after) {
            return true;
        }
        // It appends what it has received before.
        let Some(held) = &record.held else {
            return false;
        };
        if held.id == first.id {
            return name < other;
        }
        if self.has(&held.id) || first.by.saturating_add(LATENESS) <= held.after {
            return true;
        }
        let lack_each_other = self.is_without(held, drained) && record.lacks.contains(&first.id);
        // Times and events may contradict each other, among three: then nobody would go first.
        let is_decided = lack_each_other || self.waited >= STANDSTILL;
        is_decided && (first.after, name) < (held.after, other)
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// How long the first event of one that is new is held, with another whose last report this is: 50 ms at least.
    fn held(other: RelayRecord) -> Duration {
        let records = BTreeMap::from([("other".to_owned(), other)]);
        let began = Instant::now();
        let mut order = Order::new([]);
        let first = order.next("a", 1_000_000, 1_000_000);
        order.push(0, "a", first);
        let mut waited = Duration::ZERO;
        loop {
            let release = order.release("new", &records, 1_000_000, |_| Ok::<_, ()>(false));
            release.unwrap();
            if order.held().is_none() {
                return waited;
            }
            waited += Duration::from_millis(50);
            order.note("new", &records, began + waited);
        }
    }

    #[test]
    fn one_that_has_ended_is_waited_for_less_long_than_one_that_is_silent() {
        let silent = RelayRecord {
            reported: Some(1),
            cleared: Some(1),
            ..RelayRecord::default()
        };
        let ended = RelayRecord {
            has_ended: true,
            ..silent.clone()
        };
        assert!(held(silent) >= PATIENCE);
        let took = held(ended);
        assert!(took >= RETURN_TIME && took < RETURN_TIME + STEP, "{took:?}");
    }

    #[test]
    fn nothing_is_released_before_the_reports_were_read_anew() {
        let none = BTreeMap::new();
        let mut order = Order::new([]);
        order.note("new", &none, Instant::now());
        let first = order.next("a", 1, 1);
        order.push(0, "a", first);
        let is_held = |order: &mut Order| {
            let release = order.release("new", &none, 1, |_| Ok::<_, ()>(false));
            release.unwrap();
            order.held().is_some()
        };
        // One that is new may have connected before, and have said so.
        assert!(is_held(&mut order));
        order.note("new", &none, Instant::now());
        assert!(!is_held(&mut order));
    }
}
