//! Files on disk, found by the hash of a component's id.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir, TempPath};

/// The name under which a component's data is stored: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob(String);

impl Blob {
    /// The name for a component.
    pub(super) fn of(component_id: &str) -> Self {
        // Ids differ in case between clients, not between components.
        let id = component_id.trim().to_ascii_lowercase();
        let hash = Sha256::digest(id.as_bytes());
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// A name as it stands in a signed URL; `None` if it is no such name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (name.len() == 64 && name.bytes().all(digit)).then(|| Self(name.to_owned()))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

/// A folder of blobs, and one of files that are not complete yet.
#[derive(Debug)]
pub(super) struct Store {
    blobs: PathBuf,
    incoming: PathBuf,
    /// Removes everything when the store goes.
    _temporary: Option<TempDir>,
}

impl Store {
    pub(super) fn open(folder: Option<&Path>) -> io::Result<Self> {
        let temporary = match folder {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("ftrack-files-").tempdir()?),
        };
        let root = folder
            .or(temporary.as_ref().map(TempDir::path))
            .expect("one of the two folders is there");
        let store = Self {
            blobs: root.join("blobs"),
            incoming: root.join("incoming"),
            _temporary: temporary,
        };
        fs::create_dir_all(&store.blobs)?;
        // Uploads that a killed server left behind.
        match fs::remove_dir_all(&store.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&store.incoming)?,
        }
        Ok(store)
    }

    /// A file that vanishes unless it is kept.
    pub(super) fn incoming(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(&self.incoming)
    }

    /// Makes a complete file the data of `blob`, instead of what was there. The file must be
    /// closed.
    pub(super) fn keep(&self, file: TempPath, blob: &Blob) -> io::Result<()> {
        let path = self.path(blob);
        fs::create_dir_all(path.parent().expect("a blob lies in a folder"))?;
        file.persist(path).map_err(|error| error.error)
    }

    pub(super) fn path(&self, blob: &Blob) -> PathBuf {
        self.blobs.join(&blob.0[..2]).join(&blob.0)
    }

    pub(super) fn size(&self, blob: &Blob) -> Option<u64> {
        let metadata = fs::metadata(self.path(blob)).ok()?;
        Some(metadata.len())
    }

    pub(super) fn read(&self, blob: &Blob) -> io::Result<Vec<u8>> {
        fs::read(self.path(blob))
    }

    pub(super) fn remove(&self, blob: &Blob) -> io::Result<()> {
        match fs::remove_file(self.path(blob)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_kept_stays_and_what_is_not_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path())).unwrap();
        let evil = Blob::of("../../../etc/passwd");
        assert_eq!(store.size(&evil), None);
        drop(store.incoming().unwrap());
        for text in ["one", "other"] {
            let mut file = store.incoming().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            store.keep(file.into_temp_path(), &evil).unwrap();
            assert_eq!(store.read(&evil).unwrap(), text.as_bytes());
        }
        assert!(store.path(&evil).starts_with(folder.path().join("blobs")));
        assert_eq!(fs::read_dir(&store.incoming).unwrap().count(), 0);

        // As after a crash.
        fs::write(store.incoming.join("left"), "behind").unwrap();
        let store = Store::open(Some(folder.path())).unwrap();
        assert_eq!(fs::read_dir(&store.incoming).unwrap().count(), 0);
        assert_eq!(store.size(&evil), Some(5));
        store.remove(&evil).unwrap();
        store.remove(&evil).unwrap();
        assert_eq!(store.size(&evil), None);
    }

    #[test]
    fn names_are_hashes() {
        let blob = Blob::of("ABC");
        assert_eq!(blob, Blob::of("abc"));
        assert_eq!(Blob::parse(blob.name()), Some(blob.clone()));
        let upper = blob.name().to_uppercase();
        for bad in [
            "",
            "..",
            "x",
            upper.as_str(),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert_eq!(Blob::parse(bad), None);
        }
    }
}
