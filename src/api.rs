//! Actions in, replies out: the protocol on top of a transport, with credentials and errors.

mod budget;
mod statistics;

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value as Json;
use url::Url;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Request, Response, Transport};
use crate::wire::failure_of;
use statistics::Counters;

pub use statistics::Statistics;

/// A server, as seen by one user.
pub(crate) struct Api {
    transport: Box<dyn Transport>,
    config: Config,
    url: Url,
    headers: Vec<(String, String)>,
    /// The headers that ask for rows as they were selected, nothing added and nothing left out.
    strict_headers: Vec<(String, String)>,
    closed: AtomicBool,
    counters: Counters,
}

impl Api {
    pub(crate) fn new(config: Config, transport: Box<dyn Transport>) -> Self {
        let mut url = config.server_url.clone();
        url.set_path(&format!("{}/api", url.path().trim_end_matches('/')));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("content-type", "application/json"),
            header("accept", "application/json"),
            header("ftrack-user", &config.api_user),
            header("ftrack-api-key", config.api_key.reveal()),
            header("ftrack-clienttoken", &config.client_token),
            header(
                "ftrack-strict-api",
                if config.strict_api { "true" } else { "false" },
            ),
        ];
        headers.extend(config.headers.iter().cloned());
        let strict_headers = strict(&headers);
        Self {
            transport,
            config,
            url,
            headers,
            strict_headers,
            closed: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Sends `actions` in one request and answers with one value for each.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and [`ErrorKind::BadResponse`] if the answer is not a list
    /// with a value for each action.
    pub(crate) fn call(&self, actions: &[Json]) -> Result<Vec<Json>> {
        let body = serde_json::to_vec(actions).expect("JSON values print");
        let answer = self.send(&body, &summary(actions))?;
        let replies: Vec<Json> = serde_json::from_slice(&answer).map_err(|error| {
            Error::new(
                ErrorKind::BadResponse,
                format!("the server's answer cannot be read: {error}"),
            )
        })?;
        if replies.len() != actions.len() {
            let (got, asked) = (replies.len(), actions.len());
            return Err(Error::new(
                ErrorKind::BadResponse,
                format!("the server gave {got} answers to {asked} actions"),
            ));
        }
        Ok(replies)
    }

    /// Sends the body of a request, a JSON array of actions, and answers with the bytes of a
    /// JSON array. `summary` describes it in the log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`]; [`ErrorKind::Connection`], [`ErrorKind::Timeout`] or
    /// [`ErrorKind::Tls`] without an answer; the server's own failure under its kind; and
    /// [`ErrorKind::BadResponse`] for an answer that is no JSON array.
    pub(crate) fn send(&self, body: &[u8], summary: &str) -> Result<Vec<u8>> {
        self.send_with(&self.headers, body, summary)
    }

    /// Sends the body of a request and asks for rows as they were selected: without attributes
    /// that the server adds, and with every entity in full wherever it occurs.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(crate) fn send_strict(&self, body: &[u8], summary: &str) -> Result<Vec<u8>> {
        self.send_with(&self.strict_headers, body, summary)
    }

    fn send_with(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        summary: &str,
    ) -> Result<Vec<u8>> {
        self.check_open()?;
        self.spend(summary)?;
        let started = Instant::now();
        let outcome = self.exchange(headers, body);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let received = outcome.as_ref().map_or(0, |(_, answer)| answer.len());
        self.counters.exchanged(body.len(), received, micros);
        match &outcome {
            Ok((status, answer)) => {
                log::debug!(
                    "{summary}: status {status}, {} bytes, {micros} µs",
                    answer.len()
                );
            }
            Err(error) => log::debug!("{summary}: {error}, {micros} µs"),
        }
        let (status, answer) = outcome?;
        if let Some(failure) = failure_of(&answer) {
            let redact = |text: &str| self.config.api_key.redact(text);
            return Err(failure.into_error(status, redact));
        }
        self.check(status, &answer)?;
        Ok(answer)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether it was open until now.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() {
            let message = "the session is closed; open another one";
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn exchange(&self, headers: &[(String, String)], body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let request = Request {
            method: "POST",
            url: &self.url,
            headers,
            body,
            timeout: self.config.timeout,
        };
        let response = self.transport.send(&request)?;
        if (300..400).contains(&response.status) {
            return Err(self.redirected(&response));
        }
        let mut answer = Vec::new();
        let status = response.status;
        let largest = self.config.network.max_answer;
        let mut reader = response.body.take(largest.saturating_add(1));
        reader.read_to_end(&mut answer).map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::TimedOut => ErrorKind::Timeout,
                _ => ErrorKind::Connection,
            };
            Error::new(
                kind,
                format!("the answer of {} broke off: {error}", self.origin()),
            )
            .because(error)
        })?;
        if answer.len() as u64 > largest {
            let origin = self.origin();
            let message = format!(
                "the answer of {origin} is larger than {largest} bytes; ask for less at once, or \
                 allow more with `Network::max_answer`"
            );
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        Ok((status, answer))
    }

    /// Refuses what is no list of replies, with the beginning of it.
    fn check(&self, status: u16, answer: &[u8]) -> Result<()> {
        let first = answer.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') && status < 400 {
            return Ok(());
        }
        // Cut after redacting: half a key is too much as well.
        let start = String::from_utf8_lossy(&answer[..answer.len().min(1 << 16)]);
        let start = self.config.api_key.redact(&start);
        let start: String = start.trim().chars().take(300).collect();
        let what = match first {
            None => "an empty answer".to_owned(),
            Some(b'<') => format!("an HTML page, perhaps of a proxy or a login:\n{start}"),
            Some(_) => format!("something else:\n{start}"),
        };
        Err(Error::new(
            ErrorKind::BadResponse,
            format!(
                "{} did not answer as an ftrack server does, but with status {status} and {what}",
                self.origin(),
            ),
        ))
    }

    /// Redirects are not followed: the API key would go wherever they lead, and a POST would
    /// become a GET.
    fn redirected(&self, response: &Response) -> Error {
        let target = response.header("location").unwrap_or("somewhere else");
        Error::new(
            ErrorKind::Configuration,
            format!(
                "{} sends its clients on to {target}; use that as the server URL if you trust it",
                self.origin(),
            ),
        )
    }

    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// The same headers with the options for rows as they were selected (SERVER.md B1, B5).
fn strict(headers: &[(String, String)]) -> Vec<(String, String)> {
    let replaced = ["ftrack-strict-api", "ftrack-api-options"];
    let others = headers
        .iter()
        .filter(|(name, _)| !replaced.contains(&name.as_str()));
    let values = ["true", "strict:1;denormalize:1"];
    let ours = replaced.into_iter().zip(values);
    let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
    others.cloned().chain(ours).collect()
}

/// `query_server_information, 3 × create`.
fn summary(actions: &[Json]) -> String {
    let name = |action: &Json| {
        action
            .get("action")
            .and_then(Json::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let mut counts: Vec<(String, usize)> = Vec::new();
    for action in actions {
        match counts.last_mut() {
            Some((last, count)) if *last == name(action) => *count += 1,
            _ => counts.push((name(action), 1)),
        }
    }
    let counts = counts.into_iter().map(|(name, count)| match count {
        1 => name,
        _ => format!("{count} × {name}"),
    });
    counts.collect::<Vec<_>>().join(", ")
}
