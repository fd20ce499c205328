//! Traffic that is kept, and played back.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Request, Response, Transport};
use crate::config::redact_bearer_secrets;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// Requests and their answers: for tests that need no server, and for reports of faults.
///
/// A [`recorder`](Self::recorder) stands between a session and its server and keeps what passes; a
/// [`player`](Self::player) stands in for the server. [`save`](Self::save) and
/// [`load`](Self::load) keep it in a file of JSON that people can read. Clones are the same
/// recording.
///
/// ```
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("shots.json");
/// use ftrack_api::{Recording, SchemaCache, Session, data};
///
/// fn script(session: &Session) -> ftrack_api::Result<usize> {
///     let project = session.query("Project")?.first()?.expect("a project");
///     session.create("Folder", data! { "name": "plates", "parent": &project })?;
///     session.commit()?;
///     Ok(session.query("Shot")?.all()?.len())
/// }
///
/// // Without a cache, so that the schema is in the recording.
/// let builder = || Session::builder().server_url(url).api_key(key).api_user(user)
///     .schema_cache(SchemaCache::Off);
/// let recording = Recording::new();
/// let recorded = script(&builder().wrap_transport(recording.recorder()).open()?)?;
/// recording.save(&path)?;
///
/// // Later, without a server.
/// let player = Recording::load(&path)?.player();
/// assert_eq!(script(&builder().transport(player).open()?)?, recorded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is in it
///
/// Method, path, body, status and answer; of the headers only those that say what an answer is. API
/// key, cookies, headers of your own, the signatures of addresses and keys that the server hands out
/// are cut out wherever they stand in text. What people wrote is in it, and so are files: look at it
/// before you give it away.
///
/// The event hub has a connection of its own, which is not recorded.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Vec<Exchange>>>);

/// A request and its answer.
#[derive(Clone, Serialize, Deserialize)]
struct Exchange {
    method: String,
    /// Path and what is kept of the query.
    address: String,
    request: Body,
    status: u16,
    headers: Vec<(String, String)>,
    answer: Body,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Text(String),
    Base64(String),
}

impl Body {
    fn new(bytes: &[u8], secrets: &[String]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Base64(BASE64_STANDARD.encode(bytes));
        };
        let cut = |text: String, secret: &String| text.replace(secret, "(secret)");
        let text = secrets.iter().fold(text.to_owned(), cut);
        Self::Text(redact_bearer_secrets(&text))
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            // A file that somebody changed by hand may hold anything.
            Self::Base64(text) => BASE64_STANDARD.decode(text).unwrap_or_default(),
        }
    }
}

impl Recording {
    /// One without anything in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// For [`SessionBuilder::wrap_transport`](crate::SessionBuilder::wrap_transport): keeps what
    /// passes from now on. An answer is kept when it was read; one that never came is not.
    pub fn recorder(&self) -> impl FnOnce(Box<dyn Transport>) -> Recorder + Send + 'static {
        let recording = self.clone();
        move |inner| Recorder { inner, recording }
    }

    /// For [`SessionBuilder::transport`](crate::SessionBuilder::transport): answers as the server
    /// did. It plays what was recorded until now.
    ///
    /// A request gets the first answer that was not yet given to the same request, else the last
    /// one that was; requests may come in another order than they were recorded in. New entities
    /// have other keys in each run: what is no query is the same if it differs in nothing but
    /// keys, and the keys of this run stand in answers from then on. What was not recorded is an
    /// error of kind [`Connection`](ErrorKind::Connection) that says what was asked.
    pub fn player(&self) -> Player {
        Player(Mutex::new(Playing {
            exchanges: self
                .0
                .lock()
                .iter()
                .cloned()
                .map(|one| (one, false))
                .collect(),
            keys: HashMap::new(),
        }))
    }

    /// How many answers it holds.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes it to a file of JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let exchanges = self.0.lock().clone();
        let text = serde_json::to_vec_pretty(&exchanges).expect("texts and numbers print");
        fs::write(path.as_ref(), text).map_err(|error| unusable(path.as_ref(), error))
    }

    /// Reads it from a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`], also for a file that holds something else.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read(path).map_err(|error| unusable(path, error))?;
        let read = serde_json::from_slice(&text).map_err(|error| unusable(path, error.into()))?;
        Ok(Self(Arc::new(Mutex::new(read))))
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    let message = format!("the recording {} cannot be used: {error}", path.display());
    Error::new(ErrorKind::Io, message).because(error)
}

/// Keeps what passes; see [`Recording::recorder`].
pub struct Recorder {
    inner: Box<dyn Transport>,
    recording: Recording,
}

impl Transport for Recorder {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let response = self.inner.send(request)?;
        let secrets = secrets_of(request);
        let exchange = Exchange {
            method: request.method.to_owned(),
            address: address_of(request.url),
            request: Body::new(request.body, &secrets),
            status: response.status,
            headers: kept(&response.headers, request.url),
            answer: Body::Text(String::new()),
        };
        let body = Box::new(Passing {
            body: response.body,
            passed: Vec::new(),
            exchange: Some(exchange),
            secrets,
            recording: self.recording.clone(),
        });
        Ok(Response { body, ..response })
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// The body of an answer, kept as far as it is read.
struct Passing {
    body: Box<dyn Read + Send>,
    passed: Vec<u8>,
    /// Nothing any more when reading failed.
    exchange: Option<Exchange>,
    secrets: Vec<String>,
    recording: Recording,
}

impl Read for Passing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.body.read(buffer);
        match &outcome {
            Ok(count) => self.passed.extend_from_slice(&buffer[..*count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.exchange = None,
        }
        outcome
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.answer = Body::new(&self.passed, &self.secrets);
            self.recording.0.lock().push(exchange);
        }
    }
}

