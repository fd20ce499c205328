//! A bucket, and requests to it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action};

use crate::api::{Api, StorageRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Response;

/// How long the signatures of requests are valid.
pub(super) const VALIDITY: Duration = Duration::from_secs(60 * 60);
/// The longest XML document that is read.
const MAX_XML_BYTES: u64 = 16 << 20;

/// Where objects are, and who signs requests.
pub(super) struct Place {
    pub(super) api: Arc<Api>,
    pub(super) bucket: Bucket,
    pub(super) credentials: Option<Credentials>,
    /// Empty, or with `/` at its end.
    pub(super) prefix: String,
}

impl Place {
    /// Sends a request without a body, for an object or the bucket.
    pub(super) fn ask<'a, A: S3Action<'a>>(
        &self,
        method: &'static str,
        summary: &str,
        action: impl Fn() -> A,
    ) -> Result<Response> {
        let request = StorageRequest {
            method,
            headers: &[],
            body: &[],
            bytes: 0,
            summary,
        };
        self.api.ask_storage(&request, || action().sign(VALIDITY))
    }

    /// The size and the ETag of an object; `None` if there is none.
    pub(super) fn head(&self, key: &str) -> Result<Option<(u64, String)>> {
        let summary = format!("look for {key}");
        let credentials = self.credentials.as_ref();
        let head = || self.bucket.head_object(credentials, key);
        let response = match self.ask("HEAD", &summary, head) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            outcome => outcome?,
        };
        let size = response.header("content-length");
        let size = size.and_then(|size| size.parse().ok()).unwrap_or(0);
        let tag = response.header("etag").unwrap_or_default();
        Ok(Some((size, tag.trim_matches('"').to_owned())))
    }
}

/// # Errors
///
/// - [`ErrorKind::BadResponse`] if it is too long or no text.
pub(super) fn read_xml(response: Response, summary: &str) -> Result<String> {
    let mut text = String::new();
    let read = response.body.take(MAX_XML_BYTES).read_to_string(&mut text);
    read.map_err(|error| unreadable(summary, &error.to_string()))?;
    Ok(text)
}

pub(super) fn unreadable(summary: &str, why: &str) -> Error {
    let message = format!("{summary}: the storage's response cannot be read: {why}");
    Error::new(ErrorKind::BadResponse, message)
}
