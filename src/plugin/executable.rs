//! Plugins that are programs in any language: each event is a line of JSON on their standard input,
//! each reply one on their standard output.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Host;
use super::declaration::Declaration;
use super::path::open_trusted;
use super::process::{MAX_LINE_BYTES, Process};
use crate::config::{self, Redactor};
use crate::error;
use crate::event::Event;
use crate::hub::{EventHub, SubscribeOptions, SubscriberId};
use crate::lock::Mutex;

/// After this many failures in a row a plugin is not started again in its session.
const MAX_FAILURES: u32 = 3;

/// An executable on the plugin path, and its idle process.
pub(super) struct Executable {
    path: PathBuf,
    declaration: Declaration,
    environment: Vec<(&'static str, OsString)>,
    /// Taken out while it handles an event, so that no lock is held meanwhile. Concurrent events have
    /// a process each.
    idle: Mutex<Option<Process>>,
    failures: AtomicU32,
    /// The number of the next event.
    next_number: AtomicU64,
    /// What the program writes passes it.
    redactor: Redactor,
}

/// An event as a plugin reads it. The number comes first, so that a shell can find it.
#[derive(Serialize)]
struct Request<'a> {
    number: u64,
    #[serde(flatten)]
    event: &'a Event,
}

/// A line that a plugin writes: it has one of `reply`, `error` and `log`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The number of the event that it replies to.
    number: Option<u64>,
    /// The reply to the event; null for none.
    #[serde(default, deserialize_with = "present")]
    reply: Option<Value>,
    /// Why there is no reply.
    error: Option<String>,
    /// A message for the program's log.
    log: Option<String>,
}

/// A null is a value here.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The reply of a plugin, or the error that it reports.
type Reply = Result<Value, String>;

