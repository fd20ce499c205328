//! One request and its response.

use std::borrow::Cow;
use std::io::Read;
use std::time::Instant;

use jiff::Timestamp;

use super::Api;
use super::repeat::{Attempt, interrupted};
use crate::config;
use crate::error::{Error, ErrorKind, Result, shortened};
use crate::transport::{Request, Response, body_error};
use crate::wire::{Body, failure_of};

/// The most that is reserved for a response because it says that it is so large.
const MAX_RESERVED_BYTES: usize = 16 << 20;

/// A response, a JSON array, and when it must be decoded.
pub(crate) struct Timed {
    body: Vec<u8>,
    deadline: Option<Instant>,
}

/// A response that was read.
struct Received {
    status: u16,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Api {
    /// Sends the body of a request once, and returns the bytes of a JSON array.
    pub(super) fn attempt(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        summary: &str,
        attempt: &Attempt,
    ) -> Result<Timed> {
        let request = Request {
            method: "POST",
            url: &self.url,
            headers,
            body,
            timeout: attempt.timeout,
        };
        self.trace(summary, "request", body);
        let started = Instant::now();
        let outcome = self.receive(&request);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let size = outcome.as_ref().map_or(0, |received| received.body.len());
        self.counters.exchanged(body.len(), size, micros);
        let (sent, number) = (body.len(), attempt.number);
        let result = match &outcome {
            Ok(received) => format!("status {}", received.status),
            Err(error) => format!("{:?}", error.kind()),
        };
        log::debug!(
            "{}: {result}, {sent} bytes sent, {size} received, {micros} µs, attempt {number}",
            in_short(summary)
        );
        let received = outcome?;
        self.trace(summary, "response", &received.body);
        Ok(Timed {
            body: self.check(received)?,
            deadline: started.checked_add(attempt.timeout),
        })
    }

    /// Decodes a response with `decode`, until the deadline of its request, or until the call is
    /// interrupted.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Timeout`], [`ErrorKind::Closed`], [`ErrorKind::Cancelled`].
    /// - The error of `decode`, without secrets and not too long: it may quote the response.
    pub(crate) fn decode<T>(
        &self,
        response: Timed,
        summary: &str,
        decode: impl FnOnce(&Body<'_>) -> Result<T>,
    ) -> Result<T> {
        let Timed { body, deadline } = response;
        let call = self.begin_call();
        let check = || match call.interrupted() {
            Some(why) => {
                let late = Error::new(ErrorKind::Connection, "its response was being decoded");
                Err(interrupted(why, summary, late))
            }
            None if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                let (origin, bytes) = (self.origin(), body.len());
                let message = format!(
                    "the response of {origin}, of {bytes} bytes, was not decoded in time; ask for less at \
                     once, or allow more time with `SessionBuilder::timeout`"
                );
                Err(Error::new(ErrorKind::Timeout, message))
            }
            None => Ok(()),
        };
        let decoded = decode(&Body::checked(&body, &check));
        self.done_with(body);
        decoded.map_err(|error| self.checked(error))
    }

    /// An error that may quote what the server sent, without secrets and not too long.
    pub(crate) fn checked(&self, error: Error) -> Error {
        self.config.redactor().checked(error)
    }

    /// Logs the body of a request or of a response.
    fn trace(&self, summary: &str, what: &str, body: &[u8]) {
        if log::log_enabled!(log::Level::Trace) {
            let text = self
                .config
                .redactor()
                .redact(&String::from_utf8_lossy(body));
            log::trace!("{}: {what} {text}", in_short(summary));
        }
    }

    fn receive(&self, request: &Request<'_>) -> Result<Received> {
        let response = self.transport.send(request)?;
        if (300..400).contains(&response.status) {
            return Err(self.redirected(&response));
        }
        let status = response.status;
        let retry_after = response.header("retry-after").map(str::to_owned);
        let mut body = self.spare.take();
        // A buffer that grows by doubling is moved, and is twice in memory meanwhile.
        let announced = response.header("content-length");
        let announced = announced.and_then(|length| length.parse().ok());
        body.reserve_exact(announced.unwrap_or(0).min(MAX_RESERVED_BYTES));
        let largest = self.config.network.max_response;
        let mut reader = response.body.take(largest.saturating_add(1));
        reader
            .read_to_end(&mut body)
            .map_err(|error| self.broken(error))?;
        if body.len() as u64 > largest {
            let origin = self.origin();
            let message = format!(
                "the response of {origin} is larger than {largest} bytes; ask for less at once, or \
                 allow more with `Network::max_response`"
            );
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        Ok(Received {
            status,
            retry_after,
            body,
        })
    }

    fn broken(&self, error: std::io::Error) -> Error {
        let doing = format!("the response of {} broke off", self.origin());
        body_error(error).context(doing)
    }

    /// The body of a response that is a list of replies; else an error that describes it.
    fn check(&self, received: Received) -> Result<Vec<u8>> {
        let status = received.status;
        let first = received
            .body
            .iter()
            .find(|byte| !byte.is_ascii_whitespace());
        if matches!(status, 429 | 502 | 503 | 504) {
            return Err(self.unavailable(&received));
        }
        if let Some(failure) = failure_of(&received.body) {
            let redact = |text: &str| self.config.redactor().redact(text);
            let error = self.checked(failure.into_error(status, redact));
            return Err(match error.kind() {
                ErrorKind::Authentication => self.rejected_credentials(error),
                _ => error,
            });
        }
        if first == Some(&b'[') && status < 400 {
            return Ok(received.body);
        }
        let what = match first {
            None => "an empty response".to_owned(),
            Some(b'<') => "an HTML page, perhaps of a proxy or a login:\n".to_owned(),
            Some(_) => "something else:\n".to_owned(),
        };
        let (origin, beginning) = (
            self.origin(),
            self.config.redactor().excerpt(&received.body),
        );
        let (kind, remedy) = remedy_for(status);
        let message = format!(
            "{origin} is not an ftrack server, or something in front of it responded: status {status} and \
             {what}{beginning}\n{remedy}"
        );
        Err(Error::new(kind, message).with_status(status))
    }

    /// Names the server and the user.
    fn rejected_credentials(&self, error: Error) -> Error {
        let (origin, user) = (self.origin(), config::shown_user(&self.config.api_user));
        error.with_note(&format!(
            "The server is {origin} and the user {user:?}. Check FTRACK_API_USER and \
             FTRACK_API_KEY (or api_user and api_key); the key must have been created on this server, \
             for this user."
        ))
    }

    /// The server, or a gateway in front of it, is overloaded or down.
    fn unavailable(&self, received: &Received) -> Error {
        let (origin, status) = (self.origin(), received.status);
        let why = match status {
            429 => "is rate limiting requests",
            502 | 504 => "is a gateway to a server that does not respond",
            _ => "is not available",
        };
        let message = format!("{origin} {why} (status {status})");
        let message = match self.config.redactor().excerpt(&received.body) {
            text if text.is_empty() => message,
            text => format!("{message}:\n{text}"),
        };
        let asked = received.retry_after.as_deref();
        let asked = asked.and_then(|value| config::retry_after(value, Timestamp::now()));
        let error = Error::new(ErrorKind::Unavailable, message);
        let error = error.with_status(status).with_retry_after(asked);
        // A server that limits rates refuses before it looks at the request.
        if status == 429 { error.unsent() } else { error }
    }

    /// Redirects are not followed: the API key would be sent to wherever they lead, and a POST would
    /// become a GET.
    fn redirected(&self, response: &Response) -> Error {
        let target = response.header("location").unwrap_or("somewhere else");
        // The query of a login page is a secret.
        let target = target.split(['?', '#']).next().unwrap_or_default();
        let target = self.config.redactor().redact(target);
        let origin = self.origin();
        let message =
            format!("{origin} redirects to {target}; use that as the server URL if you trust it");
        Error::new(ErrorKind::Configuration, message).with_status(response.status)
    }

    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// What to do about a response that no ftrack server sends.
fn remedy_for(status: u16) -> (ErrorKind, &'static str) {
    match status {
        401 | 407 => (
            ErrorKind::Authentication,
            "A proxy or gateway in front of the server requires authentication: give user and password \
             in the URL of the proxy, or set a cookie or a header with `SessionBuilder`.",
        ),
        413 => (
            ErrorKind::BadResponse,
            "The request is too large for a gateway in front of the server: send less at once, for example \
             with `commit_in_chunks`.",
        ),
        _ => (
            ErrorKind::BadResponse,
            "Check that the server URL (FTRACK_SERVER or server_url) is that of an ftrack server, \
             and whether a proxy or a login page is between.",
        ),
    }
}

/// Short enough for a line of the log.
fn in_short(summary: &str) -> Cow<'_, str> {
    shortened(summary, 200)
}
