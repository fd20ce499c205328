//! Forgetting: scopes for long-lived processes, and starting over.

use std::fmt;

use crate::handle::Session;
use crate::plugin;
use crate::store::Mark;

/// Forgets, when dropped, the entities that a session met since it was made.
#[must_use = "the scope ends when this is dropped"]
pub struct Scope {
    session: Session,
    mark: Mark,
}

impl Session {
    /// Begins a scope. When it is dropped, the session forgets the entities that it met since,
    /// so that the memory of a process that lives for days stays flat.
    ///
    /// Entities that are still held somewhere stay, and so do those with changes that are not
    /// committed.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let before = session.entity_count();
    /// {
    ///     let _scope = session.scope();
    ///     session.query("select name, parent.name from Task")?.all()?;
    ///     assert!(session.entity_count() > before);
    /// }
    /// assert_eq!(session.entity_count(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope(&self) -> Scope {
        Scope {
            session: self.clone(),
            mark: self.shared.store.lock().mark(),
        }
    }

    /// How many entities the session knows.
    pub fn entity_count(&self) -> usize {
        self.shared.store.lock().len()
    }

    /// Forgets everything: operations that were not committed, values that were set, entities.
    /// Those that are still held stay usable and are fetched again when they are read.
    ///
    /// Then the local events `ftrack.api.session.configure-location` and
    /// `ftrack.api.session.reset` are published. Plugins do not register again.
    ///
    /// Waits for a commit that another thread has begun.
    pub fn reset(&self) {
        let pending = self.recorded_operations().len();
        if pending > 0 {
            log::warn!("a session is reset with {pending} operations that were not committed");
        }
        self.rollback();
        self.shared.store.lock().invalidate_all();
        // Bindings may hang on what was forgotten.
        if let Err(error) = self.configure_locations() {
            log::error!("locations are not configured again: {error}");
        }
        self.announce(plugin::RESET);
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.session.shared.store.lock().evict_since(self.mark);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
