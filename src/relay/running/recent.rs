//! What a relay has appended of late, in case the stream loses it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::relay::engine::{NewEntry, Progress};

/// For how long: Redis writes to its file within a second, or two on a busy disk.
const TIME: Duration = Duration::from_secs(10);

/// The latest entries that were appended, and how many there were in all.
pub(super) struct Recent {
    process: u64,
    entries: VecDeque<(NewEntry, Instant)>,
    bytes: usize,
    max_bytes: usize,
    count: u64,
}

impl Recent {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            process: fastrand::u64(..),
            entries: VecDeque::new(),
            bytes: 0,
            max_bytes,
            count: 0,
        }
    }

    /// Adds what was appended.
    pub(super) fn add(&mut self, entries: Vec<NewEntry>) {
        let now = Instant::now();
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

    /// That of a call that appends so many entries.
    pub(super) fn progress(&self, count: usize) -> Progress {
        Progress {
            process: self.process,
            before: Some(self.count).filter(|before| *before > 0),
            after: self.count + count as u64,
        }
    }

    /// That of a call that appends again what was lost.
    pub(super) fn restored(&self) -> Progress {
        Progress {
            before: None,
            ..self.progress(0)
        }
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

    /// Whether that is all that the stream has lost. If it knows of none, it has lost what was there before as well.
    pub(super) fn has_all_after(&self, left: u64) -> bool {
        left > 0 && self.count.saturating_sub(left) <= self.entries.len() as u64
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
        assert_eq!(recent.progress(3).before, None);
        recent.add((0..3).map(entry).collect());
        recent.add((3..8).map(entry).collect());
        let progress = recent.progress(2);
        assert_eq!((progress.before, progress.after), (Some(8), 10));
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
}
