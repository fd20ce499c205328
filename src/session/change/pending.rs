//! What a session has changed.

use crate::handle::{Entity, Session};
use crate::store::{EntityState, Store};

impl Session {
    /// The entities that were created and not yet committed.
    pub fn created(&self) -> Vec<Entity> {
        self.entities(|store| store.in_state(EntityState::Created))
    }

    /// The entities of which attributes were set and not yet committed.
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
            .map(|place| Entity {
                session: self.clone(),
                handle: store.handle(place),
            })
            .collect()
    }
}
