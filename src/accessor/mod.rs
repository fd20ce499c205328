//! How the data of a location is reached: the trait, and the accessors that come with the crate.

mod disk;
mod server;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

pub use disk::DiskAccessor;
pub(crate) use server::ServerAccessor;

/// Access to the data of a [`Location`](crate::Location): a disk, an object store, a server.
///
/// A *resource identifier* says where in the location some data is. It is what a
/// [`Structure`](crate::structure::Structure) makes and what the server keeps, so that every
/// accessor to the same location, on every platform, must understand it: a path below a mount
/// point rather than a path of one machine.
///
/// Four methods make an accessor; the others have defaults for stores that know no folders. An
/// accessor is used from several threads. Its errors reach the caller with the location and the
/// component in front; an [`Error`] of this crate keeps its kind.
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
///         let data = files.get(resource_identifier).context("there is no such file")?;
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
///     fn remove(&self, resource_identifier: &str) -> anyhow::Result<()> {
///         let mut files = self.0.lock().expect("no thread panics");
///         files.remove(resource_identifier).context("there is no such file")?;
///         Ok(())
///     }
/// }
///
/// let store = Memory::default();
/// store.write_bytes("plates/sh010.txt", b"12 frames")?;
/// assert_eq!(store.read_bytes("plates/sh010.txt")?, b"12 frames");
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Accessor: Send + Sync + 'static {
    /// Opens data for reading, from the front to the end.
    ///
    /// # Errors
    ///
    /// If there is no such data, or it cannot be read.
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>>;

    /// Stores what `content` holds, all of it or nothing: after an error there must be no half
    /// of it to be taken for the whole. Makes the containers that it needs.
    ///
    /// # Errors
    ///
    /// If it cannot be stored, or if there is data already and this accessor can tell.
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()>;

    /// Whether there is anything. A store that cannot tell answers `false` and replaces what is
    /// there.
    ///
    /// # Errors
    ///
    /// If it cannot be found out now.
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool>;

    /// Removes a file, or a container that is empty.
    ///
    /// # Errors
    ///
    /// If there is nothing, or it cannot be removed.
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<()>;

    /// The resource identifiers in a container.
    ///
    /// # Errors
    ///
    /// If it is no container; and unless it is overridden.
    fn list(&self, resource_identifier: &str) -> anyhow::Result<Vec<String>> {
        unsupported("list", resource_identifier)
    }

    /// Whether there is a file.
    ///
    /// # Errors
    ///
    /// Unless it is overridden.
    fn is_file(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        unsupported("is_file", resource_identifier)
    }

    /// Whether there is a container: a folder, or what stands for one.
    ///
    /// # Errors
    ///
    /// Unless it is overridden.
    fn is_container(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        unsupported("is_container", resource_identifier)
    }

    /// Makes a container and those that it is in; does nothing where there is one. The default
    /// does nothing: many stores have no containers.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    fn make_container(&self, resource_identifier: &str) -> anyhow::Result<()> {
        let _ = resource_identifier;
        Ok(())
    }

    /// The container that this is in; `None` for what is in none. The default says `None`.
    ///
    /// # Errors
    ///
    /// If the resource identifier cannot be used.
    fn get_container(&self, resource_identifier: &str) -> anyhow::Result<Option<String>> {
        let _ = resource_identifier;
        Ok(None)
    }

    /// The path of the data on this machine.
    ///
    /// # Errors
    ///
    /// Unless it is overridden: not every store has paths.
    fn get_filesystem_path(&self, resource_identifier: &str) -> anyhow::Result<PathBuf> {
        unsupported("get_filesystem_path", resource_identifier)
    }

    /// An address that the data can be fetched from. It may hold credentials.
    ///
    /// # Errors
    ///
    /// Unless it is overridden: not every store has addresses.
    fn get_url(&self, resource_identifier: &str) -> anyhow::Result<String> {
        unsupported("get_url", resource_identifier)
    }

    /// An address of an image of the data that is at most `size` pixels wide and high. It may
    /// hold credentials.
    ///
    /// # Errors
    ///
    /// Unless it is overridden: few stores make images.
    fn get_thumbnail_url(
        &self,
        resource_identifier: &str,
        size: Option<u32>,
    ) -> anyhow::Result<String> {
        let _ = size;
        unsupported("get_thumbnail_url", resource_identifier)
    }
}

fn unsupported<T>(operation: &str, resource_identifier: &str) -> anyhow::Result<T> {
    let message = format!("the accessor has no {operation}; asked for {resource_identifier:?}");
    Err(Error::new(ErrorKind::Unsupported, message).into())
}

/// Conveniences on every [`Accessor`].
pub trait AccessorExt: Accessor {
    /// All the data, in memory.
    ///
    /// # Errors
    ///
    /// As for [`Accessor::open`].
    fn read_bytes(&self, resource_identifier: &str) -> anyhow::Result<Vec<u8>> {
        let mut data = Vec::new();
        self.open(resource_identifier)?.read_to_end(&mut data)?;
        Ok(data)
    }

    /// Stores bytes.
    ///
    /// # Errors
    ///
    /// As for [`Accessor::write`].
    fn write_bytes(&self, resource_identifier: &str, data: &[u8]) -> anyhow::Result<()> {
        let mut content = Content::new(data).with_size(data.len() as u64);
        self.write(resource_identifier, &mut content)
    }
}

impl<A: Accessor + ?Sized> AccessorExt for A {}

/// What an accessor is to store: bytes to read, and what is known of them.
pub struct Content<'a> {
    reader: Box<dyn Read + Send + 'a>,
    file_name: String,
    size: Option<u64>,
    path: Option<PathBuf>,
}

impl<'a> Content<'a> {
    /// Whatever `reader` gives.
    pub fn new(reader: impl Read + Send + 'a) -> Self {
        Self {
            reader: Box::new(reader),
            file_name: "data".to_owned(),
            size: None,
            path: None,
        }
    }

    /// Says what a file with it would be called.
    #[must_use]
    pub fn with_file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// Says how many bytes there will be.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Says where on this machine a file with the same bytes is.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// What a file with it would be called, such as `main.exr`; `data` if nobody said.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// How many bytes there will be, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// A file on this machine with the same bytes, where there is one: it can be read twice, or
    /// copied by the system.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content")
            .field("file_name", &self.file_name)
            .field("size", &self.size)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