/// The values that are nobody else's business: the API key, and what the user added.
fn secrets_of(request: &Request<'_>) -> Vec<String> {
    const KNOWN: [&str; 8] = [
        "content-type",
        "accept",
        "accept-encoding",
        "range",
        "ftrack-user",
        "ftrack-clienttoken",
        "ftrack-strict-api",
        "ftrack-api-options",
    ];
    let headers = request.headers.iter();
    let own = headers.filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let values = own.flat_map(|(name, value)| match name.as_str() {
        "cookie" => value
            .split("; ")
            .filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()))
            .collect(),
        _ => vec![value.clone()],
    });
    let query = request.url.query_pairs();
    let key = query.filter(|(name, _)| name == "apiKey");
    let all = values.chain(key.map(|(_, value)| value.into_owned()));
    all.filter(|secret| secret.len() > 2).collect()
}

fn address_of(url: &Url) -> String {
    let kept = ["id", "size"];
    let query = url.query_pairs();
    let query = query.filter(|(name, _)| kept.contains(&name.as_ref()));
    let query: Vec<String> = query
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match query.is_empty() {
        true => url.path().to_owned(),
        false => format!("{}?{}", url.path(), query.join("&")),
    }
}

/// The headers that say what an answer is, and where a redirect leads.
fn kept(headers: &[(String, String)], from: &Url) -> Vec<(String, String)> {
    const KEPT: [&str; 4] = ["content-type", "content-range", "etag", "retry-after"];
    let kept = headers.iter().filter_map(|(name, value)| {
        if name == "location" {
            let mut url = from.join(value).ok()?;
            let address = address_of(&url);
            let (path, query) = address.split_once('?').unwrap_or((&address, ""));
            url.set_path(path);
            url.set_query(Some(query).filter(|query| !query.is_empty()));
            return Some((name.clone(), url.into()));
        }
        KEPT.contains(&name.as_str())
            .then(|| (name.clone(), value.clone()))
    });
    kept.collect()
}

/// Answers from a recording; see [`Recording::player`].
pub struct Player(Mutex<Playing>);

struct Playing {
    /// Whether each was played.
    exchanges: Vec<(Exchange, bool)>,
    /// The keys of this run, by those that were recorded.
    keys: HashMap<String, String>,
}

impl Transport for Player {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let asked = Body::new(request.body, &secrets_of(request));
        let address = address_of(request.url);
        let mut playing = self.0.lock();
        let Some(index) = playing.find(request.method, &address, &asked) else {
            let text = String::from_utf8_lossy(request.body);
            let start: String = text.chars().take(300).collect();
            let message = format!("the recording has no {} {address}: {start}", request.method);
            return Err(Error::new(ErrorKind::Connection, message));
        };
        playing.exchanges[index].1 = true;
        let exchange = &playing.exchanges[index].0;
        Ok(Response {
            status: exchange.status,
            headers: exchange.headers.clone(),
            body: Box::new(Cursor::new(playing.with_keys(&exchange.answer).bytes())),
        })
    }
}

impl Playing {
    /// What answers a request; keys that are new in it are those of this run from now on.
    fn find(&mut self, method: &str, address: &str, asked: &Body) -> Option<usize> {
        let places = || {
            let all = self.exchanges.iter().enumerate();
            let fitting = all.filter(|(_, (one, _))| one.method == method);
            fitting.filter(|(_, (one, _))| {
                one.address == address || self.replaced(&one.address) == address
            })
        };
        let same = || places().filter(|(_, (one, _))| self.with_keys(&one.request) == *asked);
        let unplayed = same().find(|(_, (_, is_played))| !is_played);
        if let Some((index, _)) = unplayed.or_else(|| same().next_back()) {
            return Some(index);
        }
        let (index, keys) = places().find_map(|(index, (one, is_played))| {
            let keys = (!is_played).then(|| new_keys(&self.with_keys(&one.request), asked))??;
            Some((index, keys))
        })?;
        self.keys.extend(keys);
        Some(index)
    }

    fn with_keys(&self, body: &Body) -> Body {
        match body {
            Body::Text(text) => Body::Text(self.replaced(text).into_owned()),
            other => other.clone(),
        }
    }

    fn replaced<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.keys.is_empty() {
            return Cow::Borrowed(text);
        }
        key_pattern().replace_all(text, |found: &regex_lite::Captures<'_>| {
            let key = &found[0];
            self.keys.get(key).map_or(key, String::as_str).to_owned()
        })
    }
}

/// The keys that are other ones in a request that is no query, if it differs in nothing else.
fn new_keys(recorded: &Body, asked: &Body) -> Option<HashMap<String, String>> {
    let (Body::Text(recorded), Body::Text(asked)) = (recorded, asked) else {
        return None;
    };
    let pattern = key_pattern();
    let without = |text| pattern.replace_all(text, "").into_owned();
    if recorded.contains("\"action\":\"query") || without(recorded) != without(asked) {
        return None;
    }
    let keys = |text| {
        pattern
            .find_iter(text)
            .map(|found| found.as_str().to_owned())
    };
    let pairs = keys(recorded).zip(keys(asked));
    Some(
        pairs
            .filter(|(recorded, asked)| recorded != asked)
            .collect(),
    )
}

/// Keys that are made by clients are UUIDs.
fn key_pattern() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let pattern = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        Regex::new(pattern).expect("the pattern is good")
    })
}
