//! The real socket.io server and the official hubs, installed by name into `target/peers`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

const PYTHON: &str = "ftrack-python-api==3.1.0";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a contender measures; the programs beside this print it as JSON.
#[derive(Default, Deserialize)]
pub(crate) struct Figures {
    /// Publish to receive, in microseconds.
    pub(crate) latencies: Vec<u64>,
    /// How many events of the burst arrived, and how long the last took.
    pub(crate) received: u32,
    pub(crate) seconds: f64,
    /// The share of a processor that connected hubs use while nothing happens.
    pub(crate) idle: f64,
    /// Expressions a second.
    pub(crate) parse: Option<f64>,
    #[serde(rename = "match")]
    pub(crate) matched: Option<f64>,
}

/// Where everything is installed.
pub(crate) struct Peers {
    home: PathBuf,
    python: PathBuf,
}

impl Peers {
    /// Installs what is missing, and panics if it cannot.
    pub(crate) fn install() -> Self {
        let home = Path::new(ROOT).join("target/peers");
        std::fs::create_dir_all(&home).unwrap();
        let wanted = Path::new(ROOT).join("tests/peers/events/package.json");
        if !home.join("node_modules/socket.io").is_dir() {
            std::fs::copy(wanted, home.join("package.json")).unwrap();
            let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
            run(Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(&home));
        }
        let folder = if cfg!(windows) { "Scripts" } else { "bin" };
        let python = home.join("venv").join(folder).join("python");
        let there = Command::new(&python)
            .args(["-c", "import ftrack_api.event.hub"])
            .stderr(Stdio::null())
            .status();
        if !there.is_ok_and(|status| status.success()) {
            run(Command::new("python3")
                .args(["-m", "venv"])
                .arg(home.join("venv")));
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PYTHON]));
        }
        Self { home, python }
    }

    /// Starts the server; it ends with this.
    pub(crate) fn server(&self) -> Server {
        let script = Path::new(ROOT).join("tests/peers/events/server.cjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("FTRACK_PEERS_NODE", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").unwrap();
        let url = format!("http://127.0.0.1:{port}");
        Server { child, url }
    }

    /// Lets the official client of a language play.
    pub(crate) fn play(&self, language: &str, url: &str, latencies: u32, burst: u32) -> Figures {
        let (program, script) = match language {
            "python" => (self.python.as_path(), "client.py"),
            _ => (Path::new("node"), "client.mjs"),
        };
        let output = Command::new(program)
            .arg(Path::new(ROOT).join("benches/events").join(script))
            .args([url, &latencies.to_string(), &burst.to_string()])
            .env("FTRACK_PEERS_NODE", &self.home)
            .env("PYTHONWARNINGS", "ignore")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the {language} hub failed");
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap()
    }
}

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{command:?}: {status:?}"
    );
}
