//! The protocol above a transport: actions and replies, credentials, errors, retries.

mod budget;
mod buffer;
mod exchange;
mod files;
mod json;
mod repeat;
mod statistics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Map, Value as Json};
use url::Url;

use crate::calls::{Call, Calls, CancelToken, WithScopes, tokens_of, with_scopes};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::lock;
use crate::transport::Transport;
use crate::wire::Body;
use buffer::Spare;
use exchange::Timed;
use repeat::Tokens;
use statistics::Counters;

pub use budget::RequestBudget;
#[cfg(feature = "s3")]
pub(crate) use files::{StorageRequest, range_headers};
pub(crate) use repeat::{Pace, Repeat};
pub use statistics::Statistics;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// A server, as seen by one user.
pub(crate) struct Api {
    transport: Box<dyn Transport>,
    config: Config,
    url: Url,
    headers: Vec<(String, String)>,
    /// The headers of [`Intent::ReadAsSelected`].
    strict_headers: Vec<(String, String)>,
    closed: AtomicBool,
    counters: Counters,
    /// Calls under way.
    calls: Calls,
    tokens: Tokens,
    spare: Spare,
    /// Tells its scopes from those of other sessions.
    number: u64,
    /// The scopes of the library that opened the session, and the library.
    scopes: WithScopes,
    home: lock::Home,
}

