//! The handle of a stream: its storage, its bounds, its figures.

use std::fmt;
#[cfg(feature = "file-cache")]
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;

use super::engine::{Bounds, Dead, Engine, GroupFigures, NewEntry};
use super::entry::{self, Content};
use super::gap::timestamp;
use super::status::{GroupStatus, RelayRecord, StreamStatus};

/// The name of a stream by default.
const DEFAULT_NAME: &str = "ftrack:events";

/// How many entries a relay keeps by default.
const DEFAULT_MAX_LENGTH: u64 = 1_000_000;

/// How many dead letters are read at once.
const PAGE: usize = 100;

/// Where events are kept until the workers of all groups have handled them: in Redis, or in a file.
///
/// Opening one connects to nothing; the first call that uses it reports what is wrong. Clones are the
/// same stream.
///
/// ```no_run
/// use std::time::Duration;
/// use ftrack_api::relay::Stream;
///
/// # #[cfg(feature = "redis")]
/// let stream = Stream::redis("redis://events.studio:6379")
///     .max_age(Duration::from_secs(7 * 24 * 3600))
///     .max_length(5_000_000);
/// ```
#[derive(Clone)]
#[must_use = "it has no effect until a relay or a worker uses it"]
pub struct Stream {
    place: Place,
    name: String,
    bounds: Bounds,
    engine: Arc<OnceLock<Opened>>,
}

/// The engine, or the kind and the message of the error of opening it.
type Opened = Result<Box<dyn Engine>, (ErrorKind, String)>;

#[derive(Clone)]
enum Place {
    #[cfg(feature = "redis")]
    Redis(String),
    #[cfg(feature = "file-cache")]
    Local(PathBuf),
}

impl Stream {
    /// A stream in the Redis or Valkey server at `url`, such as `redis://host:6379/0` or
    /// `redis://user:password@host`, version 7 or newer.
    #[cfg(feature = "redis")]
    pub fn redis(url: impl Into<String>) -> Self {
        Self::new(Place::Redis(url.into()))
    }

