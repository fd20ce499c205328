//! From the event hub into a stream.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Filter, IntoFilter};
use crate::handle::Session;
use crate::hub::{EventHub, HubState};

use super::backlog::Backlog;
use super::journal::Journal;
use super::running::{REPORT_INTERVAL, Running};
use super::status::RelayStatus;
use super::stream::Stream;

/// Appends the events of a hub to a [`Stream`].
///
/// Several relays may do the same on several machines: an event is appended once, recognised by its id,
/// for as long as the stream has it.
///
/// A relay works on the caller's thread, in [`poll`](Self::poll) and [`run`](Self::run). Between calls
/// the hub's own thread receives, up to the limits of [`HubConfig`](crate::hub::HubConfig). The hub is
/// the relay's alone: its handlers are not called.
///
/// While the stream is away, events wait in memory, then in the [journal](Self::journal). What has no
/// room there is dropped, counted, and reported to all workers as a [`Gap`](super::Gap).
///
/// One that is dropped with nothing left tells the others that it has ended, so that they need not wait for it as they do
/// for one that was killed. If Redis does not respond, that takes up to 5 seconds.
///
/// ```no_run
/// # #[cfg(feature = "redis")] {
/// use ftrack_api::EventHub;
/// use ftrack_api::hub::HubConfig;
/// use ftrack_api::relay::{Relay, Stream};
///
/// let hub = EventHub::new(HubConfig::new("https://studio.example.com", "ada", "key"));
/// let stream = Stream::redis("redis://events.studio");
/// let mut relay = Relay::new(&hub, &stream, "relay-1")
///     .subscribe("topic=ftrack.update")
///     .journal("/var/lib/ftrack/relay-1.journal");
/// relay.run()?;
/// # }
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[must_use = "it does nothing until `poll` or `run` is called"]
pub struct Relay {
    hub: EventHub,
    stream: Stream,
    name: String,
    filters: Vec<Result<Filter>>,
    journal: Option<PathBuf>,
    memory_bytes: usize,
    journal_bytes: u64,
    session: Option<Session>,
    running: Option<Running>,
}

impl Relay {
    /// A relay under a name that no other relay of the stream has, and that it keeps when it is started
    /// again: by it, it finds out since when it was away.
    pub fn new(hub: &EventHub, stream: &Stream, name: impl Into<String>) -> Self {
        Self {
            hub: hub.clone(),
            stream: stream.clone(),
            name: name.into(),
            filters: Vec::new(),
            journal: None,
            memory_bytes: 8 << 20,
            journal_bytes: 1 << 30,
            session: None,
            running: None,
        }
    }

    /// Adds events that are to be appended; several filters are joined by *or*. A filter that is invalid is
    /// reported by the first call of [`poll`](Self::poll). Without any, all events are appended.
    pub fn subscribe(mut self, filter: impl IntoFilter) -> Self {
        self.filters.push(filter.into_filter());
        self
    }

