//! The result of a query, kept up to date.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use serde_json::Value as Json;

use super::rows::{Row, rows_of, text};
use crate::event::{CONNECTED_TOPIC, ChangedEntity, UPDATE_TOPIC};
use crate::query::{IntoStatement, Statement};
use crate::schema::Schema;
use crate::session::hub_for;
use crate::transport::Dialer;
use crate::{CancelToken, Entity, EntityKey, Error, ErrorKind, EventHub, Result, Session, SmolStr};

/// The shortest pause between two requests; requests take at most a fifth of the time.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_FACTOR: u32 = 5;
/// How often it is asked while no events come.
const PAUSE_WITHOUT_EVENTS: Duration = Duration::from_secs(10);
/// The longest pause while it does not respond.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// When to ask again after a new connection: by then the server has the subscription.
const SUBSCRIPTION_TIME: Duration = Duration::from_secs(2);
/// How soon a dropped watch is noticed.
const DROP_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The result of a query, kept up to date by the server's events; made by [`Session::watch`].
///
/// It has a thread and a connection to the event server of its own, which end when it is dropped.
#[must_use = "bind it: `let _watch = …`; `let _ = …` would drop it at once"]
pub struct Watch {
    session: Session,
    seen: Arc<Snapshot>,
    /// Holds the latest snapshot, or nothing if that was taken.
    latest: Receiver<Result<Arc<Snapshot>>>,
    hub: EventHub,
    token: CancelToken,
}

/// What changed in a [`Watch`] since the call before.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WatchChanges {
    /// Entities that match now and did not before, in the order of the query.
    pub added: Vec<Entity>,
    /// Entities that do not match any more, or do not exist.
    pub removed: Vec<EntityKey>,
    /// Entities that match and have other values of the attributes that the query selects.
    pub changed: Vec<Entity>,
}

