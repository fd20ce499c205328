//! The plugins of a session.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::event::Event;
use crate::handle::{Session, WeakSession};
use crate::plugin::{FILE_TYPE, PluginInfo};

impl Session {
    /// The plugins that were found when the session was opened, in the order of their
    /// registration, with the reason for those that were refused or failed.
    pub fn plugins(&self) -> &[PluginInfo] {
        &self.shared.plugins
    }

    /// Publishes one of the events of a session.
    pub(crate) fn announce(&self, topic: &str) {
        self.event_hub().publish_synchronous(Event::new(topic));
    }

    /// A handle that does not keep the session open: for callbacks that the session's own hub
    /// stores, which would otherwise keep it open for ever.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let weak = session.downgrade();
    /// session.event_hub().subscribe("topic=studio.task-count", move |_| {
    ///     let Some(session) = weak.upgrade() else { return Ok(None) };
    ///     Ok(Some(session.query("Task")?.count()?.into()))
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn downgrade(&self) -> WeakSession {
        let weak = WeakSession::default();
        weak.fill(self);
        weak
    }

    /// The type of a file: what a plugin responds to the event
    /// `ftrack.api.session.get-file-type-from-string`, otherwise the extension with its dot.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// assert_eq!(session.file_type_from_string("plates/sh010.%04d.exr"), ".exr");
    /// assert_eq!(session.file_type_from_string("README"), "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file_type_from_string(&self, file_path: &str) -> String {
        let event = Event::new(FILE_TYPE).with_data(json!({ "file_path": file_path }));
        let responses = self.event_hub().publish_synchronous(event);
        let mut types = responses.iter().filter_map(Value::as_str);
        match types.find(|one| !one.is_empty()) {
            Some(found) => found.to_owned(),
            None => extension(file_path).to_owned(),
        }
    }
}

/// The last dot and what follows, if a name precedes it, as Python's `splitext` returns it.
fn extension(path: &str) -> &str {
    let start = path.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
    let name = path[start..].trim_start_matches('.');
    name.rfind('.').map_or("", |dot| &name[dot..])
}

impl WeakSession {
    /// The session, if it has been opened and a handle still exists.
    pub fn upgrade(&self) -> Option<Session> {
        let shared = self.shared.get()?.upgrade()?;
        Some(Session { shared })
    }

    pub(crate) fn fill(&self, session: &Session) {
        // Each is filled once, by its creator.
        let _ = self.shared.set(Arc::downgrade(&session.shared));
    }
}

impl Default for WeakSession {
    /// Of no session.
    fn default() -> Self {
        Self {
            shared: Arc::new(OnceLock::new()),
        }
    }
}

debug_fields!(WeakSession, |this| session: this.upgrade());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_those_of_python() {
        for (path, expected) in [
            ("a.exr", ".exr"),
            ("a.b/c", ""),
            ("a.tar.gz", ".gz"),
            (".bashrc", ""),
            ("..x", ""),
            ("/a/.x.y", ".y"),
            ("C:\\a.b\\c.d", ".d"),
            ("a.", "."),
            ("", ""),
        ] {
            assert_eq!(extension(path), expected, "{path}");
        }
    }
}
