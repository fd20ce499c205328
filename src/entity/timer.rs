//! Timers of users: what somebody works on right now, and the time logs that come of it.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::Value as Json;

use crate::error::{ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::query::{field, select};

impl Entity {
    /// Starts this user's timer, on `context` if one is given, and answers with it. A user has one
    /// timer at most: `force` stops the one that is running, which becomes a time log.
    ///
    /// Commits, with everything else that is recorded.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// # let own = ftrack_api::expr!("User where username is {}", session.api_user());
    /// let user = session.query(own)?.one()?;
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// user.start_timer(Some(&task), "animating", None, true)?;
    /// let timelog = user.stop_timer()?;
    /// assert_eq!(timelog.get::<String>("comment")?, "animating");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no user; [`ErrorKind::Duplicate`] if a timer is running
    /// and `force` is false; else as for [`Session::create`] and [`Session::commit`]. The timer is
    /// not recorded any more then, unless nobody knows what became of the commit.
    pub fn start_timer(
        &self,
        context: Option<&Entity>,
        comment: &str,
        name: Option<&str>,
        force: bool,
    ) -> Result<Entity> {
        self.check_type("User", "which has timers")?;
        if force {
            match self.stop_timer() {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let session = self.session();
        let data = crate::data! {
            "user": self, "context": context, "name": name, "comment": comment,
        };
        let timer = session.create("Timer", data);
        session.commit_with(timer).map_err(|error| match error.kind() {
            ErrorKind::Duplicate => error.and(&format!(
                "A timer of {self} may be running: stop it with `stop_timer`, or start with `force`."
            )),
            _ => error,
        })
    }

    /// Stops this user's timer and answers with the time log that comes of it: the same context,
    /// name, comment and start, and the seconds since as its duration. It is never negative,
    /// whatever this machine's clock says.
    ///
    /// Commits, with everything else that is recorded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no user; [`ErrorKind::NotFound`] if no timer is running;
    /// else as for [`Session::query`] and [`Session::commit`]. The timer goes on then, unless nobody
    /// knows what became of the commit: called again, this finds out first.
    pub fn stop_timer(&self) -> Result<Entity> {
        self.check_type("User", "which has timers")?;
        let session = self.session();
        session.settle_doubt()?;
        let names = ["user_id", "context_id", "comment", "start", "name"];
        let own = field("user_id").eq(self.id());
        let running = session.query(select("Timer").fields(names).filter(own))?;
        let timer = running.one().map_err(|error| match error.kind() {
            ErrorKind::NotFound => error.and(&format!("No timer of {self} is running.")),
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

/// Now, as the server writes it: UTC, or without support of time zones its local time, which is
/// taken to be that of this machine (SERVER.md, `is_timezone_support_enabled`).
fn now_of_server(session: &Session) -> DateTime {
    let information = session.server_information();
    match information.get("is_timezone_support_enabled") {
        Some(Json::Bool(false)) => ZonedDateTime::now().datetime(),
        _ => Offset::UTC.to_datetime(Timestamp::now()),
    }
}
