//! What a relay has missed.

use std::time::Duration;

use crate::handle::Session;
use crate::relay::catch_up::missed;
use crate::relay::engine::{Kind, NewEntry};
use crate::relay::gap::{Gap, GapReason, uncovered};
use crate::relay::order::LATENESS;

use super::Running;

/// How long a relay waits for others to prove that they were connected when it was not: longer than event
/// servers are silent.
const PROOF_TIME: Duration = Duration::from_secs(20);

impl Running {
    pub(super) fn push_gap(&mut self, mut gap: Gap, session: Option<&Session>) {
        let name = &self.name;
        gap.relay = Some(name.clone());
        if let (Some(session), Some(from)) = (session, gap.from) {
            let mut count = 0;
            let pushed = missed(session, from, gap.to).and_then(|mut events| {
                events.try_for_each(|event| {
                    self.backlog.push_anyway(event?);
                    count += 1;
                    Ok(())
                })
            });
            match pushed {
                Ok(()) => gap.caught_up = Some(count),
                Err(error) => log::error!(
                    "relay {name}: the server's log cannot be read after {count} events: {error}"
                ),
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

    /// Reports gaps, unless other relays were connected meanwhile, or may yet say so.
    pub(super) fn decide(&mut self, session: Option<&Session>) {
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
            self.push_gap(gap, session);
        }
        if let Some((from, count)) = self.too_slow.take() {
            let mut gap = Gap::new(Some(from), self.clock.latest(), GapReason::TooSlow);
            gap.lost = Some(count);
            self.push_gap(gap, session);
        }
        let (Some(owed), Some(since), Some(waiting)) =
            (self.record.owed, self.record.since, self.owing_since)
        else {
            return;
        };
        let others = self
            .records
            .iter()
            .filter(|(other, _)| **other != self.name);
        let alike = others.filter(|(_, record)| record.filters == self.record.filters);
        let connected = alike.filter_map(|(other, record)| Some((other, record.since?, record)));
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
            self.push_gap(Gap::new(Some(from), to, GapReason::NotConnected), session);
        }
        self.unsaved = self.unsaved.or(Some(owed));
        (self.record.owed, self.owing_since) = (None, None);
    }
}
