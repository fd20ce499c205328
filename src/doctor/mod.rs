//! Finds out why a session does not open, or whether all is well.
//!
//! [`examine`] looks at everything between this process and its ftrack server, one thing after
//! the other: configuration, name resolution, connection, proxy, TLS, answer, clock,
//! credentials, schema cache, event server. Each look has a time limit of its own, and what
//! fails does not keep it from looking at what does not depend on it.
//!
//! ```
//! # let server = ftrack_emulator::Emulator::start()?;
//! # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
//! use ftrack_api::{Session, doctor};
//!
//! // With nothing set, the builder means what the environment says.
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

pub use report::{Check, Outcome, Report};

/// How long one look may take, unless the builder allows less.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at everything that a session of this builder would need.
///
/// It opens connections, asks the server who it is, connects to the event server for a moment and
/// changes nothing. A name that the system does not look up in time is left to a thread that ends
/// by itself; no other thread remains.
///
/// This never fails: what is wrong is in the report.
pub fn examine(builder: SessionBuilder) -> Report {
    let (mut settings, transport) = builder.into_parts();
    let limit = settings.timeout.map_or(LIMIT, |timeout| timeout.min(LIMIT));
    settings.timeout = Some(limit);
    settings.retry = Retry::off();
    let mut exam = Exam { checks: Vec::new() };
    let config = exam.look("configuration", || configuration(&settings));
    // Whether the server can be reached shows without credentials too.
    let reachable = match &config {
        Some(config) => Some(config.clone()),
        None => without_credentials(settings),
    };
    let subject = match &reachable {
        Some(reachable) => format!("ftrack at {}", reachable.server_url),
        None => "ftrack".to_owned(),
    };
    let Some(reachable) = reachable else {
        exam.skip(&NETWORK, "there is no server URL that could be used");
        exam.skip(&SESSION, "there is no server URL that could be used");
        return exam.report(subject);
    };
    let dialer = Dialer::new(reachable.network.clone());
    let answers = match &transport {
        Some(_) => {
            exam.skip(
                &NETWORK,
                "requests go through a transport of the program's own",
            );
            true
        }
        None => network::look(&mut exam, &reachable, &dialer, limit),
    };
    match config {
        None => exam.skip(&SESSION, "the configuration is not complete"),
        Some(_) if !answers => exam.skip(&SESSION, "the server does not answer"),
        Some(config) => session(&mut exam, &config, transport, dialer),
    }
    exam.report(subject)
}

/// What [`network::look`] looks at.
const NETWORK: [&str; 6] = [
    "name resolution",
    "connection",
    "proxy",
    "tls",
    "answer",
    "clock",
];
/// What [`session`] looks at.
const SESSION: [&str; 3] = ["credentials", "schema cache", "event server"];

/// What was found so far.
struct Exam {
    checks: Vec<Check>,
}

/// What a look finds: words, how it stands, and what to do about it.
struct Finding {
    status: Outcome,
    words: String,
    remedy: Option<String>,
}

impl Finding {
    fn new(status: Outcome, words: impl fmt::Display) -> Self {
        Self {
            status,
            words: words.to_string(),
            remedy: None,
        }
    }

    fn passed(words: impl fmt::Display) -> Self {
        Self::new(Outcome::Passed, words)
    }

    fn warning(words: impl fmt::Display) -> Self {
        Self::new(Outcome::Warning, words)
    }

    fn failed(words: impl fmt::Display) -> Self {
        Self::new(Outcome::Failed, words)
    }

    fn skipped(words: impl fmt::Display) -> Self {
        Self::new(Outcome::Skipped, words)
    }

    fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }
}

impl Exam {
    /// Looks at one thing and answers with what the next looks need, if there is any.
    fn look<T>(
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
            finding: finding.words,
            remedy: finding.remedy,
            took,
        });
    }

    /// Says of each thing why it is not looked at.
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
            let words = format!("{} as {}, with a key", config.server_url, config.api_user);
            (Finding::passed(words), Some(config))
        }
        Err(error) => (
            Finding::failed(error).remedy(
                "set FTRACK_SERVER, FTRACK_API_KEY and FTRACK_API_USER, or say them in the program",
            ),
            None,
        ),
    }
}

/// The configuration with a key and a user that are never sent.
fn without_credentials(mut settings: Settings) -> Option<Config> {
    // A key that looks like a URL stays: then the URL may be the key, and must not be shown.
    if !settings
        .api_key(&config::variable)
        .is_some_and(|key| config::looks_like_url(key.reveal()))
    {
        settings.api_key = Some(ApiKey::new("none"));
    }
    settings.api_user = Some("nobody".to_owned());
    (settings.headers, settings.cookies) = (Vec::new(), Vec::new());
    Config::resolve(settings, &config::variable).ok()
}

/// What needs the key.
fn session(
    exam: &mut Exam,
    config: &Config,
    transport: Option<Box<dyn Transport>>,
    dialer: Dialer,
) {
    let transport = transport.unwrap_or_else(|| Box::new(Http::new(dialer.clone())));
    let api = Api::new(config.clone(), transport);
    let information = exam.look("credentials", || credentials(&api));
    let Some(information) = information else {
        exam.skip(&SESSION[1..], "the server does not take the credentials");
        return;
    };
    exam.look("schema cache", || {
        (schema(config, &information), None::<()>)
    });
    exam.look("event server", || (events(config, dialer), None::<()>));
}

fn credentials(api: &Api) -> (Finding, Option<ServerInformation>) {
    match server_information(api) {
        Ok(information) => {
            let version = information.version().unwrap_or("?");
            let words = format!("accepted; the server has version {version}");
            (Finding::passed(words), Some(information))
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
    information.check_version()?;
    Ok(information)
}

fn schema(config: &Config, information: &ServerInformation) -> Finding {
    if config.schema_cache == config::SchemaCache::Off {
        return Finding::passed("switched off: each session fetches the schema");
    }
    let Some(file) = schema_cache::file_for(config) else {
        return Finding::warning("there is no safe place for it; the log says why")
            .remedy("set FTRACK_API_SCHEMA_CACHE_PATH to a folder of your own");
    };
    let shown = file.display();
    let changed = match std::fs::metadata(&file).and_then(|found| found.modified()) {
        Ok(changed) => changed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::passed(format!("nothing is cached yet in {shown}"));
        }
        Err(error) => {
            return Finding::warning(format!("{shown} cannot be looked at: {error}"))
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
        None => Finding::warning(format!("{shown}, {age} old, is not the server's schema")).remedy(
            "nothing, if the schema has changed or another server was used: the next session \
                 replaces it. If it stays so, several servers share the folder, or it cannot be \
                 written",
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
            "let WebSocket connections to the server through firewalls and proxies; everything but \
             events works without",
        ),
    }
}
