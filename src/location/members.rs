//! Components and what they consist of.

use std::collections::HashSet;

use crate::error::Result;
use crate::handle::Entity;
use crate::store::Read;
use crate::value::EntityKey;

/// Components, with their members if `recursive` is set, each once.
///
/// Members come before their container: a container is registered when it is complete, and a
/// folder is removed when it is empty.
pub(super) fn with_members(components: &[Entity], recursive: bool) -> Result<Vec<Entity>> {
    let (mut seen, mut all) = (HashSet::new(), Vec::new());
    for component in components {
        collect(component, recursive, &mut seen, &mut all)?;
    }
    Ok(all)
}

fn collect(
    component: &Entity,
    recursive: bool,
    seen: &mut HashSet<EntityKey>,
    all: &mut Vec<Entity>,
) -> Result<()> {
    if !seen.insert(component.key()) {
        return Ok(());
    }
    if recursive && !is_file(component) && component.value("members")?.is_some() {
        for member in component.get::<Vec<Entity>>("members")? {
            collect(&member, recursive, seen, all)?;
        }
    }
    all.push(component.clone());
    Ok(())
}

/// Whether a component has data of its own, and no members.
pub(super) fn is_file(component: &Entity) -> bool {
    component.type_info().attribute("members").is_err()
}

impl Entity {
    /// The number of bytes of a component, if it is loaded.
    pub(super) fn loaded_size(&self) -> Option<u64> {
        let read = self
            .session
            .shared
            .store
            .lock()
            .read(self.handle.place, "size");
        match read {
            Ok(Read::Known(size)) => Some(size.as_f64()?.max(0.0) as u64),
            _ => None,
        }
    }

    /// This entity and up to `limit` others that were loaded together with it.
    pub(super) fn peers(&self, limit: usize) -> Vec<Self> {
        let keys = self
            .session
            .shared
            .store
            .lock()
            .peers(self.handle.place, limit);
        let others = keys.iter().filter_map(|key| self.session.entity(key).ok());
        std::iter::once(self.clone()).chain(others).collect()
    }
}
