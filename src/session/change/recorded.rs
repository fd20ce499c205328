//! What a session has recorded and not committed: looking at it, and discarding it.

use std::sync::Arc;

use crate::calls::Call;
use crate::handle::{Entity, Session};
use crate::operation::{Operation, Plan};
use crate::store::{EntityState, Store};

impl Session {
    /// The operations that are recorded and not committed, oldest first.
    pub fn recorded_operations(&self) -> Vec<Operation> {
        self.shared.store.lock().operations().cloned().collect()
    }

    /// What a commit would send now: each change with the values before and after. It prints as one
    /// line for each entity.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("select name, description from Task")?.first()?.expect("a task");
    /// task.set("description", "two")?;
    /// task.set("description", "three")?;
    /// assert!(session.plan().to_string().ends_with("-> \"three\"\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plan(&self) -> Plan {
        let store = self.shared.store.lock();
        let operations: Vec<Operation> = store.operations().cloned().collect();
        Plan::new(&operations, |entity| Some(store.describe(entity)))
    }

    /// Discards every recorded operation and every value that was set. Entities that were created
    /// and not committed do not exist afterwards; deletions are undone.
    ///
    /// Waits for a commit that another thread has begun.
    pub fn rollback(&self) {
        let call = Arc::new(Call::default());
        loop {
            if let Some(mut store) = self.shared.idle_store(&call) {
                return store.rollback();
            }
        }
    }

    /// The entities that were created and not yet committed.
    pub fn created(&self) -> Vec<Entity> {
        self.entities(|store| store.in_state(EntityState::Created))
    }

    /// The entities with attributes that were set and not yet committed.
    pub fn modified(&self) -> Vec<Entity> {
        self.entities(|store| store.in_state(EntityState::Modified))
    }

    /// The entities that were deleted and not yet committed.
    pub fn deleted(&self) -> Vec<Entity> {
        self.entities(|store| store.in_state(EntityState::Deleted))
    }

    fn entities(&self, places: impl Fn(&Store) -> Vec<u32>) -> Vec<Entity> {
        let mut store = self.shared.store.lock();
        let places = places(&store).into_iter();
        places
            .map(|place| self.entity_at(&mut store, place))
            .collect()
    }
}
