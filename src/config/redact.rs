//! Secrets, and how they are removed from texts.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use regex_lite::{Captures, Regex};

use crate::error::Error;

/// An API key. It is sent to the server, and cannot be printed.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps the text of a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The text of the key, to hand it to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl From<&String> for ApiKey {
    fn from(key: &String) -> Self {
        Self(key.to_owned())
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}

/// Shorter values of headers and cookies occur in too many texts for other reasons.
const MIN_SECRET_BYTES: usize = 6;
/// How much of a foreign text is looked at for an excerpt.
const EXCERPT_BYTES: usize = 64 * 1024;
/// How many characters of a foreign text are shown.
const EXCERPT_CHARS: usize = 300;
/// How many characters of a message are shown that is, or quotes, a foreign text.
const MESSAGE_CHARS: usize = 2000;

/// Removes the secrets of a session from texts. Every text of foreign origin (what a server, a proxy
/// or a plugin sent) passes it before it is cut and becomes part of an error or of a log message.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// What to look for, and what to put in its place; the longest come first.
    secrets: Vec<(String, &'static str)>,
}

impl Redactor {
    /// Of an API key, and of headers and cookies that were added.
    pub(crate) fn new<'a>(
        api_key: &ApiKey,
        headers: impl IntoIterator<Item = &'a (String, String)>,
    ) -> Self {
        let mut secrets = Vec::new();
        let key = api_key.reveal();
        // As the endpoints of files take it: percent-encoded in the query of a URL. What quotes the URL
        // may write it in lower case.
        let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        let lower = lower_escapes(&encoded);
        for form in [key.to_owned(), encoded, lower] {
            if !form.trim().is_empty() {
                secrets.push((form, "(api key)"));
            }
        }
        // Most keys have one form.
        secrets.dedup();
        let mut this = Self { secrets };
        for (name, value) in headers {
            match name.eq_ignore_ascii_case("cookie") {
                true => this.add(value.split(';').map(value_of_cookie)),
                // Of `Bearer …` and `Basic …` the second word is the secret.
                false => this.add([value.as_str(), without_scheme(value)]),
            }
        }
        this
    }

    /// The same with cookies that a server has set, each a name and a value.
    pub(crate) fn with_cookies(mut self, cookies: &[String]) -> Self {
        self.add(cookies.iter().map(|cookie| value_of_cookie(cookie)));
        self
    }

    fn add<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) {
        let values = values.into_iter().map(str::trim);
        let values = values.filter(|value| value.len() >= MIN_SECRET_BYTES);
        let values = values.map(|value| (value.to_owned(), "(secret)"));
        self.secrets.extend(values);
        // One may contain another.
        self.secrets
            .sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
    }

    /// `text` without secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for (secret, substitute) in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, substitute).into();
            }
        }
        redact_bearer_secrets(&text)
    }

    /// `text` without secrets, as a message for a log: no control characters, lines after the first
    /// indented so that none passes for a message of its own, and cut.
    pub(crate) fn message(&self, text: &str) -> String {
        let mut shown = String::new();
        for c in self.redact(text).chars().take(MESSAGE_CHARS) {
            match c {
                '\n' => shown += "\n    ",
                '\t' => shown.push(c),
                c if c.is_control() => shown.extend(c.escape_default()),
                c => shown.push(c),
            }
        }
        shown
    }

    /// The first characters of a text, for a message that shows what was received. Nothing of a
    /// secret remains where the text is cut.
    pub(crate) fn excerpt(&self, bytes: &[u8]) -> String {
        let bytes = bytes.trim_ascii_start();
        let start = &bytes[..bytes.len().min(EXCERPT_BYTES)];
        let text = String::from_utf8_lossy(start);
        let text = match start.len() == EXCERPT_BYTES {
            true => self.without_partial_secret(&text),
            false => &text,
        };
        let text = self.redact(text);
        text.trim().chars().take(EXCERPT_CHARS).collect()
    }

    /// An error whose message may quote a foreign text: without secrets, and without the middle of a
    /// message that is long. Its end says where the fault is, or what to do.
    pub(crate) fn checked(&self, error: Error) -> Error {
        error.with_message(|message| {
            let text = self.redact(message);
            let count = text.chars().count();
            if count <= MESSAGE_CHARS {
                return text;
            }
            let half = MESSAGE_CHARS / 2;
            let start = text.chars().take(half);
            let end = text.chars().skip(count - half);
            start.chain(['…']).chain(end).collect()
        })
    }

    /// The text without the beginning of a secret at its end.
    fn without_partial_secret<'a>(&self, text: &'a str) -> &'a str {
        let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let parts = self.secrets.iter().map(|(secret, _)| {
            let starts = secret.char_indices().map(|(end, _)| &secret[..end]);
            starts
                .filter(|start| text.ends_with(start))
                .map(str::len)
                .max()
        });
        let longest = parts.flatten().max().unwrap_or_default();
        &text[..text.len() - longest]
    }
}

