//! Finding locations: by name, all of them, the preferred one.

use serde_json::json;

use crate::accessor::{DiskAccessor, ServerAccessor};
use crate::entity::Entities;
use crate::error::Result;
use crate::handle::{Entity, Location, Session};
use crate::location::{
    BUILT_IN, Binding, ORIGIN_LOCATION_ID, REVIEW_LOCATION_ID, SERVER_LOCATION_ID,
    UNMANAGED_LOCATION_ID,
};
use crate::plugin;
use crate::query::{field, select};
use crate::structure::{EntityIdStructure, OriginStructure};
use crate::value::EntityKey;

impl Session {
    /// The location with this name. Built-in locations, such as `ftrack.server`, need no request.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let server_location = session.location("ftrack.server")?;
    /// assert_eq!(server_location.id(), ftrack_api::location::SERVER_LOCATION_ID);
    /// assert!(session.location("nowhere").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is none.
    /// - [`MultipleFound`](crate::ErrorKind::MultipleFound) if there are several.
    /// - Any error of [`query`](Self::query).
    pub fn location(&self, name: &str) -> Result<Location> {
        if let Some((_, id)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return self.location_by_id(id);
        }
        let query = select("Location").filter(field("name").eq(name));
        let found = self.query(query)?.one();
        let found = found.map_err(|error| error.context(format!("the location {name:?}")));
        found?.as_location()
    }

    /// All locations of the server, in the order of their priorities. Includes those that this
    /// session cannot access.
    ///
    /// # Errors
    ///
    /// - Any error of [`query`](Self::query).
    pub fn locations(&self) -> Result<Vec<Location>> {
        let found = self.query("Location")?.all()?;
        let found = found.iter().map(Entity::as_location);
        let mut locations = found.collect::<Result<Vec<_>>>()?;
        locations.sort_by_key(Location::priority);
        Ok(locations)
    }

    /// The accessible location with the lowest priority, or `None` if there is none. Sends no
    /// request.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the session is closed.
    pub fn pick_location(&self) -> Result<Option<Location>> {
        Ok(self.accessible_locations()?.into_iter().next())
    }

    /// The accessible location with the lowest priority that has at least a part of `component`,
    /// or `None` if there is none.
    ///
    /// # Errors
    ///
    /// - Any error of [`pick_locations`](Self::pick_locations).
    pub fn pick_location_of(&self, component: &Entity) -> Result<Option<Location>> {
        Ok(self.pick_locations(component)?.swap_remove(0))
    }

    /// The location that [`pick_location_of`](Self::pick_location_of) picks for each component, in
    /// their order.
    ///
    /// # Errors
    ///
    /// - Any error of [`query`](Self::query).
    pub fn pick_locations(&self, components: impl Entities) -> Result<Vec<Option<Location>>> {
        let components = &*components.to_entities()?;
        let candidates = self.accessible_locations()?;
        let ids: Vec<_> = candidates.iter().map(Location::id).collect();
        let availabilities = self.availabilities_in(components, &ids)?;
        let picked = availabilities.iter().map(|availability| {
            let is_in = |location: &&Location| {
                availability
                    .get(&location.id())
                    .is_some_and(|percent| *percent > 0.0)
            };
            candidates.iter().find(is_in).cloned()
        });
        Ok(picked.collect())
    }

    fn accessible_locations(&self) -> Result<Vec<Location>> {
        let ids = self.shared.locations.accessible();
        ids.iter().map(|id| self.location_by_id(id)).collect()
    }

    /// The location with this id; does not check whether it exists.
    pub(crate) fn location_by_id(&self, id: &str) -> Result<Location> {
        self.entity(EntityKey::new("Location", id))?.as_location()
    }

    /// Binds the built-in locations and lets subscribers bind others.
    pub(crate) fn configure_locations(&self) -> Result<()> {
        self.shared.locations.clear();
        // Servers without locations have nothing to configure.
        if self.schema().entity_type("Location").is_err() {
            return Ok(());
        }
        // Their names are the same on all servers, so they need no request.
        let known = BUILT_IN
            .iter()
            .map(|(name, id)| json!({"__entity_type__": "Location", "id": id, "name": name}));
        self.decode(&known.collect())?;
        let unmanaged = || {
            Binding::new()
                .accessor(DiskAccessor::anywhere())
                .structure(OriginStructure)
                .managed(false)
        };
        let server = Binding::new()
            .accessor(ServerAccessor::new(self.shared.api.clone()))
            .structure(EntityIdStructure);
        let locations = &self.shared.locations;
        locations.bind(
            ORIGIN_LOCATION_ID,
            unmanaged().in_memory(true).priority(100),
        );
        locations.bind(UNMANAGED_LOCATION_ID, unmanaged().priority(90));
        locations.bind(REVIEW_LOCATION_ID, unmanaged().priority(110));
        locations.bind(SERVER_LOCATION_ID, server.priority(150));
        self.activate_storage_scenario();
        self.announce(plugin::CONFIGURE_LOCATION);
        Ok(())
    }
}
