//! What a transfer remembers on disk, so that the same call resumes it after it was interrupted.
//!
//! A journal is a file of JSON lines beside the schema cache, readable by this user only. It holds
//! ids, sizes, times and signed URLs, and no credentials. It is locked while the transfer runs, and
//! removed when it succeeds. A line that was cut off by a crash is ignored.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};
use serde_json::{Value as Json, json};

use crate::accessor::{Notes, hex};
use crate::files::{create_private_folder, open_private_with};
use crate::lock::Mutex;

/// The age at which a journal is removed. Signed URLs expire after a day.
const MAX_AGE: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// The largest journal that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Notes of a transfer by subject: a resource identifier, or what the transfer is about.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    notes: Mutex<HashMap<String, Vec<String>>>,
}

/// Another process, or another thread, is doing the same transfer.
#[derive(Debug)]
pub(crate) struct Locked;

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// The journal in `folder` for a transfer that `key` identifies. `None` if the file cannot be
    /// written: then nothing is remembered.
    pub(crate) fn open(folder: &Path, key: &[&str]) -> Result<Option<Self>, Locked> {
        let mut hash = Md5::new();
        for part in key {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let name = hex(&hash.finalize());
        let folder = folder.join("ftrack_api_transfers");
        let path = folder.join(format!("{name}.jsonl"));
        match open(&folder, &path) {
            Ok(Some(journal)) => Ok(Some(journal)),
            Ok(None) => Err(Locked),
            Err(error) => {
                log::info!(
                    "cannot write {}: {error}; the transfer cannot be resumed",
                    path.display()
                );
                Ok(None)
            }
        }
    }

    /// The notes about a subject, in order.
    pub(crate) fn notes(&self, subject: &str) -> Vec<String> {
        self.notes.lock().get(subject).cloned().unwrap_or_default()
    }

    /// Whether there is no note.
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.lock().is_empty()
    }

    pub(crate) fn add(&self, subject: &str, note: &str) {
        self.write(&json!({"subject": subject, "note": note}));
        let mut notes = self.notes.lock();
        notes
            .entry(subject.to_owned())
            .or_default()
            .push(note.to_owned());
    }

    /// Replaces the notes about a subject.
    pub(crate) fn set(&self, subject: &str, note: &str) {
        if self.notes(subject) != [note] {
            self.clear(subject);
            self.add(subject, note);
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.notes.lock().clear();
        if let Err(error) = self.file.set_len(0) {
            log::warn!("cannot write {}: {error}", self.path.display());
        }
    }

    /// Forgets the notes about a subject.
    pub(crate) fn clear(&self, subject: &str) {
        if self.notes.lock().remove(subject).is_some() {
            self.write(&json!({"subject": subject}));
        }
    }

    /// Appends a line; the file is in append mode, so lines of several threads do not mix.
    fn write(&self, line: &Json) {
        let written = (&self.file).write_all(format!("{line}\n").as_bytes());
        if let Err(error) = written {
            log::warn!("cannot write {}: {error}", self.path.display());
        }
    }

    /// Removes the file: the transfer is over.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// `None` if it is locked.
fn open(folder: &Path, path: &Path) -> io::Result<Option<Journal>> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    create_private_folder(folder)?;
    remove_expired(folder);
    let file = open_private_with(path, &mut options)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    if file.metadata()?.len() > MAX_BYTES {
        file.set_len(0)?;
    }
    let notes = read(&file)?;
    Ok(Some(Journal {
        path: path.to_owned(),
        file,
        notes: Mutex::new(notes),
    }))
}

fn read(file: &File) -> io::Result<HashMap<String, Vec<String>>> {
    let mut notes: HashMap<String, Vec<String>> = HashMap::new();
    let mut text = Vec::new();
    let mut reader = BufReader::new(file);
    while reader.read_until(b'\n', &mut text)? > 0 {
        if let Ok(line) = serde_json::from_slice::<Json>(&text)
            && let Some(subject) = line["subject"].as_str()
        {
            match line["note"].as_str() {
                Some(note) => notes
                    .entry(subject.to_owned())
                    .or_default()
                    .push(note.to_owned()),
                None => drop(notes.remove(subject)),
            }
        }
        if text.last() != Some(&b'\n') {
            // The next line must not continue this one.
            (&*file).write_all(b"\n")?;
        }
        text.clear();
    }
    Ok(notes)
}

/// Removes journals of transfers that were never repeated.
fn remove_expired(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|found| found.modified());
        let age = modified.ok().and_then(|time| now.duration_since(time).ok());
        if age.is_some_and(|age| age > MAX_AGE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The notes about one file.
pub(crate) struct FileNotes<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) subject: &'a str,
}

impl Notes for FileNotes<'_> {
    fn all(&self) -> Vec<String> {
        self.journal.notes(self.subject)
    }

    fn add(&self, note: &str) {
        self.journal.add(self.subject, note);
    }

    fn clear(&self) {
        self.journal.clear(self.subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_survives_a_crash_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let open = |key: &[&str]| Journal::open(folder.path(), key).unwrap().unwrap();
        let journal = open(&["a", "b"]);
        assert!(Journal::open(folder.path(), &["a", "b"]).is_err(), "locked");
        assert!(open(&["ab", ""]).notes("x").is_empty());
        journal.add("x", "one");
        journal.add("y", "other");
        journal.add("x", "two");
        journal.clear("y");
        (&journal.file)
            .write_all(b"{\"subject\": \"x\", \"no")
            .unwrap();
        drop(journal);
        let journal = open(&["a", "b"]);
        assert_eq!(journal.notes("x"), ["one", "two"]);
        assert!(journal.notes("y").is_empty());
        journal.add("x", "three");
        let path = journal.path.clone();
        drop(journal);
        let journal = open(&["a", "b"]);
        assert_eq!(journal.notes("x"), ["one", "two", "three"]);
        journal.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_is_private_and_removed_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let open = |key: &str| Journal::open(folder.path(), &[key]).unwrap().unwrap();
        let (old, young) = (open("old"), open("young"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&old.path).unwrap().mode() & 0o777, 0o600);
        }
        let long_ago = SystemTime::now() - MAX_AGE - Duration::from_secs(60);
        old.file.set_modified(long_ago).unwrap();
        drop(open("another"));
        assert!(!old.path.exists() && young.path.exists());
    }
}
