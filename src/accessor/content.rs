//! What an accessor is to store.

use std::io::Read;
use std::path::{Path, PathBuf};

/// What an accessor is to store: the bytes, and what is known about them.
pub struct Content<'a> {
    reader: Box<dyn Read + Send + 'a>,
    file_name: String,
    size: Option<u64>,
    path: Option<PathBuf>,
}

impl<'a> Content<'a> {
    /// The bytes that `reader` returns.
    pub fn new(reader: impl Read + Send + 'a) -> Self {
        Self {
            reader: Box::new(reader),
            file_name: "data".to_owned(),
            size: None,
            path: None,
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

    /// The name that a file with this content would have, such as `main.exr`; `data` by default.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The number of bytes, if it is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The path of a file on this machine with the same bytes, if there is one: it can be read
    /// twice, or copied by the operating system.
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
