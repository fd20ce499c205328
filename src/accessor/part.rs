//! Files that are written beside their target and renamed when they are complete.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use md5::{Digest, Md5};
use same_file::Handle;
use tempfile::{NamedTempFile, TempPath};

use super::checksum::{self, Md5Sum, hex};
use super::ranges::PIECE_BYTES;
use super::turns::Turns;
use super::work::{Work, may_resume};
use super::{Content, Pieces};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{open_regular, open_regular_with};

/// The bytes that are copied at once, between two checks whether the transfer was cancelled.
const COPY_BYTES: u64 = 32 << 20;
const BUFFER_BYTES: usize = 1 << 20;
/// As many bytes as a connection receives at once.
const STREAM_BYTES: usize = 128 << 10;

/// Stores `content` as `path`: all of it or nothing. An existing file is an error unless `replace`
/// is set.
///
/// If the source of the bytes is known, an interrupted call leaves its part file, and the next
/// call continues it.
pub(crate) fn store(path: &Path, content: &mut Content<'_>, replace: bool) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    fs::create_dir_all(folder).map_err(io_error("create", folder.display()))?;
    if !replace && path.symlink_metadata().is_ok() {
        return Err(already_exists(path));
    }
    if content.may_link() && link(path, content)? {
        return Ok(());
    }
    let mut part = Part::open(folder, path, content, replace)?;
    match part.fill(path, content) {
        Ok(()) => part.persist(path, replace),
        Err(error) => {
            part.abandon(&error);
            Err(error)
        }
    }
}

