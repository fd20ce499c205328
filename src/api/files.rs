//! The data of components: the server's file endpoints, and the URLs that it signs.

use std::io::Read;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use url::Url;

use super::repeat::Attempt;
use super::{Api, Repeat};
use crate::config;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Request, Response};

/// Redirects of a download that are followed; they lead to a storage beside the server.
const MAX_REDIRECTS: usize = 5;
/// The slowest connection that is supported, in bytes a second: files get more time than queries by
/// this.
const MIN_BYTES_PER_SECOND: u64 = 64 << 10;

impl Api {
    /// The URL of a component's data. It contains the API key: these endpoints accept it
    /// in no other place.
    pub(crate) fn file_url(&self, endpoint: &str, id: &str) -> Url {
        let mut url = self.config.server_url.clone();
        let folder = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{folder}/component/{endpoint}"));
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("id", id);
            query.append_pair("username", &self.config.api_user);
            query.append_pair("apiKey", self.config.api_key.reveal());
        }
        url
    }

    /// Requests a range of a component's data. The server may redirect to another storage, which is
    /// sent no credentials.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`], [`ErrorKind::Cancelled`].
    /// - [`ErrorKind::Connection`] and the like without a response.
    /// - The server's refusal under its kind; status 416 is not one: no bytes begin there.
    pub(crate) fn get_file(&self, id: &str, first: u64, last: u64) -> Result<Option<Response>> {
        let summary = format!("download {id}");
        let range = range_headers(first, last);
        let bytes = last.saturating_sub(first) + 1;
        self.repeating(Repeat::Always, &summary, |attempt| {
            let mut headers = range.clone();
            headers.extend(self.config.headers.iter().cloned());
            let mut url = self.file_url("get", id);
            for _ in 0..=MAX_REDIRECTS {
                let request = StorageRequest {
                    method: "GET",
                    headers: &headers,
                    body: &[],
                    bytes,
                    summary: &summary,
                };
                let response = self.exchange_file(&url, &request, attempt)?;
                match response.status {
                    416 => return Ok(None),
                    301 | 302 | 303 | 307 | 308 => {
                        url = redirect_target(&url, &response, &summary)?;
                        headers.clone_from(&range);
                    }
                    _ => return self.accepted(response, &summary).map(Some),
                }
            }
            let message = format!("{summary}: redirected more than {MAX_REDIRECTS} times");
            Err(Error::new(ErrorKind::BadResponse, message))
        })
    }

    /// Removes a component's data from the server's storage.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ReadOnly`] if the session may not change anything.
    /// - Any error of [`get_file`](Self::get_file).
    pub(crate) fn remove_file(&self, id: &str) -> Result<()> {
        self.check_writable()?;
        let (url, summary) = (self.file_url("remove", id), format!("remove {id}"));
        let request = StorageRequest {
            method: "GET",
            headers: &self.config.headers,
            body: &[],
            bytes: 0,
            summary: &summary,
        };
        self.repeating(Repeat::IfUnsent, &summary, |attempt| {
            let response = self.exchange_file(&url, &request, attempt)?;
            self.accepted(response, &summary).map(drop)
        })
    }

    /// Sends bytes to a URL that the server has signed, with these headers and no credentials. It is
    /// sent again if it fails: the same bytes twice do no harm.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ReadOnly`] if the session may not change anything.
    /// - Any error of [`get_file`](Self::get_file).
    pub(crate) fn put_file(
        &self,
        url: &Url,
        headers: &[(String, String)],
        body: &[u8],
        summary: &str,
    ) -> Result<Response> {
        self.check_writable()?;
        let request = StorageRequest {
            method: "PUT",
            headers,
            body,
            bytes: body.len() as u64,
            summary,
        };
        self.ask_storage(&request, || url.clone())
    }

    /// Sends a request to a storage beside the server, without the server's credentials. `url` is
    /// called before each attempt, because signatures expire. It is sent again if it fails: it must
    /// do no harm twice.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_file`](Self::get_file).
    pub(crate) fn ask_storage(
        &self,
        request: &StorageRequest<'_>,
        url: impl Fn() -> Url,
    ) -> Result<Response> {
        let summary = request.summary;
        self.repeating(Repeat::Always, summary, |attempt| {
            let response = self.exchange_file(&url(), request, attempt)?;
            self.accepted(response, summary)
        })
    }

    fn exchange_file(
        &self,
        url: &Url,
        request: &StorageRequest<'_>,
        attempt: &Attempt,
    ) -> Result<Response> {
        let started = Instant::now();
        let (bytes, summary) = (request.bytes, request.summary);
        let outcome = self.transport.send(&Request {
            method: request.method,
            url,
            headers: request.headers,
            body: request.body,
            timeout: attempt.timeout + Duration::from_secs(bytes / MIN_BYTES_PER_SECOND),
        });
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.exchanged(request.body.len(), 0, micros);
        let number = attempt.number;
        match &outcome {
            Ok(response) => {
                let status = response.status;
                log::debug!("{summary}: status {status}, {micros} µs, attempt {number}");
            }
            Err(error) => log::debug!("{summary}: {error}, {micros} µs, attempt {number}"),
        }
        outcome.map_err(|error| error.context(summary))
    }

    /// # Errors
    ///
    /// - The kind of the status, with the start of the response, unless the status is a success.
    fn accepted(&self, response: Response, summary: &str) -> Result<Response> {
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        let status = response.status;
        let kind = match status {
            401 | 403 => ErrorKind::Permission,
            404 | 410 => ErrorKind::NotFound,
            300..=399 => ErrorKind::BadResponse,
            // Storages respond with 500 as well when they are overloaded.
            429 | 500 | 502 | 503 | 504 => ErrorKind::Unavailable,
            _ => ErrorKind::Server,
        };
        let asked = response.header("retry-after");
        let asked = asked.and_then(|value| config::retry_after(value, Timestamp::now()));
        let mut start = Vec::new();
        // If it cannot be read, the message shows the status only.
        let _ = response.body.take(1 << 16).read_to_end(&mut start);
        let text = String::from_utf8_lossy(&start);
        let start = match storage_message(&text) {
            Some(message) => self.config.redactor().excerpt(message.as_bytes()),
            None => self.config.redactor().excerpt(&start),
        };
        let message = format!("{summary}: refused with status {status}: {start}");
        let error = Error::new(kind, message)
            .with_status(status)
            .with_retry_after(asked);
        // As for other requests: nothing was done.
        Err(if status == 429 { error.unsent() } else { error })
    }
}

