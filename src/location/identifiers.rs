//! Resource identifiers, paths and URLs of components in a location.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::bindings::Located;
use crate::accessor::{Accessor, Expected};
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location};
use crate::query::{field, select};
use crate::store::EntityState;

/// The number of ids in the filter of one query.
pub(crate) const IDS_PER_REQUEST: usize = 500;

impl Located {
    /// The number of bytes, as far as it is known.
    pub(super) fn bytes(&self, component: &Entity) -> u64 {
        component.loaded_size().or(self.size).unwrap_or(0)
    }

    /// The bytes that `accessor` must have of the component.
    pub(super) fn expected(&self, accessor: &dyn Accessor, component: &Entity) -> Expected {
        match accessor.keeps_size() {
            true => Expected::new(component.loaded_size().or(self.size), self.whole),
            false => Expected::Unknown,
        }
    }
}

#[derive(Deserialize)]
struct Row {
    component_id: String,
    resource_identifier: Option<String>,
    component: Option<Member>,
}

#[derive(Deserialize)]
struct Member {
    size: Option<f64>,
    container: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    size: Option<f64>,
}

impl Location {
    /// The resource identifier of a component in this location.
    ///
    /// The first request loads those of the components that were loaded together with it; they
    /// are cached until [`Session::reset`](crate::Session::reset).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if the component is not in this location.
    /// - Any error of [`query`](crate::Session::query) and of the resource identifier transformer.
    pub fn get_resource_identifier(&self, component: &Entity) -> Result<String> {
        let mut found = self.get_resource_identifiers(component)?;
        Ok(found.swap_remove(0))
    }

    /// The resource identifiers of components in this location, in their order. One request for
    /// every 500 components.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_resource_identifier`](Self::get_resource_identifier);
    ///   [`ErrorKind::NotFound`] names the components that are not here.
    pub fn get_resource_identifiers(&self, components: impl Entities) -> Result<Vec<String>> {
        let components = &*components.to_entities()?;
        let found = self.locate(components)?.into_iter();
        Ok(found.map(|one| one.resource_identifier).collect())
    }

