//! The session's locations: the built-in ones, all of them, and the one to use.

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
    /// The location with this name. The built-in ones, such as `ftrack.server`, cost no request.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let server_location = session.location("ftrack.server")?;
    /// assert_eq!(server_location.id(), ftrack_api::location::SERVER_LOCATION_ID);
    /// assert!(session.location("nowhere").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is none;
    /// [`MultipleFound`](crate::ErrorKind::MultipleFound) if there are several; else what kept the server's answer from arriving.
    pub fn location(&self, name: &str) -> Result<Location> {
        if let Some((_, id)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return self.location_by_id(id);
        }
        let query = select("Location").filter(field("name").eq(name));
        let found = self.query(query)?.one();
        let found = found.map_err(|error| error.context(format!("the location {name:?}")));
        found?.as_location()
    }

    /// The locations that the server knows, those that are picked first in front. What this
    /// session cannot reach is among them.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving.
    pub fn locations(&self) -> Result<Vec<Location>> {
        let found = self.query("Location")?.all()?;
        let found = found.iter().map(Entity::as_location);
        let mut locations = found.collect::<Result<Vec<_>>>()?;
        locations.sort_by_key(Location::priority);
        Ok(locations)
    }

    /// The location to use: of those that this session can reach the one with the lowest
    /// priority, and with a `component` of those that it is in. `None` if there is none.
    ///
    /// Without a component this costs no request.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving.
    pub fn pick_location(&self, component: Option<&Entity>) -> Result<Option<Location>> {
        if let Some(component) = component {
            let mut picked = self.pick_locations(std::slice::from_ref(component))?;
            return Ok(picked.swap_remove(0));
        }
        Ok(self.accessible_locations()?.into_iter().next())
    }

    /// For each component the location with the lowest priority among those that this session
    /// can reach and that the component is in, at least in part.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving.
    pub fn pick_locations(&self, components: impl Entities) -> Result<Vec<Option<Location>>> {
        let components = &*components.to_entities()?;
        let candidates = self.accessible_locations()?;
        let availabilities = self.get_component_availabilities(components, Some(&candidates))?;
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

    /// The location with this id, without asking whether it exists.
    pub(crate) fn location_by_id(&self, id: &str) -> Result<Location> {
        self.entity(&EntityKey::new("Location", id))?.as_location()
    }

    /// Binds the built-in locations and lets subscribers bind others.
    pub(crate) fn configure_locations(&self) -> Result<()> {
        // A server whose schema has no locations has nothing to configure either.
        if self.schema().entity_type("Location").is_err() {
            return Ok(());
        }
        // Their names need no request: all servers call them so.
        let known = BUILT_IN
            .iter()
            .map(|(name, id)| json!({"__entity_type__": "Location", "id": id, "name": name}));
        self.decode(&known.collect())?;
        let notes = || {
            Binding::new()
                .accessor(DiskAccessor::anywhere())
                .structure(OriginStructure)
                .unmanaged()
        };
        let server = Binding::new()
            .accessor(ServerAccessor::new(self.shared.api.clone()))
            .structure(EntityIdStructure);
        let locations = &self.shared.locations;
        locations.bind(ORIGIN_LOCATION_ID, notes().in_memory().priority(100));
        locations.bind(UNMANAGED_LOCATION_ID, notes().priority(90));
        locations.bind(REVIEW_LOCATION_ID, notes().priority(110));
        locations.bind(SERVER_LOCATION_ID, server.priority(150));
        self.activate_storage_scenario();
        self.announce(plugin::CONFIGURE_LOCATION);
        Ok(())
    }
}
