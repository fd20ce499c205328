//! Taking components out of a location.

use std::collections::HashSet;

use super::transfer::{is_file, with_members};
use crate::entity::Entities;
use crate::error::{Error, Result};
use crate::handle::{Entity, Location};

impl Location {
    /// Removes a component, with its members, from this location: its data, unless the location
    /// is unmanaged, and then the server's note of it. The component itself stays. Commits what
    /// is recorded.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is not in this location, or its data is
    /// not where it should be; [`Configuration`](crate::ErrorKind::Configuration) if no accessor
    /// is bound; what the accessor says; as for [`commit`](crate::Session::commit).
    pub fn remove_component(&self, component: &Entity) -> Result<()> {
        self.remove_components(std::slice::from_ref(component), true)
    }

    /// Removes several components; `recursive` says whether members go too. If the data of one
    /// cannot be removed, those before it are gone and the others stay, each with its note.
    ///
    /// # Errors
    ///
    /// As for [`remove_component`](Self::remove_component).
    pub fn remove_components(&self, components: impl Entities, recursive: bool) -> Result<()> {
        let components = &*components.to_entities()?;
        self.check_writable()?;
        let (mut seen, mut all) = (HashSet::new(), Vec::new());
        for component in components {
            with_members(component, recursive, &mut seen, &mut all)?;
        }
        let identifiers = self.get_resource_identifiers(&all)?;
        let mut removed = Vec::with_capacity(all.len());
        let mut outcome = Ok(());
        for (component, place) in all.iter().zip(&identifiers) {
            outcome = self.remove_data(component, place);
            if outcome.is_err() {
                break;
            }
            removed.push(component.clone());
        }
        let told = match removed.is_empty() {
            true => Ok(()),
            false => self.deregister(&removed),
        };
        outcome.and(told)
    }

    fn remove_data(&self, component: &Entity, place: &str) -> Result<()> {
        if !self.binding().is_managed || component.entity_type() == "SequenceComponent" {
            return Ok(());
        }
        let accessor = self.need_accessor()?;
        // Not every store has containers.
        if !is_file(component) && !accessor.is_container(place).unwrap_or(false) {
            return Ok(());
        }
        accessor.remove(place).map_err(|error| {
            let error = Error::from_callback(error);
            error.context(format!("removing {component} from {self}"))
        })
    }
}
