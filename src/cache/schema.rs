//! The schema on disk: one file in a folder, accepted if its hash is the server's.
//!
//! Name and format are those of the Python client: a JSON list of schemas. What is written is the
//! text whose MD5 the server reports, so that checking it takes one pass over the bytes. Any other
//! JSON text of the same schemas is accepted as well.

use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::config::{Config, SchemaCache, variable};
use crate::error::Result;
use crate::files;
use crate::schema::{Schema, WireSchema, md5_hex, schema_hash};

const FILE_NAME: &str = "ftrack_api_schema_cache.json";

/// The largest file that is read. Schemas of large studios have about 3 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The file for this configuration; `None` if the schema is not cached.
pub(crate) fn file_for(config: &Config) -> Option<PathBuf> {
    match &config.schema_cache {
        SchemaCache::Off => None,
        SchemaCache::Dir(folder) => Some(folder.join(FILE_NAME)),
        SchemaCache::Auto => match private_folder(&std::env::temp_dir()) {
            Ok(folder) => {
                // Several servers must not overwrite one another.
                let server = md5_hex(config.server_url.as_str().as_bytes());
                Some(folder.join(server).join(FILE_NAME))
            }
            Err(why) => {
                log::warn!("the schema is not cached: {why}");
                None
            }
        },
    }
}

impl SchemaCache {
    /// The files in which schemas are kept now, whichever server they are of: to show them, or to
    /// remove them. [`SchemaCache::Auto`] looks where `FTRACK_API_SCHEMA_CACHE_PATH` says, as a
    /// session would.
    ///
    /// ```
    /// use ftrack_api::config::SchemaCache;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let cache = SchemaCache::Dir(folder.path().into());
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// # let builder = ftrack_api::Session::builder().server_url(url).api_key(key).api_user(user);
    /// assert!(cache.files()?.is_empty());
    /// builder.schema_cache(cache.clone()).open()?;
    /// assert_eq!(cache.files()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Io`](crate::ErrorKind::Io) if a folder cannot be read, or is not safe to use.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let refuse = |why: String| crate::Error::new(crate::ErrorKind::Io, why);
        let chosen = match self {
            Self::Off => return Ok(Vec::new()),
            Self::Dir(folder) => Some(folder.clone()),
            Self::Auto => variable("FTRACK_API_SCHEMA_CACHE_PATH").map(PathBuf::from),
        };
        let folders = match chosen {
            Some(folder) => vec![folder],
            None => {
                let parent = private_folder(&std::env::temp_dir()).map_err(refuse)?;
                let list = std::fs::read_dir(&parent)
                    .and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
                let list: Vec<std::fs::DirEntry> =
                    list.map_err(|error| refuse(format!("{}: {error}", parent.display())))?;
                list.into_iter().map(|folder| folder.path()).collect()
            }
        };
        let files = folders.into_iter().map(|folder| folder.join(FILE_NAME));
        Ok(files.filter(|file| file.is_file()).collect())
    }
}

/// The schema in `file` if it has this hash. Anything else is a miss.
pub(crate) fn read(file: &Path, hash: &str) -> Option<Schema> {
    let bytes = match files::read_regular(file, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != IoErrorKind::NotFound {
                log::warn!("cannot read the schema cache {}: {error}", file.display());
            }
            return None;
        }
    };
    match parse(&bytes, hash) {
        Ok(Some(schema)) => Some(schema),
        Ok(None) => {
            log::debug!(
                "the schema cache {} holds a different schema",
                file.display()
            );
            None
        }
        Err(error) => {
            log::warn!(
                "the schema cache {} cannot be used: {error}",
                file.display()
            );
            None
        }
    }
}

/// The schema in `file`, whatever its hash.
///
/// # Errors
///
/// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if no schema can be read from it.
pub(crate) fn read_offline(file: Option<&Path>) -> Result<Schema> {
    let refuse = |why: String| {
        crate::Error::new(
            crate::ErrorKind::Configuration,
            format!("{why}; open a session online first, with the same schema cache"),
        )
    };
    let file = file.ok_or_else(|| {
        refuse("a session cannot be opened offline without a schema cache".to_owned())
    })?;
    let name = file.display();
    let unusable = |error: &dyn std::fmt::Display| {
        refuse(format!(
            "the schema cache {name} cannot be used offline: {error}"
        ))
    };
    let bytes = files::read_regular(file, MAX_FILE_BYTES).map_err(|error| unusable(&error))?;
    let schemas: Json = serde_json::from_slice(&bytes).map_err(|error| unusable(&error))?;
    let (schema, _) = from_server(schemas).map_err(|error| unusable(&error))?;
    Ok(schema)
}

/// `None` for the valid text of a different schema.
fn parse(bytes: &[u8], hash: &str) -> std::result::Result<Option<Schema>, crate::Error> {
    let bad = |error: &dyn std::fmt::Display| {
        crate::Error::new(crate::ErrorKind::BadResponse, error.to_string())
    };
    // One check of the whole is cheaper than one for each text.
    let text = std::str::from_utf8(bytes).map_err(|error| bad(&error))?;
    let wire: Vec<WireSchema> = if md5_hex(bytes) == hash {
        serde_json::from_str(text).map_err(|error| bad(&error))?
    } else {
        let schemas: Json = serde_json::from_str(text).map_err(|error| bad(&error))?;
        if schema_hash(&schemas).0 != hash {
            return Ok(None);
        }
        serde_json::from_value(schemas).map_err(|error| bad(&error))?
    };
    Schema::from_wire(wire, hash.to_owned()).map(Some)
}

