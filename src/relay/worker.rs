//! Handling events: one worker of a group.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::calls::{tokens_of, with_scopes};
use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::Event;
use crate::value::derived_id;

use super::clock;
use super::delivery::{Delivery, Setup};
use super::engine::{Create, LOOK_AHEAD, Route, Start, Taken, Turn, Turned, Unread, Verdict};
use super::entry::{self, Content, Entry};
use super::stream::Stream;

/// The longest wait without a check of cancel tokens.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// How long a worker waits while the stream is away, or full of what waits to be handled.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a worker pauses that was woken and found that another had taken the entry: longer each time. Redis wakes
/// all waiting workers for each entry, and while the others keep up, another one only costs time.
const MIN_YIELD: Duration = Duration::from_millis(1);
const MAX_YIELD: Duration = Duration::from_millis(10);

/// The longest time between two attempts of [`Worker::run`].
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// How many times as many attempts an event has while what fails is a server that is away: three hours with five.
const PATIENCE: u32 = 10;

/// The longest key that is kept as it is.
const MAX_KEY_BYTES: usize = 200;

type Order = Arc<dyn Fn(&Event) -> Option<String> + Send + Sync>;

/// Takes events from a [`Stream`], as one of a group that shares them.
///
/// Each event is given to one worker of a group; each group is given all events. A worker that dies, or
/// does not finish in time, loses its delivery to another. So an event may be handled more than once:
/// see [`Delivery::once`] for handlers that must not.
///
/// A worker has no thread: [`next`](Self::next) and [`run`](Self::run) work on the caller's. It may be
/// shared by threads, which then handle events at the same time.
///
/// ```no_run
/// # #[cfg(feature = "redis")] {
/// use ftrack_api::relay::{Stream, Worker};
///
/// let stream = Stream::redis("redis://events.studio");
/// let worker = Worker::new(&stream, "thumbnails", "render-7");
/// worker.run(|delivery| {
///     if let Some(event) = delivery.event() {
///         println!("{}: {}", event.topic(), event.data());
///     }
///     Ok(())
/// })?;
/// # }
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[must_use = "it does nothing until `next` or `run` is called"]
pub struct Worker {
    setup: Arc<Setup>,
    order: Option<Order>,
    start: Start,
    /// Whether the group was seen: one that is missing afterwards was lost.
    is_known: AtomicBool,
    /// Whether that was reported.
    is_vanished: AtomicBool,
}