    /// A stream in the file at `path`, an SQLite database, which is created with its folder if
    /// necessary, for this user alone. For relay and workers on one machine; the file must be on a local
    /// disk.
    #[cfg(feature = "file-cache")]
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::Local(path.into()))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            name: DEFAULT_NAME.to_owned(),
            bounds: Bounds::default(),
            engine: Arc::default(),
        }
    }

    /// Sets the name: the key of the stream in Redis, and the beginning of all its other keys.
    /// `ftrack:events` unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self.engine = Arc::default();
        self
    }

    /// Sets how many entries are kept. The oldest beyond that are removed, whether they were handled or not;
    /// Redis keeps up to 100 more. A group that misses some is given a [`Gap`](super::Gap).
    ///
    /// Whoever appends removes what is beyond its own bounds: give all relays of a stream the same. One without
    /// any keeps 1,000,000 entries.
    pub fn max_length(mut self, entries: u64) -> Self {
        self.bounds.max_length = Some(entries.max(1));
        self
    }

    /// Sets how long entries are kept, and any number of them unless [`max_length`](Self::max_length) is set.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.bounds.max_age = Some(age);
        self
    }

    /// What a relay keeps.
    pub(super) fn bounds(&self) -> Bounds {
        match self.bounds {
            Bounds {
                max_length: None,
                max_age: None,
            } => Bounds {
                max_length: Some(DEFAULT_MAX_LENGTH),
                max_age: None,
            },
            bounds => bounds,
        }
    }

    pub(super) fn engine(&self) -> Result<&dyn Engine> {
        let engine = self.engine.get_or_init(|| {
            self.open()
                .map_err(|error| (error.kind(), error.to_string()))
        });
        match engine {
            Ok(engine) => Ok(engine.as_ref()),
            Err((kind, message)) => Err(Error::new(*kind, message.clone())),
        }
    }

    fn open(&self) -> Result<Box<dyn Engine>> {
        let is_plain =
            |name: &str| !name.is_empty() && !name.contains(['{', '}', '\n', '\r', '\0']);
        if !is_plain(&self.name) {
            let message = format!(
                "{:?} cannot be the name of a stream: it is empty or has braces",
                self.name
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        match &self.place {
            #[cfg(feature = "redis")]
            Place::Redis(url) => Ok(Box::new(super::redis::RedisEngine::new(url, &self.name)?)),
            #[cfg(feature = "file-cache")]
            Place::Local(path) => Ok(Box::new(super::local::LocalEngine::new(path, &self.name))),
        }
    }

    /// Appends events of your own, in order, and returns how many were not in the stream yet. What a relay
    /// does with those of a hub. It removes old entries only if this handle has bounds.
    ///
    /// ```
    /// # #[cfg(feature = "file-cache")] {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("events.db");
    /// use std::time::Duration;
    /// use ftrack_api::Event;
    /// use ftrack_api::relay::{Stream, Worker};
    ///
    /// let stream = Stream::local(&path);
    /// let event = Event::new("studio.render.done");
    /// assert_eq!(stream.append([&event, &event])?, 1);
    ///
    /// let worker = Worker::new(&stream, "mail", "one");
    /// let delivery = worker.next(Duration::from_secs(1))?.expect("it was appended");
    /// assert_eq!(delivery.event().map(Event::id), Some(event.id()));
    /// delivery.ack()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status); the first events may have been appended.
    pub fn append<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> Result<u64> {
        let at = Timestamp::now().as_millisecond();
        let entries = events.into_iter().map(|event| NewEntry::event(event, at));
        let entries: Vec<NewEntry> = entries.collect();
        let appended = self
            .engine()?
            .append(&entries, "", None, None, self.bounds)?;
        Ok(appended.added)
    }

    /// How full the stream is, and what its relays report.
    ///
    /// # Errors
    ///
    /// Of every method here:
    ///
    /// - [`ErrorKind::Configuration`] if the URL or the name of the stream cannot be used.
    /// - [`ErrorKind::Connection`], [`ErrorKind::Timeout`] or [`ErrorKind::Unavailable`] if Redis is away
    ///   or full.
    /// - [`ErrorKind::Authentication`] or [`ErrorKind::Permission`] if it refuses the user or a command: the
    ///   message lists the commands that are needed.
    /// - [`ErrorKind::Io`] if the file of a local stream cannot be used.
    pub fn status(&self) -> Result<StreamStatus> {
        let engine = self.engine()?;
        let figures = engine.figures()?;
        let mut groups = Vec::new();
        for name in &figures.groups {
            // Another process may have removed it just now.
            let group = engine.group(name)?;
            groups.extend(group.map(|group| group_status(name, &group, figures.number)));
        }
        let relays = figures.relays.into_iter();
        Ok(StreamStatus {
            length: figures.length,
            appended: figures.number,
            relays: relays
                .map(|(name, record)| RelayRecord::read(&record).status(name))
                .collect(),
            groups,
        })
    }

    /// The work of a group of workers; `None` if there is no such group.
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status).
    pub fn group(&self, group: &str) -> Result<Option<GroupStatus>> {
        let engine = self.engine()?;
        let Some(figures) = engine.group(group)? else {
            return Ok(None);
        };
        let stream = engine.figures()?;
        Ok(Some(group_status(group, &figures, stream.number)))
    }

    /// The events that a group could not handle, oldest first. The latest 100,000 are kept.
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status).
    pub fn dead_letters(&self, group: &str) -> Result<Vec<DeadLetter>> {
        let engine = self.engine()?;
        let mut letters: Vec<DeadLetter> = Vec::new();
        loop {
            let after = letters
                .last()
                .map(|letter| letter.id.as_str())
                .unwrap_or_default();
            let page = engine.dead_letters(group, after, PAGE)?;
            let is_last = page.len() < PAGE;
            letters.extend(page.into_iter().map(DeadLetter::read));
            if is_last {
                return Ok(letters);
            }
        }
    }

    /// Hands a dead letter out again, with as many attempts as a new event; returns whether there was
    /// one. Its order among events of the same key is that of its return.
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status).
    pub fn return_dead_letter(&self, group: &str, id: &str) -> Result<bool> {
        self.engine()?.return_dead(group, id)
    }

    /// Removes a dead letter for good; returns whether there was one.
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status).
    pub fn remove_dead_letter(&self, group: &str, id: &str) -> Result<bool> {
        self.engine()?.remove_dead(group, id)
    }

    /// Forgets a relay whose name is not used any more, which [`status`](Self::status) otherwise lists for ever;
    /// returns whether there was one. One that still runs reports a gap, and is listed again.
    ///
    /// ```
    /// # #[cfg(feature = "file-cache")]
    /// # {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("events.db");
    /// use ftrack_api::relay::Stream;
    ///
    /// let stream = Stream::local(&path);
    /// assert!(!stream.remove_relay("relay-1")?, "there was none");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status).
    pub fn remove_relay(&self, name: &str) -> Result<bool> {
        self.engine()?.remove_relay(name)
    }

    /// Removes a group whose name is not used any more, with what it has not handled and its dead letters; returns
    /// whether there was one. [`status`](Self::status) otherwise lists it for ever, with a lag that grows. A worker
    /// of it that still runs gets [`ErrorKind::NotFound`] once; then the group begins anew, after a gap, with the
    /// oldest event that the stream has.
    ///
    /// What its handlers did with [`Delivery::once`](super::Delivery::once) is remembered for as long as otherwise.
    ///
    /// ```
    /// # #[cfg(feature = "file-cache")]
    /// # {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("events.db");
    /// use std::time::Duration;
    /// use ftrack_api::relay::{Stream, Worker};
    ///
    /// let stream = Stream::local(&path);
    /// assert!(Worker::new(&stream, "trial", "one").next(Duration::ZERO)?.is_none());
    /// assert_eq!(stream.status()?.groups[0].name, "trial");
    /// assert!(stream.remove_group("trial")?);
    /// assert!(stream.status()?.groups.is_empty());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`status`](Self::status).
    pub fn remove_group(&self, name: &str) -> Result<bool> {
        self.engine()?.remove_group(name)
    }
}

