//! What only the server can make: URLs of widgets, new API keys, background jobs.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::config::ApiKey;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};

/// The job that imports the users of an LDAP directory, for [`Session::delayed_job`].
pub const JOB_SYNC_USERS_LDAP: &str = "SYNC_USERS_LDAP";

/// Options of [`Session::get_widget_url`].
///
/// ```
/// use ftrack_api::session::WidgetOptions;
///
/// let options = WidgetOptions::new().theme("light");
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `get_widget_url`"]
#[non_exhaustive]
pub struct WidgetOptions {
    entity: Option<Entity>,
    theme: Option<String>,
}

impl WidgetOptions {
    /// No entity; the dark theme.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the entity that the widget shows.
    pub fn entity(mut self, entity: &Entity) -> Self {
        self.entity = Some(entity.clone());
        self
    }

    /// Sets the theme: `light` or `dark`.
    pub fn theme(mut self, theme: impl Into<String>) -> Self {
        self.theme = Some(theme.into());
        self
    }
}

impl Session {
    /// The URL of a widget, a web page to show inside another program. For 6 minutes it gives
    /// access as this session's user, so keep it out of logs.
    ///
    /// `name` is `info`, `tasks` or `tasks_browser`; `info` needs an entity.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// use ftrack_api::session::WidgetOptions;
    ///
    /// let options = WidgetOptions::new().entity(&task).theme("light");
    /// let url = session.get_widget_url("info", options)?;
    /// assert!(url.starts_with("http"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if there is no such widget, or it needs an entity.
    /// - [`ErrorKind::Unsupported`] if the server has no widgets.
    /// - Any error of [`call`](Self::call).
    #[allow(clippy::needless_pass_by_value, reason = "as for all options")]
    pub fn get_widget_url(&self, name: &str, options: WidgetOptions) -> Result<String> {
        let theme = options.theme;
        let mut action = json!({ "action": "get_widget_url", "name": name, "theme": theme });
        if let Some(entity) = &options.entity {
            action["entity_type"] = entity.entity_type().into();
            action["entity_key"] = entity.key().parts().collect::<Vec<_>>().into();
        }
        let reply = self.call_one(action)?;
        reply.text("widget_url").map(str::to_owned)
    }

    /// Starts a background job on the server and returns its `Job`. `job_type` is
    /// [`JOB_SYNC_USERS_LDAP`], or another type that the server knows.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let job = session.delayed_job(ftrack_api::session::JOB_SYNC_USERS_LDAP)?;
    /// println!("{}", job.get::<String>("status")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the server does not know `job_type`.
    /// - Any error of [`call`](Self::call).
    pub fn delayed_job(&self, job_type: &str) -> Result<Entity> {
        // The reply holds the job as an entity.
        let action = json!({ "action": "delayed_job", "job_type": job_type });
        let reply = self.call_one(action)?;
        self.job(&reply.get("data")["id"], format_args!("does {job_type:?}"))
    }

    /// The job with this id; `does` says what it is for.
    pub(crate) fn job(&self, id: &Json, does: fmt::Arguments<'_>) -> Result<Entity> {
        let job = id.as_str().map(|id| self.get("Job", id)).transpose()?;
        job.flatten().ok_or_else(|| {
            let message = format!("the server {does} in a job that does not exist");
            Error::new(ErrorKind::BadResponse, message)
        })
    }
}

impl Entity {
    /// Creates a new API key for this user and returns it. The previous key becomes invalid:
    /// sessions that use it fail from now on.
    ///
    /// Errors, recordings and logs never contain the key.
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
    /// - [`ErrorKind::WrongType`] if this is not a user.
    /// - Any error of [`Session::call`].
    pub fn reset_api_key(&self) -> Result<ApiKey> {
        self.check_type("User")?;
        let reply = self.session().call_one(json!({
            "action": "reset_remote",
            "reset_type": "api_key",
            "entity_type": self.entity_type(),
            // A plain text here, not a list as in other actions.
            "entity_key": self.id(),
        }))?;
        let key = reply.get("data")["api_key"].as_str();
        // The reply is not shown: it may contain the key in another form.
        key.map(ApiKey::new).ok_or_else(|| {
            let message = format!("the server's reply has no new API key of {self}");
            Error::new(ErrorKind::BadResponse, message)
        })
    }
}
