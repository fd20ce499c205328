//! The one error type of the crate: small, with a kind to match on and the subject in its text.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::value::EntityKey;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that went wrong, in one machine word.
///
/// The text says what was being done, to what, and what to do about it. [`kind`](Self::kind)
/// says what a program can do about it; [`source`](StdError::source) leads to the cause.
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
    source: Option<Box<dyn StdError + Send + Sync>>,
    server: Option<ServerError>,
    never_sent: bool,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or an environment variable is missing or unusable: set it.
    Configuration,
    /// The server could not be reached or the connection broke: try again later.
    Connection,
    /// The server did not answer in the time allowed: try again or allow more.
    Timeout,
    /// The server, or what stands before it, is overloaded or away (429, 502, 503, 504): try again
    /// later.
    Unavailable,
    /// The server's certificate could not be verified, or ours was refused.
    Tls,
    /// The server refused the API key or the user: get a valid pair.
    Authentication,
    /// The user may not do this: ask an administrator.
    Permission,
    /// The server refused the data, or it was refused before sending: change it.
    Validation,
    /// Something with the same identity exists already: use it or pick another name.
    Duplicate,
    /// Nothing matches.
    NotFound,
    /// Several match where one was asked for.
    MultipleFound,
    /// A text in the query or event language cannot be read: the message says where.
    Syntax,
    /// The schema has no such entity type: the message names the nearest.
    UnknownType,
    /// The entity type has no such attribute: the message names the nearest.
    UnknownAttribute,
    /// The attribute cannot be changed.
    Immutable,
    /// The session was opened to read only: open another to change data.
    ReadOnly,
    /// The attribute holds a value of another type than was asked for or given.
    WrongType,
    /// The attribute is not loaded and loading it was not allowed.
    NotLoaded,
    /// More requests were needed than [`with_request_budget`] allows: load more in each.
    ///
    /// [`with_request_budget`]: crate::Session::with_request_budget
    OverBudget,
    /// The server is too old for this, or does not offer it.
    Unsupported,
    /// The server reported a failure that has no kind of its own.
    Server,
    /// The answer is not what the protocol promises: not JSON, truncated, of another shape.
    BadResponse,
    /// The session, or the event hub, is closed.
    Closed,
    /// Another thread cancelled the call.
    Cancelled,
    /// A file could not be read or written.
    Io,
    /// A plugin, an accessor or a subscriber failed.
    Callback,
}

/// What the server said of its failure, as it said it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The server's name for the failure, such as `ValidationError`.
    pub exception: String,
    /// The server's text.
    pub content: String,
    /// The server's code, such as `api_credentials_invalid`, where it gives one.
    pub code: Option<String>,
    /// The HTTP status: 200 unless the session is strict.
    pub status: u16,
    /// Which of the session's [recorded operations](crate::Session::recorded_operations) it is
    /// about. Servers do not say that: it is known of the only change of a commit, and of others
    /// where the server's text names exactly one, by its key, a value, an attribute or its type.
    /// `None` else, as are the three fields that follow.
    pub operation: Option<usize>,
    /// That operation in words, such as `update Task(…): bid = 3`.
    pub operation_text: Option<String>,
    /// The entity that it is about.
    pub entity: Option<EntityKey>,
    /// The attribute that the server names, or whose value it repeats.
    pub attribute: Option<String>,
}

impl Error {
    /// An error of your own, for a [`Transport`](crate::transport::Transport) or whatever else the crate
    /// calls. The message names the subject and the way out.
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
            source: None,
            server: None,
            never_sent: false,
            status: None,
            retry_after: None,
        }))
    }

    /// The error of a plugin, an accessor or a subscriber: one of this crate as it is, else one
    /// whose kind says as much as can be known.
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

    /// Adds what caused it.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds what the server said.
    pub(crate) fn with_server(mut self, server: ServerError) -> Self {
        self.0.status = Some(server.status);
        self.0.server = Some(server);
        self
    }

    /// Notes that the request it is about never reached the server.
    pub(crate) fn unsent(mut self) -> Self {
        self.0.never_sent = true;
        self
    }

    /// Whether the server may have done what it was asked although no answer says so.
    pub(crate) fn leaves_doubt(&self) -> bool {
        let unanswered = matches!(
            self.0.kind,
            ErrorKind::Connection
                | ErrorKind::Timeout
                | ErrorKind::Unavailable
                | ErrorKind::BadResponse
                | ErrorKind::Cancelled
                | ErrorKind::Closed
        );
        unanswered && !self.0.never_sent
    }

    /// Notes which recorded operation the server refused, and which attribute of it.
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

    /// Notes the HTTP status that it came with.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Notes how long the server asked to be left alone.
    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Puts a hint behind the message.
    pub(crate) fn append(mut self, hint: &str) -> Self {
        self.0.message += hint;
        self
    }

    /// Puts a sentence behind the message, on a line of its own.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.0.message = format!("{}\n{note}", self.0.message);
        self
    }

    /// Puts what was being done in front of the message.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// Puts what was being done in front of the message, unless it stands there.
    pub(crate) fn about(self, doing: &str) -> Self {
        match self.0.message.starts_with(doing) {
            true => self,
            false => self.context(doing),
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// How long the server asked to be left alone, if it did (the header `Retry-After`).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the server said, where the failure is the server's.
    pub fn server(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// What a script prints that ends with an error: the message and what caused it. `{:#?}` shows
/// the parts.
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
            write!(f, "\nCaused by: {error}")?;
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

/// Runs code that is not ours; a panic becomes an error. It must be called where that code was
/// compiled: a panic of a plugin's library cannot be caught outside of it.
pub(crate) fn caught<T>(call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    // What it leaves half done when it panics is its own.
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", panic_message(panic.as_ref()))))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// As much of a text as is of use in a message: so many characters.
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

/// The known name that `name` was most likely meant to be.
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

/// How many insertions, removals, replacements or swaps of neighbours turn `a` into `b`.
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
        assert_eq!(format!("{error:?}").lines().count(), 3);
    }

    #[test]
    fn context_goes_in_front_and_the_cause_behind() {
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
    }
}
