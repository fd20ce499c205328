//! Settings that hold for one thread and for a while.

use crate::calls::{Scope, ThreadScope};
use crate::config::Populate;
use crate::handle::Session;

impl Session {
    /// Sets what happens when an attribute is read that is not loaded, in this thread and until the
    /// scope is dropped.
    ///
    /// ```
    /// use ftrack_api::config::Populate;
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("select name from Task")?.first()?.expect("there are tasks");
    /// {
    ///     let _scope = session.auto_populating(Populate::Off);
    ///     assert_eq!(task.value("bid")?, None);
    /// }
    /// assert!(task.value("bid")?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn auto_populating(&self, populate: Populate) -> ThreadScope {
        self.enter(Scope::Populate(self.shared.api.number(), populate))
    }

    /// Sets whether changes are recorded for the next commit, in this thread and until the scope is
    /// dropped. What is set while recording is off stays local until a rollback.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// {
    ///     let _scope = session.operation_recording(false);
    ///     task.set("bid", 3600)?;
    /// }
    /// assert!(session.recorded_operations().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn operation_recording(&self, record: bool) -> ThreadScope {
        self.enter(Scope::Record(self.shared.api.number(), record))
    }

    /// What happens in this thread when an attribute is read that is not loaded; see
    /// [`auto_populating`](Self::auto_populating).
    pub fn populate_mode(&self) -> Populate {
        let found = self.find(|scope, own| match scope {
            Scope::Populate(session, populate) if *session == own => Some(*populate),
            _ => None,
        });
        found.unwrap_or(self.shared.api.config().populate)
    }

    /// Whether changes are recorded in this thread; see
    /// [`operation_recording`](Self::operation_recording).
    pub fn is_recording(&self) -> bool {
        let found = self.find(|scope, own| match scope {
            Scope::Record(session, record) if *session == own => Some(*record),
            _ => None,
        });
        found.unwrap_or(true)
    }

    fn enter(&self, scope: Scope) -> ThreadScope {
        ThreadScope::enter(self.shared.api.scopes(), scope)
    }

    fn find<T>(&self, read: impl Fn(&Scope, u64) -> Option<T>) -> Option<T> {
        let own = self.shared.api.number();
        let mut found = None;
        (self.shared.api.scopes())(&mut |scopes| {
            found = scopes.find(|scope| read(scope, own));
        });
        found
    }
}