impl WatchChanges {
    /// Whether nothing changed; the order may have.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// The rows of the query at one moment, in its order.
#[derive(Default)]
struct Snapshot {
    rows: Vec<(EntityKey, Row)>,
}

impl Session {
    /// Watches the result of a query: entities that begin or cease to match, or get other values of the
    /// selected attributes, are reported by [`Watch::changes`] and [`Watch::poll`].
    ///
    /// When an event says that something changed that the query depends on, a thread runs it again, and
    /// likewise after the connection to the event server was lost, or events were dropped. However many
    /// events come, the query runs at most once a second, and not for more than a fifth of the
    /// time; every ten seconds while there is no connection. A watch keeps two results in memory. Only
    /// what is committed counts.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use std::time::Duration;
    /// use ftrack_api::data;
    ///
    /// let query = "select name, bid from Task where project.name is test order by name";
    /// let mut watch = session.watch(query)?;
    /// let before = watch.entities()?.len();
    ///
    /// let project = session.at("test")?;
    /// session.create("Task", data! { "name": "roto", "parent": &project })?;
    /// session.commit()?;
    /// let changes = watch.changes(Duration::from_secs(60))?.expect("a task was added");
    /// assert_eq!(changes.added[0].get::<String>("name")?, "roto");
    /// assert_eq!(watch.entities()?.len(), before + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`query`](Self::query), and of running it the first time.
    /// - [`ErrorKind::Validation`] for groups and aggregates, whose rows are not entities.
    /// - [`ErrorKind::Io`] if no thread can be started.
    pub fn watch(&self, query: impl IntoStatement) -> Result<Watch> {
        let mut statement = self.query(query)?.statement().clone();
        let entity_type = self.schema().entity_type(&statement.entity_type)?;
        if statement.is_grouped() {
            let message = format!(
                "{statement} gives groups or aggregates; watch a query that gives entities"
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        if statement.projections.is_empty() {
            let fields: Vec<&str> = entity_type
                .default_projections()
                .iter()
                .map(SmolStr::as_str)
                .collect();
            statement = statement.fields(fields);
        }
        let api = &self.shared.api;
        let hub = hub_for(api.config(), Dialer::new(api.config().network.clone()));
        for topic in [UPDATE_TOPIC, CONNECTED_TOPIC] {
            hub.listen(format!("topic={topic}").as_str())?;
        }
        hub.connect_in_background()?;
        let seen = Arc::new(Snapshot::take(self, &statement)?);
        let (sender, latest) = bounded(1);
        let token = CancelToken::new();
        let watcher = Watcher {
            relevant: Relevant::of(self.schema(), &statement),
            session: self.clone(),
            statement,
            hub: hub.clone(),
            sender,
            latest: latest.clone(),
            last: seen.clone(),
        };
        let cancelled = token.clone();
        let thread = thread::Builder::new().name("ftrack-watch".to_owned());
        let started = thread.spawn(move || cancelled.clone().run(|| watcher.work(&cancelled)));
        started.map_err(|error| {
            let message = format!("cannot start the thread of a watch: {error}");
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        Ok(Watch {
            session: self.clone(),
            seen,
            latest,
            hub,
            token,
        })
    }
}

impl Watch {
    /// The entities that match, in the order of the query, as of the last call of
    /// [`changes`](Self::changes) or [`poll`](Self::poll). Sends no request.
    ///
    /// # Errors
    ///
    /// - Any error of [`Session::entity`].
    pub fn entities(&self) -> Result<Vec<Entity>> {
        let keys = self.seen.rows.iter().map(|(key, _)| key);
        keys.map(|key| self.session.entity(key)).collect()
    }

    /// What changed since the last call. Never waits: for the idle callback of a host application.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`] if the session is closed, after what was received before.
    /// - [`ErrorKind::Callback`] if a transport or cache of your own panicked in the watch's thread.
    /// - Any error of running the query; the watch goes on, and reports each error once.
    pub fn poll(&mut self) -> Result<WatchChanges> {
        match self.latest.try_recv() {
            Ok(latest) => self.advance(latest?),
            Err(TryRecvError::Disconnected) => Err(self.ended()),
            Err(TryRecvError::Empty) if self.session.is_closed() => Err(closed()),
            Err(TryRecvError::Empty) => Ok(WatchChanges::default()),
        }
    }

    /// Waits for changes; `None` if there are none in time.
    ///
    /// # Errors
    ///
    /// - Any error of [`poll`](Self::poll).
    pub fn changes(&mut self, timeout: Duration) -> Result<Option<WatchChanges>> {
        let end = Instant::now().checked_add(timeout);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let received = self
                .latest
                .recv_timeout(left.unwrap_or(Duration::MAX).min(LONGEST_PAUSE));
            match received {
                Ok(latest) => {
                    let changes = self.advance(latest?)?;
                    if !changes.is_empty() {
                        return Ok(Some(changes));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if left.is_some_and(|left| left.is_zero()) => {
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) if self.session.is_closed() => return Err(closed()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Why the thread has ended.
    fn ended(&self) -> Error {
        match self.session.is_closed() {
            true => closed(),
            false => Error::new(
                ErrorKind::Callback,
                "the thread of the watch has ended by a panic in a transport or cache; watch again",
            ),
        }
    }

    fn advance(&mut self, latest: Arc<Snapshot>) -> Result<WatchChanges> {
        let before: HashMap<&EntityKey, &Row> =
            self.seen.rows.iter().map(|(key, row)| (key, row)).collect();
        let mut changes = WatchChanges::default();
        let mut present: HashSet<&EntityKey> = HashSet::with_capacity(latest.rows.len());
        for (key, row) in &latest.rows {
            present.insert(key);
            match before.get(key) {
                None => changes.added.push(self.session.entity(key)?),
                Some(known) if *known != row => changes.changed.push(self.session.entity(key)?),
                Some(_) => {}
            }
        }
        let gone = self.seen.rows.iter().map(|(key, _)| key);
        changes.removed = gone.filter(|key| !present.contains(key)).cloned().collect();
        drop(before);
        drop(present);
        self.seen = latest;
        Ok(changes)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the session of the watch is closed")
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.token.cancel();
        self.hub.close();
    }
}

debug_fields!(Watch, |this| entities: this.seen.rows.len(), hub: this.hub.state());

impl Snapshot {
    /// Runs the query, and merges what it gives into the session.
    fn take(session: &Session, statement: &Statement) -> Result<Self> {
        let taken = Self::read(session, statement);
        taken.map_err(|error| session.shared.api.checked(error))
    }

    fn read(session: &Session, statement: &Statement) -> Result<Self> {
        let rows = rows_of(session, std::slice::from_ref(statement))?;
        let rows = rows.into_iter().next().unwrap_or_default();
        let json = rows.iter().cloned().map(Json::Object).collect();
        session.decode(&json)?;
        let keyed = rows.into_iter().map(|row| {
            let entity_type = session
                .schema()
                .entity_type(text(&row, "__entity_type__"))?;
            let parts = entity_type
                .primary_key()
                .iter()
                .map(|name| text(&row, name));
            let key = EntityKey::composite(entity_type.name(), parts);
            Ok((key, row))
        });
        Ok(Self {
            rows: keyed.collect::<Result<_>>()?,
        })
    }
}

/// The thread of a watch.
struct Watcher {
    session: Session,
    statement: Statement,
    relevant: Relevant,
    hub: EventHub,
    sender: Sender<Result<Arc<Snapshot>>>,
    /// The other end, to take back what was not fetched.
    latest: Receiver<Result<Arc<Snapshot>>>,
    last: Arc<Snapshot>,
}

impl Watcher {
    fn work(mut self, token: &CancelToken) {
        let mut is_stale = true;
        let mut failures = 0;
        let mut dropped = self.hub.counts().dropped;
        let mut next = Instant::now();
        let mut asked = Instant::now();
        // A request that is sent whatever happens.
        let mut scheduled: Option<Instant> = None;
        while !token.is_cancelled() && !self.session.is_closed() {
            let now = Instant::now();
            let is_overdue = !self.hub.is_connected() && asked + PAUSE_WITHOUT_EVENTS <= now;
            let is_due = scheduled.is_some_and(|at| at <= now);
            let lost = self.hub.counts().dropped;
            if is_overdue || is_due || lost != dropped {
                (is_stale, dropped) = (true, lost);
                scheduled = scheduled.filter(|_| !is_due);
            }
            if is_stale && next <= now {
                // Events that come meanwhile make it stale again.
                (is_stale, asked) = (false, now);
                match Snapshot::take(&self.session, &self.statement) {
                    Ok(snapshot) => {
                        next = now + SHORTEST_PAUSE.max(now.elapsed() * PAUSE_FACTOR);
                        // An error may have replaced a snapshot that was not fetched.
                        if failures > 0 || snapshot.rows != self.last.rows {
                            self.last = Arc::new(snapshot);
                            self.put(Ok(self.last.clone()));
                        }
                        failures = 0;
                    }
                    Err(_) if token.is_cancelled() => return,
                    Err(error) => {
                        is_stale = true;
                        failures += 1;
                        let pause = SHORTEST_PAUSE * 2_u32.saturating_pow(failures.min(6));
                        next = Instant::now() + pause.min(LONGEST_PAUSE);
                        log::debug!("a watch cannot run {}: {error}", self.statement);
                        self.put(Err(error));
                    }
                }
            }
            let until = if is_stale {
                next.saturating_duration_since(Instant::now())
            } else {
                DROP_CHECK_INTERVAL
            };
            match self.hub.next(until.min(DROP_CHECK_INTERVAL)) {
                Ok(Some(event)) if event.topic() == CONNECTED_TOPIC => {
                    is_stale = true;
                    scheduled = Some(Instant::now() + SUBSCRIPTION_TIME);
                }
                Ok(Some(event)) => match event.update(self.session.schema()) {
                    Ok(update) => {
                        is_stale |= update
                            .entities
                            .iter()
                            .any(|one| self.relevant.is_met(self.session.schema(), one));
                    }
                    Err(_) => is_stale = true,
                },
                Ok(None) => {}
                // Without a connection it returns at once.
                Err(_) => thread::sleep(until.min(DROP_CHECK_INTERVAL)),
            }
        }
    }

    /// Replaces what was not fetched yet.
    fn put(&self, latest: Result<Arc<Snapshot>>) {
        let _ = self.latest.try_recv();
        let _ = self.sender.try_send(latest);
    }
}

/// The types on which the result of a query depends.
struct Relevant {
    types: HashSet<String>,
    /// Values of custom attributes and metadata belong to entities of any type.
    is_everything: bool,
}

impl Relevant {
    /// The type of the query, and those that the attributes named in it lead to. Every word is taken for
    /// an attribute: that may be too many, and never too few.
    fn of(schema: &Schema, statement: &Statement) -> Self {
        let expression = statement.to_string();
        let words = expression.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words: HashSet<&str> = words.collect();
        let mut types = HashSet::from([statement.entity_type.clone()]);
        for entity_type in schema.entity_types() {
            if words.contains(entity_type.name()) {
                types.insert(entity_type.name().to_owned());
            }
            for attribute in entity_type.attributes() {
                let target = attribute
                    .target()
                    .filter(|_| words.contains(attribute.name()));
                types.extend(target.map(str::to_owned));
            }
        }
        let is_everything = [
            "custom_attributes",
            "metadata",
            "link",
            "ancestors",
            "descendants",
        ];
        Self {
            is_everything: is_everything.iter().any(|name| words.contains(name)),
            types,
        }
    }

    fn is_met(&self, schema: &Schema, changed: &ChangedEntity) -> bool {
        let name = changed.entity_type.as_str();
        let is_related =
            |known: &String| schema.is_kind_of(name, known) || schema.is_kind_of(known, name);
        self.is_everything || schema.entity_type(name).is_err() || self.types.iter().any(is_related)
    }
}
