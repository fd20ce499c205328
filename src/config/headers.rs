//! What a header may contain.

use ureq::http::HeaderName;
use ureq::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use super::problems::Problems;

/// Notes headers that cannot be sent. Values are not shown.
pub(crate) fn check_headers(headers: &[(String, String)], problems: &mut Problems) {
    for (name, value) in headers {
        problems.note(check_name(name));
        problems.note(check_value(&format!("header {name:?}"), value));
    }
}

/// One `cookie` header with all cookies; none if there are none.
pub(crate) fn cookie_header(cookies: &[(String, String)]) -> Option<(String, String)> {
    let pairs = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let pairs = pairs.collect::<Vec<_>>().join("; ");
    (!cookies.is_empty()).then(|| ("cookie".to_owned(), pairs))
}

fn check_name(name: &str) -> Result<(), String> {
    let why = match HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => "it is not a header name",
        Ok(name) if name == CONTENT_LENGTH || name == TRANSFER_ENCODING => {
            "it is computed for each request"
        }
        Ok(_) => return Ok(()),
    };
    Err(format!("the header {name:?} cannot be added: {why}"))
}

/// A line break in a value would let it add headers of its own.
pub(crate) fn check_value(what: &str, value: &str) -> Result<(), String> {
    let may_be_sent = |byte| byte == b'\t' || (b' '..=b'~').contains(&byte) || byte >= 0x80;
    match value.bytes().all(may_be_sent) {
        true => Ok(()),
        false => Err(format!(
            "the {what} contains line breaks or control characters and cannot be sent"
        )),
    }
}
