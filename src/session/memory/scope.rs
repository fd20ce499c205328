//! Evicting entities: scopes for long-lived processes, and the reset of a session.

use crate::handle::Session;
use crate::plugin;
use crate::store::Mark;

/// Evicts, when dropped, the entities that a session has loaded since. Made by
/// [`Session::scope`].
#[must_use = "bind it: `let _scope = …`; `let _ = …` would drop it at once"]
pub struct MemoryScope {
    session: Session,
    mark: Mark,
}

impl Session {
    /// Begins a scope. When it is dropped, the session evicts the entities that it has loaded
    /// since, so that the memory of a process that runs for days stays flat.
    ///
    /// Entities with a live handle stay, and so do those with uncommitted changes.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let before = session.entity_count();
    /// {
    ///     let _scope = session.scope();
    ///     session.query("select name, parent.name from Task")?.all()?;
    ///     assert!(session.entity_count() > before);
    /// }
    /// assert_eq!(session.entity_count(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope(&self) -> MemoryScope {
        MemoryScope {
            session: self.clone(),
            mark: self.shared.store.lock().mark(),
        }
    }

    /// The number of entities in memory.
    pub fn entity_count(&self) -> usize {
        self.shared.store.lock().len()
    }

    /// Discards everything in memory: uncommitted operations, local values, entities. Entities
    /// with a live handle stay usable; the next read fetches them again.
    ///
    /// Publishes the local events `ftrack.api.session.configure-location` and
    /// `ftrack.api.session.reset` afterwards. Plugins do not register again.
    ///
    /// If another thread is committing, this waits until it has finished.
    pub fn reset(&self) {
        let pending = self.recorded_operations().len();
        if pending > 0 {
            log::warn!("reset discards {pending} uncommitted operations");
        }
        self.rollback();
        self.shared.store.lock().invalidate_all();
        // Bindings may depend on entities that were discarded.
        if let Err(error) = self.configure_locations() {
            log::error!("cannot configure the locations after a reset: {error}");
        }
        self.announce(plugin::RESET);
    }
}

impl Drop for MemoryScope {
    fn drop(&mut self) {
        let shared = &self.session.shared;
        let evicted = shared.store.lock().evict_since(self.mark);
        shared.memory_counters.evicted(evicted);
    }
}

debug_fields!(MemoryScope);
