//! The share of a component that is in each location.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location, Session};
use crate::location::IDS_PER_REQUEST;
use crate::query::{field, select};

#[derive(Deserialize)]
struct LocationRow {
    id: String,
}

#[derive(Deserialize)]
struct ComponentLocationRow {
    component_id: String,
    location_id: String,
}

#[derive(Deserialize)]
struct MemberRow {
    id: String,
    container_id: String,
}

/// The locations and members of components.
#[derive(Default)]
struct Inventory {
    locations: HashMap<String, Vec<String>>,
    members: HashMap<String, Vec<String>>,
    /// Those that are members of something.
    placed: HashSet<String>,
}

impl Session {
    /// The share of a component that is in each location, in percent from 0 to 100, by location
    /// id. For a sequence or container it is the share of the members.
    ///
    /// The server is asked, so uncommitted changes do not count, and `ftrack.origin` has no share
    /// because the server does not know its contents.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let component = session.query("FileComponent")?.first()?;
    /// if let Some(component) = component {
    ///     let availability = session.get_component_availability(&component)?;
    ///     assert!(availability.values().all(|percent| (0.0..=100.0).contains(percent)));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for an entity that is not a component.
    /// - Any error of [`query`](Self::query).
    pub fn get_component_availability(&self, component: &Entity) -> Result<BTreeMap<String, f64>> {
        Ok(self.get_component_availabilities(component)?.swap_remove(0))
    }

    /// The shares of several components, in their order; see
    /// [`get_component_availability`](Self::get_component_availability). Two requests for every
    /// 500 components, and two for every 500 of their members.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for an entity that is not a component.
    /// - Any error of [`query`](Self::query).
    pub fn get_component_availabilities(
        &self,
        components: impl Entities,
    ) -> Result<Vec<BTreeMap<String, f64>>> {
        let query = self.query("select id from Location")?;
        let ids = query.rows::<LocationRow>().map(|row| Ok(row?.id));
        self.availabilities_in(components, &ids.collect::<Result<Vec<_>>>()?)
    }

    /// The shares of components in the locations with these ids.
    pub(crate) fn availabilities_in(
        &self,
        components: impl Entities,
        locations: &[String],
    ) -> Result<Vec<BTreeMap<String, f64>>> {
        let components = &*components.to_entities()?;
        let is_component = |one: &&Entity| self.schema().is_kind_of(one.entity_type(), "Component");
        if let Some(other) = components.iter().find(|one| !is_component(one)) {
            let message = format!("expected a component, got {other}");
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        let inventory = self.inventory(components)?;
        let shares = components.iter().map(|component| {
            let mut shares: BTreeMap<_, _> = locations.iter().map(|id| (id.clone(), 0.0)).collect();
            inventory.add(&component.id(), 100.0, 0, &mut shares);
            for percent in shares.values_mut() {
                // Three times a third of 100 is not exactly 100.
                *percent = ((*percent * 1e9).round() / 1e9).clamp(0.0, 100.0);
            }
            shares
        });
        Ok(shares.collect())
    }

    fn inventory(&self, components: &[Entity]) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        let mut seen: HashSet<String> = components.iter().map(Entity::id).collect();
        let mut level: Vec<String> = seen.iter().cloned().collect();
        while !level.is_empty() {
            let mut next = Vec::new();
            for chunk in level.chunks(IDS_PER_REQUEST) {
                let query = select("ComponentLocation")
                    .fields(["component_id", "location_id"])
                    .filter(field("component_id").is_in(chunk.iter().cloned()));
                for row in self.query(query)?.rows::<ComponentLocationRow>() {
                    let row = row?;
                    let locations = inventory.locations.entry(row.component_id).or_default();
                    locations.push(row.location_id);
                }
                let query = select("Component")
                    .fields(["id", "container_id"])
                    .filter(field("container_id").is_in(chunk.iter().cloned()));
                for row in self.query(query)?.rows::<MemberRow>() {
                    let row = row?;
                    if seen.insert(row.id.clone()) {
                        next.push(row.id.clone());
                    }
                    inventory.place(row);
                }
            }
            level = next;
        }
        Ok(inventory)
    }
}

impl Location {
    /// The share of a component that is in this location, in percent; see
    /// [`Session::get_component_availability`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for an entity that is not a component.
    /// - Any error of [`query`](crate::Session::query).
    pub fn get_component_availability(&self, component: &Entity) -> Result<f64> {
        Ok(self.get_component_availabilities(component)?[0])
    }

    /// The shares of components that are in this location, in percent, in their order; see
    /// [`Session::get_component_availabilities`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for an entity that is not a component.
    /// - Any error of [`query`](crate::Session::query).
    pub fn get_component_availabilities(&self, components: impl Entities) -> Result<Vec<f64>> {
        let session = self.session();
        let shares = session.availabilities_in(components, &[self.id()])?;
        Ok(shares.iter().map(|share| share[&self.id()]).collect())
    }
}

/// The most containers within containers, so that a cycle ends.
const MAX_DEPTH: usize = 32;

impl Inventory {
    /// Notes where a component is. It has one container: more, or one twice, would make the ways to it
    /// too many to follow.
    fn place(&mut self, row: MemberRow) {
        if self.placed.insert(row.id.clone()) {
            let members = self.members.entry(row.container_id).or_default();
            members.push(row.id);
        }
    }

    /// Adds `share`, in percent of the whole, to each location of a component.
    fn add(&self, id: &str, share: f64, depth: usize, shares: &mut BTreeMap<String, f64>) {
        if let Some(members) = self.members.get(id)
            && depth < MAX_DEPTH
        {
            // A container has no data of its own.
            let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
            for member in members {
                self.add(member, share / f64::from(count), depth + 1, shares);
            }
            return;
        }
        let locations: HashSet<&String> = self.locations.get(id).into_iter().flatten().collect();
        for location in locations {
            if let Some(percent) = shares.get_mut(location) {
                *percent += share;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_in_one_container_however_often_it_is_named() {
        let mut inventory = Inventory::default();
        for (id, container) in [
            ("A", "A"),
            ("A", "A"),
            ("B", "A"),
            ("B", "C"),
            ("C", "C"),
            ("B", "A"),
        ] {
            inventory.place(MemberRow {
                id: id.to_owned(),
                container_id: container.to_owned(),
            });
        }
        // Fewer than two ways on at each level: following them ends.
        assert_eq!(inventory.members["A"], ["A", "B"]);
        assert_eq!(inventory.members["C"], ["C"]);
        let here = || vec!["here".to_owned()];
        inventory.locations.insert("B".to_owned(), here());
        let mut shares = BTreeMap::from([("here".to_owned(), 0.0)]);
        inventory.add("A", 100.0, 0, &mut shares);
        // A half, and a half of the half, and so on.
        assert!((shares["here"] - 100.0).abs() < 1e-6, "{shares:?}");
    }
}