fn group_status(name: &str, figures: &GroupFigures, appended: u64) -> GroupStatus {
    let count = |name: &str| figures.counts.get(name).copied().unwrap_or(0);
    GroupStatus {
        name: name.to_owned(),
        lag: appended.saturating_sub(count("seen")) + count("open"),
        in_flight: figures.in_flight,
        delayed: figures.delayed,
        handled: count("handled"),
        retried: count("retried"),
        taken_over: count("expired"),
        dead: count("dead"),
        dead_letters: figures.dead_letters,
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Stream");
        match &self.place {
            #[cfg(feature = "file-cache")]
            Place::Local(path) => drop(out.field("path", path)),
            #[cfg(feature = "redis")]
            Place::Redis(_) => {}
        }
        out.field("name", &self.name)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// An event that a group could not handle; see [`Stream::dead_letters`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What it is returned or removed by.
    pub id: String,
    /// The event; `None` if the entry is not one that this version reads, or is a gap.
    pub event: Option<Event>,
    /// Why it could not be handled.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The worker that had it last.
    pub worker: String,
    /// When it was given up.
    pub at: Timestamp,
    /// The entry of the stream that it came from.
    pub entry: String,
    /// The fields of that entry, whatever they are.
    pub fields: Vec<(String, String)>,
}

impl DeadLetter {
    fn read(dead: Dead) -> Self {
        let event = match entry::read(&dead.fields) {
            Ok(entry) => match entry.content {
                Content::Event(event) => Some(event),
                Content::Gap(_) => None,
            },
            Err(_) => None,
        };
        Self {
            id: dead.id,
            event,
            error: dead.error,
            attempts: dead.attempts,
            worker: dead.worker,
            at: timestamp(dead.at),
            entry: dead.entry,
            fields: dead.fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "file-cache")]
    fn a_bound_that_is_set_is_the_only_one() {
        let week = Duration::from_secs(7 * 24 * 3600);
        let of = |stream: Stream| (stream.bounds().max_length, stream.bounds().max_age);
        let stream = Stream::local("nowhere");
        assert_eq!(of(stream.clone()), (Some(DEFAULT_MAX_LENGTH), None));
        assert_eq!(of(stream.clone().max_age(week)), (None, Some(week)));
        let both = stream.max_age(week).max_length(7);
        assert_eq!(of(both), (Some(7), Some(week)));
    }
}
