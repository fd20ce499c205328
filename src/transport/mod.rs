//! How requests reach a server: over HTTP, or by a [`Transport`] of your own.

mod connection;
mod dial;
mod failure;
mod head;
mod http;
mod race;
mod recording;
mod redact;
mod resolve;
mod scripted;
mod socks;
mod stream;
mod tls;

use std::io::Read;
use std::time::Duration;

use url::Url;

use crate::calls::Call;
use crate::error::Result;

pub(crate) use dial::Dialer;
pub(crate) use failure::{body_error, connect_error, io_error};
pub(crate) use head::read_head;
pub(crate) use http::Http;
pub use recording::{Recording, RecordingTransport, ReplayTransport};
pub use scripted::ScriptedTransport;
pub(crate) use stream::Stream;

/// Names this crate in requests.
pub(crate) const USER_AGENT: &str = concat!("ftrack-api-rust/", env!("CARGO_PKG_VERSION"));

/// Sends requests and returns responses.
///
/// The session decides what to send and interprets the response; a transport only carries both.
/// Give one to [`SessionBuilder::transport`](crate::SessionBuilder::transport) in place of HTTP, or
/// wrap HTTP in one with [`SessionBuilder::wrap_transport`](crate::SessionBuilder::wrap_transport),
/// to watch traffic or to refuse some of it. [`Recording`] records and replays; [`ScriptedTransport`]
/// responds from a script.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and returns the response, whatever its status.
    ///
    /// # Errors
    ///
    /// - [`Connection`](crate::ErrorKind::Connection) or [`Timeout`](crate::ErrorKind::Timeout) if no
    ///   response arrives: a request that only reads is then sent again.
    /// - Any other kind: the request is not sent again.
    fn send(&self, request: &Request<'_>) -> Result<Response>;

    /// Interrupts requests under way and closes all connections, because the session closes. No
    /// request follows.
    fn close(&self) {}
}

/// One HTTP request.
#[non_exhaustive]
pub struct Request<'a> {
    /// `GET`, `POST` or `PUT`; for an S3-compatible storage also `HEAD` and `DELETE`.
    pub method: &'static str,
    /// Where to send it.
    pub url: &'a Url,
    /// Names in lower case, and values. The API key is among them.
    pub headers: &'a [(String, String)],
    /// The body to send.
    pub body: &'a [u8],
    /// How long it may take, from opening a connection to the last byte of the response.
    pub timeout: Duration,
}

impl<'a> Request<'a> {
    /// A request of these parts: for a transport that changes one before it hands it on.
    pub fn new(
        method: &'static str,
        url: &'a Url,
        headers: &'a [(String, String)],
        body: &'a [u8],
        timeout: Duration,
    ) -> Self {
        Self {
            method,
            url,
            headers,
            body,
            timeout,
        }
    }

    /// Whether the call was cancelled, or the session closed, so that nobody waits for the
    /// response any more. A transport that waits by itself checks this from time to time.
    pub fn is_cancelled(&self) -> bool {
        Call::current().is_some_and(|call| call.interrupted().is_some())
    }
}

// Headers and body stay out of logs: they hold the API key and other people's data.
debug_fields!(Request<'_>, |this|
    method: this.method,
    host: this.url.host_str(),
    path: this.url.path(),
    bytes: this.body.len(),
);

/// One HTTP response.
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, not yet read.
    pub body: Box<dyn Read + Send>,
}

impl Response {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str())
    }
}

debug_fields!(Response, |this| status: this.status);
