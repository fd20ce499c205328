//! Finds out why a session does not open.
//!
//! [`examine`] checks everything between this process and its ftrack server in turn: configuration,
//! name resolution, connection, proxy, TLS, response, clock, credentials, schema cache, event server.
//! Each check has its own time limit. After a failure, the checks that do not depend on it still run.
//!
//! ```
//! # let server = ftrack_emulator::Emulator::start()?;
//! # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
//! use ftrack_api::{Session, doctor};
//!
//! // What is not set in the builder comes from the environment.
//! let report = doctor::examine(Session::builder().server_url(url).api_key(key).api_user(user));
//! println!("{report}");
//! assert!(report.is_healthy());
//!
//! let report = doctor::examine(Session::builder().server_url(url).api_key("old").api_user(user));
//! let failure = report.first_failure().expect("the key is wrong");
//! assert_eq!(failure.name, "credentials");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod network;
mod report;

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::api::Api;
use crate::cache::schema as schema_cache;
use crate::config::{self, ApiKey, Config, Retry, Settings};
use crate::error::{ErrorKind, Result};
use crate::session::{ServerInformation, SessionBuilder, hub_for};
use crate::transport::{Dialer, Http, Transport};

pub use report::{Check, CheckStatus, Report};

/// The time limit of a check, unless the builder has a shorter one.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks everything that a session of this builder would need.
///
/// It opens connections, requests the server's information, connects to the event server briefly and
/// changes nothing. If a name look-up exceeds its time limit, a thread stays behind until the system
/// ends the look-up; no other thread remains.
///
/// This never fails: problems are in the report.
pub fn examine(builder: SessionBuilder) -> Report {
    let (mut settings, transport) = builder.into_parts();
    let limit = settings
        .timeout
        .map_or(CHECK_TIMEOUT, |timeout| timeout.min(CHECK_TIMEOUT));
    settings.timeout = Some(limit);
    settings.retry = Retry::off();
    let mut exam = Exam { checks: Vec::new() };
    let config = exam.run("configuration", || configuration(&settings));
    // Whether the server can be reached does not depend on credentials.
    let reachable = match &config {
        Some(config) => Some(config.clone()),
        None => without_credentials(settings),
    };
    let subject = match &reachable {
        Some(reachable) => format!("ftrack at {}", reachable.server_url),
        None => "ftrack".to_owned(),
    };
    let Some(reachable) = reachable else {
        exam.skip(&NETWORK, "there is no usable server URL");
        exam.skip(&SESSION, "there is no usable server URL");
        return exam.report(subject);
    };
    let dialer = Dialer::new(reachable.network.clone());
    let responds = match &transport {
        Some(_) => {
            exam.skip(&NETWORK, "requests use a transport of this program");
            true
        }
        None => network::check(&mut exam, &reachable, &dialer, limit),
    };
    match config {
        None => exam.skip(&SESSION, "the configuration is incomplete"),
        Some(_) if !responds => exam.skip(&SESSION, "the server does not respond"),
        Some(config) => session(&mut exam, &config, transport, dialer),
    }
    exam.report(subject)
}

/// The checks of [`network::check`].
const NETWORK: [&str; 6] = [
    "name resolution",
    "connection",
    "proxy",
    "tls",
    "response",
    "clock",
];
/// The checks of [`session`].
const SESSION: [&str; 3] = ["credentials", "schema cache", "event server"];

/// The checks so far.
struct Exam {
    checks: Vec<Check>,
}

/// The result of a check: its outcome, a description, and what to do about it.
struct Finding {
    status: CheckStatus,
    text: String,
    remedy: Option<String>,
}

impl Finding {
    fn new(status: CheckStatus, text: impl fmt::Display) -> Self {
        Self {
            status,
            text: text.to_string(),
            remedy: None,
        }
    }

    fn passed(text: impl fmt::Display) -> Self {
        Self::new(CheckStatus::Passed, text)
    }

    fn warning(text: impl fmt::Display) -> Self {
        Self::new(CheckStatus::Warning, text)
    }

    fn failed(text: impl fmt::Display) -> Self {
        Self::new(CheckStatus::Failed, text)
    }

    fn skipped(text: impl fmt::Display) -> Self {
        Self::new(CheckStatus::Skipped, text)
    }

    fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }
}

impl Exam {
    /// Runs a check and returns what later checks need from it.
    fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> (Finding, Option<T>),
    ) -> Option<T> {
        let started = Instant::now();
        let (finding, found) = work();
        self.add(name, finding, started.elapsed());
        found
    }

    fn add(&mut self, name: &'static str, finding: Finding, took: Duration) {
        self.checks.push(Check {
            name,
            status: finding.status,
            finding: finding.text,
            remedy: finding.remedy,
            took,
        });
    }

    /// Adds checks that cannot run, with the reason.
    fn skip(&mut self, names: &[&'static str], why: &str) {
        for name in names {
            self.add(name, Finding::skipped(why), Duration::ZERO);
        }
    }

    fn report(self, subject: String) -> Report {
        Report {
            subject,
            checks: self.checks,
        }
    }
}

