//! Removing components from a location.

use super::members::{is_file, with_members};
use crate::entity::Entities;
use crate::error::{Error, Result};
use crate::handle::{Entity, Location};

impl Location {
    /// Removes a component, with its members, from this location: its data, unless the location
    /// is not [managed](crate::location::Binding::managed), and then the server's row. The
    /// component itself stays. Commits everything recorded.
    ///
    /// Returns whether there was anything to remove. Members that are not here, and data that is
    /// missing, are skipped, so an interrupted removal can be repeated.
    ///
    /// # Errors
    ///
    /// - [`Configuration`](crate::ErrorKind::Configuration) if no accessor is bound.
    /// - Errors of the accessor: components before the failed one are removed, the others stay
    ///   registered.
    /// - Any error of [`commit`](crate::Session::commit).
    pub fn remove_component(&self, component: &Entity) -> Result<bool> {
        self.remove_components(component, true)
    }

    /// Removes several components; `recursive` is whether members are removed as well. Returns
    /// whether there was anything to remove.
    ///
    /// # Errors
    ///
    /// - Any error of [`remove_component`](Self::remove_component).
    pub fn remove_components(&self, components: impl Entities, recursive: bool) -> Result<bool> {
        let components = &*components.to_entities()?;
        self.check_writable()?;
        let all = with_members(components, recursive)?;
        let identifiers = self.find_resource_identifiers(&all)?;
        let mut removed = Vec::with_capacity(all.len());
        let mut outcome = Ok(());
        for (component, identifier) in all.iter().zip(&identifiers) {
            let Some(identifier) = identifier else {
                continue;
            };
            outcome = self.remove_data(component, identifier);
            if outcome.is_err() {
                break;
            }
            removed.push(component.clone());
        }
        if !removed.is_empty() {
            let deregistered = self.deregister(&removed);
            outcome = outcome.and(deregistered);
        }
        outcome.map(|()| !removed.is_empty())
    }

    fn remove_data(&self, component: &Entity, identifier: &str) -> Result<()> {
        if !self.binding().is_managed || component.entity_type() == "SequenceComponent" {
            return Ok(());
        }
        let accessor = self.require_accessor()?;
        // Not every store has containers.
        if !is_file(component) && !accessor.is_container(identifier).unwrap_or(false) {
            return Ok(());
        }
        let existed = accessor.remove(identifier).map_err(|error| {
            let error = Error::from_callback(error);
            error.context(format!("removing {component} from {self}"))
        })?;
        if !existed {
            log::warn!("{component} had no data at {identifier} in {self}");
        }
        Ok(())
    }
}
