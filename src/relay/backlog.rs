//! What a relay has received and not yet appended: in memory, then in a journal on disk.

use std::collections::VecDeque;
use std::io;

use super::engine::NewEntry;
use super::journal::{BATCH_BYTES, Journal};
use super::order::Left;
use super::status::First;

/// Entries in their order: those in the journal are older than those in memory.
pub(super) struct Backlog {
    /// With what an entry begins, if something may be missing before it.
    memory: VecDeque<(NewEntry, Option<First>)>,
    bytes: usize,
    max_bytes: usize,
    journal: Option<Journal>,
    /// What had no room, since it was last asked for.
    dropped: Option<Dropped>,
    total_dropped: u64,
    /// How many entries there ever were: the number of the next one.
    next: u64,
}

/// Entries that had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// The times of the first and the last; milliseconds since 1970.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) count: u64,
}

impl Backlog {
    pub(super) fn new(max_bytes: usize, journal: Option<Journal>) -> Self {
        Self {
            memory: VecDeque::new(),
            bytes: 0,
            max_bytes,
            next: journal.as_ref().map_or(0, Journal::entries),
            journal,
            dropped: None,
            total_dropped: 0,
        }
    }

    /// What an earlier process has left; see [`Order`](super::order::Order).
    pub(super) fn take_left(&mut self) -> Vec<Left> {
        self.journal
            .as_mut()
            .map_or_else(Vec::new, Journal::take_left)
    }

    /// Adds an entry; returns its number, or nothing if it was dropped. `first` is what it begins, if something
    /// may be missing before it.
    pub(super) fn push(&mut self, entry: NewEntry, first: Option<First>) -> Option<u64> {
        if self.bytes + entry.bytes() > self.max_bytes {
            self.spill();
        }
        // An entry that is larger than all room is kept alone.
        if self.bytes + entry.bytes() > self.max_bytes && !self.memory.is_empty() {
            self.total_dropped += 1;
            let dropped = self.dropped.get_or_insert(Dropped {
                from: entry.at,
                to: entry.at,
                count: 0,
            });
            dropped.to = entry.at;
            dropped.count += 1;
            return None;
        }
        Some(self.add(entry, first))
    }

    /// For what says that something was dropped, and what was missed: it may exceed the memory if
    /// there is no journal, or no room in it.
    pub(super) fn push_anyway(&mut self, entry: NewEntry) {
        self.add(entry, None);
        if self.bytes > self.max_bytes {
            self.spill();
        }
    }

    fn add(&mut self, entry: NewEntry, first: Option<First>) -> u64 {
        self.bytes += entry.bytes();
        self.memory.push_back((entry, first));
        self.next += 1;
        self.next - 1
    }

    /// Moves from memory to the journal what has room there.
    pub(super) fn spill(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        while let Some((entry, first)) = self.memory.front() {
            match journal.append(entry, first.as_ref()) {
                Ok(true) => {
                    self.bytes -= entry.bytes();
                    self.memory.pop_front();
                }
                Ok(false) => break,
                Err(error) => {
                    log::error!(
                        "cannot write the journal {}: {error}",
                        journal.path().display()
                    );
                    break;
                }
            }
        }
        if let Err(error) = journal.flush() {
            log::error!(
                "cannot write the journal {}: {error}",
                journal.path().display()
            );
        }
    }

    /// The number of the next entry.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// The number of the oldest entry.
    pub(super) fn first_number(&self) -> u64 {
        self.next - self.len()
    }

    /// The oldest entries, of those before the number `end`; they stay until they are [`done`](Self::done).
    pub(super) fn batch(&mut self, max: usize, end: u64) -> io::Result<Vec<NewEntry>> {
        let free = end.saturating_sub(self.first_number());
        let max = max.min(usize::try_from(free).unwrap_or(max));
        if let Some(journal) = &mut self.journal
            && journal.entries() > 0
        {
            let batch = journal.batch(max)?;
            if !batch.is_empty() || journal.entries() > 0 {
                return Ok(batch);
            }
            // All of it was damaged.
            return self.batch(max, end);
        }
        let mut bytes = 0;
        let entries = self.memory.iter().map(|(entry, _)| entry);
        let fitting = entries.take(max).take_while(|entry| {
            let fits = bytes < BATCH_BYTES;
            bytes += entry.bytes();
            fits
        });
        Ok(fitting.cloned().collect())
    }

    /// Removes the entries of the last batch.
    pub(super) fn done(&mut self, count: usize) -> io::Result<()> {
        if let Some(journal) = &mut self.journal
            && journal.entries() > 0
        {
            return journal.done();
        }
        for (entry, _) in self.memory.drain(..count) {
            self.bytes -= entry.bytes();
        }
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        let on_disk = self.journal.as_ref().map_or(0, Journal::entries);
        on_disk + self.memory.len() as u64
    }

    /// The time of the oldest entry.
    pub(super) fn oldest(&self) -> Option<i64> {
        let on_disk = self.journal.as_ref().and_then(Journal::oldest);
        on_disk.or_else(|| self.oldest_in_memory())
    }