impl Worker {
    /// A worker of `group`. The name stands in figures and dead letters; give each its own, such as host
    /// and number.
    ///
    /// A lease lasts five minutes, and an event is tried five times. A new group begins with the oldest
    /// event that the stream has.
    pub fn new(stream: &Stream, group: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            setup: Arc::new(Setup {
                stream: stream.clone(),
                group: group.into(),
                name: name.into(),
                lease: Duration::from_secs(300),
                attempts: 5,
            }),
            order: None,
            start: Start::default(),
            is_known: AtomicBool::new(false),
            is_vanished: AtomicBool::new(false),
        }
    }

    /// Sets how long a delivery is this worker's. Longer than any handler takes, or handlers call
    /// [`Delivery::extend`].
    pub fn lease(mut self, lease: Duration) -> Self {
        Arc::make_mut(&mut self.setup).lease = lease;
        self
    }

    /// Sets how often an event is tried, at least once, before it becomes a dead letter.
    pub fn attempts(mut self, attempts: u32) -> Self {
        Arc::make_mut(&mut self.setup).attempts = attempts.max(1);
        self
    }

    /// Sets where the group begins if this worker is the first that it ever has.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Makes the group handle events with the same key one after the other in the order of the stream, whichever
    /// worker of the group has them; those for which it returns `None`, with all others at the same time.
    /// All workers of a group must agree: the key is found out once, by whichever worker comes first.
    ///
    /// An event holds up those of its key until it is acknowledged or becomes a dead letter.
    ///
    /// ```no_run
    /// # #[cfg(feature = "redis")] {
    /// # use ftrack_api::relay::{Stream, Worker};
    /// # let stream = Stream::redis("redis://events.studio");
    /// let worker = Worker::new(&stream, "sync", "one")
    ///     .ordered_by(|event| Some(event.data()["entities"][0]["entityId"].as_str()?.to_owned()));
    /// # }
    /// ```
    pub fn ordered_by(
        mut self,
        key: impl Fn(&Event) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.order = Some(Arc::new(key));
        self
    }

    /// Waits for the next event, or gap; `None` if there is none in time. Without a timeout it waits for
    /// ever.
    ///
    /// Entries that are not events of this crate become dead letters, with a warning in the log.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] once if the group was there and is no more, because somebody deleted it or
    ///   Redis lost its data. The next call begins a new one with the oldest event that the stream has,
    ///   and gives a gap first.
    /// - [`ErrorKind::Callback`] if the function of [`ordered_by`](Self::ordered_by) panics.
    /// - [`ErrorKind::Cancelled`] if a [`CancelToken`](crate::CancelToken) of this thread is cancelled:
    ///   within half a second.
    /// - Any error of [`Stream::status`].
    pub fn next(&self, timeout: impl Into<Option<Duration>>) -> Result<Option<Delivery>> {
        let timeout: Option<Duration> = timeout.into();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.take(&mut None, deadline)
    }

    /// Handles events until an error that does not pass. What the handler returns decides: `Ok`
    /// acknowledges; after an error or a panic the event is tried again, after 1, 2, 4, … seconds, at most
    /// five minutes, and becomes a dead letter after the last attempt. There are ten times as many attempts while the
    /// error is a [`Connection`](ErrorKind::Connection), [`Timeout`](ErrorKind::Timeout) or
    /// [`Unavailable`](ErrorKind::Unavailable) of this crate: what the handler needs is away.
    ///
    /// While Redis is away, full or starting, it waits. A group that was lost is begun anew as by
    /// [`next`](Self::next). Both are logged.
    ///
    /// # Errors
    ///
    /// - Any error of [`next`](Self::next); it returns only with one. Before
    ///   [`Cancelled`](ErrorKind::Cancelled), an event that was handled has been acknowledged, unless the stream
    ///   is away.
    pub fn run(
        &self,
        mut handler: impl FnMut(&Delivery) -> anyhow::Result<()>,
    ) -> Result<std::convert::Infallible> {
        let mut finished: Option<(Delivery, Verdict)> = None;
        let mut is_away = false;
        loop {
            match self.take(&mut finished, None) {
                Ok(delivery) => {
                    if std::mem::take(&mut is_away) {
                        log::info!("worker {}: the stream works again", self.setup.name);
                    }
                    finished = delivery.map(|mut delivery| {
                        let verdict = handled(&delivery, &mut handler);
                        delivery.is_open = false;
                        (delivery, verdict)
                    });
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    log::error!("worker {}: {error}", self.setup.name);
                    finished = None;
                }
                // What was handled last is handed out again.
                Err(error) if is_passing(error.kind()) && is_cancelled() => {
                    let message = format!("waiting for the stream was cancelled: {error}");
                    return Err(Error::new(ErrorKind::Cancelled, message));
                }
                Err(error) if is_passing(error.kind()) => {
                    let level = match std::mem::replace(&mut is_away, true) {
                        true => log::Level::Debug,
                        false => log::Level::Warn,
                    };
                    log::log!(level, "worker {}: waiting: {error}", self.setup.name);
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Finishes a delivery, and waits for the next one. The delivery is finished even if there is no
    /// next one, or waiting fails; only what could not be finished stays.
    fn take(
        &self,
        finish: &mut Option<(Delivery, Verdict)>,
        deadline: Option<Instant>,
    ) -> Result<Option<Delivery>> {
        let (mut wait, mut route) = (None, None);
        let mut pause = MIN_YIELD;
        loop {
            let is_routed = route.is_some();
            let turned = self.turn(finish, wait.take(), route.take())?;
            if let Some(taken) = turned.taken {
                match self.delivery(&taken)? {
                    Some(delivery) => return Ok(Some(delivery)),
                    None => continue,
                }
            }
            let left = deadline.map_or(MAX_WAIT, |at| at.saturating_duration_since(Instant::now()));
            let most = left.min(turned.due.unwrap_or(MAX_WAIT)).min(MAX_WAIT);
            let was_too_late = turned.is_woken || is_routed;
            if !left.is_zero() && (turned.is_full || was_too_late) {
                thread::sleep(most.min(if turned.is_full { PAUSE } else { pause }));
                pause = MAX_YIELD.min(2 * pause);
                continue;
            }
            if self.order.is_some() && !turned.is_full {
                let engine = self.setup.stream.engine()?;
                let unread = engine.wait(&turned.cursor, LOOK_AHEAD, most)?;
                if !unread.is_empty() {
                    route = Some(self.route(turned.cursor, &unread)?);
                    continue;
                }
            } else {
                wait = Some((turned.cursor, most));
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// One turn, which takes nothing if this thread is cancelled: then it fails afterwards.
    fn turn(
        &self,
        finish: &mut Option<(Delivery, Verdict)>,
        wait: Option<(String, Duration)>,
        route: Option<Route>,
    ) -> Result<Turned> {
        let is_cancelled = is_cancelled();
        let turn = Turn {
            finish: finish
                .as_ref()
                .map(|(delivery, verdict)| (&delivery.token, verdict.clone())),
            wait: wait.filter(|_| !is_cancelled),
            route,
            take: !is_cancelled,
            ordered: self.order.is_some(),
            create: match (
                self.is_known.load(Ordering::Relaxed),
                self.is_vanished.load(Ordering::Relaxed),
            ) {
                (_, true) => Create::Again,
                (true, false) => Create::No,
                (false, false) => Create::At(self.start),
            },
            ..self.setup.turn()
        };
        let engine = self.setup.stream.engine()?;
        let turned = engine.turn(&self.setup.group, &turn)?;
        self.is_known.store(true, Ordering::Relaxed);
        self.is_vanished.store(turned.is_none(), Ordering::Relaxed);
        let turned = turned.ok_or_else(|| self.vanished())?;
        if let Some((delivery, _)) = finish.take()
            && !turned.finished
        {
            log::warn!("worker {}: {}", self.setup.name, delivery.lost());
        }
        if is_cancelled {
            let group = &self.setup.group;
            let message = format!("waiting for events of group {group} was cancelled");
            return Err(Error::new(ErrorKind::Cancelled, message));
        }
        Ok(turned)
    }

    /// The delivery, unless the entry is not one of ours.
    fn delivery(&self, taken: &Taken) -> Result<Option<Delivery>> {
        let read = match taken.fields.is_empty() {
            true => Ok(entry::removed(clock::now())),
            false => entry::read(&taken.fields),
        };
        let delivery = |entry: Entry| Delivery {
            setup: Arc::clone(&self.setup),
            token: taken.token.clone(),
            entry,
            is_open: true,
        };
        match read {
            Ok(entry) => Ok(Some(delivery(entry))),
            Err(why) => {
                let group = &self.setup.group;
                log::warn!(
                    "entry {} becomes a dead letter of group {group}: {why}",
                    taken.token.member
                );
                // Another worker may have done the same meanwhile.
                match delivery(entry::removed(clock::now())).reject(why) {
                    Err(error) if error.kind() != ErrorKind::Timeout => Err(error),
                    _ => Ok(None),
                }
            }
        }
    }

    fn route(&self, after: String, unread: &[Unread]) -> Result<Route> {
        let mut keys = BTreeMap::new();
        for one in unread {
            keys.insert(one.id.clone(), self.key_of(one)?);
        }
        Ok(Route { after, keys })
    }

    /// The key of an entry; empty if it has none.
    fn key_of(&self, unread: &Unread) -> Result<String> {
        let Some(order) = &self.order else {
            return Ok(String::new());
        };
        let Ok(Entry {
            content: Content::Event(event),
            ..
        }) = entry::read(&unread.fields)
        else {
            return Ok(String::new());
        };
        let key = caught(|| Ok(order(&event))).map_err(|error| {
            let message = format!(
                "finding out the key of event {} ({}) for group {}: {error:#}",
                event.id(),
                event.topic(),
                self.setup.group
            );
            Error::new(ErrorKind::Callback, message)
        })?;
        Ok(match key {
            Some(key) if key.len() > MAX_KEY_BYTES => derived_id("", &[&key]).to_string(),
            key => key.unwrap_or_default(),
        })
    }

    fn vanished(&self) -> Error {
        let message = format!(
            "the group {:?} of the {} is gone: somebody deleted it, or the data was lost; what it had not \
             handled is lost with it. The next call begins a new one with the oldest event there is",
            self.setup.group,
            self.setup
                .stream
                .engine()
                .map_or_else(|_| "stream".to_owned(), super::engine::Engine::describe),
        );
        Error::new(ErrorKind::NotFound, message)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("stream", &self.setup.stream)
            .field("group", &self.setup.group)
            .field("name", &self.setup.name)
            .field("lease", &self.setup.lease)
            .field("attempts", &self.setup.attempts)
            .field("is_ordered", &self.order.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether it may pass in a while.
pub(super) fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Unavailable
    )
}

pub(super) fn is_cancelled() -> bool {
    tokens_of(with_scopes)
        .iter()
        .any(crate::CancelToken::is_cancelled)
}

fn handled(
    delivery: &Delivery,
    handler: &mut impl FnMut(&Delivery) -> anyhow::Result<()>,
) -> Verdict {
    match caught(|| handler(delivery)) {
        Ok(()) => Verdict::Ack,
        Err(error) => {
            let attempt = delivery.attempt();
            let mut own = error
                .chain()
                .filter_map(|cause| cause.downcast_ref::<Error>());
            let patience = match own.any(|error| is_passing(error.kind())) {
                true => PATIENCE,
                false => 1,
            };
            let attempts = delivery.setup.attempts.saturating_mul(patience);
            let end = match attempt < attempts {
                true => "",
                false => ", the last, and becomes a dead letter",
            };
            log::warn!("{delivery} failed at attempt {attempt}{end}: {error:#}");
            Verdict::Retry(backoff(attempt), format!("{error:#}"), attempts)
        }
    }
}

/// 1, 2, 4, … seconds.
fn backoff(attempt: u32) -> Duration {
    let seconds = 1u64 << attempt.saturating_sub(1).min(16);
    Duration::from_secs(seconds).min(MAX_BACKOFF)
}
