//! What an accessor is to store.

use std::any::Any;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Pieces;
use super::work::Work;
use crate::error::{Error, ErrorKind, Result};

/// Opens the bytes from an offset on.
type Open<'a> = Box<dyn FnMut(u64) -> io::Result<Box<dyn Read + Send + 'a>> + Send + 'a>;

/// Opens pieces from an offset on, if the source has them.
type OpenPieces<'a> = Box<dyn Fn(u64) -> Result<Option<Box<dyn Pieces>>> + Send + 'a>;

/// What an accessor is to store: the bytes, and what is known about them.
pub struct Content<'a> {
    reader: Option<Box<dyn Read + Send + 'a>>,
    open: Option<Open<'a>>,
    open_pieces: Option<OpenPieces<'a>>,
    /// The number of bytes at the start to skip.
    skipped: u64,
    file_name: String,
    size: Option<u64>,
    expected: Expected,
    /// The number of bytes that were read.
    read: u64,
    path: Option<PathBuf>,
    /// Identifies the source of the bytes, if there is no path.
    origin: Option<String>,
    prepared: Option<Box<dyn Any + Send>>,
    notes: Option<&'a dyn Notes>,
    work: Option<&'a Work>,
    link: bool,
}

/// How many bytes a component has, as the server says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It does not say.
    #[default]
    Unknown,
    Exactly(u64),
    AtMost(u64),
}

impl Expected {
    /// The bytes of one that says `size`, in a sequence or a container of `whole` bytes. 0 is the
    /// size of what nobody has measured. Clients that are told the size of a sequence give each
    /// member an equal share of it.
    pub(crate) fn new(size: Option<u64>, whole: Option<u64>) -> Self {
        match (size.unwrap_or(0), whole.unwrap_or(0)) {
            (0, 0) => Self::Unknown,
            (size, 0) => Self::Exactly(size),
            (size, whole) => Self::AtMost(size.max(whole)),
        }
    }

    /// The number of bytes, if it is known.
    pub(crate) fn exact(self) -> Option<u64> {
        match self {
            Self::Exactly(size) => Some(size),
            Self::Unknown | Self::AtMost(_) => None,
        }
    }

    fn most(self) -> u64 {
        match self {
            Self::Unknown => u64::MAX,
            Self::Exactly(size) | Self::AtMost(size) => size,
        }
    }

    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if it may not have so many.
    pub(crate) fn check(self, found: u64) -> Result<()> {
        let expected = match self {
            Self::Unknown => return Ok(()),
            Self::Exactly(size) if found == size => return Ok(()),
            Self::AtMost(size) if found <= size => return Ok(()),
            Self::Exactly(size) => format!("{size}"),
            Self::AtMost(size) => format!("{size} in its whole sequence"),
        };
        let message =
            format!("the size of the data is {found}, and that of the component is {expected}");
        let error = Error::new(ErrorKind::BadResponse, message);
        Err(error.with_remedy(
            "If the data is right, correct the component's `size`, or read it with `Location::open`.",
        ))
    }
}

/// What an interrupted write left for the next attempt.
pub(crate) trait Notes: Sync {
    /// The notes of the last attempt, in order.
    fn all(&self) -> Vec<String>;
    fn add(&self, note: &str);
    fn clear(&self);
}

impl<'a> Content<'a> {
    /// The bytes that `reader` returns.
    pub fn new(reader: impl Read + Send + 'a) -> Self {
        let mut content = Self::empty();
        content.reader = Some(Box::new(reader));
        content
    }

    /// Bytes that are opened when they are needed, from an offset on.
    pub(crate) fn opened_by(
        open: impl FnMut(u64) -> io::Result<Box<dyn Read + Send + 'a>> + Send + 'a,
    ) -> Self {
        let mut content = Self::empty();
        content.open = Some(Box::new(open));
        content
    }

    fn empty() -> Self {
        Self {
            reader: None,
            open: None,
            open_pieces: None,
            skipped: 0,
            file_name: "data".to_owned(),
            size: None,
            expected: Expected::Unknown,
            read: 0,
            path: None,
            origin: None,
            prepared: None,
            notes: None,
            work: None,
            link: false,
        }
    }

