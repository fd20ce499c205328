//! Small things that only the server can make: addresses of widgets, new API keys, jobs of its own.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::config::ApiKey;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};

/// The job that takes the users of a directory over, for [`Session::delayed_job`].
pub const JOB_SYNC_USERS_LDAP: &str = "SYNC_USERS_LDAP";

impl Session {
    /// Asks for the address of a widget, a page to show inside another program. Whoever has it is
    /// let in as this session's user for 6 minutes, so that it belongs in no log.
    ///
    /// `name` is `info`, `tasks` or `tasks_browser`; `info` is about an entity. `theme` is
    /// `light` or `dark`; dark if it is neither.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let url = session.get_widget_url("info", Some(&task), Some("light"))?;
    /// assert!(url.starts_with("http"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Validation`] if there is no such widget, or it needs an entity;
    /// [`ErrorKind::Unsupported`] on servers that cannot do it; else as for
    /// [`call`](Self::call).
    pub fn get_widget_url(
        &self,
        name: &str,
        entity: Option<&Entity>,
        theme: Option<&str>,
    ) -> Result<String> {
        let mut action = json!({ "action": "get_widget_url", "name": name, "theme": theme });
        if let Some(entity) = entity {
            action["entity_type"] = entity.entity_type().into();
            action["entity_key"] = entity.key().parts().collect::<Vec<_>>().into();
        }
        let reply = self.call_one(action)?;
        reply.text("widget_url").map(str::to_owned)
    }

    /// Resets something on the server, `reset_type` says what, and answers with what the server
    /// says of it. Servers know `api_key`, for which
    /// [`Entity::reset_api_key`] is the better call.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Validation`] if the server does not know `reset_type`;
    /// [`ErrorKind::ReadOnly`]; else as for [`call`](Self::call).
    pub fn reset_remote(&self, reset_type: &str, entity: Option<&Entity>) -> Result<Json> {
        let mut action = json!({ "action": "reset_remote", "reset_type": reset_type });
        if let Some(entity) = entity {
            action["entity_type"] = entity.entity_type().into();
            // A plain text here, not a list as in other actions (SERVER.md B3).
            action["entity_key"] = entity.id().into();
        }
        self.data_of(action)
    }

    /// Lets the server do something in the background; the answer is the `Job` that does it.
    /// `job_type` is [`JOB_SYNC_USERS_LDAP`], or what else the server knows.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let job = session.delayed_job(ftrack_api::session::JOB_SYNC_USERS_LDAP)?;
    /// println!("{}", job.get::<String>("status")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Validation`] if the server does not know `job_type`; [`ErrorKind::ReadOnly`];
    /// else as for [`call`](Self::call).
    pub fn delayed_job(&self, job_type: &str) -> Result<Entity> {
        // The reply holds the job as an entity (WIRE.md, Actions).
        let data = self.data_of(json!({ "action": "delayed_job", "job_type": job_type }))?;
        let id = data.get("id").unwrap_or(&Json::Null);
        self.job(id, format_args!("does {job_type:?}"))
    }

    fn data_of(&self, action: Json) -> Result<Json> {
        Ok(self.call_one(action)?.take("data"))
    }

    /// The job in which the server does something.
    pub(crate) fn job(&self, id: &Json, does: fmt::Arguments<'_>) -> Result<Entity> {
        let job = id.as_str().map(|id| self.get("Job", id)).transpose()?;
        job.flatten().ok_or_else(|| {
            let message = format!("the server {does} in a job that it does not know");
            Error::new(ErrorKind::BadResponse, message)
        })
    }
}

impl Entity {
    /// Gives this user a new API key, which is the answer; the one before opens nothing any more,
    /// and sessions that use it fail from now on.
    ///
    /// It is in no error, no recording and no log.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(url).api_key(key).api_user(user).open()?;
    /// use ftrack_api::{Session, data};
    ///
    /// let robot = session.create("User", data! { "username": "robot", "is_active": true })?;
    /// session.commit()?;
    /// let key = robot.reset_api_key()?;
    /// let its = Session::builder().server_url(url).api_key(key.reveal()).api_user("robot").open()?;
    /// assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no user; else as for [`Session::reset_remote`].
    pub fn reset_api_key(&self) -> Result<ApiKey> {
        self.check_type("User")?;
        let reply = self.session().reset_remote("api_key", Some(self))?;
        let key = reply.get("api_key").and_then(Json::as_str).map(ApiKey::new);
        // What the server said instead stays unsaid: a part of it may be the key.
        key.ok_or_else(|| {
            let message = format!("the server answered without the new API key of {self}");
            Error::new(ErrorKind::BadResponse, message)
        })
    }
}
