//! Data in files on a disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::part::{io_error, store};
use super::{Accessor, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{flush_folder, open_regular};

/// Files below a folder.
///
/// A resource identifier is a path relative to that folder, with `/` between its parts on every
/// platform. One that leads out of the folder (with `..`, or an absolute path elsewhere) is an
/// error. Symbolic links inside the folder are followed, wherever they lead.
///
/// ```
/// use ftrack_api::accessor::{Accessor, AccessorExt, DiskAccessor};
///
/// let folder = tempfile::tempdir()?;
/// let disk = DiskAccessor::new(folder.path())?;
/// disk.write_bytes("sh010/v001/plate.txt", b"12 frames")?;
/// let path = disk.get_filesystem_path("sh010/v001/plate.txt")?;
/// assert_eq!(std::fs::read(path)?, b"12 frames");
/// assert!(disk.get_filesystem_path("../elsewhere").is_err());
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskAccessor {
    prefix: Option<PathBuf>,
}

impl DiskAccessor {
    /// Files below `prefix`, which need not exist yet. A relative path is resolved now, against
    /// the current directory; `~` and variables are not expanded.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if `prefix` is empty.
    pub fn new(prefix: impl AsRef<Path>) -> Result<Self> {
        let prefix = prefix.as_ref();
        let absolute = std::path::absolute(prefix).map_err(|error| {
            let message =
                format!("{prefix:?} is not usable as the folder of a disk accessor: {error}");
            Error::new(ErrorKind::Configuration, message).with_source(error)
        })?;
        Ok(Self {
            prefix: Some(absolute),
        })
    }

    /// Files anywhere: resource identifiers are paths of this machine. For locations that only
    /// record where users have their files.
    pub fn anywhere() -> Self {
        Self { prefix: None }
    }

    /// The folder that contains all files, unless they can be anywhere.
    pub fn prefix(&self) -> Option<&Path> {
        self.prefix.as_deref()
    }

    fn path(&self, resource_identifier: &str) -> Result<PathBuf> {
        let given = Path::new(resource_identifier);
        let Some(prefix) = &self.prefix else {
            return match resource_identifier {
                "" => Err(invalid(resource_identifier, "it is empty")),
                _ => Ok(given.to_owned()),
            };
        };
        if given.components().any(|part| part == Component::ParentDir) {
            return Err(invalid(resource_identifier, "it contains `..`"));
        }
        // An absolute path replaces the prefix, as does a drive on Windows.
        let joined = prefix.join(given);
        if !joined.starts_with(prefix) {
            let why = format!("it is not below {}", prefix.display());
            return Err(invalid(resource_identifier, &why));
        }
        Ok(joined.components().collect())
    }

    /// The path, which must not be the prefix itself.
    fn path_below(&self, resource_identifier: &str) -> Result<PathBuf> {
        let path = self.path(resource_identifier)?;
        if self.prefix.as_ref() == Some(&path) {
            return Err(invalid(
                resource_identifier,
                "it is the root of the location",
            ));
        }
        Ok(path)
    }

    /// The resource identifier of a path: relative to the prefix, with `/` on every platform.
    fn identifier(&self, path: &Path) -> Result<String> {
        let inside = match &self.prefix {
            Some(prefix) => path.strip_prefix(prefix).unwrap_or(path),
            None => path,
        };
        let text = inside.to_str().ok_or_else(|| {
            let message = format!("{} is not Unicode text", path.display());
            Error::new(ErrorKind::Validation, message)
        })?;
        Ok(match (&self.prefix, std::path::MAIN_SEPARATOR) {
            (Some(_), '\\') => text.replace('\\', "/"),
            _ => text.to_owned(),
        })
    }
}

impl Accessor for DiskAccessor {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        let path = self.path_below(resource_identifier)?;
        let file = open_regular(&path).map_err(io_error("read", path.display()))?;
        Ok(Box::new(file))
    }

    /// Writes beside the target and renames, so that an incomplete file is never visible. Never
    /// replaces an existing file.
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let path = self.path_below(resource_identifier)?;
        store(&path, content, false)?;
        Ok(())
    }

    /// Flushes the folders: the files themselves are flushed when they are written.
    fn flush(&self, resource_identifiers: &[&str]) -> anyhow::Result<()> {
        let mut folders = BTreeSet::new();
        for identifier in resource_identifiers {
            let path = self.path_below(identifier)?;
            // Folders may be new as well.
            let parents = path
                .ancestors()
                .skip(1)
                .take_while(|folder| match &self.prefix {
                    Some(prefix) => folder.starts_with(prefix),
                    None => Some(*folder) == path.parent(),
                });
            folders.extend(parents.map(Path::to_owned));
        }
        for folder in folders {
            flush_folder(&folder).map_err(io_error("flush", folder.display()))?;
        }
        Ok(())
    }

    fn allows_connections(&self) -> bool {
        true
    }

    fn open_at(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Box<dyn Read + Send>> {
        let path = self.path_below(resource_identifier)?;
        let failed = io_error("read", path.display());
        let mut file = open_regular(&path).map_err(&failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(&failed)?;
        Ok(Box::new(file))
    }

    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        let path = self.path(resource_identifier)?;
        Ok(path
            .try_exists()
            .map_err(io_error("look for", path.display()))?)
    }

    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        let path = self.path_below(resource_identifier)?;
        let removed = match path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => Ok(removed
                .map(|()| true)
                .map_err(io_error("remove", path.display()))?),
        }
    }

    fn list(&self, resource_identifier: &str) -> anyhow::Result<Vec<String>> {
        let path = self.path(resource_identifier)?;
        let mut listing = Vec::new();
        for entry in fs::read_dir(&path).map_err(io_error("list", path.display()))? {
            let entry = entry.map_err(io_error("list", path.display()))?;
            listing.push(self.identifier(&entry.path())?);
        }
        listing.sort();
        Ok(listing)
    }

    fn is_file(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        Ok(self.path(resource_identifier)?.is_file())
    }

    fn is_container(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        Ok(self.path(resource_identifier)?.is_dir())
    }

    fn make_container(&self, resource_identifier: &str) -> anyhow::Result<()> {
        let path = self.path(resource_identifier)?;
        Ok(fs::create_dir_all(&path).map_err(io_error("create", path.display()))?)
    }

    fn get_container(&self, resource_identifier: &str) -> anyhow::Result<Option<String>> {
        let path = self.path_below(resource_identifier)?;
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        Ok(parent.map(|parent| self.identifier(parent)).transpose()?)
    }

    fn get_filesystem_path(&self, resource_identifier: &str) -> anyhow::Result<PathBuf> {
        Ok(self.path(resource_identifier)?)
    }
}