    /// Sets the file in which events wait while the stream is away and memory is full; for this user
    /// alone. Without it, they wait in memory only. It also keeps what is in memory when the relay is
    /// dropped.
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal = Some(path.into());
        self
    }

    /// Sets how many bytes of events wait in memory, 8 MiB unless set. As many again hold what was appended in the
    /// last ten seconds, in case the stream loses it.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Sets the maximum size of the journal, 1 GiB unless set.
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// Fills gaps, as far as the server's log knows: the entities of type `Event` that were created while
    /// no relay was connected are appended before the [`Gap`](super::Gap). [`Delivery::is_from_log`] marks them.
    ///
    /// Such an event has the topic `ftrack.update`, an id made of the log's, one entity with the type, id
    /// and action that the log has, and the whole row as `data.log`. Which changes a server logs, and what it
    /// writes into `data`, is the server's business and is not documented; a change that a relay received
    /// around the gap may be in the log as well.
    ///
    /// [`Delivery::is_from_log`]: super::Delivery::is_from_log
    pub fn catch_up(mut self, session: &Session) -> Self {
        self.session = Some(session.clone());
        self
    }

    /// Waits for events, up to this long, and appends what there is; returns how many events it has
    /// received. To be called again and again: it also reports to the stream, and connects the hub.
    ///
    /// # Errors
    ///
    /// Whatever the error, events that were received are retained, and the next call tries again.
    ///
    /// - [`ErrorKind::Syntax`] if a filter is invalid.
    /// - [`ErrorKind::Duplicate`] if the journal belongs to another relay; [`ErrorKind::Io`] if it cannot be
    ///   used.
    /// - Any error of [`EventHub::connect`](crate::EventHub::connect) if the server refuses the
    ///   user or the key; the hub tries again nevertheless. A server that is away is not an error.
    /// - [`ErrorKind::Permission`] if the server rejects a subscription.
    /// - [`ErrorKind::Cancelled`] if a [`CancelToken`](crate::CancelToken) of this thread is cancelled.
    /// - Any error of [`Stream::status`], but for a stream that is away or full: that is logged,
    ///   and no error.
    pub fn poll(&mut self, timeout: Duration) -> Result<usize> {
        let is_new = self.running.is_none();
        if is_new {
            self.running = Some(self.begin()?);
        }
        let Self {
            running: Some(running),
            ..
        } = self
        else {
            return Ok(0);
        };
        let session = self.session.as_ref();
        // Others must know of it before it receives anything: they may have missed it.
        let begun = match is_new {
            true => running.flush(session),
            false => Ok(()),
        };
        if self.hub.state() == HubState::Disconnected {
            self.hub.connect_in_background()?;
        }
        let received = running.receive(&self.hub, timeout);
        let looked = running.look(&self.hub);
        let flushed = begun.and_then(|()| running.flush(session));
        let received = received?;
        flushed?;
        looked?;
        match self.hub.connection_error() {
            Some(error) if is_lasting(error.kind()) && !self.hub.is_connected() => Err(error),
            _ => Ok(received),
        }
    }

    /// Relays until an error that does not pass. It waits for lost connections and for a stream that is away.
    ///
    /// # Errors
    ///
    /// - Any error of [`poll`](Self::poll); it returns only with one.
    pub fn run(&mut self) -> Result<std::convert::Infallible> {
        loop {
            self.poll(REPORT_INTERVAL)?;
        }
    }

    /// The work of this relay so far. [`Stream::status`] has that of all, from any machine.
    pub fn status(&self) -> RelayStatus {
        let running = self.running.as_ref();
        let record = running.map(Running::current_record).unwrap_or_default();
        record.status(self.name.clone())
    }

    fn begin(&mut self) -> Result<Running> {
        if self.name.is_empty() {
            let message = "a relay needs a name: its own, and always the same";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let mut filters = Vec::new();
        for filter in &self.filters {
            match filter {
                Ok(filter) => filters.push(filter.clone()),
                Err(error) => {
                    let message = format!("a subscription of relay {}: {error}", self.name);
                    return Err(Error::new(error.kind(), message));
                }
            }
        }
        if filters.is_empty() {
            filters.push("topic=*".into_filter()?);
        }
        let journal = self.journal.as_deref();
        let journal = journal
            .map(|path| Journal::open(path, self.journal_bytes))
            .transpose()?;
        self.hub.follow();
        for filter in &filters {
            self.hub.listen(filter)?;
        }
        let backlog = Backlog::new(self.memory_bytes, journal);
        let counts = self.hub.counts();
        Ok(Running::new(
            &self.stream,
            &self.name,
            filters,
            backlog,
            self.memory_bytes,
            counts,
        ))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("hub", &self.hub)
            .field("stream", &self.stream)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

/// Whether attempts to connect fail until something is changed. The hub goes on trying.
fn is_lasting(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Authentication
            | ErrorKind::Configuration
            | ErrorKind::Permission
            | ErrorKind::Unsupported
    )
}
