//! The error type of the crate: a kind to match on, and a message that names the subject.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::value::EntityKey;

/// The result of the fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error; one machine word.
///
/// The message says what failed, on what, and what to do about it. Programs match on
/// [`kind`](Self::kind); [`source`](StdError::source) is the cause.
///
/// ```
/// let error = ftrack_api::Session::builder().server_url("ftp://example.com").open().unwrap_err();
/// assert_eq!(error.kind(), ftrack_api::ErrorKind::Configuration);
/// assert!(error.to_string().contains("ftp://example.com"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    remedy: Option<&'static str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    server: Option<ServerError>,
    never_sent: bool,
    in_doubt: bool,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

/// The kind of an [`Error`], by what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or an environment variable is missing or unusable: set it.
    Configuration,
    /// The server could not be reached, or the connection broke: try again later.
    Connection,
    /// The server did not respond in time: try again, or allow more time.
    Timeout,
    /// The server, or a gateway in front of it, is overloaded or down (429, 502, 503, 504): try again
    /// later.
    Unavailable,
    /// The server's certificate could not be verified, or it rejected the client's.
    Tls,
    /// The server rejected the API key or the user: get valid ones.
    Authentication,
    /// The user lacks the permission: ask an administrator.
    Permission,
    /// The data is invalid, according to the server or to a check before sending: change it.
    Validation,
    /// Something with the same identity exists already: use it, or choose another name.
    Duplicate,
    /// Nothing matches.
    NotFound,
    /// Several match where exactly one was expected.
    MultipleFound,
    /// A query or an event filter has a syntax error: the message says where.
    Syntax,
    /// The schema has no such entity type: the message names the nearest.
    UnknownType,
    /// The entity type has no such attribute: the message names the nearest.
    UnknownAttribute,
    /// The attribute cannot be changed.
    Immutable,
    /// The session is read-only: open another one to change data.
    ReadOnly,
    /// A value is of another type than was requested, or than the attribute takes.
    WrongType,
    /// The attribute is not loaded and loading it was not allowed.
    NotLoaded,
    /// More requests were needed than [`with_request_budget`] allows: load more in each.
    ///
    /// [`with_request_budget`]: crate::Session::with_request_budget
    OverBudget,
    /// The server is too old for this, or does not support it.
    Unsupported,
    /// The server reported a failure of no other kind.
    Server,
    /// The response violates the protocol: it is not JSON, truncated, or of another shape.
    BadResponse,
    /// The session, or the event hub, is closed.
    Closed,
    /// Another thread cancelled the call.
    Cancelled,
    /// A file could not be read or written.
    Io,
    /// A plugin, an accessor or a handler failed.
    Callback,
}

/// A failure as the server reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The server's name for the failure, such as `ValidationError`.
    pub exception: String,
    /// The server's text.
    pub content: String,
    /// The server's code, such as `api_credentials_invalid`, if it has one.
    pub code: Option<String>,
    /// The HTTP status: 200 unless the session is strict.
    pub status: u16,
    /// The index of the refused operation among the
    /// [recorded ones](crate::Session::recorded_operations). Servers do not report it. It is known
    /// if the commit had one change, or if the server's text identifies one by its key, a value, an
    /// attribute or its type. Otherwise this and the next three fields are `None`.
    pub operation: Option<usize>,
    /// A description of that operation, such as `update Task(…): bid = 3`.
    pub operation_text: Option<String>,
    /// The entity of that operation.
    pub entity: Option<EntityKey>,
    /// The attribute that the server's text names, or whose value it contains.
    pub attribute: Option<String>,
}