    /// Where components are, in their order. One request for every 500 components.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_resource_identifiers`](Self::get_resource_identifiers).
    pub(super) fn locate(&self, components: &[Entity]) -> Result<Vec<Located>> {
        let found = self.cached_or_loaded(components)?;
        let missing = components.iter().zip(&found);
        let missing: Vec<String> = missing
            .filter(|(_, located)| located.is_none())
            .map(|(component, _)| component.to_string())
            .collect();
        if !missing.is_empty() {
            let message = format!("{} not in {self}", join_names(&missing));
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The resource identifiers of components in this location, in their order; `None` for those
    /// that are not in it. Always asks the server; one request for every 500 components.
    ///
    /// # Errors
    ///
    /// - Any error of [`query`](crate::Session::query) and of the resource identifier transformer.
    pub fn find_resource_identifiers(
        &self,
        components: impl Entities,
    ) -> Result<Vec<Option<String>>> {
        let found = self.find_located(&components.to_entities()?)?.into_iter();
        let identifier = |one: Option<Located>| Some(one?.resource_identifier);
        Ok(found.map(identifier).collect())
    }

    /// Where components are, in their order. Always asks the server.
    pub(super) fn find_located(&self, components: &[Entity]) -> Result<Vec<Option<Located>>> {
        let binding = self.binding();
        let mut found = HashMap::new();
        if !binding.is_in_memory {
            for chunk in components.chunks(IDS_PER_REQUEST) {
                self.load_located(chunk, &mut found)?;
            }
        }
        let locations = &self.entity.session.shared.locations;
        let own = self.entity.id();
        let mut all = Vec::with_capacity(components.len());
        for component in components {
            let id = component.id();
            let mut located = match binding.is_in_memory {
                true => locations.find(&own, &id).map(|stored| Located {
                    resource_identifier: stored,
                    size: None,
                    whole: None,
                }),
                false => found.get(&id).cloned(),
            };
            if let (Some(located), Some(transformer)) = (&mut located, &binding.transformer) {
                let decoded = transformer.decode(&located.resource_identifier, component);
                located.resource_identifier = decoded.map_err(self.failure(component))?;
            }
            match &located {
                Some(located) => locations.cache(&own, &id, located),
                None => locations.invalidate(&own, &id),
            }
            all.push(located);
        }
        Ok(all)
    }

    /// From the cache, and from the server what it lacks. The peers of a single component are loaded
    /// as well.
    fn cached_or_loaded(&self, components: &[Entity]) -> Result<Vec<Option<Located>>> {
        if self.binding().is_in_memory {
            return self.find_located(components);
        }
        let (locations, own) = (&self.entity.session.shared.locations, self.entity.id());
        let cached = |component: &Entity| locations.cached(&own, &component.id());
        let mut found: Vec<Option<Located>> = components.iter().map(cached).collect();
        let lacking = components
            .iter()
            .zip(&found)
            .filter(|(_, one)| one.is_none());
        let mut asked: Vec<Entity> = lacking.map(|(component, _)| component.clone()).collect();
        if let ([component], 1) = (asked.as_slice(), components.len()) {
            asked = component.peers(IDS_PER_REQUEST - 1);
        }
        if !asked.is_empty() {
            let loaded = self.find_located(&asked)?;
            let loaded: HashMap<String, Located> = asked
                .iter()
                .zip(loaded)
                .filter_map(|(component, located)| Some((component.id(), located?)))
                .collect();
            for (component, found) in components.iter().zip(&mut found) {
                if found.is_none() {
                    *found = loaded.get(&component.id()).cloned();
                }
            }
        }
        Ok(found)
    }

    fn load_located(
        &self,
        components: &[Entity],
        found: &mut HashMap<String, Located>,
    ) -> Result<()> {
        // The server does not know uncommitted components.
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
            .fields([
                "component_id",
                "resource_identifier",
                "component.size",
                "component.container.size",
            ])
            .filter(here.and(these));
        let bytes = |size: Option<f64>| size.map(|size| size.max(0.0) as u64);
        for row in self.entity.session.query(query)?.rows::<Row>() {
            let row = row?;
            let member = row.component;
            let container = member.as_ref().and_then(|member| member.container.as_ref());
            let located = Located {
                resource_identifier: row.resource_identifier.unwrap_or_default(),
                whole: bytes(container.and_then(|container| container.size)),
                size: bytes(member.and_then(|member| member.size)),
            };
            found.insert(row.component_id, located);
        }
        Ok(())
    }

    /// The path of a component's data on this machine.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if no accessor is bound.
    /// - [`ErrorKind::Unsupported`] if the accessor has no paths.
    /// - Any error of [`get_resource_identifier`](Self::get_resource_identifier).
    pub fn get_filesystem_path(&self, component: &Entity) -> Result<PathBuf> {
        let mut found = self.get_filesystem_paths(component)?;
        Ok(found.swap_remove(0))
    }

    /// The paths of components' data on this machine, in their order.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_filesystem_path`](Self::get_filesystem_path).
    pub fn get_filesystem_paths(&self, components: impl Entities) -> Result<Vec<PathBuf>> {
        let components = &*components.to_entities()?;
        let accessor = self.require_accessor()?;
        let identifiers = self.get_resource_identifiers(components)?;
        let found = components.iter().zip(identifiers);
        found
            .map(|(component, identifier)| {
                let path = accessor.get_filesystem_path(&identifier);
                path.map_err(self.failure(component))
            })
            .collect()
    }

    /// A URL that a component's data can be downloaded from.
    ///
    /// That of the server's location contains the API key: do not share or log it.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_filesystem_path`](Self::get_filesystem_path).
    pub fn get_url(&self, component: &Entity) -> Result<String> {
        let accessor = self.require_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let url = accessor.get_url(&identifier);
        url.map_err(self.failure(component))
    }

    /// A URL of an image of a component that is at most `size` pixels wide and high. It contains
    /// the API key as that of [`get_url`](Self::get_url) does.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_filesystem_path`](Self::get_filesystem_path).
    pub fn get_thumbnail_url(&self, component: &Entity, size: u32) -> Result<String> {
        let accessor = self.require_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let url = accessor.get_thumbnail_url(&identifier, size);
        url.map_err(self.failure(component))
    }

    /// Converts an error that an accessor, structure or transformer returned for a component.
    pub(super) fn failure(&self, component: &Entity) -> impl Fn(anyhow::Error) -> Error {
        move |error| Error::from_callback(error).context(format!("{component} in {self}"))
    }
}

/// `A is`, `A and B are`, `A, B and 7 others are`.
pub(crate) fn join_names(names: &[String]) -> String {
    match names {
        [] => "nothing is".to_owned(),
        [one] => format!("{one} is"),
        [one, two] => format!("{one} and {two} are"),
        [one, two, three] => format!("{one}, {two} and {three} are"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} others are", rest.len()),
    }
}
