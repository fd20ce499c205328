//! The raw protocol.

use serde_json::Value as Json;

use crate::error::{ErrorKind, Result};
use crate::handle::Session;

use crate::session::ServerInformation;

impl Session {
    /// Sends actions as they are, in one request and one transaction, and answers with the
    /// server's reply to each. Entities in the replies are not taken into the session.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// The server's failure under its kind, or what kept its answer from arriving.
    pub fn call(&self, actions: &[Json]) -> Result<Vec<Json>> {
        self.shared.api.call(actions)
    }

    /// The reply to one action that older servers do not know.
    pub(crate) fn call_one(&self, action: Json) -> Result<Json> {
        let replies = self.call_if_supported(&[action])?;
        Ok(replies.into_iter().next().unwrap_or_default())
    }

    /// [`call`](Self::call) for actions that older servers do not know.
    pub(crate) fn call_if_supported(&self, actions: &[Json]) -> Result<Vec<Json>> {
        self.call(actions).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => {
                let version = ServerInformation::version(self.server_information());
                let version = version.unwrap_or("unknown");
                error.and(&format!("The server has version {version}; update it."))
            }
            _ => error,
        })
    }
}