// The secrets are left out.
debug_fields!(Redactor);

/// The value of `name=value`; all of a cookie without a name.
fn value_of_cookie(cookie: &str) -> &str {
    cookie.split_once('=').map_or(cookie, |(_, value)| value)
}

/// The credentials of `Bearer …` and the like; all of another value.
fn without_scheme(value: &str) -> &str {
    let is_scheme = |word: &str| {
        let schemes = ["bearer", "basic", "token", "negotiate", "apikey"];
        schemes.iter().any(|one| word.eq_ignore_ascii_case(one))
    };
    match value.trim().split_once(' ') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => value,
    }
}

/// `%3D` as `%3d`.
fn lower_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        text + "%" + &digits.to_ascii_lowercase() + rest
    })
}

/// `text` without what grants access to anybody who has it: signatures, tokens and keys in URLs
/// (where they are percent-encoded), and keys that a server hands out.
fn redact_bearer_secrets(text: &str) -> String {
    static SECRETS: OnceLock<Regex> = OnceLock::new();
    let lower = text.to_ascii_lowercase();
    if !["signature=", "token=", "api_key", "apikey=", "api-key"]
        .iter()
        .any(|sign| lower.contains(sign))
    {
        return text.to_owned();
    }
    let secrets = SECRETS.get_or_init(|| {
        // Of the server's own storage, of S3's and Google's, of widgets and of file endpoints.
        let pattern = concat!(
            r#"(?<name>(?i:signature|security-token|[?&]token|apikey)=|"api_key"\s*:\s*"|"#,
            r#"(?i:ftrack-api-key):\s*)(?<secret>[^&"\s\\<]+)"#
        );
        Regex::new(pattern).expect("it is a regular expression")
    });
    // What was redacted before says more.
    let replaced = |found: &Captures<'_>| match &found["secret"] {
        "(api" | "(secret)" => found[0].to_owned(),
        _ => format!("{}(secret)", &found["name"]),
    };
    secrets.replace_all(text, replaced).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(key: &str, headers: &[(&str, &str)]) -> Redactor {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(own).collect();
        Redactor::new(&ApiKey::new(key), &headers)
    }

    #[test]
    fn keys_cannot_be_printed() {
        assert_eq!(format!("{:?}", ApiKey::new("s3")), "ApiKey(hidden)");
        assert_eq!(redactor("s3", &[]).redact("a s3 b"), "a (api key) b");
        assert_eq!(redactor("k", &[]).redact("a k b"), "a (api key) b");
    }

    #[test]
    fn secrets_are_removed_from_texts() {
        let headers = [
            ("x-studio", "token=abc=="),
            ("cookie", "a=1; session=s3cr3t="),
        ];
        let redactor = redactor("k=y/", &headers);
        for (text, shown) in [
            (
                "1 k=y/, token=abc== and session=s3cr3t=",
                "1 (api key), (secret) and session=(secret)",
            ),
            (
                "/component/get?apiKey=k%3Dy%2F&id=1",
                "/component/get?apiKey=(api key)&id=1",
            ),
            (
                r#"{"url": "https://a/b?X-Amz-Signature=0f&c=d", "u": "/?signature=a/B"}"#,
                r#"{"url": "https://a/b?X-Amz-Signature=(secret)&c=d", "u": "/?signature=(secret)"}"#,
            ),
        ] {
            assert_eq!(redactor.redact(text), shown);
        }
    }

    #[test]
    fn headers_are_known_in_all_their_forms() {
        let headers = [
            ("Cookie", "a=1;session=s3cr3t;  b = t0ken-2 "),
            ("Authorization", "Bearer tok-123456"),
            ("proxy-authorization", "basic  bWU6cGFzcw=="),
            ("x-studio", "plain words here"),
        ];
        let redactor = redactor("k=Y/%", &headers).with_cookies(&["route=n0de-17".to_owned()]);
        for (text, shown) in [
            ("session=s3cr3t", "session=(secret)"),
            ("b=t0ken-2", "b=(secret)"),
            ("your token tok-123456 is bad", "your token (secret) is bad"),
            ("Bearer tok-123456", "(secret)"),
            ("bWU6cGFzcw==", "(secret)"),
            ("route=n0de-17; path=/", "route=(secret); path=/"),
            ("some words here", "some words here"),
            ("k%3DY%2F%25 k%3dY%2f%25", "(api key) (api key)"),
        ] {
            assert_eq!(redactor.redact(text), shown);
        }
    }

    #[test]
    fn a_message_is_one_for_a_log() {
        let redactor = redactor("s3cret", &[]);
        let text = "it\u{1b}[31m says\r\nERROR s3cret\tend\u{9b}";
        assert_eq!(
            redactor.message(text),
            "it\\u{1b}[31m says\\r\n    ERROR (api key)\tend\\u{9b}"
        );
        let long = redactor.message(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn secrets_that_a_server_hands_out_are_removed() {
        for (text, shown) in [
            (
                r#"{"data": {"api_key": "n3w"}}"#,
                r#"{"data": {"api_key": "(secret)"}}"#,
            ),
            // As it begins when the connection broke.
            (r#"{"api_key":"n3"#, r#"{"api_key":"(secret)"#),
            (
                "http://a/widget?theme=dark&token=1.a",
                "http://a/widget?theme=dark&token=(secret)",
            ),
            (
                "<p>GET /component/get?id=1&apiKey=a%2Bb%3D HTTP/1.1",
                "<p>GET /component/get?id=1&apiKey=(secret) HTTP/1.1",
            ),
            ("ftrack-api-key: an0ther", "ftrack-api-key: (secret)"),
            ("FTRACK-API-KEY: an0ther", "FTRACK-API-KEY: (secret)"),
            ("/get?apikey=an0ther", "/get?apikey=(secret)"),
            ("/get?SIGNATURE=an0ther", "/get?SIGNATURE=(secret)"),
            (
                r#"{"broken=": "api_key_set"}"#,
                r#"{"broken=": "api_key_set"}"#,
            ),
        ] {
            assert_eq!(redact_bearer_secrets(text), shown);
        }
    }

    #[test]
    fn an_excerpt_shows_no_part_of_a_secret() {
        let key = "0123456789abcdefghij";
        let redactor = redactor(key, &[("x-studio", "0123456789-longer")]);
        // Wherever the text is cut: white space before, repeated keys that become shorter, and keys that
        // end with the excerpt or with the part that is looked at.
        for lead in ["", " ", "\n\n", "aé", key] {
            for length in [280, 299, 65_500, 65_520, 65_535, 65_536] {
                for fill in [" ", "-", "é", "\u{2003}"] {
                    let text = format!("{lead}{}{key}{key}", fill.repeat(length / fill.len()));
                    let shown = redactor.excerpt(text.as_bytes());
                    assert!(
                        !shown.contains("012"),
                        "{lead:?} {length} {fill:?}: {shown}"
                    );
                    assert!(shown.chars().count() <= EXCERPT_CHARS);
                }
            }
        }
        let many = key.repeat(EXCERPT_BYTES / key.len() + 2);
        assert!(!redactor.excerpt(many.as_bytes()).contains("01"));
        let invalid = [key.as_bytes(), &[0xff; 10]].concat();
        assert!(redactor.excerpt(&invalid).starts_with("(api key)"));
        assert_eq!(redactor.excerpt(b" short "), "short");
    }

    #[test]
    fn a_long_message_loses_its_middle_and_no_secret_shows_where_it_is_cut() {
        let key = "key-0123456789";
        let redactor = redactor(key, &[]);
        let error = |text: String| Error::new(crate::ErrorKind::BadResponse, text);
        let short = redactor.checked(error(format!("a {key} at line 1")));
        assert_eq!(short.message(), "a (api key) at line 1");
        for before in 980..1010 {
            let text = format!("{}{key}{} at line 1", "x".repeat(before), "y".repeat(9000));
            let shown = redactor.checked(error(text));
            let shown = shown.message();
            assert!(
                !shown.contains("key-0") && !shown.contains("789"),
                "{shown}"
            );
            assert!(shown.ends_with(" at line 1"), "{shown}");
            assert_eq!(shown.chars().count(), MESSAGE_CHARS + 1);
        }
    }
}
