//! The journal of a relay: entries on disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_folder, open_private_with};

use super::engine::{Kind, NewEntry};
use super::order::{Left, MAX_KNOWN};
use super::status::First;

/// The bytes of one batch, beyond which it takes no further entry.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// The end of a line of the journal, unless something may be missing before it.
const CONTINUES: &[u8] = b",null]\n";

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
    /// What an earlier process has left, as far as the order among relays needs it.
    left: Vec<Left>,
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
            left: Vec::new(),
        };
        journal.recover().map_err(failed)?;
        Ok(journal)
    }

    /// Counts what an earlier process has left.
    fn recover(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        let (mut whole, mut in_run) = (0, 0);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() != Some(&b'\n') {
                let path = self.path.display();
                log::warn!("the last entry of the journal {path} was cut off, and is ignored");
                break;
            }
            whole += line.len() as u64;
            if !line.ends_with(CONTINUES) {
                in_run = 0;
            }
            in_run += 1;
            if in_run <= MAX_KNOWN
                && let Some((entry, first)) = parse(&line)
            {
                self.oldest = self.oldest.or(Some(entry.at));
                self.left.push(Left {
                    number: self.entries,
                    id: entry.id,
                    first,
                });
            }
            self.entries += 1;
            line.clear();
        }
        self.file.set_len(whole)?;
        self.size = whole;
        Ok(())
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "tests")]
    pub(super) fn make_read_only(&mut self) {
        self.file = File::open(&self.path).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// The time of the oldest entry.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.oldest
    }

    /// What an earlier process has left: its first entries, and all before which something may be missing.
    pub(super) fn take_left(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.left)
    }

    /// Returns whether there was room.
    pub(super) fn append(&mut self, entry: &NewEntry, first: Option<&First>) -> io::Result<bool> {
        // Before anything changes: what cannot be taken stays with the caller.
        if self.unwritten.len() > BATCH_BYTES {
            self.flush()?;
        }
        let fields = json!([entry.id, entry.at, entry.kind.as_str(), entry.body, first]);
        let line = fields.to_string();
        if self.size + line.len() as u64 + 1 > self.max_bytes {
            return Ok(false);
        }
        self.unwritten.extend_from_slice(line.as_bytes());
        self.unwritten.push(b'\n');
        self.size += line.len() as u64 + 1;
        self.entries += 1;
        self.oldest.get_or_insert(entry.at);
        Ok(true)
    }

    /// What cannot be written stays for the next time.
    pub(super) fn flush(&mut self) -> io::Result<()> {
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

    pub(super) fn batch(&mut self, max: usize) -> io::Result<Vec<NewEntry>> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(self.done))?;
        let mut reader = BufReader::new((&self.file).take(self.size - self.done));
        let (mut batch, mut line, mut bytes) = (Vec::new(), Vec::new(), 0);
        self.in_batch = 0;
        while self.in_batch < max as u64
            && bytes < BATCH_BYTES
            && reader.read_until(b'\n', &mut line)? > 0
        {
            bytes += line.len();
            self.in_batch += 1;
            match parse(&line) {
                Some((entry, _)) => batch.push(entry),
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

    pub(super) fn done(&mut self) -> io::Result<()> {
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
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_private_folder(parent)?;
    }
    open_private_with(path, &mut options)
}

fn parse(line: &[u8]) -> Option<(NewEntry, Option<First>)> {
    let (id, at, kind, body, first): (String, i64, String, Value, Option<First>) =
        serde_json::from_slice(line).ok()?;
    let entry = NewEntry {
        id,
        at,
        kind: Kind::named(&kind)?,
        body: body.as_str()?.to_owned(),
    };
    Some((entry, first))
}
