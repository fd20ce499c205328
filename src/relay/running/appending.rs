//! What a relay writes to its stream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;
use crate::relay::engine::{Appended, Engine};
use crate::relay::gap::{Gap, GapReason};
use crate::relay::order::LATENESS;
use crate::relay::status::RelayRecord;
use crate::relay::worker::is_passing;

use super::{HOLD_INTERVAL, MAX_BATCH, PAUSE, Running};

/// How many batches are appended before the hub is looked at again.
const MAX_BATCHES: usize = 20;

/// The time over which the rate is measured.
const RATE_TIME: Duration = Duration::from_secs(10);

impl Running {
    /// Appends what waits, and reports.
    pub(in crate::relay) fn flush(&mut self, session: Option<&Session>) -> Result<()> {
        if self.away_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        match self.append_all(session) {
            Ok(()) => {
                if self.away_until.take().is_some() {
                    log::info!("relay {}: the stream works again", self.name);
                }
                Ok(())
            }
            Err((error, took)) => {
                self.reported_at = None;
                self.order.lose_sight();
                let level = match self.away_until {
                    Some(_) => log::Level::Debug,
                    None => log::Level::Warn,
                };
                // Others must soon know one that begins. A server that takes long to refuse must not hold up the hub.
                let pause = if self.is_introduced {
                    PAUSE
                } else {
                    HOLD_INTERVAL
                };
                self.away_until = Instant::now().checked_add(pause.max(took));
                if !is_passing(error.kind()) {
                    return Err(error);
                }
                log::log!(level, "relay {}: events wait meanwhile: {error}", self.name);
                Ok(())
            }
        }
    }

    fn append_all(
        &mut self,
        session: Option<&Session>,
    ) -> std::result::Result<(), (Error, Duration)> {
        let started = Instant::now();
        let failed = |error| (error, started.elapsed());
        let (stream, name) = (self.stream.clone(), self.name.clone());
        let (name, bounds) = (name.as_str(), stream.bounds());
        let engine = stream.engine().map_err(failed)?;
        if !self.is_introduced {
            let request = || engine.append(&[], name, None, None, bounds);
            let reply = self.clock.ask(request).map_err(failed)?;
            self.introduce(&reply);
        }
        for _ in 0..MAX_BATCHES {
            self.decide(session);
            let knows = |id: &str| engine.knows(id);
            self.order
                .release(name, &self.records, self.drained_at, knows)
                .map_err(failed)?;
            let end = self.order.held().map_or(u64::MAX, |(number, _)| number);
            let batch = self.backlog.batch(MAX_BATCH, end).map_err(|error| {
                let message = format!("cannot read the journal of relay {name}: {error}");
                failed(Error::new(ErrorKind::Io, message))
            })?;
            let needs_reports = self.order.needs_reports();
            let is_due = needs_reports
                || self
                    .reported_at
                    .is_none_or(|at| at.elapsed() >= self.interval());
            if batch.is_empty() && !is_due {
                break;
            }
            // An older record says less, which does no harm; but who holds what must be known at once.
            let holds = self.order.held().is_some();
            let record = match is_due || holds || self.has_told_hold {
                true => {
                    self.record.lacks = self.order.lacks(name, &self.records, self.drained_at);
                    serde_json::to_string(&self.current_record()).ok()
                }
                false => None,
            };
            let (known, sent) = (self.recent.known(), self.recent.count());
            let request = || engine.append(&batch, name, record.as_deref(), known, bounds);
            let reply = self.clock.ask(request).map_err(failed)?;
            if reply.has_lost {
                self.append_again(engine, &reply).map_err(failed)?;
                continue;
            }
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
            if record.is_some() {
                self.has_told_hold = holds;
                self.note(&reply);
            }
            let is_empty = batch.is_empty();
            self.recent.add(batch, reply.number);
            if record.is_some() && self.recent.wrote(sent, self.own_record(&reply).as_ref()) {
                self.append_again(engine, &reply).map_err(failed)?;
            }
            if is_empty && !needs_reports {
                break;
            }
        }
        Ok(())
    }

    /// Redis has lost its latest data, as when it was killed before it wrote them to the disk, or restored: what this relay has
    /// still in memory is appended again, and the rest is a gap. `reply` has the record that was left of it.
    fn append_again(&mut self, engine: &dyn Engine, reply: &Appended) -> Result<()> {
        let (name, bounds) = (self.name.clone(), self.stream.bounds());
        let restored = self.own_record(reply);
        let left = self.recent.left(restored.as_ref());
        let lost = self.recent.after(left.unwrap_or(0));
        log::warn!(
            "relay {name}: the stream has lost its latest entries; {} are appended again",
            lost.len()
        );
        let to = lost
            .first()
            .map_or_else(|| self.clock.latest(), |entry| entry.at);
        let (record, sent) = (self.current_record(), self.recent.count());
        let text = serde_json::to_string(&record).ok();
        let request = || engine.append(&lost, &name, text.as_deref(), None, bounds);
        let again = self.clock.ask(request)?;
        self.record.appended += again.added;
        self.record.repeated += again.repeated;
        self.recent.add(Vec::new(), again.number);
        self.recent.wrote(sent, Some(&record));
        if !left.is_some_and(|left| self.recent.has_all_after(left)) {
            let from = restored.and_then(|record| record.reported);
            self.push_gap(Gap::new(from, to, GapReason::StreamLost), None);
        }
        Ok(())
    }

    fn own_record(&self, reply: &Appended) -> Option<RelayRecord> {
        let record = reply.relays.get(&self.name);
        record.map(|record| RelayRecord::read(record))
    }

    /// Says that it has ended, if nothing is left: others need not wait for it.
    pub(super) fn say_goodbye(&self) {
        if !self.is_introduced || self.away_until.is_some() || self.backlog.len() > 0 {
            return;
        }
        let record = RelayRecord {
            has_ended: true,
            ..self.current_record()
        };
        let record = serde_json::to_string(&record).ok();
        let said = self.stream.engine().and_then(|engine| {
            engine.append(
                &[],
                &self.name,
                record.as_deref(),
                None,
                self.stream.bounds(),
            )
        });
        if let Err(error) = said {
            log::debug!("relay {}: others may wait for it: {error}", self.name);
        }
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
    fn introduce(&mut self, reply: &Appended) {
        self.is_introduced = true;
        self.records = records(reply);
        self.order.note(&self.name, &self.records, Instant::now());
        let Some(earlier) = self.records.get(&self.name) else {
            return;
        };
        let last = earlier
            .last
            .map(|last| last.min(reply.now).saturating_sub(LATENESS));
        if let Some(from) = earlier.owed.map(|owed| owed.min(reply.now)).or(last) {
            self.record.owed = Some(self.record.owed.map_or(from, |owed| owed.min(from)));
            self.owing_since = Some(Instant::now());
        }
    }

    fn note(&mut self, reply: &Appended) {
        self.records = records(reply);
        self.order.note(&self.name, &self.records, Instant::now());
    }
}

fn records(reply: &Appended) -> BTreeMap<String, RelayRecord> {
    let records = reply.relays.iter();
    records
        .map(|(name, record)| (name.clone(), RelayRecord::read(record)))
        .collect()
}