fn configuration(settings: &Settings) -> (Finding, Option<Config>) {
    match Config::resolve(settings.clone(), &config::variable) {
        Ok(config) => {
            let user = config::shown_user(&config.api_user);
            let text = format!("{} as {user}, with a key", config.server_url);
            (Finding::passed(text), Some(config))
        }
        Err(error) => (
            Finding::failed(error).remedy(
                "set FTRACK_SERVER, FTRACK_API_KEY and FTRACK_API_USER, or pass them to the builder",
            ),
            None,
        ),
    }
}

/// The configuration with a placeholder key and user, which are never sent.
fn without_credentials(mut settings: Settings) -> Option<Config> {
    // A key that looks like a URL stays: then the URL may be the key, and must not be shown.
    let server_url = settings.server_url(&config::variable);
    if !settings
        .api_key(&config::variable)
        .is_some_and(|key| config::are_swapped(server_url.as_deref(), key.reveal()))
    {
        settings.api_key = Some(ApiKey::new("none"));
    }
    settings.api_user = Some("nobody".to_owned());
    (settings.headers, settings.cookies) = (Vec::new(), Vec::new());
    Config::resolve(settings, &config::variable).ok()
}

/// The checks that need the credentials.
fn session(
    exam: &mut Exam,
    config: &Config,
    transport: Option<Box<dyn Transport>>,
    dialer: Dialer,
) {
    let transport = transport.unwrap_or_else(|| Box::new(Http::new(dialer.clone())));
    let api = Api::new(config.clone(), transport);
    let information = exam.run("credentials", || credentials(&api));
    let Some(information) = information else {
        exam.skip(&SESSION[1..], "the server rejects the credentials");
        return;
    };
    exam.run("schema cache", || {
        (schema(config, &information), None::<()>)
    });
    exam.run("event server", || (events(config, dialer), None::<()>));
}

fn credentials(api: &Api) -> (Finding, Option<ServerInformation>) {
    match server_information(api) {
        Ok(information) => {
            let version = information.version().unwrap_or("?");
            let text = format!("accepted; the server has version {version}");
            (Finding::passed(text), Some(information))
        }
        Err(error) => {
            let remedy = match error.kind() {
                ErrorKind::Authentication => {
                    "get a key under \"API keys\" in ftrack's system settings, or a personal one in \
                     your own settings: a key belongs to one server, a personal key to one user"
                }
                ErrorKind::Unsupported => "update the server",
                ErrorKind::Permission => "ask an administrator",
                _ => "check that the URL is that of an ftrack server, without a path",
            };
            (Finding::failed(error).remedy(remedy), None)
        }
    }
}

fn server_information(api: &Api) -> Result<ServerInformation> {
    let mut replies = api.call(&[json!({"action": "query_server_information"})])?;
    let information = ServerInformation::new(replies.pop().unwrap_or_default())?;
    let checked = information.check_version();
    checked.map_err(|error| api.checked(error))?;
    Ok(information)
}

fn schema(config: &Config, information: &ServerInformation) -> Finding {
    if config.schema_cache == config::SchemaCache::Off {
        return Finding::passed("switched off: each session fetches the schema");
    }
    let Some(file) = schema_cache::file_for(config) else {
        return Finding::warning("there is no safe folder for it; the log has the reason")
            .remedy("set FTRACK_API_SCHEMA_CACHE_PATH to a folder of your own");
    };
    let shown = file.display();
    let changed = match std::fs::metadata(&file).and_then(|found| found.modified()) {
        Ok(changed) => changed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::passed(format!("nothing is cached yet in {shown}"));
        }
        Err(error) => {
            return Finding::warning(format!("{shown} cannot be read: {error}"))
                .remedy("let this user read and write the folder");
        }
    };
    let age = SystemTime::now()
        .duration_since(changed)
        .unwrap_or_default();
    let age = age_in_words(age);
    let hash = information.schema_hash().unwrap_or_default();
    match schema_cache::read(&file, hash) {
        Some(_) => Finding::passed(format!("{shown}, {age} old, is the server's schema")),
        None => Finding::warning(format!("{shown}, {age} old, differs from the server's schema")).remedy(
            "nothing, if the schema has changed or another server was used: the next session \
                 replaces it. If this stays so, several servers share the folder, or it is read-only",
        ),
    }
}

fn age_in_words(age: Duration) -> String {
    let (count, unit) = match age.as_secs() {
        seconds @ 0..120 => (seconds, "second"),
        seconds @ 120..7200 => (seconds / 60, "minute"),
        seconds @ 7200..172_800 => (seconds / 3600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn events(config: &Config, dialer: Dialer) -> Finding {
    let hub = hub_for(config, dialer);
    let connected = hub.connect();
    hub.close();
    match connected {
        Ok(()) => Finding::passed("it accepts connections"),
        Err(error) => Finding::failed(error).remedy(
            "allow WebSocket connections to the server in firewalls and proxies; only events need \
             them",
        ),
    }
}
