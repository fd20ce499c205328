//! The file of profiles: servers with a user and a key, for this user's eyes only.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use ftrack_api::ApiKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failure::{Code, Failure, Result};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The one that is used if nothing else is said.
    pub(crate) default: Option<String>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) server: String,
    pub(crate) user: String,
    pub(crate) api_key: Secret,
}

/// A key that is written to the file, and nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Secret(ApiKey);

impl Secret {
    pub(crate) fn new(key: ApiKey) -> Self {
        Self(key)
    }

    pub(crate) fn into_inner(self) -> ApiKey {
        self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Ok(Self(ApiKey::new(String::deserialize(deserializer)?)))
    }
}

impl Profile {
    pub(crate) fn is_for(&self, server: &str) -> bool {
        same_server(&self.server, server)
    }
}

/// Whether two texts name one server: the scheme may be left out, and a slash at the end.
pub(crate) fn same_server(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim().trim_end_matches('/').to_lowercase();
        match text.contains("://") {
            true => text,
            false => format!("https://{text}"),
        }
    };
    plain(one) == plain(other)
}

impl Profiles {
    /// What the file holds; nothing if there is none.
    ///
    /// # Errors
    ///
    /// - If others can read it: then the keys in it are no longer secret.
    /// - If it is a pipe or a device, which would be waited for or has no end.
    /// - If it cannot be read or understood.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::file(path, &error)),
        };
        if !found.is_file() {
            return Err(Failure::file(path, &"it is not a regular file"));
        }
        check_private(path, &found)?;
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        Self::parse(&text)
            .map_err(|failure| Failure::usage(format!("{}: {failure}", path.display())))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            // Its `Display` shows the line, which may be the one with the key.
            let line = error
                .span()
                .map(|span| text[..span.start].lines().count().max(1));
            let line = line.map_or_else(String::new, |line| format!("line {line}: "));
            Failure::usage(format!("{line}{}", error.message()))
        })
    }

    /// Writes the file so that only this user can read it.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let text = toml::to_string_pretty(self).map_err(|error| {
            Failure::new(Code::Failed, format!("cannot write profiles: {error}"))
        })?;
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(folder)?;
            // For its owner only from the start, and complete or not there.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|error| Failure::file(path, &error))
    }

    /// # Errors
    ///
    /// - If there is no such profile: the message names those that there are.
    pub(crate) fn get(&self, name: &str) -> Result<Profile> {
        self.profiles.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let failure = Failure::usage(match known.as_slice() {
                [] => format!("there is no profile {name:?}, nor any other"),
                _ => format!("there is no profile {name:?}, only {}", known.join(", ")),
            });
            failure
                .with_remedy("`ftrack profile list` shows them, `ftrack profile add NAME` adds one")
        })
    }

    /// The profile of `server`, or the one to use if no server is named.
    pub(crate) fn find(&self, server: Option<&str>) -> Result<Option<(String, Profile)>> {
        let Some(server) = server else {
            let only = match self.profiles.len() {
                1 => self.profiles.keys().next(),
                _ => None,
            };
            let Some(name) = self.default.as_ref().or(only) else {
                return Ok(None);
            };
            return Ok(Some((name.clone(), self.get(name)?)));
        };
        // Of several for one server, the default comes first.
        let is_default = |name: &String| Some(name) != self.default.as_ref();
        let mut fitting: Vec<_> = self
            .profiles
            .iter()
            .filter(|(_, one)| one.is_for(server))
            .collect();
        fitting.sort_by_key(|(name, _)| is_default(name));
        Ok(fitting
            .first()
            .map(|(name, one)| ((*name).clone(), (*one).clone())))
    }
}

#[cfg(unix)]
fn check_private(path: &Path, found: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let message = format!(
        "{} is open to other users (mode {mode:o}), and holds keys",
        path.display()
    );
    Err(Failure::usage(message).with_remedy(format!(
        "`chmod 600 {}`; if others may have read it, get new keys",
        path.display()
    )))
}

/// Folders of a user's configuration are private to that user by default.
#[cfg(not(unix))]
fn check_private(_: &Path, _: &fs::Metadata) -> Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("profiles.toml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let failure = Profiles::load(&pipe).err().unwrap();
        assert!(
            failure.to_string().contains("not a regular file"),
            "{failure}"
        );
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ftrack").join("profiles.toml");
        assert!(Profiles::load(&path).unwrap().profiles.is_empty());
        let mut profiles = Profiles::default();
        let profile = Profile {
            server: "https://a.example".into(),
            user: "ada".into(),
            api_key: Secret::new(ApiKey::new("with \"quotes\" and \\")),
        };
        profiles.profiles.insert("a b".into(), profile);
        profiles.save(&path).unwrap();
        let found = Profiles::load(&path).unwrap().find(None).unwrap().unwrap();
        assert_eq!(found.0, "a b");
        assert_eq!(
            found.1.api_key.into_inner().reveal(),
            "with \"quotes\" and \\"
        );
    }

    #[test]
    fn messages_about_the_file_hold_no_key() {
        for text in [
            "[profiles.a]\nserver = 1\napi_key = \"s3cret\"\n",
            "[profiles.a]\napi_key = \"s3cret\nuser = \"a\"\n",
            "[profiles.a]\napi_key = [\"s3cret\"]\nserver = \"a\"\nuser = \"a\"\n",
            "[profiles.a]\napi_key = s3cret\n",
        ] {
            let failure = Profiles::parse(text).unwrap_err();
            assert!(!failure.to_string().contains("s3cret"), "{failure}");
            assert!(failure.to_string().contains("line"), "{failure}");
        }
        let secret = Secret::new(ApiKey::new("s3cret"));
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn servers_are_the_same_however_they_are_written() {
        for (one, other, same) in [
            ("https://a.example/", "https://A.example", true),
            ("a.example", "https://a.example", true),
            ("http://a.example", "https://a.example", false),
            ("a.example", "b.example", false),
        ] {
            assert_eq!(same_server(one, other), same, "{one} {other}");
        }
    }
}
