//! The declaration of an executable plugin, which is read without starting it.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::path::open_trusted;
use crate::files;

/// How much of a file is searched for its declaration, and the maximum size of a declaration file.
const MAX_DECLARATION_BYTES: u64 = 64 * 1024;

/// Precedes the declaration in a file.
const MARK: &str = "ftrack-plugin:";

/// The JSON object after `ftrack-plugin:` on a line of the file, or in the file beside it whose name
/// ends with `.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declaration {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: Option<String>,
    pub(super) subscribe: Vec<String>,
    #[serde(default = "default_priority")]
    pub(super) priority: i32,
    /// In seconds.
    #[serde(default = "default_timeout")]
    timeout: f64,
    /// The program that runs the file, with its arguments, where the system cannot run it.
    #[serde(default)]
    pub(super) run: Vec<String>,
}

fn default_priority() -> i32 {
    100
}

fn default_timeout() -> f64 {
    10.0
}

impl Declaration {
    /// The time limit for one event.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// The declaration of the plugin at `path`, found below `root`.
    ///
    /// # Errors
    ///
    /// - What is wrong with the declaration or its file, or that there is none.
    pub(super) fn of(root: &Path, path: &Path) -> Result<Self, String> {
        let text = match beside(root, path)? {
            Some(text) => text,
            None => inside(root, path)?,
        };
        let declaration: Self = serde_json::from_str(&text)
            .map_err(|error| format!("its declaration cannot be read: {error}"))?;
        declaration.check()?;
        Ok(declaration)
    }

    fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("its declaration has no name".into());
        }
        if self.subscribe.is_empty() {
            return Err("its declaration subscribes to nothing".into());
        }
        if !(self.timeout > 0.0 && self.timeout <= 3600.0) {
            return Err(
                "the timeout in its declaration must be more than 0 and at most 3600".into(),
            );
        }
        Ok(())
    }
}

/// The declaration in the file beside a plugin, if there is one.
fn beside(root: &Path, path: &Path) -> Result<Option<String>, String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    let path = PathBuf::from(name);
    let unusable = |problem: String| format!("its .json file cannot be used: {problem}");
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
        Ok(_) => {}
    }
    let file = open_trusted(root, &path).map_err(unusable)?;
    let text = files::read_limited(file, MAX_DECLARATION_BYTES)
        .map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| unusable(error.to_string()))?;
    Ok(Some(text))
}

/// The declaration in a plugin's own file.
fn inside(root: &Path, path: &Path) -> Result<String, String> {
    let mut head = Vec::new();
    open_trusted(root, path)?
        .take(MAX_DECLARATION_BYTES)
        .read_to_end(&mut head)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let head = String::from_utf8_lossy(&head);
    let found = head.lines().find_map(|line| line.split_once(MARK));
    found.map(|(_, json)| json.trim().to_owned()).ok_or_else(|| {
        format!("it has no declaration: it needs a line with `{MARK} {{\"name\": …}}`, or a .json file")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Declaration, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ftrack-plugin");
        std::fs::write(&path, text).unwrap();
        let root = folder.path().canonicalize().unwrap();
        Declaration::of(&root, &path)
    }

    #[test]
    fn a_declaration_is_read_from_a_comment() {
        let text = "#!/bin/sh\n# ftrack-plugin: {\"name\": \"a\", \"subscribe\": [\"topic=x\"]}\n";
        let found = of(text).unwrap();
        assert_eq!((found.name.as_str(), found.priority), ("a", 100));
        assert_eq!(found.timeout(), Duration::from_secs(10));
    }

    #[test]
    fn a_file_beside_the_plugin_takes_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let path = root.join("a.ftrack-plugin");
        std::fs::write(&path, [0xff, 0, 1]).unwrap();
        let json = r#"{"name": "b", "subscribe": ["topic=x"], "run": ["python3"], "timeout": 0.5}"#;
        std::fs::write(folder.path().join("a.ftrack-plugin.json"), json).unwrap();
        let found = Declaration::of(&root, &path).unwrap();
        assert_eq!(
            (found.name.as_str(), found.run),
            ("b", vec!["python3".to_owned()])
        );
    }

    #[test]
    fn errors_name_the_mistake() {
        for (text, expected) in [
            ("echo hello", "has no declaration"),
            ("# ftrack-plugin: hello", "cannot be read"),
            (
                r#"# ftrack-plugin: {"name": "a"}"#,
                "missing field `subscribe`",
            ),
            (
                r#"# ftrack-plugin: {"name": "a", "subscribe": []}"#,
                "subscribes to nothing",
            ),
            (
                r#"# ftrack-plugin: {"name": " ", "subscribe": ["topic=x"]}"#,
                "no name",
            ),
            (
                r#"# ftrack-plugin: {"name": "a", "subscribe": ["x"], "timout": 1}"#,
                "timout",
            ),
            (
                r#"# ftrack-plugin: {"name": "a", "subscribe": ["x"], "timeout": 0}"#,
                "more than 0",
            ),
            (
                r#"# ftrack-plugin: {"name": "a", "subscribe": ["x"], "timeout": 1e9}"#,
                "at most",
            ),
        ] {
            let problem = of(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
