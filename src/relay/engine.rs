//! The storage of a stream: the interface that Redis and a local file have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::error::Result;
use crate::event::Event;

/// An entry that is to be appended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewEntry {
    /// The id by which the stream recognises it; may be empty.
    pub(crate) id: String,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) kind: Kind,
    /// JSON.
    pub(crate) body: String,
}

impl NewEntry {
    pub(crate) fn event(event: &Event, at: i64) -> Self {
        Self {
            id: event.id().to_owned(),
            at,
            kind: Kind::Event,
            body: serde_json::to_string(event).expect("an event is made of JSON values"),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.id.len() + self.body.len() + 64
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    /// An event that was made from the server's log.
    Log,
    Gap,
    /// Noticed by the stream itself: entries are missing. Never appended by a relay.
    Lost,
}

impl Kind {
    const ALL: [(Self, &str); 4] = [
        (Self::Event, "event"),
        (Self::Log, "log"),
        (Self::Gap, "gap"),
        (Self::Lost, "lost"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or("event", |(_, name)| name)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(kind, _)| *kind)
    }
}

/// The fields of an entry as they are stored: whoever may write to the stream may have put them there.
pub(crate) type Fields = Vec<(String, String)>;

/// An entry that was not handed out yet.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    pub(crate) id: String,
    pub(crate) fields: Fields,
}

/// The bounds of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) max_length: Option<u64>,
    pub(crate) max_age: Option<Duration>,
}

/// The result of appending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Appended {
    pub(crate) added: u64,
    pub(crate) repeated: u64,
    /// The engine's clock: milliseconds since 1970.
    pub(crate) now: i64,
    /// The records of all relays by their names, as they were before; if it was given one, or no entries, or has lost some.
    pub(crate) relays: BTreeMap<String, String>,
    /// The number of the last entry.
    pub(crate) number: u64,
    /// Whether that is less than it was. Then nothing was appended.
    pub(crate) has_lost: bool,
}

/// A delivery, as long as its worker has it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Token {
    /// The entry and its key.
    pub(crate) member: String,
    pub(crate) attempt: u32,
}

/// What becomes of a delivery.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    Ack,
    /// Another attempt after this time, up to so many; then a dead letter.
    Retry(Duration, String, u32),
    Reject(String),
    /// The lease is this long from now on.
    Extend(Duration),
}

/// The keys of the entries after a cursor, which the worker has found out.
#[derive(Debug, Serialize)]
pub(crate) struct Route {
    pub(crate) after: String,
    pub(crate) keys: BTreeMap<String, String>,
}

/// One turn of a worker.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) worker: &'a str,
    pub(crate) finish: Option<(&'a Token, Verdict)>,
    pub(crate) route: Option<Route>,
    /// First of all waits until there is an entry after this one, up to this long.
    pub(crate) wait: Option<(String, Duration)>,
    /// Whether to hand an entry out.
    pub(crate) take: bool,
    pub(crate) lease: Duration,
    pub(crate) attempts: u32,
    /// Whether entries have keys.
    pub(crate) ordered: bool,
    /// What to do if there is no such group.
    pub(crate) create: Create,
}

/// What a turn does if there is no such group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Create {
    /// Nothing: it says so.
    No,
    At(Start),
    /// There was one, which was lost: it begins with the oldest entry, after a gap.
    Again,
}

/// How many entries are taken in at once.
pub(crate) const LOOK_AHEAD: usize = 64;

/// How many entries that a group has taken in wait to be handled. Bounds what the group needs besides
/// the stream while a key is held up.
pub(crate) const MAX_OPEN: usize = 10_000;

/// How many dead letters a group keeps at most.
pub(crate) const MAX_DEAD: usize = 100_000;

/// How long the stream remembers what `once` has done.
pub(crate) const MARKER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where a new group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the oldest event that the stream has.
    #[default]
    Oldest,
    /// With the next event that is appended.
    Newest,
}

/// A delivery that was handed out.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) token: Token,
    /// Empty if the entry was removed from the stream.
    pub(crate) fields: Fields,
}

/// The result of a turn.
#[derive(Debug)]
pub(crate) struct Turned {
    /// Whether the delivery that was to be finished was still this worker's.
    pub(crate) finished: bool,
    pub(crate) taken: Option<Taken>,
    /// The last entry that the group has taken in.
    pub(crate) cursor: String,
    /// When the next lease or pause ends, if nothing was taken.
    pub(crate) due: Option<Duration>,
    /// Whether it has waited until there was an entry.
    pub(crate) is_woken: bool,
    /// Whether too many entries wait to be handled for more to be taken in.
    pub(crate) is_full: bool,
}

/// A dead letter as it is stored.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) id: String,
    pub(crate) entry: String,
    pub(crate) at: i64,
    pub(crate) attempts: u32,
    pub(crate) worker: String,
    pub(crate) error: String,
    pub(crate) fields: Fields,
}

/// The figures of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) length: u64,
    /// The number of the last entry.
    pub(crate) number: u64,
    pub(crate) relays: BTreeMap<String, String>,
    /// The names of its groups, in order.
    pub(crate) groups: Vec<String>,
}

/// The figures of a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupFigures {
    /// Handled, retried, expired, dead, seen, open.
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
    pub(crate) dead_letters: u64,
}

/// The storage of a stream. Every call is atomic, and safe from many threads and processes.
pub(crate) trait Engine: Send + Sync {
    /// Appends entries that are not in the stream yet. Also keeps the record of the relay, if there is one: then, and
    /// without entries, it returns those of all. `known` is the number that the last entry had before, unless the stream
    /// is not to look whether it still has it.
    fn append(
        &self,
        entries: &[NewEntry],
        relay: &str,
        record: Option<&str>,
        known: Option<u64>,
        bounds: Bounds,
    ) -> Result<Appended>;

    /// Whether an event was appended, as long as its id is known.
    fn knows(&self, id: &str) -> Result<bool>;

    /// `None` if there is no such group.
    fn turn(&self, group: &str, turn: &Turn<'_>) -> Result<Option<Turned>>;

    /// Waits until there is an entry after the cursor, and returns the first entries after it.
    fn wait(&self, after: &str, count: usize, timeout: Duration) -> Result<Vec<Unread>>;

    /// Dead letters after an id, which may be empty.
    fn dead_letters(&self, group: &str, after: &str, count: usize) -> Result<Vec<Dead>>;

    /// Whether there was such a dead letter, which is handed out again.
    fn return_dead(&self, group: &str, id: &str) -> Result<bool>;

    /// Whether there was such a dead letter, which is removed.
    fn remove_dead(&self, group: &str, id: &str) -> Result<bool>;

    /// Removes the record of a relay; returns whether there was one.
    fn remove_relay(&self, name: &str) -> Result<bool>;

    /// Removes a group; returns whether there was one. Its markers stay as long as any.
    fn remove_group(&self, group: &str) -> Result<bool>;

    /// Sets a marker if it is not set; returns the value before.
    fn mark(&self, group: &str, id: &str, value: &str) -> Result<Option<String>>;

    /// Replaces a marker; removes it without a value.
    fn set_mark(&self, group: &str, id: &str, value: Option<&str>) -> Result<()>;

    fn figures(&self) -> Result<Figures>;

    /// `None` if there is no such group.
    fn group(&self, group: &str) -> Result<Option<GroupFigures>>;

    /// What it is, for messages; without credentials.
    fn describe(&self) -> String;
}
