//! Plugins that are programs, in whatever language: events go in as lines of JSON, answers come
//! out as such.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Host;
use super::declaration::Declaration;
use super::process::{LONGEST, Process};
use crate::config;
use crate::error::Result;
use crate::event::Event;
use crate::hub::{EventHub, SubscribeOptions, SubscriberId};
use crate::lock::Mutex;

/// After so many failures in a row a plugin is not started again in its session.
const FAILURES: u32 = 3;

/// An executable on the plugin path, and the process of it that is not busy.
pub(super) struct Executable {
    path: PathBuf,
    declaration: Declaration,
    environment: Vec<(&'static str, OsString)>,
    /// Taken out while an event is answered, so that nothing is locked meanwhile. Events that
    /// come at the same time have a process each.
    idle: Mutex<Option<Process>>,
    failures: AtomicU32,
}

/// What a plugin writes: one of these on each line.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// The answer to the event; null if there is none.
    Answer(Value),
    /// Why there is no answer.
    Error(String),
    /// For the log of the program.
    Log(String),
}

impl Executable {
    /// # Errors
    ///
    /// Why it cannot be used.
    pub(super) fn new(
        path: &Path,
        arguments: &Map<String, Value>,
        host: &Host<'_>,
    ) -> std::result::Result<Self, String> {
        let declaration = Declaration::of(path)?;
        if declaration.run.is_empty() {
            check_executable(path)?;
        }
        // From another folder the file would be another, or none.
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        let arguments = serde_json::to_string(arguments).map_err(|error| error.to_string())?;
        let environment = vec![
            ("FTRACK_PLUGIN_ARGUMENTS", arguments.into()),
            ("FTRACK_SERVER", host.server_url.into()),
            ("FTRACK_API_USER", host.api_user.into()),
        ];
        Ok(Self {
            path,
            declaration,
            environment,
            idle: Mutex::new(None),
            failures: AtomicU32::new(0),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.declaration.name
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.declaration.version.as_deref()
    }

    /// Subscribes to what it declares, one after the other as the answer is iterated.
    pub(super) fn subscribe(self, hub: &EventHub) -> impl Iterator<Item = Result<SubscriberId>> {
        let this = Arc::new(self);
        let expressions = this.declaration.subscribe.clone();
        expressions.into_iter().map(move |expression| {
            let options = SubscribeOptions::new().priority(this.declaration.priority);
            let plugin = this.clone();
            hub.subscribe_with(expression, options, move |event| plugin.answer(event))
        })
    }

    fn answer(&self, event: &Event) -> anyhow::Result<Option<Value>> {
        if self.failures.load(Ordering::Relaxed) >= FAILURES {
            return Ok(None);
        }
        match self.converse(event) {
            Ok(line) => {
                self.failures.store(0, Ordering::Relaxed);
                match line {
                    Ok(answer) => Ok(Some(answer).filter(|answer| !answer.is_null())),
                    Err(error) => anyhow::bail!("plugin {self}: {error}"),
                }
            }
            Err(problem) => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                if failures >= FAILURES {
                    log::warn!(
                        "plugin {self} has failed {failures} times and is not started again"
                    );
                }
                anyhow::bail!("plugin {self}: {problem}")
            }
        }
    }

    /// Sends the event and waits for the answer. A process that misbehaves is ended; the next
    /// event starts another.
    fn converse(
        &self,
        event: &Event,
    ) -> std::result::Result<std::result::Result<Value, String>, String> {
        let timeout = self.declaration.timeout();
        let deadline = Instant::now() + timeout;
        let mut line = serde_json::to_vec(event).map_err(|error| error.to_string())?;
        line.push(b'\n');
        if line.len() > LONGEST {
            return Err(format!(
                "an event of {} bytes is too long for it",
                line.len()
            ));
        }
        // The lock is gone before anything is waited for.
        let idle = self.idle.lock().take();
        let mut process = match idle {
            Some(process) => process,
            None => self.start()?,
        };
        let failed = |process: &mut Process, error: &std::io::Error| {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
            match error.kind() {
                TimedOut => {
                    process.kill();
                    format!(
                        "it did not answer {} within {}",
                        event.topic(),
                        seconds(timeout)
                    )
                }
                BrokenPipe | ConnectionReset | UnexpectedEof => match process.ended() {
                    Some(status) => format!("it ended before it answered: {status}"),
                    None => "it closed its output before it answered".to_owned(),
                },
                _ => format!("its answer cannot be read: {error}"),
            }
        };
        let sent = process.send(&line, deadline);
        sent.map_err(|error| failed(&mut process, &error))?;
        loop {
            let line = process.receive(deadline);
            let line = line.map_err(|error| failed(&mut process, &error))?;
            let parsed = serde_json::from_slice(&line);
            let answer = match parsed.map_err(|error| garbage(&line, &error))? {
                Line::Log(text) => {
                    log::info!("plugin {}: {text}", self.name());
                    continue;
                }
                Line::Answer(answer) => Ok(answer),
                Line::Error(error) => Err(error),
            };
            let surplus = self.idle.lock().replace(process);
            // Ending it takes a moment, and no lock.
            drop(surplus);
            return Ok(answer);
        }
    }

    fn start(&self) -> std::result::Result<Process, String> {
        let mut command = match self.declaration.run.split_first() {
            None => Command::new(&self.path),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.path);
                command
            }
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for name in config::KEY_VARIABLES {
            command.env_remove(name);
        }
        log::debug!("plugin {self}: starting it");
        Process::start(command).map_err(|error| {
            let hint = match self.declaration.run.is_empty() {
                true => "; if the system cannot run such a file, declare with `run` what can",
                false => "",
            };
            format!("it cannot be started: {error}{hint}")
        })
    }
}

/// `studio.greeter (/studio/plugins/greeter.ftrack-plugin)`.
impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.path.display())
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// What was read instead of an answer, its beginning quoted.
fn garbage(line: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
    let text: String = text.chars().take(80).collect();
    format!(
        "it wrote {text:?} where a line with \"answer\", \"error\" or \"log\" was expected ({error})"
    )
}

#[cfg(unix)]
fn check_executable(path: &Path) -> std::result::Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.permissions().mode() & 0o111 == 0 {
        return Err("it is not executable: chmod +x it, or declare what runs it".into());
    }
    Ok(())
}

/// What can be run shows when it is.
#[cfg(not(unix))]
fn check_executable(_: &Path) -> std::result::Result<(), String> {
    Ok(())
}
