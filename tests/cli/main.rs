//! The program `ftrack`, run as its users run it, against an emulator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod bad_input;
mod changes;
mod examples;
mod imports;
mod memory;
mod profiles;
mod publish;
mod query;
mod schema;
mod streams;
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod terminal;
mod transfers;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use ftrack_api::{Entity, Session};
use ftrack_emulator::Emulator;
use support::secret;

/// For tests that change nothing.
static STUDIO: LazyLock<Emulator> = LazyLock::new(support::emulator);

/// The program in a folder of its own, with a server.
struct Cli {
    url: String,
    user: String,
    key: String,
    folder: tempfile::TempDir,
}

/// What a run of the program left.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Cli {
    /// With the server that tests share.
    fn reading() -> Self {
        Self::on(&STUDIO)
    }

    fn on(server: &Emulator) -> Self {
        Self {
            url: server.url().to_owned(),
            user: server.api_user().to_owned(),
            key: secret(server.api_key()).to_owned(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program without settings of this machine.
    fn bare(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack"));
        for (name, _) in std::env::vars() {
            let is_setting = ["FTRACK", "CLICOLOR", "NO_COLOR"].iter();
            if is_setting.clone().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("FTRACK_PROFILES", self.folder().join("profiles.toml"))
            .env("FTRACK_API_SCHEMA_CACHE_PATH", self.folder().join("schema"))
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// The program with server, user and key in its environment.
    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = self.bare(arguments);
        command
            .env("FTRACK_SERVER", &self.url)
            .env("FTRACK_API_USER", &self.user)
            .env("FTRACK_API_KEY", &self.key);
        command
    }

    fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// What it prints when it succeeds.
    #[track_caller]
    fn ok(&self, arguments: &[impl AsRef<OsStr>]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{}", run.err);
        run.out
    }

    /// What it says when it fails with `code`: all of `words`, and never the key.
    #[track_caller]
    fn fails(&self, arguments: &[impl AsRef<OsStr>], code: i32, words: &[&str]) -> Run {
        let run = self.run(arguments);
        run.check(code, words);
        assert!(!run.err.contains(&self.key), "the key is printed");
        run
    }
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn check(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// Two projects with one full name, by which paths may begin.
fn create_twins(session: &Session) {
    let schema: Entity = session.at("test").unwrap().get("project_schema").unwrap();
    for name in ["one", "two"] {
        let data = ftrack_api::data! {
            "name": name, "full_name": "Twins", "project_schema": &schema
        };
        session.create("Project", data).unwrap();
    }
    session.commit().unwrap();
}
