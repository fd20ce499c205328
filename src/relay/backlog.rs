//! What a relay has received and not yet appended: in memory, then in a journal on disk.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::files::open_regular_with;

use super::engine::{Kind, NewEntry};

/// The bytes of one batch, beyond which it takes no further entry.
const BATCH_BYTES: usize = 1 << 20;

/// Entries in their order: those in the journal are older than those in memory.
pub(super) struct Backlog {
    memory: VecDeque<NewEntry>,
    bytes: usize,
    max_bytes: usize,
    journal: Option<Journal>,
    /// What had no room, since it was last asked for.
    dropped: Option<Dropped>,
    total_dropped: u64,
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
            journal,
            dropped: None,
            total_dropped: 0,
        }
    }

    pub(super) fn push(&mut self, entry: NewEntry) {
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
            return;
        }
        self.push_anyway(entry);
    }

    /// For what says that something was dropped.
    pub(super) fn push_anyway(&mut self, entry: NewEntry) {
        self.bytes += entry.bytes();
        self.memory.push_back(entry);
    }

    /// Moves from memory to the journal what has room there.
    pub(super) fn spill(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        while let Some(entry) = self.memory.front() {
            match journal.append(entry) {
                Ok(true) => {
                    self.bytes -= entry.bytes();
                    self.memory.pop_front();
                }
                Ok(false) => break,
                Err(error) => {
                    log::error!(
                        "cannot write the journal {}: {error}",
                        journal.path.display()
                    );
                    break;
                }
            }
        }
        if let Err(error) = journal.flush() {
            log::error!(
                "cannot write the journal {}: {error}",
                journal.path.display()
            );
        }
    }

    /// The oldest entries, of those that are older than `before`; they stay until they are
    /// [`done`](Self::done).
    pub(super) fn batch(&mut self, max: usize, before: i64) -> io::Result<Vec<NewEntry>> {
        if let Some(journal) = &mut self.journal
            && journal.entries > 0
        {
            let batch = journal.batch(max, before)?;
            if !batch.is_empty() || journal.entries > 0 {
                return Ok(batch);
            }
        }
        let mut bytes = 0;
        let fitting = self.memory.iter().take(max).take_while(|entry| {
            let fits = bytes < BATCH_BYTES && entry.at < before;
            bytes += entry.bytes();
            fits
        });
        Ok(fitting.cloned().collect())
    }

    /// Removes the entries of the last batch.
    pub(super) fn done(&mut self, count: usize) -> io::Result<()> {
        if let Some(journal) = &mut self.journal
            && journal.entries > 0
        {
            return journal.done();
        }
        for entry in self.memory.drain(..count) {
            self.bytes -= entry.bytes();
        }
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        let on_disk = self.journal.as_ref().map_or(0, |journal| journal.entries);
        on_disk + self.memory.len() as u64
    }

    /// The time of the oldest entry.
    pub(super) fn oldest(&self) -> Option<i64> {
        let on_disk = self.journal.as_ref().and_then(|journal| journal.oldest);
        on_disk.or_else(|| self.memory.front().map(|entry| entry.at))
    }

    /// The time of the oldest entry that is lost if this process dies.
    pub(super) fn oldest_in_memory(&self) -> Option<i64> {
        self.memory.front().map(|entry| entry.at)
    }

    pub(super) fn total_dropped(&self) -> u64 {
        self.total_dropped
    }

    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        self.dropped.take()
    }
}

/// A file of JSON lines for this user alone, locked while it is open.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// What is to be written at the end of the file.
    unwritten: Vec<u8>,
    /// Where the first entry begins that is not done, and where the last batch ends.
    done: u64,
    read: u64,
    /// The size with what is unwritten.
    size: u64,
    max_bytes: u64,
    entries: u64,
    /// The entries of the last batch.
    in_batch: u64,
    oldest: Option<i64>,
}

impl Journal {
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if another relay has it open.
    /// - [`ErrorKind::Io`] if it cannot be created, read or written.
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self> {
        let failed = |error: io::Error| {
            let message = format!("cannot use the journal {}: {error}", path.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        };
        let file = create(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "the journal {} belongs to a relay that is running; give each relay its own",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Duplicate, message));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut journal = Self {
            path: path.to_owned(),
            file,
            unwritten: Vec::new(),
            done: 0,
            read: 0,
            size: 0,
            max_bytes,
            entries: 0,
            in_batch: 0,
            oldest: None,
        };
        journal.recover().map_err(failed)?;
        Ok(journal)
    }

