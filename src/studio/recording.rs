//! Recording several changes, all or none.

use crate::{Data, Entity, EntityKey, Result, Session, Value};

/// Changes that are taken back if it is dropped before [`keep`](Self::keep). What was recorded before
/// them stays.
pub(super) struct Recording<'a> {
    session: &'a Session,
    steps: Vec<Step>,
}

/// A change, and what it needs to be taken back.
enum Step {
    Created(Entity),
    Deleted(EntityKey),
    Changed(Entity, String, Before),
}

/// What was recorded of an attribute before.
enum Before {
    Nothing,
    Value(Value),
    /// Members that were added and removed.
    Members(Vec<EntityKey>, Vec<EntityKey>),
}

impl<'a> Recording<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self {
            session,
            steps: Vec::new(),
        }
    }

    pub(super) fn create(&mut self, entity_type: &str, data: Data) -> Result<Entity> {
        let entity = self.session.create(entity_type, data)?;
        self.steps.push(Step::Created(entity.clone()));
        Ok(entity)
    }

    pub(super) fn delete(&mut self, key: &EntityKey) -> Result<()> {
        self.session.delete_by_key(key.entity_type(), key)?;
        self.steps.push(Step::Deleted(key.clone()));
        Ok(())
    }

    pub(super) fn set(&mut self, key: &EntityKey, name: &str, value: Value) -> Result<()> {
        let entity = self.session.entity(key)?;
        self.about_to_change(&entity, name)?;
        entity.set(name, value)
    }

    pub(super) fn extend(
        &mut self,
        key: &EntityKey,
        name: &str,
        added: &[EntityKey],
        removed: &[EntityKey],
    ) -> Result<()> {
        let entity = self.session.entity(key)?;
        self.about_to_change(&entity, name)?;
        extend(&entity, name, added, removed)
    }

    fn about_to_change(&mut self, entity: &Entity, name: &str) -> Result<()> {
        let store = self.session.shared.store.lock();
        let members = store.extension(entity.handle.place, name);
        drop(store);
        let before = match (members, entity.local_value(name)?) {
            (Some((added, removed)), _) => Before::Members(added, removed),
            (None, Some(value)) => Before::Value(value),
            (None, None) => Before::Nothing,
        };
        let step = Step::Changed(entity.clone(), name.to_owned(), before);
        self.steps.push(step);
        Ok(())
    }

    /// Leaves everything recorded.
    pub(super) fn keep(mut self) {
        self.steps.clear();
    }

    fn take_back(&self, step: &Step) -> Result<()> {
        match step {
            Step::Created(entity) => {
                self.session.discard(std::slice::from_ref(entity));
            }
            Step::Deleted(key) => {
                self.session.shared.store.lock().revive(key)?;
            }
            Step::Changed(entity, name, before) => {
                entity.unset(name)?;
                match before {
                    Before::Nothing => {}
                    Before::Value(value) => entity.set(name, value.clone())?,
                    Before::Members(added, removed) => extend(entity, name, added, removed)?,
                }
            }
        }
        Ok(())
    }
}

/// Adds members to a collection, and removes others.
fn extend(entity: &Entity, name: &str, added: &[EntityKey], removed: &[EntityKey]) -> Result<()> {
    let session = entity.session();
    let members = added.iter().map(|key| session.entity(key));
    let collection = entity.collection(name)?;
    collection.extend(&members.collect::<Result<Vec<Entity>>>()?)?;
    for key in removed {
        collection.remove(&session.entity(key)?)?;
    }
    Ok(())
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        for step in std::mem::take(&mut self.steps).iter().rev() {
            let outcome = self.take_back(step);
            outcome.unwrap_or_else(|error| log::warn!("a change stays recorded: {error}"));
        }
    }
}
