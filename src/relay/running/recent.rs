//! What a relay has appended of late, in case the stream loses it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::relay::engine::NewEntry;
use crate::relay::status::RelayRecord;

/// For how long: Redis writes to its file within a second, or two on a busy disk.
const TIME: Duration = Duration::from_secs(10);

/// The latest entries that were appended, and how many there were in all.
pub(super) struct Recent {
    process: u64,
    entries: VecDeque<(NewEntry, Instant)>,
    bytes: usize,
    max_bytes: usize,
    count: u64,
    /// The number of the stream's last entry after the last call.
    known: Option<u64>,
    /// How many there were when the last record was written.
    written: Option<u64>,
}

impl Recent {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            process: fastrand::u64(..),
            entries: VecDeque::new(),
            bytes: 0,
            max_bytes,
            count: 0,
            known: None,
            written: None,
        }
    }

    pub(super) fn process(&self) -> u64 {
        self.process
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn known(&self) -> Option<u64> {
        self.known
    }

    /// Adds what was appended; `number` is that of the stream's last entry.
    pub(super) fn add(&mut self, entries: Vec<NewEntry>, number: u64) {
        let now = Instant::now();
        self.known = Some(number);
        self.count += entries.len() as u64;
        for entry in entries {
            self.bytes += entry.bytes();
            self.entries.push_back((entry, now));
        }
        while let Some((entry, at)) = self.entries.front()
            && (self.bytes > self.max_bytes || at.elapsed() > TIME)
        {
            self.bytes -= entry.bytes();
            self.entries.pop_front();
        }
    }

    /// A record was written when there were so many entries. Returns whether the one before it was lost: another relay may
    /// have appended as much meanwhile as the stream had lost, so that the number of its last entry says nothing.
    pub(super) fn wrote(&mut self, count: u64, before: Option<&RelayRecord>) -> bool {
        let expected = self.written.replace(count);
        expected.is_some_and(|expected| match before {
            Some(before) => before.process != self.process || before.sent < expected,
            None => true,
        })
    }

    /// The least number of the entries that the stream still has, by the record that it has of this relay; `None` if entries
    /// from before this process may be lost too.
    pub(super) fn left(&self, record: Option<&RelayRecord>) -> Option<u64> {
        let own = record.filter(|record| record.process == self.process);
        own.map(|record| record.sent)
    }

    /// What there is of the entries after the first `left`.
    pub(super) fn after(&self, left: u64) -> Vec<NewEntry> {
        let lost = usize::try_from(self.count.saturating_sub(left)).unwrap_or(usize::MAX);
        let first = self.entries.len().saturating_sub(lost);
        self.entries
            .range(first..)
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    /// Whether that is all of them.
    pub(super) fn has_all_after(&self, left: u64) -> bool {
        self.count.saturating_sub(left) <= self.entries.len() as u64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::relay::engine::Kind;

    #[test]
    fn what_was_lost_is_there_as_far_as_there_was_room() {
        let entry = |at| NewEntry {
            id: String::new(),
            at,
            kind: Kind::Event,
            body: "x".repeat(36),
        };
        let mut recent = Recent::new(500);
        recent.add((0..3).map(entry).collect(), 13);
        recent.add((3..8).map(entry).collect(), 18);
        assert_eq!((recent.count(), recent.known()), (8, Some(18)));
        let at = |left| {
            let lost = recent.after(left);
            lost.iter().map(|entry| entry.at).collect::<Vec<_>>()
        };
        assert_eq!((at(6), recent.has_all_after(6)), (vec![6, 7], true));
        assert_eq!(
            (at(3), recent.has_all_after(3)),
            (vec![3, 4, 5, 6, 7], true)
        );
        assert_eq!(
            (at(0), recent.has_all_after(0)),
            (vec![3, 4, 5, 6, 7], false)
        );
        assert_eq!((at(8), recent.has_all_after(8)), (vec![], true));
    }
    #[test]
    fn a_record_that_was_lost_is_noticed() {
        let mut recent = Recent::new(500);
        let record = |process, sent| RelayRecord {
            process,
            sent,
            ..RelayRecord::default()
        };
        let own = recent.process();
        // The first one of a process, whatever was there.
        assert!(!recent.wrote(0, Some(&record(own ^ 1, 70))));
        assert!(!recent.wrote(3, Some(&record(own, 0))));
        assert!(!recent.wrote(5, Some(&record(own, 3))));
        assert!(recent.wrote(6, Some(&record(own, 3))));
        assert!(recent.wrote(7, Some(&record(own ^ 1, 70))));
        assert!(recent.wrote(8, None));
        assert_eq!(recent.left(Some(&record(own, 0))), Some(0));
        assert_eq!(recent.left(Some(&record(own ^ 1, 3))), None);
        assert_eq!(recent.left(None), None);
    }
}