/// Makes a hard link; false if that is not possible here.
fn link(path: &Path, content: &Content<'_>) -> Result<bool> {
    let Some(source) = content.path() else {
        return Ok(false);
    };
    // A link to a symbolic link would share its fate.
    let Ok(source) = source.canonicalize() else {
        return Ok(false);
    };
    content.advance(0)?;
    match fs::hard_link(&source, path) {
        Ok(()) => {
            // It is stored: the next job finds out that the transfer was cancelled.
            let _ = content.advance(content.size().unwrap_or(0));
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(already_exists(path)),
        Err(error) => {
            log::debug!("cannot link {}, it is copied: {error}", path.display());
            Ok(false)
        }
    }
}

/// A file that is not complete.
struct Part {
    file: File,
    path: PathBuf,
    /// Whether the next attempt can continue it.
    is_resumable: bool,
}

impl Part {
    fn open(folder: &Path, target: &Path, content: &Content<'_>, replace: bool) -> Result<Self> {
        let source = match (content.path(), content.origin()) {
            (Some(path), _) => path.as_os_str().as_encoded_bytes(),
            (None, Some(origin)) => origin.as_bytes(),
            (None, None) => return Self::temporary(folder),
        };
        let mut hash = Md5::new();
        let name = target.file_name().unwrap_or_default().as_encoded_bytes();
        hash.update(name.len().to_le_bytes());
        hash.update(name);
        hash.update(source);
        let hash = hex(&hash.finalize()[..8]);
        let path = folder.join(format!(".ftrack-{hash}.part"));
        match Self::lock(&path) {
            Ok(Some(file)) => {
                // Another process may have completed the file meanwhile.
                if !replace && target.symlink_metadata().is_ok() {
                    let _ = fs::remove_file(&path);
                    return Err(already_exists(target));
                }
                Ok(Self {
                    file,
                    path,
                    is_resumable: true,
                })
            }
            Ok(None) => {
                let message = format!("another process is writing {}", target.display());
                Err(Error::new(ErrorKind::Duplicate, message))
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Self::temporary(folder),
            Err(error) => Err(io_error("write into", folder.display())(error)),
        }
    }

    /// The part file, locked by this process; `None` if another one has the lock.
    fn lock(path: &Path) -> io::Result<Option<File>> {
        loop {
            if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = open_regular_with(path, &mut options)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            // The file that was locked may have been renamed or removed before.
            let locked = Handle::from_file(file.try_clone()?)?;
            if Handle::from_path(path).is_ok_and(|found| found == locked) {
                return Ok(Some(file));
            }
        }
    }

    fn temporary(folder: &Path) -> Result<Self> {
        let part = temporary(folder).and_then(|part| Ok(part.keep()?));
        let (file, path) = part.map_err(io_error("write into", folder.display()))?;
        Ok(Self {
            file,
            path,
            is_resumable: false,
        })
    }

    fn fill(&mut self, target: &Path, content: &mut Content<'_>) -> Result<()> {
        let resumed = self.resume(content)?;
        match self.fill_from(resumed, target, content) {
            // What an earlier attempt left is of other data.
            Err(error) if resumed > 0 && error.kind() == ErrorKind::BadResponse => {
                log::info!("cannot resume, starting anew: {error}");
                let written = self.file.metadata().map_or(0, |found| found.len());
                content.restart(written);
                self.cut(0).map_err(io_error("write", target.display()))?;
                self.fill_from(0, target, content)
            }
            outcome => outcome,
        }
    }

    fn fill_from(&mut self, resumed: u64, target: &Path, content: &mut Content<'_>) -> Result<()> {
        let failed = io_error("write", target.display());
        let source = content.path().map(open_regular);
        let pieces = match &source {
            Some(Ok(_)) => None,
            _ => content.pieces()?,
        };
        let (mut size, mut md5) = (content.size(), None);
        let written = match (source, pieces) {
            (Some(Ok(source)), _) => self.copy(source, resumed, content)?,
            (_, Some((pieces, work))) => {
                // Before anything of it is read.
                content.expected().check(pieces.size())?;
                if pieces.size() <= resumed && resumed > 0 {
                    let message = format!("its size is only {}", pieces.size());
                    return Err(Error::new(ErrorKind::BadResponse, message));
                }
                (size, md5) = (size.or(Some(pieces.size())), pieces.md5());
                self.write_pieces(&*pieces, work, &failed)?
            }
            _ => {
                // No more than is announced, so that the disk is not filled.
                let limit = size.map_or(u64::MAX, |size| size - resumed.min(size) + 1);
                let copied = io::copy(&mut content.take(limit), &mut self.file);
                copied.map_err(|error| own_error(error, &failed))?
            }
        };
        let written = resumed + written;
        content.expected().check(written)?;
        if let Some(size) = size
            && written != size
        {
            let found = if written > size { "more" } else { "fewer" };
            let message = format!(
                "cannot write {}: its size was announced as {size}, and there are {found} bytes",
                target.display()
            );
            return Err(Error::new(ErrorKind::Io, message));
        }
        if let Some(md5) = md5 {
            self.check_sum(target, &md5, content)?;
        }
        // Full and remote disks may report errors only now; the file must not be registered then.
        self.file.sync_data().map_err(failed)
    }

    /// Reads pieces on the transfer's connections and appends them in their order, so that what is
    /// there can be continued at any moment.
    fn write_pieces(
        &self,
        pieces: &dyn Pieces,
        work: &Work,
        failed: &(impl Fn(io::Error) -> Error + Sync),
    ) -> Result<u64> {
        let open = |index| pieces.open(index).map_err(Error::from_callback);
        let written = AtomicU64::new(0);
        if pieces.count() == 1 || !work.has_connections() {
            for index in 0..pieces.count() {
                let mut piece = Counted {
                    reader: open(index)?.take(pieces.size()),
                    work,
                };
                let mut file = BufWriter::with_capacity(STREAM_BYTES, &self.file);
                let copied = io::copy(&mut piece, &mut file);
                let copied = copied.and_then(|copied| file.flush().map(|()| copied));
                let copied = copied.map_err(|error| own_error(error, failed))?;
                written.fetch_add(copied, Ordering::Relaxed);
            }
            return Ok(written.into_inner());
        }
        let turns = Turns::new();
        work.run(pieces.count(), |index| {
            let turn = turns.enter(index);
            let capacity = pieces.size().min(PIECE_BYTES);
            let mut data = Vec::with_capacity(usize::try_from(capacity).unwrap_or(0));
            let read = open(index)?.take(pieces.size()).read_to_end(&mut data);
            read.map_err(|error| own_error(error, failed))?;
            // Another piece has failed, and says why.
            if !turn.wait() {
                return Ok::<(), Error>(());
            }
            (&self.file).write_all(&data).map_err(failed)?;
            written.fetch_add(data.len() as u64, Ordering::Relaxed);
            work.advance(data.len() as u64)?;
            turn.end();
            Ok(())
        })?;
        Ok(written.into_inner())
    }

    /// Compares what was written, by earlier attempts too, with the sum that the storage gives.
    fn check_sum(&mut self, target: &Path, md5: &Md5Sum, content: &Content<'_>) -> Result<()> {
        let failed = io_error("read", target.display());
        self.file.rewind().map_err(&failed)?;
        let (mut hash, mut buffer) = (Md5::new(), vec![0; BUFFER_BYTES]);
        loop {
            content.advance(0)?;
            match fill(&mut self.file, &mut buffer).map_err(&failed)? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        let what = target.display().to_string();
        checksum::check(&what, &hash.finalize(), md5)
    }

    /// Continues an earlier attempt: the number of bytes that stay.
    fn resume(&mut self, content: &mut Content<'_>) -> Result<u64> {
        let path = self.path.clone();
        let failed = io_error("read", path.display());
        let length = self.file.metadata().map_err(&failed)?.len();
        if length == 0 {
            return Ok(0);
        }
        let fits = content.size().is_none_or(|size| length <= size);
        let is_same = fits
            && match content.path() {
                Some(path) => begins_with(path, &mut self.file, length).map_err(&failed)?,
                None => true,
            };
        let resumed = match (is_same, content.path()) {
            (false, _) => 0,
            (true, Some(_)) => length,
            // At least one byte is read, so that the source says how many there are.
            (true, None) => length - 1,
        };
        self.cut(resumed).map_err(failed)?;
        if resumed > 0 {
            content.skip(resumed);
        }
        Ok(resumed)
    }

    /// Keeps the start only.
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length)).map(drop)
    }

    /// Copies the rest of a file. The operating system does it, where possible without moving
    /// bytes.
    fn copy(&mut self, mut source: File, from: u64, content: &Content<'_>) -> Result<u64> {
        let name = content.path().unwrap_or(Path::new("")).to_owned();
        let failed = io_error("copy", name.display());
        source.seek(SeekFrom::Start(from)).map_err(&failed)?;
        let mut copied = 0;
        loop {
            let count =
                io::copy(&mut (&source).take(COPY_BYTES), &mut self.file).map_err(&failed)?;
            content.advance(count)?;
            copied += count;
            if count < COPY_BYTES {
                return Ok(copied);
            }
        }
    }

    fn persist(self, target: &Path, replace: bool) -> Result<()> {
        let path =
            TempPath::try_from_path(self.path).map_err(io_error("write", target.display()))?;
        let failed = match replace {
            true => path.persist(target).err(),
            false => path.persist_noclobber(target).err(),
        };
        let Some(failed) = failed else {
            return Ok(());
        };
        // Some network file systems cannot rename without replacing, so look once more and rename.
        if failed.error.kind() == io::ErrorKind::AlreadyExists || target.symlink_metadata().is_ok()
        {
            return Err(already_exists(target));
        }
        let renamed = failed.path.persist(target);
        renamed.map_err(|failed| io_error("write", target.display())(failed.error))
    }

    /// Leaves the file for the next attempt if that can succeed, else removes it.
    fn abandon(self, error: &Error) {
        if !(self.is_resumable && may_resume(error)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Counts what is read as stored, unless the transfer was cancelled.
struct Counted<'a, R> {
    reader: R,
    work: &'a Work,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.work.advance(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}

/// The error of this crate that a reader returned, or else what `convert` makes of it.
fn own_error(error: io::Error, convert: impl Fn(io::Error) -> Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(convert)
}

/// A temporary file in `folder` with the permissions of an ordinary file.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ftrack-").suffix(".part");
    #[cfg(unix)]
    {
        // Temporary files are private by default; the umask restricts this mode. On Windows files
        // inherit the permissions of their folder.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Whether a file begins with the first `length` bytes of `part`.
fn begins_with(path: &Path, part: &mut File, length: u64) -> io::Result<bool> {
    let source = open_regular(path)?;
    part.rewind()?;
    same_bytes(&mut source.take(length), &mut part.take(length))
}

/// Whether two readers return the same bytes.
pub(crate) fn same_bytes(one: &mut impl Read, other: &mut impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        let count = fill(one, &mut left)?;
        if count != fill(other, &mut right)? || left[..count] != right[..count] {
            return Ok(false);
        }
        if count < BUFFER_BYTES {
            return Ok(true);
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn already_exists(path: &Path) -> Error {
    let path = path.display();
    Error::new(
        ErrorKind::Duplicate,
        format!("{path} exists already and is not replaced; remove it first"),
    )
}

/// Converts an error of the operating system about `path`.
pub(super) fn io_error(doing: &str, path: impl Display) -> impl Fn(io::Error) -> Error {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput => ErrorKind::Validation,
            _ => ErrorKind::Io,
        };
        let message = format!("cannot {doing} {path}: {error}");
        Error::new(kind, message).with_source(error)
    }
}
