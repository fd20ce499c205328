//! A transport that replays a recording.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::{Body, Exchange, redactor_for, url_of};
use crate::error::{Error, ErrorKind, Result, shortened};
use crate::lock::Mutex;
use crate::transport::{Request, Response, Transport};

/// Responds from a recording; see [`Recording::replay`](super::Recording::replay).
pub struct ReplayTransport(Mutex<Replay>);

struct Replay {
    /// Whether each was replayed.
    exchanges: Vec<(Exchange, bool)>,
    /// From recorded keys to those of this run.
    keys: HashMap<String, String>,
}

impl ReplayTransport {
    pub(super) fn new(exchanges: Vec<Exchange>) -> Self {
        let unplayed = exchanges.into_iter().map(|one| (one, false));
        Self(Mutex::new(Replay {
            exchanges: unplayed.collect(),
            keys: HashMap::new(),
        }))
    }
}

debug_fields!(ReplayTransport, |this| len: this.0.lock().exchanges.len());

impl Transport for ReplayTransport {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let asked = Body::new(request.body, &redactor_for(request));
        let url = url_of(request.url);
        let mut replay = self.0.lock();
        let Some(index) = replay.find(request.method, &url, &asked) else {
            let text = match &asked {
                Body::Text(text) => shortened(text, 300),
                Body::Base64(_) => "(binary data)".into(),
            };
            let message = format!("the recording has no {} {url}: {text}", request.method);
            return Err(Error::new(ErrorKind::Connection, message));
        };
        replay.exchanges[index].1 = true;
        let exchange = &replay.exchanges[index].0;
        Ok(Response {
            status: exchange.status,
            headers: exchange.headers.clone(),
            body: Box::new(Cursor::new(replay.with_keys(&exchange.response).bytes())),
        })
    }
}

impl Replay {
    /// The exchange that fits a request. Keys that are new in it are those of this run from then on.
    fn find(&mut self, method: &str, url: &str, asked: &Body) -> Option<usize> {
        let places = || {
            let all = self.exchanges.iter().enumerate();
            let fitting = all.filter(|(_, (one, _))| one.method == method);
            fitting.filter(|(_, (one, _))| one.url == url || self.replaced(&one.url) == url)
        };
        let same = || places().filter(|(_, (one, _))| self.with_keys(&one.request) == *asked);
        let unplayed = same().find(|(_, (_, is_played))| !is_played);
        if let Some((index, _)) = unplayed.or_else(|| same().next_back()) {
            return Some(index);
        }
        let (index, keys) = places().find_map(|(index, (one, is_played))| {
            let keys = (!is_played).then(|| new_keys(&self.with_keys(&one.request), asked))??;
            Some((index, keys))
        })?;
        self.keys.extend(keys);
        Some(index)
    }

    fn with_keys(&self, body: &Body) -> Body {
        match body {
            Body::Text(text) => Body::Text(self.replaced(text).into_owned()),
            other => other.clone(),
        }
    }

    fn replaced<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.keys.is_empty() {
            return Cow::Borrowed(text);
        }
        KEY_PATTERN.replace_all(text, |found: &regex_lite::Captures<'_>| {
            let key = &found[0];
            self.keys.get(key).map_or(key, String::as_str).to_owned()
        })
    }
}

/// From recorded keys to others, for a request that is not a query and differs in nothing else.
fn new_keys(recorded: &Body, asked: &Body) -> Option<HashMap<String, String>> {
    let (Body::Text(recorded), Body::Text(asked)) = (recorded, asked) else {
        return None;
    };
    let without = |text| KEY_PATTERN.replace_all(text, "").into_owned();
    if recorded.contains("\"action\":\"query") || without(recorded) != without(asked) {
        return None;
    }
    let keys = |text| {
        let found = KEY_PATTERN.find_iter(text);
        found.map(|found| found.as_str().to_owned())
    };
    let pairs = keys(recorded).zip(keys(asked));
    Some(
        pairs
            .filter(|(recorded, asked)| recorded != asked)
            .collect(),
    )
}

/// Clients make keys that are UUIDs.
static KEY_PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    Regex::new(pattern).expect("the pattern is valid")
});
