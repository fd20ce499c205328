//! How much of a component is in which location.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location, Session};
use crate::location::CHUNK;
use crate::query::{field, select};

#[derive(Deserialize)]
struct Known {
    id: String,
}

#[derive(Deserialize)]
struct Stored {
    component_id: String,
    location_id: String,
}

#[derive(Deserialize)]
struct Member {
    id: String,
    container_id: String,
}

/// What the server has of some components and their members.
#[derive(Default)]
struct Stock {
    locations: HashMap<String, Vec<String>>,
    members: HashMap<String, Vec<String>>,
}

impl Session {
    /// How much of a component is in which location, in percent from 0 to 100, by the
    /// location's id: in `locations`, else in all that the server knows. Of a sequence or a
    /// container it is the share of the members.
    ///
    /// It is what the server knows now: what is not committed does not count, and neither does
    /// `ftrack.origin`, which the server does not know of.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let component = session.query("FileComponent")?.first()?;
    /// if let Some(component) = component {
    ///     let availability = session.get_component_availability(&component, None)?;
    ///     assert!(availability.values().all(|percent| (0.0..=100.0).contains(percent)));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] for what is no component, and what kept the server's answer from
    /// arriving.
    pub fn get_component_availability(
        &self,
        component: &Entity,
        locations: Option<&[Location]>,
    ) -> Result<BTreeMap<String, f64>> {
        let components = std::slice::from_ref(component);
        let mut found = self.get_component_availabilities(components, locations)?;
        Ok(found.swap_remove(0))
    }

    /// How much of each component is in which location; see
    /// [`get_component_availability`](Self::get_component_availability). Two requests for every
    /// 500 components, and two more for every 500 of their members.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] for what is no component, and what kept the server's answer from
    /// arriving.
    pub fn get_component_availabilities(
        &self,
        components: impl Entities,
        locations: Option<&[Location]>,
    ) -> Result<Vec<BTreeMap<String, f64>>> {
        let components = &*components.to_entities()?;
        let is_component = |one: &&Entity| self.schema().is_kind_of(one.entity_type(), "Component");
        if let Some(other) = components.iter().find(|one| !is_component(one)) {
            let message = format!("{other} is no component, which locations could have");
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        let wanted: Vec<String> = match locations {
            Some(locations) => locations.iter().map(|location| location.id()).collect(),
            None => {
                let query = self.query("select id from Location")?;
                let rows = query.rows::<Known>();
                rows.map(|row| Ok(row?.id)).collect::<Result<_>>()?
            }
        };
        let stock = self.stock(components)?;
        let shares = components.iter().map(|component| {
            let mut shares: BTreeMap<_, _> = wanted.iter().map(|id| (id.clone(), 0.0)).collect();
            stock.add(&component.id(), 100.0, 0, &mut shares);
            for percent in shares.values_mut() {
                // Thirds of a hundred do not add up to one exactly.
                *percent = ((*percent * 1e9).round() / 1e9).clamp(0.0, 100.0);
            }
            shares
        });
        Ok(shares.collect())
    }

    fn stock(&self, components: &[Entity]) -> Result<Stock> {
        let mut stock = Stock::default();
        let mut seen: HashSet<String> = components.iter().map(Entity::id).collect();
        let mut level: Vec<String> = seen.iter().cloned().collect();
        while !level.is_empty() {
            let mut next = Vec::new();
            for chunk in level.chunks(CHUNK) {
                let query = select("ComponentLocation")
                    .fields(["component_id", "location_id"])
                    .filter(field("component_id").is_in(chunk.iter().cloned()));
                for row in self.query(query)?.rows::<Stored>() {
                    let row = row?;
                    let locations = stock.locations.entry(row.component_id).or_default();
                    locations.push(row.location_id);
                }
                let query = select("Component")
                    .fields(["id", "container_id"])
                    .filter(field("container_id").is_in(chunk.iter().cloned()));
                for row in self.query(query)?.rows::<Member>() {
                    let row = row?;
                    if seen.insert(row.id.clone()) {
                        next.push(row.id.clone());
                    }
                    let members = stock.members.entry(row.container_id).or_default();
                    members.push(row.id);
                }
            }
            level = next;
        }
        Ok(stock)
    }
}

impl Location {
    /// How much of a component is here, in percent; see
    /// [`Session::get_component_availability`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] for what is no component, and what kept the server's answer from
    /// arriving.
    pub fn get_component_availability(&self, component: &Entity) -> Result<f64> {
        let components = std::slice::from_ref(component);
        Ok(self.get_component_availabilities(components)?[0])
    }

    /// How much of each component is here, in percent; see
    /// [`Session::get_component_availabilities`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] for what is no component, and what kept the server's answer from
    /// arriving.
    pub fn get_component_availabilities(&self, components: impl Entities) -> Result<Vec<f64>> {
        let components = &*components.to_entities()?;
        let here = std::slice::from_ref(self);
        let shares = self
            .session()
            .get_component_availabilities(components, Some(here))?;
        Ok(shares.iter().map(|share| share[&self.id()]).collect())
    }
}

/// Containers in containers, at most: a ring of them must end.
const DEEPEST: usize = 32;

impl Stock {
    /// Adds `share`, in percent of the whole, where the component is.
    fn add(&self, id: &str, share: f64, depth: usize, shares: &mut BTreeMap<String, f64>) {
        if let Some(members) = self.members.get(id)
            && depth < DEEPEST
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
