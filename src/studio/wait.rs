//! Waiting for what happens elsewhere: jobs and encodings of the server, transfers by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::query::{field, select};
use crate::{Entity, Error, ErrorKind, Location, Result, Session};

/// The pauses between two questions grow from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause while events say when something changed.
const PAUSE_WITH_EVENTS: Duration = Duration::from_secs(60);
/// How often handlers are given time to notice an event.
const EVENT_SLICE: Duration = Duration::from_millis(100);
/// Names of what the server encodes for the web player.
const ENCODED_NAMES: [&str; 4] = [
    "ftrackreview-mp4",
    "ftrackreview-webm",
    "ftrackreview-image",
    "ftrackreview-pdf",
];

type Observer = Arc<dyn Fn(&str) + Send + Sync>;

/// How long to wait, and an observer. A [`Duration`] converts into one without an observer.
///
/// ```
/// use std::time::Duration;
/// use ftrack_api::studio::WaitOptions;
///
/// let options = WaitOptions::new(Duration::from_secs(600)).on_progress(|what| println!("{what}"));
/// # let _ = options;
/// ```
#[derive(Clone)]
#[must_use = "pass it to a call that waits"]
pub struct WaitOptions {
    timeout: Duration,
    observer: Option<Observer>,
}

impl WaitOptions {
    /// Waits for `timeout` at most.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            observer: None,
        }
    }

    /// Sets an observer. It is called in the caller's thread whenever what it is given changes: the
    /// status of a job, the share of a component.
    pub fn on_progress(mut self, observer: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }
}

impl From<Duration> for WaitOptions {
    fn from(timeout: Duration) -> Self {
        Self::new(timeout)
    }
}

debug_fields!(WaitOptions, |this| timeout: this.timeout, on_progress: this.observer.is_some());

/// The result of asking once.
enum Polled<T> {
    Done(T),
    /// Not yet: this is how far it is.
    NotYet(String),
}

impl Entity {
    /// Waits until this job is done.
    ///
    /// While the event hub is connected, its events say when to ask, and its handlers run in this
    /// call; else the server is asked with pauses that grow from a quarter of a second to ten. A
    /// [`CancelToken`](crate::CancelToken) ends the wait.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use std::time::Duration;
    /// use ftrack_api::session::EncodeOptions;
    ///
    /// let version = session.query("AssetVersion")?.first()?.expect("there are versions");
    /// let job = version.encode_media(&path, EncodeOptions::new())?;
    /// job.wait(Duration::from_secs(600))?;
    /// assert_eq!(job.get::<String>("status")?, "done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Timeout`] if it takes longer; the job goes on.
    /// - [`ErrorKind::Server`] if it failed or was killed: the message has the data of the job.
    /// - [`ErrorKind::NotFound`] if it was deleted.
    /// - [`ErrorKind::Validation`] if it is not committed yet.
    /// - [`ErrorKind::WrongType`] if this is not a job.
    /// - [`ErrorKind::Cancelled`] and [`ErrorKind::Closed`], and errors of a request.
    pub fn wait(&self, options: impl Into<WaitOptions>) -> Result<()> {
        self.check_is("Job")?;
        let query = select("Job")
            .fields("status, data")
            .filter(field("id").eq(self.id()));
        let ask = || {
            let Some(job) = self.session().query(&query)?.first()? else {
                return Err(self.gone());
            };
            let status: String = job.get("status")?;
            match status.as_str() {
                "done" => Ok(Polled::Done(())),
                "failed" | "killed" => {
                    let data = job.value("data")?.unwrap_or_default();
                    let message = format!("{self} ended as {status}: {data}");
                    Err(Error::new(ErrorKind::Server, message))
                }
                _ => Ok(Polled::NotYet(status)),
            }
        };
        wait_until(self, &options.into(), "the end", ask)
    }

    /// Waits until this version has media for the web player, and returns the component that is played.
    /// See [`wait`](Self::wait) for how.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Timeout`] if it takes longer. A failed encoding does not end the wait: wait for its
    ///   job first, which [`encode_media`](Self::encode_media) returns.
    /// - [`ErrorKind::NotFound`] if it was deleted.
    /// - [`ErrorKind::Validation`] if it is not committed yet.
    /// - [`ErrorKind::WrongType`] if this is not a version.
    /// - [`ErrorKind::Cancelled`] and [`ErrorKind::Closed`], and errors of a request.
    pub fn wait_for_review(&self, options: impl Into<WaitOptions>) -> Result<Entity> {
        self.check_is("AssetVersion")?;
        let media = field("component.version_id").eq(self.id());
        let names = field("component.name").is_in(ENCODED_NAMES);
        let query = select("ComponentLocation")
            .fields("component.name")
            .filter(media.and(names))
            .limit(1);
        let own = select("AssetVersion").filter(field("id").eq(self.id()));
        let ask = || {
            let found = self.session().query_many([query.clone(), own.clone()])?;
            match (found[0].first(), found[1].is_empty()) {
                (Some(row), _) => row.get("component").map(Polled::Done),
                (None, true) => Err(self.gone()),
                (None, false) => Ok(Polled::NotYet("no media".to_owned())),
            }
        };
        wait_until(self, &options.into(), "review media", ask)
    }