impl Error {
    /// An error of your own, for a [`Transport`](crate::transport::Transport) or any other callback.
    /// The message should name the subject and the way out.
    ///
    /// ```
    /// use ftrack_api::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Io, "cannot read the recording");
    /// assert_eq!(error.to_string(), "cannot read the recording");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            remedy: None,
            source: None,
            server: None,
            never_sent: false,
            in_doubt: false,
            status: None,
            retry_after: None,
        }))
    }

    /// The error of a plugin, an accessor or a subscriber. An error of this crate stays as it is.
    pub(crate) fn from_callback(error: anyhow::Error) -> Self {
        let is_own = error
            .chain()
            .next()
            .is_some_and(|first| first.downcast_ref::<Self>().is_some());
        if is_own {
            return match error.downcast() {
                Ok(own) => own,
                Err(error) => Self::new(ErrorKind::Callback, error.to_string()),
            };
        }
        let kinds = error.chain().find_map(|cause| {
            let own = cause.downcast_ref::<Self>().map(Self::kind);
            own.or_else(|| {
                let io: &std::io::Error = cause.downcast_ref()?;
                let inner = io.get_ref().and_then(|inner| inner.downcast_ref());
                Some(inner.map_or(ErrorKind::Io, Self::kind))
            })
        });
        let kind = kinds.unwrap_or(ErrorKind::Callback);
        Self::new(kind, error.to_string()).with_source(error)
    }

    /// Adds its cause.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the failure that the server reported.
    pub(crate) fn with_server(mut self, server: ServerError) -> Self {
        self.0.status = Some(server.status);
        self.0.server = Some(server);
        self
    }

    /// Notes that the request did not reach the server.
    pub(crate) fn unsent(mut self) -> Self {
        self.0.never_sent = true;
        self
    }

    /// Whether the server may have processed the request although no response confirms it.
    pub(crate) fn leaves_doubt(&self) -> bool {
        let is_unconfirmed = matches!(
            self.0.kind,
            ErrorKind::Connection
                | ErrorKind::Timeout
                | ErrorKind::Unavailable
                | ErrorKind::BadResponse
                | ErrorKind::Cancelled
                | ErrorKind::Closed
        );
        is_unconfirmed && !self.0.never_sent
    }

    /// Notes which recorded operation the server refused, and which of its attributes.
    pub(crate) fn about_operation(
        mut self,
        index: usize,
        text: String,
        entity: EntityKey,
        attribute: Option<String>,
    ) -> Self {
        if let Some(server) = &mut self.0.server {
            server.operation = Some(index);
            server.operation_text = Some(text);
            server.entity = Some(entity);
            server.attribute = attribute;
        }
        self
    }

    /// Notes the HTTP status of the response.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Notes when the server accepts the next request.
    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Replaces the message by what `change` makes of it.
    pub(crate) fn with_message(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.0.message = change(&self.0.message);
        self
    }

    /// Appends a hint to the message.
    pub(crate) fn append(mut self, hint: &str) -> Self {
        self.0.message += hint;
        self
    }

    /// Appends a sentence to the message, on a new line.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.0.message = format!("{}\n{note}", self.0.message);
        self
    }

    /// Notes that a commit may have been applied.
    pub(crate) fn in_doubt(mut self) -> Self {
        self.0.in_doubt = true;
        self
    }

    /// Sets what the program can do about it.
    pub(crate) fn with_remedy(mut self, remedy: impl Into<Option<&'static str>>) -> Self {
        self.0.remedy = remedy.into();
        self
    }

    /// Prepends to the message what was being done.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// Prepends to the message what was being done, unless it begins with that.
    pub(crate) fn about(self, doing: &str) -> Self {
        match self.0.message.starts_with(doing) {
            true => self,
            false => self.context(doing),
        }
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether this is of a commit that the server may have applied although no response confirms it.
    /// The session finds out before its next commit.
    pub fn is_in_doubt(&self) -> bool {
        self.0.in_doubt
    }

    /// What went wrong, without the [`remedy`](Self::remedy). `Display` shows both.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What a program that goes on can do about it, such as to commit again, where the message does
    /// not say so. A program that ends with the error shows [`message`](Self::message) instead.
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy
    }

    /// The HTTP status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// How long to wait before the next request, if the server said so (the header `Retry-After`).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The failure as the server reported it, if it did.
    pub fn server(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match self.0.remedy {
            Some(remedy) => write!(f, "\n{remedy}"),
            None => Ok(()),
        }
    }
}