    fn oldest_in_memory(&self) -> Option<i64> {
        self.memory.front().map(|(entry, _)| entry.at)
    }

    /// Since when entries are missing if this process dies: those in memory, and those whose loss was not reported yet.
    pub(super) fn unsafe_since(&self) -> Option<i64> {
        let dropped = self.dropped.map(|dropped| dropped.from);
        self.oldest_in_memory().into_iter().chain(dropped).min()
    }

    pub(super) fn total_dropped(&self) -> u64 {
        self.total_dropped
    }

    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        self.dropped.take()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::error::ErrorKind;
    use crate::relay::engine::Kind;

    fn entry(number: i64) -> NewEntry {
        NewEntry {
            id: number.to_string(),
            at: number,
            kind: Kind::Event,
            body: format!("{{\"topic\":\"{}\"}}", "x".repeat(50)),
        }
    }

    fn first(number: i64) -> First {
        First {
            id: number.to_string(),
            at: number + 1,
            after: number - 2,
            by: number - 1,
        }
    }

    fn drain(backlog: &mut Backlog) -> Vec<i64> {
        let mut all = Vec::new();
        while backlog.len() > 0 {
            let batch = backlog.batch(3, u64::MAX).unwrap();
            all.extend(batch.iter().map(|entry| entry.at));
            backlog.done(batch.len()).unwrap();
        }
        all
    }

    #[test]
    fn memory_goes_to_disk_and_everything_returns_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/journal");
        let journal = Journal::open(&path, 1 << 20).unwrap();
        let mut backlog = Backlog::new(1000, Some(journal));
        for number in 0..50 {
            backlog.push(entry(number), None);
        }
        assert!(backlog.bytes <= 1000 && fs::metadata(&path).unwrap().len() > 0);
        assert_eq!((backlog.len(), backlog.oldest()), (50, Some(0)));
        // What arrives while it is read comes last.
        let batch = backlog.batch(3, u64::MAX).unwrap();
        backlog.push(entry(50), None);
        assert_eq!(batch.len(), 3);
        assert_eq!(backlog.batch(9, 2).unwrap().len(), 2);
        assert_eq!(backlog.batch(9, 0).unwrap().len(), 0);
        assert_eq!(drain(&mut backlog), (0..51).collect::<Vec<_>>());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(backlog.take_dropped(), None);
    }

    #[test]
    fn it_is_found_again_and_a_cut_entry_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut backlog = Backlog::new(1000, Some(Journal::open(&path, 1 << 20).unwrap()));
        (0..20).for_each(|number| {
            backlog.push(entry(number), (number == 7).then(|| first(number)));
        });
        backlog.spill();
        assert!(
            Journal::open(&path, 1 << 20).is_err_and(|error| error.kind() == ErrorKind::Duplicate)
        );
        drop(backlog);
        let size = fs::metadata(&path).unwrap().len();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(size - 5)
            .unwrap();
        let mut again = Backlog::new(1000, Some(Journal::open(&path, 1 << 20).unwrap()));
        let left = again.take_left();
        let begins: Vec<_> = left.iter().filter(|one| one.first.is_some()).collect();
        assert_eq!((left.len(), begins.len(), begins[0].number), (19, 1, 7));
        assert_eq!(begins[0].first, Some(first(7)));
        again.push(entry(20), None);
        again.spill();
        let expected: Vec<i64> = (0..19).chain([20]).collect();
        assert_eq!(drain(&mut again), expected);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal"), 2000).unwrap();
        let mut backlog = Backlog::new(1000, Some(journal));
        (0..100).for_each(|number| {
            backlog.push(entry(number), (number == 7).then(|| first(number)));
        });
        let kept = i64::try_from(backlog.len()).unwrap();
        let expected = Dropped {
            from: kept,
            to: 99,
            count: 100 - kept as u64,
        };
        assert_eq!(backlog.take_dropped(), Some(expected));
        assert!(kept > 20, "{kept}");
        assert_eq!(drain(&mut backlog), (0..kept).collect::<Vec<_>>());
    }

    #[test]
    fn a_disk_that_cannot_be_written_drops_what_has_no_room_and_repeats_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 1 << 30).unwrap();
        journal.make_read_only();
        let mut backlog = Backlog::new(10_000, Some(journal));
        for number in 0..50_000 {
            backlog.push(entry(number), None);
        }
        assert!(backlog.total_dropped() > 0);
        assert_eq!(backlog.len() + backlog.total_dropped(), 50_000);
        assert_eq!(
            backlog.first_number() + backlog.len(),
            backlog.next_number()
        );
    }

    #[test]
    #[cfg(unix)]
    fn it_is_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/journal");
        let _journal = Journal::open(&path, 1000).unwrap();
        for (path, mode) in [(path.as_path(), 0o600), (path.parent().unwrap(), 0o700)] {
            assert_eq!(
                fs::metadata(path).unwrap().permissions().mode() & 0o777,
                mode
            );
        }
    }
}
