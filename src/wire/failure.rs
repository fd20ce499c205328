//! Failures that servers report in place of a response.

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::transcode::Transcode;
use crate::error::{Error, ErrorKind, ServerError};

/// The response of a server that rejects a request.
#[derive(Deserialize)]
pub(crate) struct Failure {
    exception: String,
    content: Option<Box<RawValue>>,
    error_code: Option<Box<RawValue>>,
}

/// The failure that `body` describes, if it is an object with an `exception`.
pub(crate) fn failure_of(body: &[u8]) -> Option<Failure> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

impl Failure {
    /// The error for it; `status` is the HTTP status that it came with, and `redact` cuts secrets
    /// out of what the server says.
    pub(crate) fn into_error(self, status: u16, redact: impl Fn(&str) -> String) -> Error {
        let redact_text = |text: String| redact(&text);
        let content = |content: Box<RawValue>| redact(&shown(&content));
        let server = ServerError {
            content: self.content.map(content).unwrap_or_default(),
            code: self
                .error_code
                .as_deref()
                .and_then(text_of)
                .map(redact_text),
            exception: redact(&self.exception),
            status,
            operation: None,
            operation_text: None,
            entity: None,
            attribute: None,
        };
        let kind = kind_of(&server);
        let hint = hint_for(kind);
        Error::new(
            kind,
            format!(
                "the server responded with {}: {}{hint}",
                server.exception, server.content
            ),
        )
        .with_server(server)
    }
}

/// A value for a message: a text as it is, anything else as JSON without escapes that nothing needs, in
/// which a secret could hide.
pub(super) fn shown(value: &RawValue) -> String {
    text_of(value).unwrap_or_else(|| {
        let (mut json, mut text) = (Deserializer::from_str(value.get()), Vec::new());
        match Transcode(&mut text).deserialize(&mut json) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => error.to_string(),
        }
    })
}

/// The text that a value is, unless it is something else.
fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn kind_of(server: &ServerError) -> ErrorKind {
    let says = |text: &str| server.exception.contains(text) || server.content.contains(text);
    match server.exception.as_str() {
        "InvalidCredentialsError" | "FTAuthenticationError" => ErrorKind::Authentication,
        _ if server.code.as_deref() == Some("api_credentials_invalid") => ErrorKind::Authentication,
        "PermissionError" => ErrorKind::Permission,
        // Some servers wrap the exception's name into the text of another.
        _ if says("DuplicateEntryError") || says("IntegrityError") => ErrorKind::Duplicate,
        "ValidationError" => ErrorKind::Validation,
        _ if server.content.contains("Invalid action u'") => ErrorKind::Unsupported,
        "ParseError" => ErrorKind::Syntax,
        _ => ErrorKind::Server,
    }
}

fn hint_for(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Permission => "\nAsk an administrator for a role that allows it.",
        ErrorKind::Unsupported => "\nThis server does not offer it; a newer version may.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (body, kind) in [
            (
                r#"{"exception":"InvalidCredentialsError","content":"no","error_code":null}"#,
                ErrorKind::Authentication,
            ),
            (
                r#"{"exception":"X","content":"no","error_code":"api_credentials_invalid"}"#,
                ErrorKind::Authentication,
            ),
            (
                r#"{"exception":"PermissionError","content":"no"}"#,
                ErrorKind::Permission,
            ),
            (
                r#"{"exception":"ValidationError","content":"no"}"#,
                ErrorKind::Validation,
            ),
            (
                r#"{"exception":"ServerError","content":"DuplicateEntryError: timer"}"#,
                ErrorKind::Duplicate,
            ),
            (
                r#"{"exception":"ValueError","content":"Invalid action u'x'"}"#,
                ErrorKind::Unsupported,
            ),
            (
                r#" {"exception":"Boom","content":{"a":1}}"#,
                ErrorKind::Server,
            ),
        ] {
            let error = failure_of(body.as_bytes())
                .unwrap()
                .into_error(200, str::to_owned);
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.server().is_some());
        }
    }

    #[test]
    fn other_responses_are_not_failures() {
        for body in ["[]", "", "<html>", r#"{"version":"dev"}"#, "{"] {
            assert!(failure_of(body.as_bytes()).is_none(), "{body}");
        }
    }
}