/// The code and the message of a storage that responds in the XML of S3. The rest of that repeats
/// parts of the request, its signature among them.
fn storage_message(text: &str) -> Option<String> {
    let (_, error) = text.split_once("<Error>")?;
    let part = |name: &str| {
        let (_, rest) = error.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let code = part("Code")?;
    Some(match part("Message") {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    })
}

/// The headers that ask for a range.
pub(crate) fn range_headers(first: u64, last: u64) -> Vec<(String, String)> {
    vec![
        ("range".to_owned(), format!("bytes={first}-{last}")),
        // A range of a compressed file is not a compressed range of the file.
        ("accept-encoding".to_owned(), "identity".to_owned()),
    ]
}

/// A request that sends a file or receives one.
pub(crate) struct StorageRequest<'a> {
    pub(crate) method: &'static str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    /// The most bytes that are sent or received.
    pub(crate) bytes: u64,
    pub(crate) summary: &'a str,
}

/// Where a redirect leads.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if it leads nowhere, or out of the encrypted connection.
fn redirect_target(from: &Url, response: &Response, summary: &str) -> Result<Url> {
    let target = response.header("location").unwrap_or_default();
    let refuse = |why: &str| {
        let message = format!("{summary}: redirected to a URL that {why}");
        Error::new(ErrorKind::BadResponse, message)
    };
    let url = from.join(target).map_err(|_| refuse("cannot be read"))?;
    match (from.scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => Ok(url),
        _ => Err(refuse("is not encrypted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_s_error_is_told_without_what_it_repeats() {
        let text = "<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code>\
            <Message>Not ours</Message><AWSAccessKeyId>AK</AWSAccessKeyId></Error>";
        let told = storage_message(text);
        assert_eq!(told.as_deref(), Some("SignatureDoesNotMatch: Not ours"));
        let short = storage_message("<Error><Code>SlowDown</Code></Error>");
        assert_eq!(short.as_deref(), Some("SlowDown"));
        for other in ["<html>", "<Error><Code>", "<Error></Error>", ""] {
            assert_eq!(storage_message(other), None);
        }
    }
}