    /// Waits until all of this component is in a location. See [`wait`](Self::wait) for how.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Timeout`] if it takes longer.
    /// - [`ErrorKind::NotFound`] if it was deleted.
    /// - [`ErrorKind::Validation`] if it is not committed yet.
    /// - [`ErrorKind::WrongType`] if this is not a component.
    /// - [`ErrorKind::Cancelled`] and [`ErrorKind::Closed`], and errors of a request.
    pub fn wait_for(&self, location: &Location, options: impl Into<WaitOptions>) -> Result<()> {
        self.check_is("Component")?;
        let own = select("Component").filter(field("id").eq(self.id()));
        let ask = || {
            let shares = self.session().availabilities_in(self, &[location.id()])?;
            let share = shares[0][&location.id()];
            if share == 0.0 && !self.session().query(&own)?.exists()? {
                return Err(self.gone());
            }
            Ok(match share >= 100.0 {
                true => Polled::Done(()),
                false => Polled::NotYet(format!("{share:.0} %")),
            })
        };
        wait_until(self, &options.into(), &format!("data in {location}"), ask)
    }

    fn gone(&self) -> Error {
        let message = format!("{self} does not exist any more");
        Error::new(ErrorKind::NotFound, message)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if it is of another type.
    /// - [`ErrorKind::Validation`] if it is not committed yet.
    fn check_is(&self, entity_type: &str) -> Result<()> {
        let schema = self.session().schema();
        if schema.is_kind_of(self.entity_type(), entity_type) {
            return self.check_committed("waiting for it");
        }
        let message = format!("expected a {entity_type}, got {self}");
        Err(Error::new(ErrorKind::WrongType, message))
    }
}

/// Asks until it is done, or the time is up.
fn wait_until<T>(
    entity: &Entity,
    options: &WaitOptions,
    what: &str,
    ask: impl Fn() -> Result<Polled<T>>,
) -> Result<T> {
    let session = entity.session();
    let end = Instant::now().checked_add(options.timeout);
    let changed = Arc::new(AtomicBool::new(false));
    let hub = session.event_hub();
    let mark = changed.clone();
    let noticed = move |_: &crate::Event| {
        mark.store(true, Ordering::Relaxed);
        Ok(None)
    };
    let filter = "topic=ftrack.update or topic=ftrack.location.component-added or topic=ftrack.meta.connected";
    let _subscription = hub.scoped(hub.subscribe(filter, noticed)?);
    let doing = format!("waiting for {what} of {entity}");
    let mut said = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        // Whatever changes after this is noticed.
        changed.store(false, Ordering::Relaxed);
        let state = match ask()? {
            Polled::Done(found) => return Ok(found),
            Polled::NotYet(state) => state,
        };
        if state != said {
            if let Some(observer) = &options.observer {
                observer(&state);
            }
            said = state;
            pause = FIRST_PAUSE;
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            let seconds = options.timeout.as_secs_f64();
            let message = format!("{doing}: still {said} after {seconds} s");
            return Err(Error::new(ErrorKind::Timeout, message));
        }
        rest(
            session,
            &changed,
            pause.min(left.unwrap_or(pause)),
            left,
            &doing,
        )?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits for the pause, or longer while events can end the wait, or until one does.
fn rest(
    session: &Session,
    changed: &AtomicBool,
    pause: Duration,
    left: Option<Duration>,
    doing: &str,
) -> Result<()> {
    let pace = session.shared.api.pace();
    let hub = session.event_hub();
    let with_events = PAUSE_WITH_EVENTS.min(left.unwrap_or(PAUSE_WITH_EVENTS));
    let begun = Instant::now();
    loop {
        let is_connected = hub.is_connected();
        let limit = if is_connected { with_events } else { pause };
        let left = limit.saturating_sub(begun.elapsed());
        if changed.load(Ordering::Relaxed) || left.is_zero() {
            break;
        }
        let slice = EVENT_SLICE.min(left);
        if !is_connected {
            pace.call().sleep(slice);
        } else if let Err(error) = hub.wait(slice)
            && error.kind() != ErrorKind::Connection
        {
            return Err(error.context(doing));
        }
        pace.check(doing)?;
    }
    // Many events at once are one reason to look.
    pace.call()
        .sleep(FIRST_PAUSE.min(left.unwrap_or(FIRST_PAUSE)));
    pace.check(doing)
}