/// The schema that a server sent, and its text for the file.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`](crate::ErrorKind::BadResponse) if it is no schema.
pub(crate) fn from_server(schemas: Json) -> Result<(Schema, Vec<u8>)> {
    let (hash, text) = schema_hash(&schemas);
    let wire = serde_json::from_value(schemas).map_err(|error| {
        crate::Error::new(
            crate::ErrorKind::BadResponse,
            format!("the server's schema cannot be read: {error}"),
        )
    })?;
    Ok((Schema::from_wire(wire, hash)?, text))
}

/// Replaces the file in one step, so that readers see the old text or the new one. A failure is
/// logged; the next session then fetches the schema again.
pub(crate) fn write(file: &Path, text: &[u8]) {
    if let Err(error) = replace(file, text) {
        log::warn!("cannot write the schema cache {}: {error}", file.display());
    }
}

fn replace(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(text)?;
    readable_by_all(temporary.as_file())?;
    temporary.persist(file)?;
    Ok(())
}

/// Temporary files are readable by their owner only, but a studio may share its cache folder.
#[cfg(unix)]
fn readable_by_all(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

/// New files inherit the folder's access list.
#[cfg(not(unix))]
fn readable_by_all(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// A folder in `parent` that belongs to this user and is not writable by others, who could
/// replace the schema otherwise.
#[cfg(unix)]
fn private_folder(parent: &Path) -> std::result::Result<PathBuf, String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let user = rustix::process::geteuid().as_raw();
    let folder = parent.join(format!("ftrack-api-{user}"));
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    if let Err(error) = made
        && error.kind() != IoErrorKind::AlreadyExists
    {
        return Err(format!("cannot create {}: {error}", folder.display()));
    }
    // The link itself, not what it leads to.
    let found = std::fs::symlink_metadata(&folder)
        .map_err(|error| format!("cannot inspect {}: {error}", folder.display()))?;
    let problem = if !found.is_dir() {
        "is not a folder"
    } else if found.uid() != user {
        "belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "is writable by other users"
    } else {
        return Ok(folder);
    };
    Err(format!(
        "{} {problem}; remove it, or set FTRACK_API_SCHEMA_CACHE_PATH",
        folder.display()
    ))
}

/// On Windows the temporary folder is inside the user's profile already.
#[cfg(not(unix))]
fn private_folder(parent: &Path) -> std::result::Result<PathBuf, String> {
    let folder = parent.join("ftrack-api");
    std::fs::create_dir_all(&folder)
        .map(|()| folder.clone())
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMAS: &str =
        r#"[{"id": "A", "primary_key": ["id"], "properties": {"id": {"type": "string"}}}]"#;

    fn stored() -> (tempfile::TempDir, PathBuf, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep").join(FILE_NAME);
        let (schema, text) = from_server(serde_json::from_str(SCHEMAS).unwrap()).unwrap();
        write(&file, &text);
        let hash = schema.hash().to_owned();
        (folder, file, hash)
    }

    #[test]
    fn a_written_schema_is_read_back() {
        let (_folder, file, hash) = stored();
        assert_eq!(read(&file, &hash).unwrap().hash(), hash);
    }

    #[test]
    fn the_text_may_have_another_layout() {
        let (_folder, file, hash) = stored();
        let value: Json = serde_json::from_str(SCHEMAS).unwrap();
        std::fs::write(&file, serde_json::to_string_pretty(&value).unwrap()).unwrap();
        assert!(read(&file, &hash).is_some());
    }

    #[test]
    fn corrupt_truncated_and_foreign_files_are_misses() {
        let (_folder, file, hash) = stored();
        let good = std::fs::read(&file).unwrap();
        let other = SCHEMAS.replace("\"A\"", "\"B\"");
        for bad in [
            &good[..good.len() / 2],
            b"",
            b"\xff\xfe",
            b"{}",
            b"[1]",
            other.as_bytes(),
        ] {
            std::fs::write(&file, bad).unwrap();
            assert!(read(&file, &hash).is_none());
        }
        std::fs::remove_file(&file).unwrap();
        assert!(read(&file, &hash).is_none());
        std::fs::create_dir(&file).unwrap();
        assert!(read(&file, &hash).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_misses_and_are_replaced() {
        let (_folder, file, hash) = stored();
        let good = std::fs::read(&file).unwrap();
        let pipe = |file: &Path| {
            let made = std::process::Command::new("mkfifo").arg(file).status();
            assert!(made.unwrap().success());
        };
        let endless = |file: &Path| std::os::unix::fs::symlink("/dev/zero", file).unwrap();
        for put in [&pipe as &dyn Fn(&Path), &endless] {
            std::fs::remove_file(&file).unwrap();
            put(&file);
            assert!(read(&file, &hash).is_none());
            let error = read_offline(Some(&file)).unwrap_err().to_string();
            assert!(error.contains("not a regular file"), "{error}");
            write(&file, &good);
            assert!(read(&file, &hash).is_some());
        }
    }

    #[test]
    fn an_unwritable_folder_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("file");
        std::fs::write(&occupied, "").unwrap();
        write(&occupied.join(FILE_NAME), b"[]");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let parent = tempfile::tempdir().unwrap();
        let folder = private_folder(parent.path()).unwrap();
        assert_eq!(private_folder(parent.path()).unwrap(), folder);
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let why = private_folder(parent.path()).unwrap_err();
        assert!(why.contains("writable by other users"), "{why}");
        std::fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink(parent.path(), &folder).unwrap();
        let why = private_folder(parent.path()).unwrap_err();
        assert!(why.contains("not a folder"), "{why}");
    }
}