impl Api {
    pub(crate) fn new(config: Config, transport: Box<dyn Transport>) -> Self {
        let mut url = config.server_url.clone();
        url.set_path(&format!("{}/api", url.path().trim_end_matches('/')));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("content-type", "application/json"),
            header("accept", "application/json"),
            header("ftrack-user", &config.api_user),
            header("ftrack-api-key", config.api_key.reveal()),
            header("ftrack-clienttoken", &config.client_token),
            header(
                "ftrack-strict-api",
                if config.strict_api { "true" } else { "false" },
            ),
        ];
        headers.extend(config.headers.iter().cloned());
        let strict_headers = strict(&headers);
        Self {
            transport,
            config,
            url,
            headers,
            strict_headers,
            closed: AtomicBool::new(false),
            counters: Counters::default(),
            calls: Calls::default(),
            tokens: Tokens::default(),
            spare: Spare::default(),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            scopes: with_scopes,
            home: lock::here(),
        }
    }

    /// Acts under the user's name as the server spells it.
    pub(crate) fn set_user(&mut self, name: &str) {
        name.clone_into(&mut self.config.api_user);
        for headers in [&mut self.headers, &mut self.strict_headers] {
            let users = headers.iter_mut().filter(|(own, _)| own == "ftrack-user");
            users.for_each(|(_, value)| name.clone_into(value));
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Sends `actions` in one request and returns one reply for each.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if the response is not a list with a reply for each action, or
    ///   a reply is an exception.
    /// - Any error of [`exchange`](Self::exchange).
    pub(crate) fn call(&self, actions: &[Json]) -> Result<Vec<Json>> {
        let intent = match actions.iter().all(only_reads) {
            true => Intent::Read,
            false => Intent::Change,
        };
        self.values(intent, actions, &summary(actions))
    }

    /// [`call`](Self::call) with an intent, under a name of its own in the log and in errors.
    pub(crate) fn values(
        &self,
        intent: Intent,
        actions: &[Json],
        summary: &str,
    ) -> Result<Vec<Json>> {
        self.exchange(intent, actions, summary, |response| {
            let replies = match json::read(response, self.max_value_bytes()) {
                Ok(Json::Array(replies)) => replies,
                Ok(_) => return Err(response.unreadable(&"it is not a list")),
                Err(error) if error.is_data() && !response.is_stopped() => {
                    let hint = "ask for less at once, or allow more with `Network::max_response`";
                    return Err(response.unreadable(&format_args!("{error}; {hint}")));
                }
                Err(error) => return Err(response.unreadable(&error)),
            };
            check_count(replies.len(), actions.len())?;
            check_successful(&replies)?;
            Ok(replies)
        })
    }

    /// The rows of queries as the server sent them, a page for each action.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if a reply has no list of rows.
    /// - Any error of [`call`](Self::call).
    pub(crate) fn plain_pages(&self, actions: &[Json], summary: &str) -> Result<Vec<PlainPage>> {
        // Otherwise the attributes of an entity would stand only where it comes first.
        let replies = self.values(Intent::ReadAsSelected, actions, summary)?;
        let pages = replies.into_iter().map(PlainPage::of);
        pages.collect::<Option<_>>().ok_or_else(|| {
            let message = "the server's response cannot be read: a reply has no list of rows";
            Error::new(ErrorKind::BadResponse, message).about(summary)
        })
    }

    /// The most memory for the values of a response: lists and objects may take many times the bytes
    /// of their text.
    fn max_value_bytes(&self) -> u64 {
        self.config.network.max_response.saturating_mul(2)
    }

    /// Sends `actions` in one request, and decodes the response, a JSON array, with `decode`.
    /// `summary` names the request in the log and in errors.
    ///
    /// # Errors
    ///
    /// - Any error of [`send`](Self::send).
    /// - The error of `decode`.
    pub(crate) fn exchange<T>(
        &self,
        intent: Intent,
        actions: &[Json],
        summary: &str,
        decode: impl FnOnce(&Body<'_>) -> Result<T>,
    ) -> Result<T> {
        let body = serde_json::to_vec(actions).expect("JSON values print");
        let exchanged = self.send(intent, &body, summary);
        let exchanged = exchanged.and_then(|response| self.decode(response, summary, decode));
        exchanged.map_err(|error| error.about(summary))
    }

    /// Sends the body of a request, a JSON array of actions. The response is a JSON array, for
    /// [`decode`](Self::decode). `summary` names the request in the log.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`], [`ErrorKind::Cancelled`].
    /// - [`ErrorKind::ReadOnly`] if the session may not change anything.
    /// - [`ErrorKind::Connection`], [`ErrorKind::Timeout`], [`ErrorKind::Tls`] without a response.
    /// - [`ErrorKind::Unavailable`] from a server that is overloaded.
    /// - [`ErrorKind::BadResponse`] for anything but a JSON array.
    /// - The server's own failure under its kind.
    pub(crate) fn send(&self, intent: Intent, body: &[u8], summary: &str) -> Result<Timed> {
        let (headers, repeat) = match intent {
            Intent::Read => (&self.headers, Repeat::Always),
            Intent::ReadAsSelected => (&self.strict_headers, Repeat::Always),
            Intent::Change => (&self.headers, Repeat::IfUnsent),
        };
        if intent == Intent::Change {
            self.check_writable()?;
        }
        self.repeating(repeat, summary, |attempt| {
            self.attempt(headers, body, summary, attempt)
        })
    }

    /// The scopes in force in this thread: those of this session have [its number](Self::number).
    pub(crate) fn scopes(&self) -> WithScopes {
        self.scopes
    }

    /// The number of this session in [`Scope`](crate::calls::Scope)s.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// A call of this thread, which the end of the session and the thread's tokens interrupt.
    fn begin_call(&self) -> Arc<Call> {
        let call = Arc::new(Call::default());
        self.calls.add(&call);
        // One that is added after `close` is not interrupted by it.
        if self.is_closed() {
            call.interrupt(ErrorKind::Closed);
        }
        let tokens = self.tokens_of_thread();
        tokens.iter().for_each(|token| token.watch(&call));
        call
    }

    /// The tokens that cancel calls of this thread.
    pub(crate) fn tokens_of_thread(&self) -> Vec<CancelToken> {
        let mut tokens = tokens_of(self.scopes);
        if !lock::is_here(self.home) {
            // A plugin's library has its own.
            tokens.extend(tokens_of(with_scopes));
        }
        tokens
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Closes it and interrupts all calls; returns whether it was open.
    pub(crate) fn close(&self) -> bool {
        let was_open = !self.closed.swap(true, Ordering::AcqRel);
        if was_open {
            self.calls.interrupt(ErrorKind::Closed);
            self.transport.close();
        }
        was_open
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Closed`] if the session is closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() {
            let message = "the session is closed; open another one";
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Connection`] for a session that was opened offline.
    fn check_online(&self, summary: &str) -> Result<()> {
        if !self.config.offline {
            return Ok(());
        }
        let message = format!(
            "{summary} needs the server, but the session was opened with `offline(true)`; a session that is \
             online can commit what was recorded"
        );
        Err(Error::new(ErrorKind::Connection, message).unsent())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::ReadOnly`] if the session may not change anything.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.config.read_only {
            let message = "the session is read-only; open one without `read_only` to change data";
            return Err(Error::new(ErrorKind::ReadOnly, message));
        }
        Ok(())
    }
}

/// The attributes of one row as the server sent them.
pub(crate) type PlainRow = Map<String, Json>;

/// The reply to a query as the server sent it.
pub(crate) struct PlainPage {
    pub(crate) rows: Vec<PlainRow>,
    /// The offset of the next page, if there is one.
    pub(crate) next_offset: Option<u64>,
}

impl PlainPage {
    /// `None` unless the reply has a list of rows.
    fn of(mut reply: Json) -> Option<Self> {
        let Some(Json::Array(rows)) = reply.get_mut("data").map(Json::take) else {
            return None;
        };
        let rows = rows.into_iter().map(|row| match row {
            Json::Object(row) => Some(row),
            _ => None,
        });
        Some(Self {
            rows: rows.collect::<Option<_>>()?,
            next_offset: reply
                .pointer("/metadata/next/offset")
                .and_then(Json::as_u64),
        })
    }
}

/// What a request is for, which says whether it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// It only reads: sent again if it fails.
    Read,
    /// It reads rows exactly as they were selected: without attributes that the server adds, and
    /// with every entity in full wherever it occurs.
    ReadAsSelected,
    /// It may change something: sent again only if nothing of it can have reached the server.
    Change,
}

/// # Errors
///
/// - [`ErrorKind::BadResponse`] unless there is a reply for each action.
pub(crate) fn check_count(replies: usize, actions: usize) -> Result<()> {
    if replies == actions {
        return Ok(());
    }
    let message = format!("the server sent {replies} replies to {actions} actions");
    Err(Error::new(ErrorKind::BadResponse, message))
}

/// A request is one transaction, so a server that refuses an action responds with a failure in place of
/// the list.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if a reply in the list is an exception.
fn check_successful(replies: &[Json]) -> Result<()> {
    let mut exceptions = replies.iter().filter_map(|reply| reply.get("exception"));
    match exceptions.find(|one| !one.is_null()) {
        None => Ok(()),
        Some(exception) => {
            let name = exception.as_str().map(str::to_owned);
            let name = name.unwrap_or_else(|| exception.to_string());
            let message = format!("a reply is an exception: {name}");
            Err(Error::new(ErrorKind::BadResponse, message))
        }
    }
}

/// Whether an action changes nothing. An unknown one may.
fn only_reads(action: &Json) -> bool {
    let known = [
        "query",
        "query_schemas",
        "query_server_information",
        "search",
        "parse_query",
        "permissions",
        "get_widget_url",
    ];
    let name = action.get("action").and_then(Json::as_str);
    name.is_some_and(|name| known.contains(&name))
}

/// The same headers with the options for rows as they were selected.
fn strict(headers: &[(String, String)]) -> Vec<(String, String)> {
    let replaced = ["ftrack-strict-api", "ftrack-api-options"];
    let others = headers
        .iter()
        .filter(|(name, _)| !replaced.contains(&name.as_str()));
    let values = ["true", "strict:1;denormalize:1"];
    let ours = replaced.into_iter().zip(values);
    let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
    others.cloned().chain(ours).collect()
}

/// `query_server_information, 3 × create`.
fn summary(actions: &[Json]) -> String {
    let name = |action: &Json| {
        action
            .get("action")
            .and_then(Json::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let mut counts: Vec<(String, usize)> = Vec::new();
    for action in actions {
        match counts.last_mut() {
            Some((last, count)) if *last == name(action) => *count += 1,
            _ => counts.push((name(action), 1)),
        }
    }
    let counts = counts.into_iter().map(|(name, count)| match count {
        1 => name,
        _ => format!("{count} × {name}"),
    });
    counts.collect::<Vec<_>>().join(", ")
}
