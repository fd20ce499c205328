//! Locations: what a session binds to them, and where in them components are.
//!
#![doc = include_str!("../../docs/locations.md")]

mod bind;
mod contain;
mod identifiers;
mod register;
mod remove;
mod target;
mod transfer;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::lock::{Mutex, RwLock};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location};
use crate::value::Value;

pub use bind::Binding;
pub(crate) use identifiers::CHUNK;
pub use target::Target;
pub use transfer::{Transfer, TransferStep};

/// Where users keep their files before they are published: known to this session only.
pub const ORIGIN_LOCATION_ID: &str = "ce9b348f-8809-11e3-821c-20c9d081909b";
/// Where users keep their files, noted on the server by their paths.
pub const UNMANAGED_LOCATION_ID: &str = "cb268ecc-8809-11e3-a7e2-20c9d081909b";
/// What the web player shows, wherever it is.
pub const REVIEW_LOCATION_ID: &str = "cd41be70-8809-11e3-b98a-20c9d081909b";
/// The location of the desktop application. Nothing is bound to it.
pub const CONNECT_LOCATION_ID: &str = "07b82a97-8cf9-11e3-9383-20c9d081909b";
/// The server's own storage.
pub const SERVER_LOCATION_ID: &str = "3a372bde-05bc-11e4-8908-20c9d081909b";

/// Published when a component was added to a location, with `component_id` and `location_id`.
pub const COMPONENT_ADDED_TO_LOCATION_TOPIC: &str = "ftrack.location.component-added";
/// Published when a component was removed from a location, with `component_id` and `location_id`.
pub const COMPONENT_REMOVED_FROM_LOCATION_TOPIC: &str = "ftrack.location.component-removed";

/// The built-in locations by name.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("ftrack.origin", ORIGIN_LOCATION_ID),
    ("ftrack.unmanaged", UNMANAGED_LOCATION_ID),
    ("ftrack.review", REVIEW_LOCATION_ID),
    ("ftrack.connect", CONNECT_LOCATION_ID),
    ("ftrack.server", SERVER_LOCATION_ID),
];

/// What a session has bound to locations, by id, in the order in which it was bound.
#[derive(Default)]
pub(crate) struct Locations {
    /// Locked to copy a binding out or to put one in, never while one is used.
    bound: RwLock<Vec<(String, Arc<Binding>)>>,
    /// Resource identifiers of components in locations that the server is not told of, by
    /// location and component.
    remembered: Mutex<HashMap<(String, String), String>>,
}

impl Locations {
    pub(crate) fn bind(&self, id: &str, binding: Binding) {
        let mut bound = self.bound.write();
        match bound.iter_mut().find(|(known, _)| known == id) {
            Some((_, old)) => *old = Arc::new(binding),
            None => bound.push((id.to_owned(), Arc::new(binding))),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Binding>> {
        let bound = self.bound.read();
        let found = bound.iter().find(|(known, _)| known == id)?;
        Some(found.1.clone())
    }

    /// Ids of locations that have an accessor, those with the lowest priority first.
    pub(crate) fn accessible(&self) -> Vec<String> {
        let bound = self.bound.read();
        let usable = bound
            .iter()
            .filter(|(_, binding)| binding.accessor.is_some());
        let mut found: Vec<(i32, &String)> = usable.map(|(id, b)| (b.priority, id)).collect();
        found.sort_by_key(|(priority, _)| *priority);
        found.into_iter().map(|(_, id)| id.clone()).collect()
    }

    fn remember(&self, location: &str, component: String, resource_identifier: String) {
        let key = (location.to_owned(), component);
        self.remembered.lock().insert(key, resource_identifier);
    }

    fn recall(&self, location: &str, component: &str) -> Option<String> {
        let key = (location.to_owned(), component.to_owned());
        self.remembered.lock().get(&key).cloned()
    }

    fn forget(&self, location: &str, component: &str) -> bool {
        let key = (location.to_owned(), component.to_owned());
        self.remembered.lock().remove(&key).is_some()
    }
}

impl Entity {
    /// This entity as a location.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// for location in &session.query("select name from Location")? {
    ///     let location = location?.as_location()?;
    ///     println!("{}: {}", location.get::<String>("name")?, location.is_accessible());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if it is none.
    pub fn as_location(&self) -> Result<Location> {
        if self.entity_type() != "Location" {
            let message = format!("{self} is no location");
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        Ok(Location {
            entity: self.clone(),
        })
    }
}

impl Deref for Location {
    type Target = Entity;

    fn deref(&self) -> &Entity {
        &self.entity
    }
}

impl From<&Location> for Value {
    fn from(location: &Location) -> Self {
        Self::from(&location.entity)
    }
}

/// `Location(studio.main)` if the name is loaded, else with the id; nothing is fetched.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known_value("name") {
            Ok(Some(Value::Text(name))) => write!(f, "Location({name})"),
            _ => write!(f, "{}", self.entity),
        }
    }
}

/// The entity, and what is bound; nothing is fetched.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("entity", &self.entity)
            .field("priority", &self.priority())
            .field("is_accessible", &self.is_accessible())
            .finish()
    }
}
