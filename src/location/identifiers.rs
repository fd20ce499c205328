//! Where in a location a component is.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location};
use crate::query::{field, select};
use crate::store::EntityState;

/// How many components one request names.
pub(crate) const CHUNK: usize = 500;

#[derive(Deserialize)]
struct Stored {
    component_id: String,
    resource_identifier: Option<String>,
}

impl Location {
    /// Where in this location the data of a component is, as the accessor calls it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the component is not in this location; else what kept the
    /// server's answer from arriving.
    pub fn get_resource_identifier(&self, component: &Entity) -> Result<String> {
        let mut found = self.get_resource_identifiers(std::slice::from_ref(component))?;
        Ok(found.swap_remove(0))
    }

    /// Where in this location the data of components is, in their order; one request for 500.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] naming those that are not in this location; else what kept the
    /// server's answer from arriving.
    pub fn get_resource_identifiers(&self, components: impl Entities) -> Result<Vec<String>> {
        let components = &*components.to_entities()?;
        let found = self.find_resource_identifiers(components)?;
        let missing = components.iter().zip(&found);
        let missing: Vec<String> = missing
            .filter(|(_, identifier)| identifier.is_none())
            .map(|(component, _)| component.to_string())
            .collect();
        if !missing.is_empty() {
            let message = format!("{} not in {self}", listed(&missing));
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Where in this location the data of components is, in their order; `None` for those that
    /// are not in it. One request for 500.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving, or what a transformer says of an identifier.
    pub fn find_resource_identifiers(
        &self,
        components: impl Entities,
    ) -> Result<Vec<Option<String>>> {
        let components = &*components.to_entities()?;
        let binding = self.binding();
        let mut found = HashMap::new();
        if !binding.is_remembered {
            for chunk in components.chunks(CHUNK) {
                self.ask(chunk, &mut found)?;
            }
        }
        let locations = &self.entity.session.shared.locations;
        let own = self.entity.id();
        let mut answer = Vec::with_capacity(components.len());
        for component in components {
            let id = component.id();
            let stored = match binding.is_remembered {
                true => locations.recall(&own, &id),
                false => found.get(&id).cloned(),
            };
            answer.push(match (stored, &binding.transformer) {
                (Some(stored), Some(transformer)) => {
                    let decoded = transformer.decode(&stored, component);
                    Some(decoded.map_err(self.failure(component))?)
                }
                (stored, _) => stored,
            });
        }
        Ok(answer)
    }

    fn ask(&self, components: &[Entity], found: &mut HashMap<String, String>) -> Result<()> {
        // Of what was never committed the server knows nothing.
        let committed = components
            .iter()
            .filter(|component| component.state() != Some(EntityState::Created));
        let ids: Vec<String> = committed.map(Entity::id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let here = field("location_id").eq(self.entity.id());
        let these = field("component_id").is_in(ids);
        let query = select("ComponentLocation")
            .fields(["component_id", "resource_identifier"])
            .filter(here.and(these));
        for row in self.entity.session.query(query)?.rows::<Stored>() {
            let row = row?;
            let identifier = row.resource_identifier.unwrap_or_default();
            found.insert(row.component_id, identifier);
        }
        Ok(())
    }

    /// The path of a component's data on this machine.
    ///
    /// # Errors
    ///
    /// As for [`get_resource_identifier`](Self::get_resource_identifier);
    /// [`ErrorKind::Configuration`] if no accessor is bound; [`ErrorKind::Unsupported`] if the
    /// accessor knows no paths.
    pub fn get_filesystem_path(&self, component: &Entity) -> Result<PathBuf> {
        let mut found = self.get_filesystem_paths(std::slice::from_ref(component))?;
        Ok(found.swap_remove(0))
    }

    /// The paths of components' data on this machine, in their order.
    ///
    /// # Errors
    ///
    /// As for [`get_filesystem_path`](Self::get_filesystem_path).
    pub fn get_filesystem_paths(&self, components: impl Entities) -> Result<Vec<PathBuf>> {
        let components = &*components.to_entities()?;
        let accessor = self.need_accessor()?;
        let identifiers = self.get_resource_identifiers(components)?;
        let found = components.iter().zip(identifiers);
        found
            .map(|(component, identifier)| {
                let path = accessor.get_filesystem_path(&identifier);
                path.map_err(self.failure(component))
            })
            .collect()
    }

    /// An address that a component's data can be fetched from. That of the server's location
    /// holds the API key: hand it to nobody and print it nowhere.
    ///
    /// # Errors
    ///
    /// As for [`get_filesystem_path`](Self::get_filesystem_path).
    pub fn get_url(&self, component: &Entity) -> Result<String> {
        let accessor = self.need_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let url = accessor.get_url(&identifier);
        url.map_err(self.failure(component))
    }

    /// An address of an image of a component that is at most `size` pixels wide and high; 300
    /// on the server's location unless given. It holds the API key as
    /// [`get_url`](Self::get_url)'s does.
    ///
    /// # Errors
    ///
    /// As for [`get_filesystem_path`](Self::get_filesystem_path).
    pub fn get_thumbnail_url(&self, component: &Entity, size: Option<u32>) -> Result<String> {
        let accessor = self.need_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let url = accessor.get_thumbnail_url(&identifier, size);
        url.map_err(self.failure(component))
    }

    /// The error for what an accessor, a structure or a transformer says of a component.
    pub(super) fn failure(&self, component: &Entity) -> impl Fn(anyhow::Error) -> Error {
        move |error| Error::from_callback(error).context(format!("{component} in {self}"))
    }
}

/// `A is`, `A and B are`, `A, B and 7 others are`.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing is".to_owned(),
        [one] => format!("{one} is"),
        [one, two] => format!("{one} and {two} are"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} others are", rest.len()),
    }
}
