//! Changes on the server that are made at most once for an event.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result, caught};
use crate::handle::{Entity, Session};
use crate::lock::Mutex;
use crate::query::{field, select};
use crate::value::{Data, EntityKey, derived_id};

use super::delivery::Delivery;

/// Markers of the stream.
const BEGUN: &str = "begun";
const DONE: &str = "done";

/// The outcome of [`Delivery::once`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "changes that are in doubt were not repeated"]
#[non_exhaustive]
pub enum Once {
    /// They were committed now.
    Applied,
    /// They had been committed before, for the same event and group; nothing was sent.
    AppliedBefore,
    /// An earlier attempt ended while it committed, and nothing that it created can be asked for. They were
    /// applied once or not at all, and nothing was sent.
    InDoubt,
}

/// The changes of one event; see [`Delivery::once`].
pub struct Batch<'a> {
    session: &'a Session,
    group: &'a str,
    event: &'a str,
    count: AtomicUsize,
    first: Mutex<Option<EntityKey>>,
}

impl Batch<'_> {
    /// Creates an entity whose id is made of the event's id, the group and the number of the call. So the
    /// handler must create the same entities in the same order whenever it is given the event.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the key of the entity type is not `id`, or `data` has an `id`.
    /// - Any error of [`Session::create`](crate::Session::create).
    pub fn create(&self, entity_type: &str, mut data: Data) -> Result<Entity> {
        if data.contains("id") {
            let message = format!(
                "the id of a new {entity_type} in `once` is made from the event: give none"
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let id = derived_id("", &["ftrack-api once", self.group, self.event, &number]);
        data.set("id", id.to_string());
        let key = EntityKey::new(entity_type, id.to_string());
        self.first.lock().get_or_insert(key);
        self.session.create(entity_type, data)
    }

    /// The session, for other changes.
    pub fn session(&self) -> &Session {
        self.session
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("group", &self.group)
            .field("event", &self.event)
            .field("created", &self.count)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// Records changes with the session and commits them, at most once for each event and group, whatever
    /// happens to this process, other workers and the stream's deliveries. To be called before
    /// [`ack`](Self::ack), with a session that has nothing recorded.
    ///
    /// What is promised depends on what the changes create by [`Batch::create`]:
    ///
    /// - With a creation, exactly once, if the event is delivered until this succeeds. The commit is one
    ///   transaction, and the server refuses a second one with the same ids. If somebody deletes the first
    ///   created entity before a repetition finds it, it is created again.
    /// - Without one, at most once: the stream notes that the commit begins, and that it has ended. If a
    ///   process dies in between, nobody knows whether it was applied, and the result is
    ///   [`InDoubt`](Once::InDoubt). Create something, such as a note, where that is not good enough.
    ///
    /// What a session records is one list for all threads: give each thread that calls this a session of its own.
    ///
    /// The stream remembers for seven days. What the closure does beside the session's changes is repeated
    /// with every delivery. Events without an id are told apart by their entries.
    ///
    /// ```no_run
    /// # #[cfg(feature = "redis")] {
    /// # use ftrack_api::relay::{Stream, Worker};
    /// # use ftrack_api::{Session, data};
    /// # let session = Session::from_env()?;
    /// # let worker = Worker::new(&Stream::redis("redis://events.studio"), "notes", "one");
    /// worker.run(|delivery| {
    ///     let Some(event) = delivery.event() else { return Ok(()) };
    ///     let task = event.data()["task"].as_str().unwrap_or_default();
    ///     let _ = delivery.once(&session, |batch| {
    ///         let text = format!("rendered {}", event.data()["frames"]);
    ///         batch.create("Note", data! { "content": text, "parent_id": task, "parent_type": "task" })?;
    ///         batch.session().update("Task", task, data! { "bid": 0 })?;
    ///         Ok(())
    ///     })?;
    ///     Ok(())
    /// })?;
    /// # }
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing stays recorded. Let the event be tried again.
    ///
    /// - [`ErrorKind::Validation`] if the session has recorded changes, which stay recorded.
    /// - The error of the closure, [`Callback`](ErrorKind::Callback) if it panics.
    /// - Any error of [`Session::commit`](crate::Session::commit) and
    ///   [`Stream::status`](super::Stream::status).
    pub fn once(
        &self,
        session: &Session,
        changes: impl FnOnce(&Batch<'_>) -> anyhow::Result<()>,
    ) -> Result<Once> {
        if !session.recorded_operations().is_empty() {
            let message = format!(
                "{self}: the session has recorded changes; commit them or roll them back first"
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let event = match self.event().map(crate::Event::id) {
            Some(id) if !id.is_empty() => id,
            _ => self.token.member.as_str(),
        };
        let batch = Batch {
            session,
            group: &self.setup.group,
            event,
            count: AtomicUsize::new(0),
            first: Mutex::default(),
        };
        let recorded = caught(|| changes(&batch)).map_err(Error::from_callback);
        let done = match recorded {
            Ok(()) => self.commit_once(&batch),
            // This session has created it before, and has it still.
            Err(error) if error.kind() == ErrorKind::Duplicate => was_applied(&batch, error),
            Err(error) => Err(error),
        };
        if !matches!(done, Ok(Once::Applied)) {
            session.rollback();
        }
        done.map_err(|error| error.context(self))
    }

    fn commit_once(&self, batch: &Batch<'_>) -> Result<Once> {
        let (engine, group) = (self.setup.stream.engine()?, &self.setup.group);
        // Its own: if the reply is lost and the call is repeated, it finds what it has set itself.
        let begun = format!("{BEGUN} {:x}", fastrand::u64(..));
        let before = engine.mark(group, batch.event, &begun)?;
        let before = before.filter(|before| *before != begun);
        let first = batch.first.lock().clone();
        match (before.as_deref(), &first) {
            (None, _) => {}
            (Some(DONE), _) => return Ok(Once::AppliedBefore),
            (Some(_), None) => return Ok(Once::InDoubt),
            (Some(_), Some(first)) => {
                if exists(batch.session, first)? {
                    engine.set_mark(group, batch.event, Some(DONE))?;
                    return Ok(Once::AppliedBefore);
                }
            }
        }
        let outcome = match batch.session.commit() {
            Ok(()) => Once::Applied,
            // Another worker may be doing the same.
            Err(error) if error.leaves_doubt() => return Err(error),
            Err(error) => match first {
                Some(first) if exists(batch.session, &first)? => Once::AppliedBefore,
                _ => {
                    engine.set_mark(group, batch.event, None)?;
                    return Err(error);
                }
            },
        };
        // If this fails, the next delivery finds what was created, or is in doubt.
        engine.set_mark(group, batch.event, Some(DONE))?;
        Ok(outcome)
    }
}

fn was_applied(batch: &Batch<'_>, error: Error) -> Result<Once> {
    let first = batch.first.lock().clone();
    match first {
        Some(first) if exists(batch.session, &first)? => Ok(Once::AppliedBefore),
        _ => Err(error),
    }
}

/// Asks the server: the session may have the entity only as a new one.
fn exists(session: &Session, key: &EntityKey) -> Result<bool> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(rename = "id")]
        _id: String,
    }
    let criterion = field("id").eq(key.id());
    let query = select(key.entity_type()).fields("id").filter(criterion);
    let mut rows = session.query(query)?.rows::<Row>();
    rows.next().transpose().map(|row| row.is_some())
}
