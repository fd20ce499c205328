//! Keeps secrets out of the log of `ureq`, which at trace level writes every byte that it sends and
//! receives.
//!
//! While that is enabled, `ureq` is given a request with placeholders of the same length for the
//! values of headers and for the query of the URL, which holds the key or a signature; and a
//! response with placeholders for all but what says how long it is. The originals are put in
//! between `ureq` and the connection. At all other levels `ureq` redacts by itself, and none of
//! this is used.

mod request;
mod response;

use std::cell::RefCell;

use url::Url;

pub(super) use request::OriginalRequest;
pub(super) use response::{OriginalResponse, RedactedResponse};

thread_local! {
    /// The original of the request that this thread is about to send.
    static ORIGINAL: RefCell<Option<OriginalRequest>> = const { RefCell::new(None) };
}

/// Replaces the secrets of a request by placeholders if `ureq` would log them, and returns what
/// then receives its response.
pub(super) fn redact(url: &mut Url, headers: &mut [(String, String)]) -> Option<OriginalResponse> {
    let original = is_logged().then(|| OriginalRequest::replace(url, headers));
    let response = original.as_ref().map(OriginalRequest::response);
    ORIGINAL.set(original);
    response
}

/// The original of the request whose first bytes this thread sends, if it was redacted.
pub(super) fn take() -> Option<OriginalRequest> {
    ORIGINAL.take()
}

/// Whether `ureq` writes bytes (the first of these modules) and whole URLs (the second).
fn is_logged() -> bool {
    log::log_enabled!(target: "ureq_proto::util", log::Level::Trace)
        || log::log_enabled!(target: "ureq::util", log::Level::Trace)
}
