//! Timers of users: what a user is working on now, and the time logs that result.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::query::{field, select};

/// What a timer measures, for [`Entity::start_timer`].
#[derive(Clone, Debug, Default)]
#[must_use = "options have no effect until they are passed to `start_timer`"]
#[non_exhaustive]
pub struct TimerOptions {
    context: Option<Entity>,
    comment: String,
    name: Option<String>,
    is_forced: bool,
}

impl TimerOptions {
    /// No context, no comment, no name; a running timer is an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// The task, or other context, that the user works on.
    pub fn context(mut self, context: &Entity) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// A comment, which the time log gets as well.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// A name, for work that has no context.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether a running timer is stopped first, which makes a time log of it.
    pub fn force(mut self, is_forced: bool) -> Self {
        self.is_forced = is_forced;
        self
    }
}

impl Entity {
    /// Starts a timer of this user and returns it. A user has at most one.
    ///
    /// Commits, with everything else that is recorded.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let own = ftrack_api::expr!("User where username is {}", session.api_user());
    /// use ftrack_api::entity::TimerOptions;
    ///
    /// let user = session.query(own)?.one()?;
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// user.start_timer(TimerOptions::new().context(&task).comment("animating").force(true))?;
    /// let timelog = user.stop_timer()?;
    /// assert_eq!(timelog.get::<String>("comment")?, "animating");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The timer is no longer recorded after an error, unless the commit is in doubt.
    ///
    /// - [`ErrorKind::WrongType`] if this is not a user.
    /// - [`ErrorKind::Duplicate`] if a timer is running and is not to be stopped.
    /// - Any error of [`Session::create`] and [`Session::commit`].
    pub fn start_timer(&self, options: TimerOptions) -> Result<Entity> {
        self.check_type("User")?;
        if options.is_forced {
            match self.stop_timer() {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let session = self.session();
        let data = crate::data! {
            "user": self,
            "context": options.context,
            "name": options.name,
            "comment": options.comment,
        };
        let timer = session.create("Timer", data);
        session
            .commit_with(timer)
            .map_err(|error| match error.kind() {
                ErrorKind::Duplicate => error
                    .with_note(&format!("A timer of {self} may be running."))
                    .with_remedy("Stop it with `stop_timer`, or start with `force`."),
                _ => error,
            })
    }

    /// Stops the timer of this user and returns the time log that replaces it: the same context,
    /// name, comment and start, and the seconds since then as its duration. The duration is never
    /// negative, even if this machine's clock is wrong.
    ///
    /// Commits, with everything else that is recorded.
    ///
    /// # Errors
    ///
    /// The timer keeps running after an error, unless the commit is in doubt: called again, this
    /// reconciles first.
    ///
    /// - [`ErrorKind::WrongType`] if this is not a user.
    /// - [`ErrorKind::NotFound`] if no timer is running.
    /// - Any error of [`Session::query`] and [`Session::commit`].
    pub fn stop_timer(&self) -> Result<Entity> {
        self.check_type("User")?;
        let session = self.session();
        session.resolve_doubt()?;
        let names = ["user_id", "context_id", "comment", "start", "name"];
        let own = field("user_id").eq(self.id());
        let running = session.query(select("Timer").fields(names).filter(own))?;
        let timer = running.one().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                format!("no timer of {self} is running"),
            ),
            _ => error,
        })?;
        let start: DateTime = timer.get("start")?;
        let seconds = now_of_server(session).duration_since(start).as_secs();
        let mut data = crate::data! { "duration": seconds.max(0) };
        for name in names {
            data.set(name, timer.value(name)?);
        }
        session.delete(&timer)?;
        let stopped = session.create("Timelog", data);
        let committed = session.commit_with(stopped);
        if committed.is_err() && !session.is_in_doubt() {
            session.shared.store.lock().revive(&timer.key())?;
        }
        committed
    }
}

/// Now, as the server writes it.
fn now_of_server(session: &Session) -> DateTime {
    let zone = session.server_information().time_zone();
    zone.to_datetime(Timestamp::now())
}