    /// Sets the name that a file with this content would have.
    #[must_use]
    pub fn with_file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// Sets the number of bytes.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Sets the path of a file on this machine with the same bytes.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The source of [`opened_by`](Self::opened_by) in pieces.
    pub(crate) fn with_pieces(
        mut self,
        open: impl Fn(u64) -> Result<Option<Box<dyn Pieces>>> + Send + 'a,
    ) -> Self {
        self.open_pieces = Some(Box::new(open));
        self
    }

    pub(crate) fn with_expected(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    pub(crate) fn with_origin(mut self, origin: String) -> Self {
        self.origin = Some(origin);
        self
    }

    pub(crate) fn with_prepared(mut self, prepared: Option<Box<dyn Any + Send>>) -> Self {
        self.prepared = prepared;
        self
    }

    pub(crate) fn with_work(mut self, work: &'a Work) -> Self {
        self.work = Some(work);
        self
    }

    pub(crate) fn with_notes(mut self, notes: &'a dyn Notes) -> Self {
        self.notes = Some(notes);
        self
    }

    pub(crate) fn with_link(mut self, link: bool) -> Self {
        self.link = link;
        self
    }

    /// The name that a file with this content would have, such as `main.exr`; `data` by default.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The number of bytes, if it is known.
    pub fn size(&self) -> Option<u64> {
        self.size.or(self.expected.exact())
    }

    pub(crate) fn expected(&self) -> Expected {
        self.expected
    }

    /// The path of a file on this machine with the same bytes, if there is one: it can be read
    /// twice, or copied by the operating system.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether a hard link to [`path`](Self::path) is welcome.
    pub(crate) fn may_link(&self) -> bool {
        self.link
    }

    /// What [`Accessor::prepare`](super::Accessor::prepare) returned for this file, if it is a `T`.
    pub fn take_prepared<T: 'static>(&mut self) -> Option<Box<T>> {
        self.prepared.take()?.downcast().ok()
    }

    pub(crate) fn notes(&self) -> Option<&'a dyn Notes> {
        self.notes
    }

    pub(crate) fn work(&self) -> Option<&'a Work> {
        self.work
    }

    /// Counts bytes that the accessor stored without reading them from this.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) if the transfer was cancelled.
    pub(crate) fn advance(&self, bytes: u64) -> Result<()> {
        self.work.map_or(Ok(()), |work| work.advance(bytes))
    }

    /// The bytes that are not skipped in pieces, if the source has pieces. Only before anything is
    /// read.
    pub(crate) fn pieces(&self) -> Result<Option<(Box<dyn Pieces>, &'a Work)>> {
        match (&self.open_pieces, self.work) {
            (Some(open), Some(work)) => Ok(open(self.skipped)?.map(|pieces| (pieces, work))),
            _ => Ok(None),
        }
    }

    /// Skips bytes that an earlier attempt stored. Only before anything is read, and only if the
    /// source of the bytes is known.
    pub(crate) fn skip(&mut self, bytes: u64) {
        self.skipped = bytes;
        if let Some(work) = self.work {
            work.resume(bytes);
        }
    }
}

impl Content<'_> {
    /// Begins anew after so many bytes were counted.
    pub(crate) fn restart(&mut self, counted: u64) {
        (self.skipped, self.read, self.reader) = (0, 0, None);
        if let Some(work) = self.work {
            work.take_back(counted);
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (None, Some(open)) = (&self.reader, &mut self.open) {
            self.reader = Some(open(self.skipped)?);
        }
        let Some(reader) = &mut self.reader else {
            return Ok(0);
        };
        let count = reader.read(buffer)?;
        self.read += count as u64;
        let found = self.skipped + self.read;
        // Whatever it is stored in must not be filled.
        if found > self.expected.most() || (count == 0 && !buffer.is_empty()) {
            self.expected.check(found).map_err(io::Error::other)?;
        }
        self.advance(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}

debug_fields!(Content<'_>, |this| file_name: this.file_name, size: this.size, path: this.path);
