//! What was asked of the server lately, for the start page and the log.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

/// How many requests are remembered.
const LENGTH: usize = 50;
/// How many characters of a client's words are shown.
const WORD: usize = 40;
/// How many different operations of a batch are named.
const NAMED: usize = 4;

/// The latest requests, newest first.
pub struct History {
    entries: Mutex<VecDeque<Entry>>,
    is_logged: bool,
}

/// One request and what became of it. It holds no key, no query string and no data.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it arrived.
    pub at: Timestamp,
    /// `POST`.
    pub method: String,
    /// `/api`; the route rather than the path, which may name a session.
    pub route: String,
    /// Who asked, as they say.
    pub user: String,
    /// What for: the actions and entity types of a batch.
    pub summary: String,
    /// The status; nothing if the connection was closed instead.
    pub status: Option<u16>,
    /// The fault on demand that happened to it.
    pub fault: Option<&'static str>,
    /// From its arrival to its response.
    pub took: Duration,
}

/// What a batch is about. A handler leaves it among the extensions of its response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary(pub(crate) String);

impl History {
    /// Nothing yet. If it `is_logged`, each request is also printed to stderr.
    pub(crate) fn new(is_logged: bool) -> Self {
        Self {
            entries: Mutex::default(),
            is_logged,
        }
    }

    pub(crate) fn add(&self, entry: Entry) {
        if self.is_logged {
            // Nobody needs the log as much as the server.
            let _ = writeln!(std::io::stderr(), "{entry}");
        }
        let mut entries = self.entries.lock();
        entries.truncate(LENGTH - 1);
        entries.push_front(entry);
    }

    /// Prints a line to the log, if there is one.
    pub(crate) fn note(&self, text: &str) {
        if self.is_logged {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// The latest requests, newest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().iter().cloned().collect()
    }
}

impl fmt::Display for Entry {
    /// One line of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.took.as_secs_f64() * 1000.0;
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        write!(f, "{at} {} {} ", self.method, self.route)?;
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => write!(f, "no response")?,
        }
        write!(f, " {milliseconds:.1} ms")?;
        for text in [&self.user, &self.summary] {
            if !text.is_empty() {
                write!(f, " {text}")?;
            }
        }
        match self.fault {
            Some(fault) => write!(f, " (fault: {fault})"),
            None => Ok(()),
        }
    }
}

impl Summary {
    /// Names the operations of a batch: `query Task ×3, update Shot`.
    pub(crate) fn of(operations: &[Value]) -> Self {
        let mut named: Vec<(String, usize)> = Vec::new();
        let mut others = 0;
        for operation in operations {
            let name = name(operation);
            match named.iter().position(|(known, _)| *known == name) {
                Some(index) => named[index].1 += 1,
                None if named.len() < NAMED => named.push((name, 1)),
                None => others += 1,
            }
        }
        let mut parts: Vec<String> = named
            .into_iter()
            .map(|(name, count)| match count {
                1 => name,
                _ => format!("{name} ×{count}"),
            })
            .collect();
        if others > 0 {
            parts.push(format!("{others} more"));
        }
        Self(parts.join(", "))
    }

    /// Notes that the batch was refused.
    pub(crate) fn refuse(&mut self, exception: &str) {
        if !self.0.is_empty() {
            self.0.push_str(": ");
        }
        self.0.push_str(exception);
    }
}

fn name(operation: &Value) -> String {
    let text = |key: &str| operation[key].as_str();
    let action = word(text("action").unwrap_or("?"));
    let data_type = || operation["entity_data"]["__entity_type__"].as_str();
    let subject = match text("expression") {
        Some(expression) => queried(expression),
        None => text("entity_type").or_else(data_type),
    };
    match subject {
        Some(subject) => format!("{action} {}", word(subject)),
        None => action,
    }
}

/// The entity type in a query: after `from`, or the first word.
fn queried(expression: &str) -> Option<&str> {
    let mut words = expression.split_whitespace();
    let first = words.next()?;
    if !first.eq_ignore_ascii_case("select") {
        return Some(first);
    }
    words.find(|word| word.eq_ignore_ascii_case("from"))?;
    words.next()
}

/// A client's word, made safe for terminals and short.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.@+/{}".contains(c);
    let plain = text.chars().map(|c| if is_plain(c) { c } else { '?' });
    plain.take(WORD).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn batches_are_summed_up_without_their_data() {
        let query = |expression: &str| json!({"action": "query", "expression": expression});
        let create = json!({"action": "create", "entity_data": {"__entity_type__": "Shot", "name": "secret"}});
        let operations = [
            query("select name from Task where name is \"secret\""),
            query("Task where id is 1"),
            create,
            json!({"action": "\u{1b}[31m evil\n", "entity_type": "x".repeat(100)}),
            json!(5),
            json!({"action": "one more"}),
            query("select"),
        ];
        let Summary(text) = Summary::of(&operations);
        let evil = "x".repeat(WORD);
        let expected = format!("query Task ×2, create Shot, ??31m?evil? {evil}, ?, 2 more");
        assert_eq!(text, expected);
        assert_eq!(Summary::of(&[]).0, "");
    }

    #[test]
    fn the_latest_requests_are_kept() {
        let history = History::new(false);
        for index in 0..LENGTH + 5 {
            history.add(Entry {
                at: Timestamp::UNIX_EPOCH,
                method: "POST".to_owned(),
                route: "/api".to_owned(),
                user: "ada".to_owned(),
                summary: format!("query {index}"),
                status: Some(200),
                fault: None,
                took: Duration::from_micros(1234),
            });
        }
        let entries = history.entries();
        assert_eq!(entries.len(), LENGTH);
        assert_eq!(
            entries[0].to_string(),
            "1970-01-01T00:00:00.000Z POST /api 200 1.2 ms ada query 54"
        );
    }
}