fn invalid(resource_identifier: &str, why: &str) -> Error {
    let message = format!("the resource identifier {resource_identifier:?} is invalid: {why}");
    Error::new(ErrorKind::Validation, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accessor::AccessorExt;

    fn kind(error: &anyhow::Error) -> ErrorKind {
        error.downcast_ref::<Error>().unwrap().kind()
    }

    #[test]
    fn identifiers_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("in");
        let disk = DiskAccessor::new(&inner).unwrap();
        let sibling = format!("{}side/x", inner.display());
        for bad in [
            "..",
            "../x",
            "a/../../x",
            "a/../b",
            "/etc/passwd",
            "./../x",
            &sibling,
        ] {
            for refused in [
                disk.get_filesystem_path(bad).map(drop),
                disk.open(bad).map(drop),
                disk.write_bytes(bad, b"x"),
                disk.exists(bad).map(drop),
                disk.remove(bad).map(drop),
                disk.list(bad).map(drop),
                disk.make_container(bad),
                disk.get_container(bad).map(drop),
            ] {
                assert_eq!(kind(&refused.unwrap_err()), ErrorKind::Validation, "{bad}");
            }
        }
        for (good, path) in [
            ("a/b.txt", "a/b.txt"),
            ("./a//b.txt", "a/b.txt"),
            ("a..b", "a..b"),
            ("", ""),
        ] {
            let expected: PathBuf = inner.join(path).components().collect();
            assert_eq!(disk.get_filesystem_path(good).unwrap(), expected);
        }
        // An absolute path inside the folder is valid.
        let inside = inner.join("a.txt");
        assert_eq!(
            disk.get_filesystem_path(inside.to_str().unwrap()).unwrap(),
            inside
        );
        for whole in ["", "."] {
            assert_eq!(
                kind(&disk.remove(whole).unwrap_err()),
                ErrorKind::Validation
            );
        }
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn files_are_written_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = DiskAccessor::new(folder.path()).unwrap();
        disk.write_bytes("a/b/c.bin", &[0, 159, 146, 150]).unwrap();
        assert_eq!(disk.read_bytes("a/b/c.bin").unwrap(), [0, 159, 146, 150]);
        assert!(disk.exists("a/b/c.bin").unwrap() && disk.is_file("a/b/c.bin").unwrap());
        assert!(disk.is_container("a/b").unwrap() && !disk.is_file("a/b").unwrap());
        assert_eq!(disk.list("a/b").unwrap(), ["a/b/c.bin"]);
        assert_eq!(disk.list("").unwrap(), ["a"]);
        assert_eq!(disk.get_container("a/b/c.bin").unwrap().unwrap(), "a/b");
        assert_eq!(disk.get_container("a").unwrap().unwrap(), "");
        let again = disk.write_bytes("a/b/c.bin", b"new").unwrap_err();
        assert_eq!(kind(&again), ErrorKind::Duplicate);
        assert_eq!(disk.read_bytes("a/b/c.bin").unwrap(), [0, 159, 146, 150]);
        assert_eq!(kind(&disk.remove("a/b").unwrap_err()), ErrorKind::Io);
        assert!(disk.remove("a/b/c.bin").unwrap() && disk.remove("a/b").unwrap());
        assert!(!disk.remove("a/b").unwrap());
        assert_eq!(kind(&disk.open("a/b").err().unwrap()), ErrorKind::NotFound);
        assert_eq!(kind(&disk.open("a").err().unwrap()), ErrorKind::Validation);
    }

    #[test]
    fn system_errors_have_a_kind() {
        use io::ErrorKind as System;
        for (system, kind) in [
            (System::NotFound, ErrorKind::NotFound),
            (System::PermissionDenied, ErrorKind::Permission),
            (System::IsADirectory, ErrorKind::Validation),
            (System::StorageFull, ErrorKind::Io),
            (System::DirectoryNotEmpty, ErrorKind::Io),
        ] {
            let error = io_error("write", "/a/b")(system.into());
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains("cannot write /a/b"), "{error}");
        }
    }

    struct Breaks;

    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let disk = DiskAccessor::new(folder.path()).unwrap();
        let mut content = Content::new(b"half".chain(Breaks));
        let error = disk.write("plate.exr", &mut content).unwrap_err();
        assert!(error.to_string().contains("the cable is out"), "{error}");
        assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_follow_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let disk = DiskAccessor::new(folder.path()).unwrap();
        disk.write_bytes("ours", b"x").unwrap();
        fs::write(folder.path().join("plain"), b"x").unwrap();
        let mode = |name| {
            fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("ours"), mode("plain"));
    }
}
