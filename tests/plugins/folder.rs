//! Folders of plugins for the tests.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Command;

use tempfile::TempDir;

use crate::support::trace;

/// A shell function that replies to an event: its number comes first in its line.
const REPLY: &str = r#"reply() {
    number="${1#*:}"
    echo "{\"number\": ${number%%,*}, \"reply\": $2}"
}"#;

/// A folder that is removed when it is dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        trace::listen();
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.path().join(name);
        let mut parent = path.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        while parent != self.path() {
            set_mode(parent, 0o755);
            parent = parent.parent().unwrap();
        }
        fs::write(&path, content).unwrap();
        set_mode(&path, mode);
    }

    /// A library under another name, without its extension.
    pub(crate) fn copy(&self, library: &Path, name: &str) {
        let name = format!("{name}.{}", std::env::consts::DLL_EXTENSION);
        self.write(&name, &fs::read(library).unwrap(), 0o755);
    }

    #[cfg(unix)]
    pub(crate) fn copy_example(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
        self.write(name, &fs::read(folder.join(name)).unwrap(), 0o755);
    }

    /// An executable in shell, which may take 0.2 seconds if its name begins with `t.bad`. In its
    /// script, `reply "$event" JSON` replies to the line of an event.
    pub(crate) fn shell(&self, file: &str, name: &str, subscribe: &str, script: &str) {
        let timeout = if name == "t.bad" && script.contains("sleep") {
            0.2
        } else {
            20.0
        };
        let declaration = serde_json::json!({
            "name": name, "version": "1.0", "subscribe": [subscribe], "timeout": timeout,
        });
        let text = format!("#!/bin/sh\n# ftrack-plugin: {declaration}\n{REPLY}\n{script}\n");
        self.write(file, text.as_bytes(), 0o755);
    }

    /// A plugin that `tests/plugins/program.rs` runs, and that has this many seconds for an event.
    pub(crate) fn program(&self, name: &str, subscribe: &str, how: &str, timeout: f64) {
        let run = example(&format!("program{}", std::env::consts::EXE_SUFFIX));
        let declaration = serde_json::json!({
            "name": name, "subscribe": [subscribe], "timeout": timeout, "run": [run, how],
        });
        let text = format!("# ftrack-plugin: {declaration}\n");
        self.write(&format!("{name}.ftrack-plugin"), text.as_bytes(), 0o644);
    }

    #[cfg(unix)]
    pub(crate) fn mode(&self, name: &str, mode: u32) {
        set_mode(&self.path().join(name), mode);
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

/// A library that Cargo built beside this test.
pub(crate) fn library(name: &str) -> PathBuf {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    example(&format!("{prefix}{name}{suffix}"))
}

fn example(file: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let examples = test.parent().unwrap().parent().unwrap().join("examples");
    let path = examples.join(file);
    assert!(
        path.exists(),
        "{} does not exist: `cargo build --workspace --examples` builds it",
        path.display()
    );
    path
}

/// `python3`, if there is one. In CI there must be.
#[cfg(unix)]
pub(crate) fn python() -> Option<String> {
    let output = Command::new("python3").arg("--version").output();
    let version = output.ok().filter(|output| output.status.success());
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(
        version.is_some() || std::env::var_os("CI").is_none(),
        "there is no python3"
    );
    version
}

/// The bytes with one text in the place of another; both are equally long, or the rest is
/// shortened.
pub(crate) fn replace(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut count = 0;
    let mut at = 0;
    while at + new.len() <= bytes.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + new.len()].copy_from_slice(new);
            count += 1;
        }
        at += 1;
    }
    assert!(count > 0, "the library says what it was built with");
    bytes
}

/// The part of a library that says what it was built with.
pub(crate) fn identity_of(library: &[u8]) -> Vec<u8> {
    let magic = b"\x7fftrack plugin\x01\ncrate ";
    let found = library.windows(magic.len()).position(|part| part == magic);
    let at = found.expect("the library has an identity");
    library[at..at + 512].to_vec()
}
