//! Closing, and what a closed session still answers.

use std::fmt;

use crate::handle::{Session, Shared};
use crate::schema::Schema;

impl Session {
    /// Closes the session: every later call that needs the server is an error. What was loaded
    /// stays readable. Operations that were not committed are lost, and a warning says so.
    ///
    /// Closing twice does nothing. A session closes itself when its last handle goes.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether the session is closed.
    pub fn is_closed(&self) -> bool {
        self.shared.api.is_closed()
    }

    /// The server that the session is connected to, without a slash at the end.
    pub fn server_url(&self) -> &str {
        self.shared.api.config().base_url()
    }

    /// The user that the session acts as.
    pub fn api_user(&self) -> &str {
        &self.shared.api.config().api_user
    }

    /// What the server's entity types and attributes are.
    pub fn schema(&self) -> &Schema {
        &self.shared.schema
    }
}

impl Shared {
    fn close(&self) {
        if !self.api.close() {
            return;
        }
        self.event_hub.end();
        let pending = self.store.lock().operations().count();
        if pending > 0 {
            log::warn!("a session closes with {pending} operations that were not committed");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// The API key is left out.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("server_url", &self.server_url())
            .field("api_user", &self.api_user())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
