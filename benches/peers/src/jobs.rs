//! Who is asked to do what.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use wait4::Wait4 as _;

use crate::contender::{Report, Time, statement, users_statement};
use crate::install::Clients;
use crate::record::COPIES;
use crate::run::Size;

/// A contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Ours,
    /// The Python module on the SDK: the same script as the official client.
    Module,
    Python,
    JavaScript,
    /// `ureq` and `serde_json::Value`, kept.
    Value,
    /// `ureq` and `serde_json` into structs.
    Structs,
    /// `ureq` alone.
    Bytes,
}

/// A process that is started once for each repetition.
///
/// - `start`: open a session, and end.
/// - `work`: open, load tasks, touch their attributes, get each by key, update some, create some.
/// - `users`: open, load tasks with what users read besides, read their links as lists.
/// - `slow`: the same over a slow link.
/// - `rows`: open, read tasks as structs.
/// - `read`: open, read the bytes of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) who: Who,
    pub(crate) scenario: &'static str,
    pub(crate) count: usize,
}

/// What a process said of itself, and what it was seen to cost.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    /// From its start to its end.
    pub(crate) process: Time,
    /// The most memory that it had: when the tasks were loaded where it could tell, else ever.
    pub(crate) peak: u64,
}

/// What is done once in each repetition, in this order.
pub(crate) fn all(size: &Size) -> Vec<Job> {
    use Who::{Bytes, JavaScript, Module, Ours, Python, Structs, Value};

    let job = |who, scenario, count| Job {
        who,
        scenario,
        count,
    };
    let (tasks, few) = (size.tasks, size.changes);
    vec![
        job(Ours, "start", 0),
        job(Value, "start", 0),
        job(Module, "start", 0),
        job(Python, "start", 0),
        job(JavaScript, "start", 0),
        job(Ours, "work", tasks),
        job(Value, "work", tasks),
        job(Ours, "rows", tasks),
        job(Structs, "rows", tasks),
        job(Bytes, "read", tasks),
        job(Module, "work", tasks),
        job(Python, "work", tasks),
        job(JavaScript, "work", tasks),
        job(Ours, "work", few),
        job(Value, "work", few),
        job(Module, "work", few),
        job(Python, "work", few),
        job(JavaScript, "work", few),
        job(Ours, "work", tasks * COPIES),
        job(Ours, "rows", few),
        job(Ours, "users", tasks),
        job(Value, "users", tasks),
        job(Ours, "slow", tasks),
        job(Value, "slow", tasks),
        job(Module, "slow", tasks),
        job(Python, "slow", tasks),
        job(JavaScript, "slow", tasks),
    ]
}

/// Where contenders find what they need.
pub(crate) struct Place<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) server: &'a str,
    pub(crate) slow_server: &'a str,
    pub(crate) folder: &'a Path,
}

impl Job {
    /// Starts the process and waits for its end.
    pub(crate) fn play(&self, place: &Place<'_>) -> Result<Outcome> {
        self.try_play(place).with_context(|| format!("{self:?}"))
    }

    fn try_play(&self, place: &Place<'_>) -> Result<Outcome> {
        let mut command = self.command(place)?;
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("a pipe")?;
        let text = std::io::read_to_string(output)?;
        let end = child.wait4()?;
        let wall = started.elapsed();
        ensure!(end.status.success(), "it ended with {}", end.status);
        let report: Report = serde_json::from_str(&text).with_context(|| text.clone())?;
        let cpu = end.rusage.utime + end.rusage.stime;
        Ok(Outcome {
            process: Time {
                cpu: cpu.as_secs_f64() * 1e3,
                wall: wall.as_secs_f64() * 1e3,
            },
            peak: report.peak.unwrap_or(end.rusage.maxrss),
            report,
        })
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let (program, first): (PathBuf, PathBuf) = match self.who {
            Who::Module => (place.clients.module.clone(), scripts.join("python.py")),
            Who::Python => (place.clients.python.clone(), scripts.join("python.py")),
            Who::JavaScript => ("node".into(), scripts.join("javascript.mjs")),
            _ => (std::env::current_exe()?, self.who.role().into()),
        };
        let (scenario, server) = match self.scenario {
            "slow" => ("users", place.slow_server),
            scenario => (scenario, place.server),
        };
        let statement = match scenario {
            "users" => users_statement(self.count),
            _ => statement(self.count),
        };
        let mut command = Command::new(program);
        command
            .arg(first)
            .args([scenario, &self.count.to_string()])
            .env("FTRACK_SERVER", server)
            .env("FTRACK_API_USER", "jenkins")
            .env("FTRACK_API_KEY", "any key will do")
            .env("FTRACK_API_SCHEMA_CACHE_PATH", self.cache(place.folder))
            .env("PEERS_WORK", place.folder.join("work.json"))
            .env("PEERS_QUERY", statement)
            .env("PEERS_NODE", &place.clients.node)
            .env("PYTHONWARNINGS", "ignore")
            // Loopback is reached without a proxy.
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("FTRACK_EVENT_PLUGIN_PATH");
        Ok(command)
    }

    /// The floors check and parse the file that the SDK has written.
    fn cache(&self, folder: &Path) -> PathBuf {
        folder.join(match self.who {
            Who::Python => "python",
            _ => "rust",
        })
    }
}

impl Who {
    /// What this program is called with to play the contender.
    fn role(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Value => "value",
            Self::Structs => "structs",
            Self::Bytes => "bytes",
            Self::Module => "module",
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }
}
