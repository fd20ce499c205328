//! The raw protocol.

use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;

use crate::session::ServerInformation;

impl Session {
    /// Sends actions as they are, in one request and one transaction, and returns the server's reply to
    /// each. Entities in the replies are not merged into the session. The replies take at most twice
    /// the memory of [`Network::max_response`](crate::config::Network::max_response).
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let action = serde_json::json!({
    ///     "action": "query", "expression": "select name from Project limit 1",
    /// });
    /// let replies = session.call(&[action])?;
    /// assert_eq!(replies[0]["data"][0]["__entity_type__"], "Project");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ReadOnly`] if the session may not change anything, and an action may.
    /// - [`ErrorKind::BadResponse`] if there is not one reply for each action, or they are too
    ///   large.
    /// - [`ErrorKind::Connection`], [`ErrorKind::Timeout`] and the like without a response: actions
    ///   that change something may have been applied.
    /// - The server's own failure under its kind: nothing was applied.
    pub fn call(&self, actions: &[Json]) -> Result<Vec<Json>> {
        self.shared.api.call(actions)
    }

    /// Sends one action that older servers do not know.
    pub(crate) fn call_one(&self, action: Json) -> Result<Reply> {
        let mut replies = self.call_if_supported(&[action])?;
        Ok(replies.pop().expect("there is a reply for each action"))
    }

    /// [`call`](Self::call) for actions that older servers do not know, whose replies are objects.
    pub(crate) fn call_if_supported(&self, actions: &[Json]) -> Result<Vec<Reply>> {
        let replies = self.call(actions).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => {
                let version = ServerInformation::version(self.server_information());
                let version = version.unwrap_or("unknown");
                let note = format!("The server has version {version}; update it.");
                self.shared.api.checked(error.with_note(&note))
            }
            _ => error,
        })?;
        let pairs = actions.iter().zip(replies);
        pairs
            .map(|(action, reply)| Reply::new(action, reply))
            .collect()
    }
}

/// The reply to a single action: an object that says something. Its members are checked where they are
/// read.
pub(crate) struct Reply {
    action: String,
    members: Map<String, Json>,
}

impl Reply {
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if it is not an object, is empty, or is that to another action.
    fn new(action: &Json, reply: Json) -> Result<Self> {
        let action = action.get("action").and_then(Json::as_str);
        let action = action.unwrap_or("an action").to_owned();
        let is_other = |own: &Json| !own.is_null() && *own != action.as_str();
        let why = match reply {
            Json::Object(members) if members.is_empty() => "is empty",
            Json::Object(members) if members.get("action").is_some_and(is_other) => {
                "is that to another action"
            }
            Json::Object(members) => return Ok(Self { action, members }),
            _ => "is not an object",
        };
        let message = format!("the server's reply to {action} {why}");
        Err(Error::new(ErrorKind::BadResponse, message))
    }

    /// The member of this name; null if there is none.
    pub(crate) fn get(&self, name: &str) -> &Json {
        self.members.get(name).unwrap_or(&Json::Null)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if there is no text of this name.
    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        self.get(name).as_str().ok_or_else(|| {
            let message = format!("the server's reply to {} has no {name}", self.action);
            Error::new(ErrorKind::BadResponse, message)
        })
    }
}