impl Executable {
    /// The plugin at `path`, found below `root`.
    ///
    /// # Errors
    ///
    /// - Why it cannot be used.
    pub(super) fn new(
        root: &Path,
        path: &Path,
        arguments: &Map<String, Value>,
        host: &Host<'_>,
    ) -> Result<Self, String> {
        let mut declaration = Declaration::of(root, path)?;
        match declaration.run.first_mut() {
            None => check_executable(path)?,
            Some(program) => *program = program_of(root, path, program)?,
        }
        // A relative path would depend on the current folder.
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
            next_number: AtomicU64::new(1),
            redactor: host.redactor.clone(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.declaration.name
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.declaration.version.as_deref()
    }

    /// Subscribes to what it declares, one after the other as the result is iterated.
    pub(super) fn subscribe(
        self,
        hub: &EventHub,
    ) -> impl Iterator<Item = error::Result<SubscriberId>> {
        let this = Arc::new(self);
        let expressions = this.declaration.subscribe.clone();
        expressions.into_iter().map(move |expression| {
            let options = SubscribeOptions::new().priority(this.declaration.priority);
            let plugin = this.clone();
            hub.subscribe_with(expression, options, move |event| plugin.handle(event))
        })
    }

    fn handle(&self, event: &Event) -> anyhow::Result<Option<Value>> {
        if self.failures.load(Ordering::Relaxed) >= MAX_FAILURES {
            return Ok(None);
        }
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&Request { number, event })?;
        line.push(b'\n');
        // Not a failure of the plugin, so it is not counted as one.
        anyhow::ensure!(
            line.len() <= MAX_LINE_BYTES,
            "an event of {} bytes is too large for plugin {self}: at most {MAX_LINE_BYTES} are sent",
            line.len()
        );
        match self.converse(number, event, &line) {
            Ok(line) => {
                self.failures.store(0, Ordering::Relaxed);
                match line {
                    Ok(reply) => Ok(Some(reply).filter(|reply| !reply.is_null())),
                    Err(error) => anyhow::bail!("plugin {self}: {error}"),
                }
            }
            Err(problem) => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                if failures >= MAX_FAILURES {
                    log::warn!(
                        "plugin {self} has failed {failures} times in a row and is not started again"
                    );
                }
                anyhow::bail!("plugin {self}: {problem}")
            }
        }
    }

    /// Sends the event and waits for the reply. A process that misbehaves is ended; the next event
    /// starts another one.
    fn converse(&self, number: u64, event: &Event, line: &[u8]) -> Result<Reply, String> {
        let deadline = Instant::now() + self.declaration.timeout();
        // A statement of its own, so that the lock is released before anything is waited for.
        let idle = self.idle.lock().take();
        let mut process = match idle {
            Some(process) => process,
            None => self.start()?,
        };
        let sent = process.send(line, deadline);
        sent.map_err(|error| self.failure(event, &mut process, &error))?;
        let reply = loop {
            let line = process.receive(deadline);
            let line = line.map_err(|error| self.failure(event, &mut process, &error))?;
            if let Some(reply) = self.read(number, &line)? {
                break reply;
            }
        };
        let surplus = self.idle.lock().replace(process);
        // Ending it takes a moment; no lock is held.
        drop(surplus);
        Ok(reply)
    }

    /// The reply to the event with this number; `None` if the line is something else that may occur.
    ///
    /// # Errors
    ///
    /// - If a plugin must not write such a line.
    fn read(&self, number: u64, line: &[u8]) -> Result<Option<Reply>, String> {
        let unexpected = |why: &str| self.unexpected(line, why);
        let parsed: Line =
            serde_json::from_slice(line).map_err(|error| unexpected(&error.to_string()))?;
        let reply = match (parsed.reply, parsed.error, parsed.log) {
            (Some(reply), None, None) => Ok(reply),
            (None, Some(error), None) => Err(self.redactor.message(&error)),
            (None, None, Some(text)) => {
                log::info!("plugin {}: {}", self.name(), self.redactor.message(&text));
                return Ok(None);
            }
            _ => return Err(unexpected("it must have one of the three")),
        };
        match parsed.number {
            Some(found) if found == number => Ok(Some(reply)),
            Some(found) if found < number => {
                log::warn!("plugin {self}: ignored a second reply to event {found}");
                Ok(None)
            }
            Some(_) => Err(unexpected("no event has this number yet")),
            None => Err(unexpected("the number of the event is missing")),
        }
    }

    /// Describes a failure of the conversation about an event, and ends a process that is too slow.
    fn failure(&self, event: &Event, process: &mut Process, error: &io::Error) -> String {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
        match error.kind() {
            TimedOut => {
                process.kill();
                let timeout = self.declaration.timeout().as_secs_f64();
                format!("it did not reply to {} within {timeout} s", event.topic())
            }
            BrokenPipe | ConnectionReset | UnexpectedEof => match process.ended() {
                Some(status) => format!("it ended before it replied: {status}"),
                None => "it closed its output before it replied".to_owned(),
            },
            _ => format!("its output cannot be read: {error}"),
        }
    }

    /// What was read instead of a reply, its beginning quoted.
    fn unexpected(&self, line: &[u8], why: &str) -> String {
        let text: String = self.redactor.excerpt(line).chars().take(80).collect();
        let why = self.redactor.message(why);
        format!(
            "it wrote {text:?} where a line with \"number\" and \"reply\" or \"error\", or with \"log\" \
             was expected ({why})"
        )
    }

    fn start(&self) -> Result<Process, String> {
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
                true => {
                    "; if the system cannot run such a file, declare a program that can as `run`"
                }
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

/// The program that runs the plugin at `path`. A path is relative to the folder of the plugin, and a
/// file below `root` is as a file of a plugin must be; a bare name is searched where the system does.
fn program_of(root: &Path, path: &Path, program: &str) -> Result<String, String> {
    if Path::new(program).components().count() < 2 {
        return Ok(program.to_owned());
    }
    let folder = path.parent().unwrap_or(root).canonicalize();
    let folder = folder.map_err(|error| error.to_string())?;
    let full = folder.join(program);
    let leads_inside = |path: &Path| path.canonicalize().is_ok_and(|real| real.starts_with(root));
    if full.starts_with(root) || full.parent().is_some_and(leads_inside) || leads_inside(&full) {
        open_trusted(root, &full)
            .map_err(|problem| format!("`run` of its declaration, {program:?}: {problem}"))?;
    }
    match full.into_os_string().into_string() {
        Ok(full) => Ok(full),
        Err(full) => Err(format!("{} is not Unicode text", full.display())),
    }
}

#[cfg(unix)]
fn check_executable(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.permissions().mode() & 0o111 == 0 {
        return Err(
            "it is not executable: chmod +x it, or declare a program that runs it as `run`".into(),
        );
    }
    Ok(())
}

/// Elsewhere this shows when it is started.
#[cfg(not(unix))]
fn check_executable(_: &Path) -> Result<(), String> {
    Ok(())
}