/// The message and its causes, as a script prints them that ends with an error. `{:#?}` shows the
/// fields.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let mut out = f.debug_struct("Error");
            out.field("kind", &self.0.kind);
            out.field("message", &self.0.message);
            out.field("server", &self.0.server);
            out.field("source", &self.0.source);
            return out.finish();
        }
        write!(f, "{self} ({:?})", self.0.kind)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            // Many messages end with their cause.
            if !self.0.message.contains(&error.to_string()) {
                write!(f, "\nCaused by: {error}")?;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

/// Runs a callback; a panic becomes an error. Must be called in the library that the callback was
/// compiled in: a panic cannot be caught outside of it.
pub(crate) fn caught<T>(call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    // A callback that panics may leave its own data inconsistent, nothing of this crate.
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", panic_message(panic.as_ref()))))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The first characters of a text, for a message.
pub(crate) fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// `; did you mean "name"?`, or nothing if no known name is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(name, known);
    near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

/// The known name that is most similar to `name`, if one is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    let limit = (length / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The Damerau-Levenshtein distance: insertions, removals, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replace = last[j] + usize::from(a[i] != b[j]);
            let mut best = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (text, expected) in [("", ""), ("åå", "åå"), ("ååå", "åå…"), ("abcd", "ab…")]
        {
            assert_eq!(shortened(text, 2), expected);
        }
    }

    #[test]
    fn nearest_name() {
        let known = ["name", "status", "status_id", "bid", "parent"];
        for (given, expected) in [
            ("nmae", Some("name")),
            ("Status", Some("status")),
            ("parnet", Some("parent")),
            ("statusid", Some("status_id")),
            ("duration", None),
        ] {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }

    #[test]
    fn errors_of_callbacks_keep_their_kind() {
        use anyhow::Context;

        let own = || anyhow::Error::from(Error::new(ErrorKind::NotFound, "no such file"));
        for (given, kind, text) in [
            (own(), ErrorKind::NotFound, "no such file"),
            (own().context("reading"), ErrorKind::NotFound, "reading"),
            (anyhow::anyhow!("odd"), ErrorKind::Callback, "odd"),
            (
                std::io::Error::other(Error::new(ErrorKind::Closed, "over")).into(),
                ErrorKind::Closed,
                "over",
            ),
            (
                Err::<(), _>(std::io::Error::other("gone"))
                    .context("writing")
                    .unwrap_err(),
                ErrorKind::Io,
                "writing",
            ),
        ] {
            let error = Error::from_callback(given);
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        }
        let error = Error::from_callback(own().context("reading"));
        assert_eq!(
            format!("{error:?}"),
            "reading (NotFound)\nCaused by: no such file"
        );
    }

    #[test]
    fn context_goes_in_front_and_the_cause_and_the_remedy_behind() {
        let error = Error::new(ErrorKind::Io, "cannot read")
            .with_source(std::io::Error::other("gone"))
            .context("schema cache");
        assert_eq!(error.to_string(), "schema cache: cannot read");
        assert_eq!(error.source().map(ToString::to_string), Some("gone".into()));
        assert_eq!(
            format!("{error:?}"),
            "schema cache: cannot read (Io)\nCaused by: gone"
        );
        assert!(format!("{error:#?}").contains("kind: Io"));
        // A message that ends with its cause says it once.
        let whole = Error::new(ErrorKind::Io, "cannot read: gone");
        let whole = whole.with_source(std::io::Error::other("gone"));
        assert_eq!(format!("{whole:?}"), "cannot read: gone (Io)");
        let error = error.with_remedy("Mend it.").with_note("Twice.");
        assert_eq!(error.message(), "schema cache: cannot read\nTwice.");
        assert_eq!(
            error.to_string(),
            "schema cache: cannot read\nTwice.\nMend it."
        );
    }
}
