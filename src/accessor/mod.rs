//! Access to the data of a location: the trait, and the accessors that come with the crate.

mod checksum;
mod content;
mod disk;
mod part;
mod ranges;
#[cfg(feature = "s3")]
mod s3;
mod server;
mod turns;
mod upload;
mod work;

use std::any::Any;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

pub(crate) use checksum::hex;
pub use content::Content;
pub(crate) use content::{Expected, Notes};
pub use disk::DiskAccessor;
pub(crate) use part::{same_bytes, store};
#[cfg(feature = "s3")]
pub use s3::{S3Accessor, S3Bucket};
pub(crate) use server::ServerAccessor;
pub use work::Progress;
pub(crate) use work::{Observer, Work, may_resume};

/// Access to the data of a [`Location`](crate::Location): a disk, an object store, a server.
///
/// A *resource identifier* names data in the location. A
/// [`Structure`](crate::structure::Structure) makes it and the server stores it. Every accessor
/// to the same location, on every platform, must understand it: use a path below a mount point
/// rather than a path of one machine.
///
/// Four methods are required; the others have defaults for stores without folders. An accessor is
/// used from several threads. Its errors reach the caller prefixed with the location and the
/// component; an [`Error`] of this crate keeps its kind.
///
/// ```
/// use std::collections::HashMap;
/// use std::io::{Cursor, Read};
/// use std::sync::Mutex;
/// use anyhow::Context;
/// use ftrack_api::accessor::{Accessor, AccessorExt, Content};
///
/// #[derive(Default)]
/// struct Memory(Mutex<HashMap<String, Vec<u8>>>);
///
/// impl Accessor for Memory {
///     fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
///         let files = self.0.lock().expect("no thread panics");
///         let data = files.get(resource_identifier).context("no such file")?;
///         Ok(Box::new(Cursor::new(data.clone())))
///     }
///     fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
///         let mut data = Vec::new();
///         content.read_to_end(&mut data)?;
///         self.0.lock().expect("no thread panics").insert(resource_identifier.into(), data);
///         Ok(())
///     }
///     fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
///         Ok(self.0.lock().expect("no thread panics").contains_key(resource_identifier))
///     }
///     fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
///         let mut files = self.0.lock().expect("no thread panics");
///         Ok(files.remove(resource_identifier).is_some())
///     }
/// }
///
/// let store = Memory::default();
/// store.write_bytes("plates/sh010.txt", b"12 frames")?;
/// assert_eq!(store.read_bytes("plates/sh010.txt")?, b"12 frames");
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Accessor: Send + Sync + 'static {
    /// Opens data for reading, from start to end.
    ///
    /// # Errors
    ///
    /// - If the data is missing or cannot be read.
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>>;

    /// Opens data for reading, from a byte offset to the end: to resume an interrupted transfer.
    /// The default reads and drops the bytes before.
    ///
    /// # Errors
    ///
    /// - Any error of [`open`](Self::open).
    fn open_at(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Box<dyn Read + Send>> {
        let mut reader = self.open(resource_identifier)?;
        io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
        Ok(reader)
    }

    /// Opens data from a byte offset on as pieces, which the connections of a transfer read at the
    /// same time. `None`, the default, if it cannot: it is read with
    /// [`open_at`](Self::open_at) then.
    ///
    /// # Errors
    ///
    /// - Any error of [`open`](Self::open).
    fn open_pieces(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Option<Box<dyn Pieces>>> {
        let _ = (resource_identifier, offset);
        Ok(None)
    }

    /// Whether one transfer may call `open`, `open_at` and `write` from several threads at once;
    /// see [`TransferOptions::connections`](crate::location::TransferOptions::connections). By
    /// default it may not, and calls them from the caller's thread.
    fn allows_connections(&self) -> bool {
        false
    }

    /// Whether data is as many bytes here as its component says. A transfer from here is an error
    /// then if it is not; see [`Location::download`](crate::Location::download). By default it need
    /// not be: an accessor may store data in a form of its own.
    fn keeps_size(&self) -> bool {
        false
    }

    /// Prepares to write several files, for instance to get their signed URLs in one request.
    /// Returns a value for each of them, in their order, which [`Content::take_prepared`] returns
    /// in `write`; or an empty list. A transfer calls it from the caller's thread for up to 100
    /// files at a time. The default returns an empty list.
    ///
    /// # Errors
    ///
    /// - If none of the files can be written.
    fn prepare(&self, files: &[PendingWrite<'_>]) -> anyhow::Result<Vec<Option<Prepared>>> {
        let _ = files;
        Ok(Vec::new())
    }

    /// Stores all of `content` or nothing: after an error, incomplete data must not be taken for
    /// complete. Creates the containers that it needs.
    ///
    /// # Errors
    ///
    /// - If it cannot be stored, or if there is data already and this accessor can tell.
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()>;

    /// Makes durable what was written, as far as `write` has not done that. A transfer calls it once
    /// for all its files, before it registers them. The default has no effect.
    ///
    /// # Errors
    ///
    /// - If the files may be lost: nothing is registered then.
    fn flush(&self, resource_identifiers: &[&str]) -> anyhow::Result<()> {
        let _ = resource_identifiers;
        Ok(())
    }

    /// Whether there is data or a container. A store that cannot tell returns `false` and
    /// replaces existing data.
    ///
    /// # Errors
    ///
    /// - If the store cannot be reached.
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool>;

    /// Removes a file or an empty container. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// - If it exists and cannot be removed.
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool>;

    /// The resource identifiers in a container.
    ///
    /// # Errors
    ///
    /// - If it is not a container. The default always fails.
    fn list(&self, resource_identifier: &str) -> anyhow::Result<Vec<String>> {
        unsupported("list", resource_identifier)
    }

    /// Whether this is a file.
    ///
    /// # Errors
    ///
    /// - If the store cannot be reached. The default always fails.
    fn is_file(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        unsupported("is_file", resource_identifier)
    }

    /// Whether this is a container: a folder or its equivalent.
    ///
    /// # Errors
    ///
    /// - If the store cannot be reached. The default always fails.
    fn is_container(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        unsupported("is_container", resource_identifier)
    }

    /// Creates a container and its parents; has no effect if it exists. The default has no
    /// effect: many stores have no containers.
    ///
    /// # Errors
    ///
    /// - If it cannot be created.
    fn make_container(&self, resource_identifier: &str) -> anyhow::Result<()> {
        let _ = resource_identifier;
        Ok(())
    }

    /// The container that this is in, or `None`. The default returns `None`.
    ///
    /// # Errors
    ///
    /// - If the resource identifier is invalid.
    fn get_container(&self, resource_identifier: &str) -> anyhow::Result<Option<String>> {
        let _ = resource_identifier;
        Ok(None)
    }

    /// The path of the data on this machine.
    ///
    /// # Errors
    ///
    /// - If the resource identifier is invalid. The default always fails: not every store has
    ///   paths.
    fn get_filesystem_path(&self, resource_identifier: &str) -> anyhow::Result<PathBuf> {
        unsupported("get_filesystem_path", resource_identifier)
    }

    /// A URL that the data can be downloaded from. It may contain credentials.
    ///
    /// # Errors
    ///
    /// - If the resource identifier is invalid. The default always fails: not every store has URLs.
    fn get_url(&self, resource_identifier: &str) -> anyhow::Result<String> {
        unsupported("get_url", resource_identifier)
    }

    /// A URL of an image of the data that is at most `size` pixels wide and high. It may contain
    /// credentials.
    ///
    /// # Errors
    ///
    /// - If the resource identifier is invalid. The default always fails: few stores make images.
    fn get_thumbnail_url(&self, resource_identifier: &str, size: u32) -> anyhow::Result<String> {
        let _ = size;
        unsupported("get_thumbnail_url", resource_identifier)
    }
}

/// Data of which several threads can read pieces at the same time.
pub trait Pieces: Send + Sync {
    /// The number of bytes from the start of all data to its end, whatever the offset.
    fn size(&self) -> u64;

    /// The MD5 of all data from its start, if the storage gives one. The default is `None`.
    fn md5(&self) -> Option<[u8; 16]> {
        None
    }

    /// The number of pieces.
    fn count(&self) -> usize;

    /// Opens a piece. Each is opened once. Of several connections, each has a piece in memory.
    ///
    /// # Errors
    ///
    /// - If it cannot be read, or the data changed since it was opened.
    fn open(&self, index: usize) -> anyhow::Result<Box<dyn Read + Send>>;
}

/// What an accessor prepared for writing a file.
pub type Prepared = Box<dyn Any + Send>;

/// A file that will be written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PendingWrite<'a> {
    /// Where it will be written.
    pub resource_identifier: &'a str,
    /// The name that a file with the content would have.
    pub file_name: &'a str,
    /// The number of bytes, if it is known.
    pub size: Option<u64>,
    /// The path of a file on this machine with the same bytes, if there is one.
    pub path: Option<&'a Path>,
}

fn unsupported<T>(operation: &str, resource_identifier: &str) -> anyhow::Result<T> {
    let message = format!("the accessor does not support {operation} (of {resource_identifier:?})");
    Err(Error::new(ErrorKind::Unsupported, message).into())
}

/// Convenience methods of every [`Accessor`].
pub trait AccessorExt: Accessor {
    /// All the data, in memory.
    ///
    /// # Errors
    ///
    /// - Any error of [`Accessor::open`].
    fn read_bytes(&self, resource_identifier: &str) -> anyhow::Result<Vec<u8>> {
        let mut data = Vec::new();
        self.open(resource_identifier)?.read_to_end(&mut data)?;
        Ok(data)
    }

    /// Stores bytes.
    ///
    /// # Errors
    ///
    /// - Any error of [`Accessor::write`].
    fn write_bytes(&self, resource_identifier: &str, data: &[u8]) -> anyhow::Result<()> {
        let mut content = Content::new(data).with_size(data.len() as u64);
        self.write(resource_identifier, &mut content)
    }
}

impl<A: Accessor + ?Sized> AccessorExt for A {}
