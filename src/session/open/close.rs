//! Closing, and what stays readable afterwards.

use crate::handle::{Session, Shared};
use crate::schema::Schema;

impl Session {
    /// Closes the session: requests under way end, and later ones fail with
    /// [`Closed`](crate::ErrorKind::Closed). What was loaded stays readable. Uncommitted operations
    /// are lost; a warning is logged if there are any.
    ///
    /// Closing twice has no effect. A session is closed when its last handle is dropped.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether the session is closed.
    pub fn is_closed(&self) -> bool {
        self.shared.api.is_closed()
    }

    /// The URL of the server, without a trailing slash.
    pub fn server_url(&self) -> &str {
        self.shared.api.config().base_url()
    }

    /// The user name, spelled as the server does.
    pub fn api_user(&self) -> &str {
        &self.shared.api.config().api_user
    }

    /// The entity types and attributes of the server.
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
            log::warn!("a session was closed with {pending} uncommitted operations");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

// The API key is left out.
debug_fields!(Session, |this|
    server_url: this.server_url(),
    api_user: crate::config::shown_user(this.api_user()),
    closed: this.is_closed(),
);
