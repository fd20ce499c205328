//! Recording and replaying requests.

mod replay;

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Request, Response, Transport};
use crate::config::{ApiKey, Redactor};
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_regular;
use crate::lock::Mutex;

pub use replay::ReplayTransport;

/// The largest file of a recording.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Requests and their responses: for tests that need no server, and for bug reports.
///
/// A [`recorder`](Self::recorder) stands between a session and its server and records what passes;
/// [`replay`](Self::replay) makes a transport that takes the place of the server.
/// [`save`](Self::save) writes a readable JSON file, [`load`](Self::load) reads it. Clones are the
/// same recording.
///
/// ```
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("shots.json");
/// use ftrack_api::{Session, config::SchemaCache, data, transport::Recording};
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
/// let replay = Recording::load(&path)?.replay();
/// assert_eq!(script(&builder().transport(replay).open()?)?, recorded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is in it
///
/// Method, path, body, status and response; of the headers only those that describe the response. The
/// API key, cookies, headers of your own, signatures in URLs and keys that the server hands out are
/// redacted wherever they occur in text. Names, notes and files of your project are in it: read it
/// before you share it.
///
/// The event hub has a connection of its own, which is not recorded.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Vec<Exchange>>>);

/// A request and its response.
#[derive(Clone, Serialize, Deserialize)]
struct Exchange {
    method: String,
    /// The path, and the part of the query that is not secret.
    url: String,
    request: Body,
    status: u16,
    headers: Vec<(String, String)>,
    response: Body,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Text(String),
    Base64(String),
}

impl Body {
    fn new(bytes: &[u8], redactor: &Redactor) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(redactor.redact(text)),
            Err(_) => Self::Base64(BASE64_STANDARD.encode(bytes)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            // A file that was edited by hand may contain anything.
            Self::Base64(text) => BASE64_STANDARD.decode(text).unwrap_or_default(),
        }
    }
}

impl Recording {
    /// An empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// For [`SessionBuilder::wrap_transport`](crate::SessionBuilder::wrap_transport): records what
    /// passes from now on. A response is recorded once it was read; a request without one is not.
    pub fn recorder(
        &self,
    ) -> impl FnOnce(Box<dyn Transport>) -> RecordingTransport + Send + 'static {
        let recording = self.clone();
        move |inner| RecordingTransport { inner, recording }
    }

    /// For [`SessionBuilder::transport`](crate::SessionBuilder::transport): responds as the server
    /// did, with what was recorded until now.
    ///
    /// A request gets the first recorded response of the same request that was not replayed yet,
    /// else the last one; requests may come in another order than they were recorded in. New
    /// entities have other keys in each run: a request that is not a query is the same if it differs
    /// only in keys, and responses contain the keys of this run from then on. A request
    /// that was not recorded is an error of kind [`Connection`](ErrorKind::Connection) that shows
    /// the request.
    pub fn replay(&self) -> ReplayTransport {
        ReplayTransport::new(self.0.lock().clone())
    }

    /// The number of responses in it.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes it to a JSON file.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let exchanges = self.0.lock().clone();
        let text = serde_json::to_vec_pretty(&exchanges).expect("texts and numbers print");
        fs::write(path.as_ref(), text).map_err(|error| unusable(path.as_ref(), error))
    }

    /// Reads it from a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Io`] if the file cannot be read, is not a recording, or is larger than 1 GiB.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_regular(path, MAX_FILE_BYTES).map_err(|error| unusable(path, error))?;
        let read = serde_json::from_slice(&text).map_err(|error| unusable(path, error.into()))?;
        Ok(Self(Arc::new(Mutex::new(read))))
    }
}

debug_fields!(Recording, |this| len: this.len());

fn unusable(path: &Path, error: io::Error) -> Error {
    let message = format!("the recording {} cannot be used: {error}", path.display());
    Error::new(ErrorKind::Io, message).with_source(error)
}

/// Records what passes; see [`Recording::recorder`].
pub struct RecordingTransport {
    inner: Box<dyn Transport>,
    recording: Recording,
}

impl Transport for RecordingTransport {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let response = self.inner.send(request)?;
        let redactor = redactor_for(request);
        let exchange = Exchange {
            method: request.method.to_owned(),
            url: url_of(request.url),
            request: Body::new(request.body, &redactor),
            status: response.status,
            headers: described(&response.headers, request.url),
            response: Body::Text(String::new()),
        };
        let body = Box::new(Passing {
            body: response.body,
            passed: Vec::new(),
            exchange: Some(exchange),
            redactor,
            recording: self.recording.clone(),
        });
        Ok(Response { body, ..response })
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// The body of a response, recorded as far as it is read.
struct Passing {
    body: Box<dyn Read + Send>,
    passed: Vec<u8>,
    /// `None` once reading failed.
    exchange: Option<Exchange>,
    redactor: Redactor,
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
            exchange.response = Body::new(&self.passed, &self.redactor);
            self.recording.0.lock().push(exchange);
        }
    }
}

/// Of the API key, and the values of headers and cookies that were added.
fn redactor_for(request: &Request<'_>) -> Redactor {
    const KNOWN: [&str; 9] = [
        "content-type",
        "accept",
        "accept-encoding",
        "range",
        "ftrack-user",
        "ftrack-api-key",
        "ftrack-clienttoken",
        "ftrack-strict-api",
        "ftrack-api-options",
    ];
    let mut headers = request.headers.iter();
    let own = headers
        .clone()
        .filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let key = headers.find(|(name, _)| name == "ftrack-api-key");
    let mut query = request.url.query_pairs();
    let key = match key {
        Some((_, key)) => key.clone(),
        None => query
            .find(|(name, _)| name == "apiKey")
            .map_or_else(String::new, |(_, key)| key.into_owned()),
    };
    Redactor::new(&ApiKey::new(key), own)
}

fn url_of(url: &Url) -> String {
    let public = ["id", "size"];
    let query = url.query_pairs();
    let query = query.filter(|(name, _)| public.contains(&name.as_ref()));
    let query: Vec<String> = query
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match query.is_empty() {
        true => url.path().to_owned(),
        false => format!("{}?{}", url.path(), query.join("&")),
    }
}

/// The headers that describe the response, and where a redirect leads.
fn described(headers: &[(String, String)], from: &Url) -> Vec<(String, String)> {
    const NAMES: [&str; 4] = ["content-type", "content-range", "etag", "retry-after"];
    let described = headers.iter().filter_map(|(name, value)| {
        if name == "location" {
            let mut url = from.join(value).ok()?;
            let public = url_of(&url);
            let (path, query) = public.split_once('?').unwrap_or((&public, ""));
            url.set_path(path);
            url.set_query(Some(query).filter(|query| !query.is_empty()));
            url.set_fragment(None);
            // It cannot fail: the URL has a host.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
            return Some((name.clone(), url.into()));
        }
        NAMES
            .contains(&name.as_str())
            .then(|| (name.clone(), value.clone()))
    });
    described.collect()
}

debug_fields!(RecordingTransport, |this| recording: this.recording);