    /// Counts what an earlier process has left.
    fn recover(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        let mut whole = 0;
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() != Some(&b'\n') {
                let path = self.path.display();
                log::warn!("the last entry of the journal {path} was cut off, and is ignored");
                break;
            }
            whole += line.len() as u64;
            self.entries += 1;
            if self.oldest.is_none() {
                self.oldest = parse(&line).map(|entry| entry.at);
            }
            line.clear();
        }
        self.file.set_len(whole)?;
        self.size = whole;
        Ok(())
    }

    /// Returns whether there was room.
    fn append(&mut self, entry: &NewEntry) -> io::Result<bool> {
        let line = json!([entry.id, entry.at, entry.kind.as_str(), entry.body]).to_string();
        if self.size + line.len() as u64 + 1 > self.max_bytes {
            return Ok(false);
        }
        self.unwritten.extend_from_slice(line.as_bytes());
        self.unwritten.push(b'\n');
        self.size += line.len() as u64 + 1;
        self.entries += 1;
        self.oldest.get_or_insert(entry.at);
        if self.unwritten.len() > BATCH_BYTES {
            self.flush()?;
        }
        Ok(true)
    }

    /// What cannot be written stays for the next time.
    fn flush(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let end = self.size - self.unwritten.len() as u64;
        self.file.seek(SeekFrom::Start(end))?;
        if let Err(error) = self.file.write_all(&self.unwritten) {
            // A part of it must not stay before the next attempt.
            let _ = self.file.set_len(end);
            return Err(error);
        }
        self.unwritten.clear();
        Ok(())
    }

    fn batch(&mut self, max: usize, before: i64) -> io::Result<Vec<NewEntry>> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(self.done))?;
        let mut reader = BufReader::new((&self.file).take(self.size - self.done));
        let (mut batch, mut line, mut bytes) = (Vec::new(), Vec::new(), 0);
        self.in_batch = 0;
        while batch.len() < max && bytes < BATCH_BYTES && reader.read_until(b'\n', &mut line)? > 0 {
            let entry = parse(&line);
            if entry.as_ref().is_some_and(|entry| entry.at >= before) {
                break;
            }
            bytes += line.len();
            self.in_batch += 1;
            match entry {
                Some(entry) => batch.push(entry),
                None => log::error!(
                    "an entry of the journal {} is damaged, and is left out: {}",
                    self.path.display(),
                    String::from_utf8_lossy(&line)
                ),
            }
            line.clear();
        }
        self.read = self.done + bytes as u64;
        self.oldest = batch.first().map(|entry| entry.at).or(self.oldest);
        if batch.is_empty() && self.in_batch > 0 {
            // Nothing but damage.
            self.done()?;
        }
        Ok(batch)
    }

    fn done(&mut self) -> io::Result<()> {
        self.done = self.read;
        self.entries = self
            .entries
            .saturating_sub(std::mem::take(&mut self.in_batch));
        if self.done >= self.size {
            self.file.set_len(0)?;
            (self.done, self.read, self.size, self.entries, self.oldest) = (0, 0, 0, 0, None);
        }
        Ok(())
    }
}

/// Opens the file; creates it and its folder for this user alone.
fn create(path: &Path) -> io::Result<File> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        // On Windows, files inherit the permissions of the folder.
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        options.mode(0o600);
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        folder.create(parent)?;
    }
    open_regular_with(path, &mut options)
}

fn parse(line: &[u8]) -> Option<NewEntry> {
    let (id, at, kind, body): (String, i64, String, Value) = serde_json::from_slice(line).ok()?;
    Some(NewEntry {
        id,
        at,
        kind: Kind::named(&kind)?,
        body: body.as_str()?.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(number: i64) -> NewEntry {
        NewEntry {
            id: number.to_string(),
            at: number,
            kind: Kind::Event,
            body: format!("{{\"topic\":\"{}\"}}", "x".repeat(50)),
        }
    }

    fn drain(backlog: &mut Backlog) -> Vec<i64> {
        let mut all = Vec::new();
        while backlog.len() > 0 {
            let batch = backlog.batch(3, i64::MAX).unwrap();
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
            backlog.push(entry(number));
        }
        assert!(backlog.bytes <= 1000 && fs::metadata(&path).unwrap().len() > 0);
        assert_eq!((backlog.len(), backlog.oldest()), (50, Some(0)));
        // What arrives while it is read comes last.
        let batch = backlog.batch(3, i64::MAX).unwrap();
        backlog.push(entry(50));
        assert_eq!(batch.len(), 3);
        assert_eq!(backlog.batch(9, 2).unwrap().len(), 2);
        assert_eq!(drain(&mut backlog), (0..51).collect::<Vec<_>>());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(backlog.take_dropped(), None);
    }

    #[test]
    fn it_is_found_again_and_a_cut_entry_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut backlog = Backlog::new(1000, Some(Journal::open(&path, 1 << 20).unwrap()));
        (0..20).for_each(|number| backlog.push(entry(number)));
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
        again.push(entry(20));
        again.spill();
        let expected: Vec<i64> = (0..19).chain([20]).collect();
        assert_eq!(drain(&mut again), expected);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal"), 2000).unwrap();
        let mut backlog = Backlog::new(1000, Some(journal));
        (0..100).for_each(|number| backlog.push(entry(number)));
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
