//! Registering with the server which components are in a location.

use std::path::Path;

use serde_json::json;

use super::binding::Binding;
use super::identifiers::{IDS_PER_REQUEST, join_names};
use super::journal::{Journal, Locked};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::handle::{Entity, Location};
use crate::query::{field, select};
use crate::value::derived_id;

/// The id of the row of a component in a location. It is the same in each session, so that of two
/// that register one at the same time the server refuses the second.
fn row_id(location: &str, component: &str) -> String {
    let (location, component) = (location.to_lowercase(), component.to_lowercase());
    derived_id("ftrack-api", &["ComponentLocation", &location, &component]).to_string()
}

/// Topic of the event that is published when a component was added to a location. Its data has
/// `component_id` and `location_id`.
pub const COMPONENT_ADDED_TO_LOCATION_TOPIC: &str = "ftrack.location.component-added";
/// Topic of the event that is published when a component was removed from a location. Its data
/// has `component_id` and `location_id`.
pub const COMPONENT_REMOVED_FROM_LOCATION_TOPIC: &str = "ftrack.location.component-removed";

impl Location {
    /// Registers that a component's data is in this location, without copying any: for data that
    /// another program stored. Commits everything recorded.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let plate = session.create("FileComponent", data! { "name": "plate", "file_type": ".exr" })?;
    /// let unmanaged = session.location("ftrack.unmanaged")?;
    /// unmanaged.register_component(&plate, "/mnt/plates/sh010.exr")?;
    /// assert_eq!(unmanaged.get_resource_identifier(&plate)?, "/mnt/plates/sh010.exr");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error the component is not in the location, unless the response to the commit
    /// was lost.
    ///
    /// - [`ErrorKind::Duplicate`] if the component is in this location.
    /// - Any error of [`commit`](crate::Session::commit).
    pub fn register_component(&self, component: &Entity, resource_identifier: &str) -> Result<()> {
        self.check_absent(std::slice::from_ref(component))?;
        self.register(&[(component.clone(), resource_identifier.to_owned())])
    }

    /// # Errors
    ///
    /// - [`ErrorKind::ReadOnly`] if the session cannot register what would be copied or removed.
    pub(super) fn check_writable(&self) -> Result<()> {
        match self.binding().is_in_memory {
            true => Ok(()),
            false => self.entity.session.shared.api.check_writable(),
        }
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] naming the components that are in this location.
    pub(super) fn check_absent(&self, components: &[Entity]) -> Result<()> {
        let found = self.find_resource_identifiers(components)?;
        let present = components.iter().zip(&found);
        let present: Vec<Entity> = present
            .filter(|(_, identifier)| identifier.is_some())
            .map(|(component, _)| component.clone())
            .collect();
        if present.is_empty() {
            return Ok(());
        }
        Err(self.duplicate(&present))
    }

    /// Whether some component has this resource identifier here; `component` is the one that
    /// would get it.
    pub(super) fn is_registered(&self, component: &Entity, identifier: &str) -> Result<bool> {
        let binding = self.binding();
        if binding.is_in_memory {
            return Ok(true);
        }
        let stored = self.encoded(&binding, component, identifier)?;
        let here = field("location_id").eq(self.entity.id());
        let same = field("resource_identifier").eq(stored);
        let query = select("ComponentLocation")
            .fields(["id"])
            .filter(here.and(same));
        Ok(self.entity.session.query(query)?.first()?.is_some())
    }

    /// The form in which the server stores a resource identifier.
    fn encoded(&self, binding: &Binding, component: &Entity, identifier: &str) -> Result<String> {
        match &binding.transformer {
            Some(transformer) => {
                let encoded = transformer.encode(identifier, component);
                encoded.map_err(self.failure(component))
            }
            None => Ok(identifier.to_owned()),
        }
    }

    /// The journal of a transfer to this location of what `subject` names. `None` if the session
    /// has no folder for it.
    pub(crate) fn open_journal(
        &self,
        subject: &str,
    ) -> std::result::Result<Option<Journal>, Locked> {
        let config = self.entity.session.shared.api.config();
        let file = crate::cache::schema::file_for(config);
        let Some(folder) = file.as_deref().and_then(Path::parent) else {
            return Ok(None);
        };
        let (server, id) = (config.server_url.as_str(), self.entity.id());
        Journal::open(folder, &[server, &config.api_user, &id, subject])
    }

    pub(super) fn duplicate(&self, components: &[Entity]) -> Error {
        let names: Vec<String> = components.iter().map(ToString::to_string).collect();
        let message = format!("{} in {self} already", join_names(&names));
        Error::new(ErrorKind::Duplicate, message)
    }

    /// Registers components under their resource identifiers, all of them or none.
    pub(crate) fn register(&self, identified: &[(Entity, String)]) -> Result<()> {
        let binding = self.binding();
        let (session, own) = (&self.entity.session, self.entity.id());
        if binding.is_in_memory {
            for (component, identifier) in identified {
                let locations = &session.shared.locations;
                locations.add(&own, component.id(), identifier.clone());
            }
            return Ok(());
        }
        let mut rows = Vec::with_capacity(identified.len());
        for (component, identifier) in identified {
            let stored = self.encoded(&binding, component, identifier)?;
            let data = crate::data! {
                "component": component,
                "location": self,
                "resource_identifier": stored,
            };
            rows.push((row_id(&own, &component.id()), data));
        }
        let mut created = Vec::with_capacity(rows.len());
        let recorded = rows.into_iter().try_for_each(|(id, data)| {
            let mut named = data.clone();
            named.set("id", id);
            let row = match session.create("ComponentLocation", named) {
                // One that another session has deleted is still loaded here.
                Err(error) if error.kind() == ErrorKind::Duplicate => {
                    session.create("ComponentLocation", data)
                }
                row => row,
            };
            created.push(row?);
            Ok(())
        });
        if let Err(error) = recorded.and_then(|()| session.commit()) {
            let error = error.context(format!("registering components in {self}"));
            if session.is_in_doubt() {
                return Err(error);
            }
            // Nothing was applied. Without the rows a later commit cannot register data that the
            // caller has removed by then.
            session.discard(&created);
            return Err(error.with_remedy(None));
        }
        self.publish(
            COMPONENT_ADDED_TO_LOCATION_TOPIC,
            identified.iter().map(|(component, _)| component),
        );
        Ok(())
    }

    /// Deletes the server's rows of components in this location, and commits. After an error no
    /// deletion is recorded, unless the commit is in doubt.
    pub(super) fn deregister(&self, components: &[Entity]) -> Result<()> {
        let (session, own) = (&self.entity.session, self.entity.id());
        if self.binding().is_in_memory {
            for component in components {
                session.shared.locations.remove(&own, &component.id());
            }
            return Ok(());
        }
        for component in components {
            session.shared.locations.invalidate(&own, &component.id());
        }
        let mut rows = Vec::with_capacity(components.len());
        for chunk in components.chunks(IDS_PER_REQUEST) {
            let here = field("location_id").eq(own.clone());
            let these = field("component_id").is_in(chunk.iter().map(Entity::id));
            let query = select("ComponentLocation")
                .fields(["id"])
                .filter(here.and(these));
            rows.extend(session.query(query)?.all()?);
        }
        session.commit_deletion(&rows)?;
        self.publish(COMPONENT_REMOVED_FROM_LOCATION_TOPIC, components.iter());
        Ok(())
    }

    /// Publishes an event for each component. Does nothing if the hub is not connected.
    fn publish<'a>(&self, topic: &str, components: impl Iterator<Item = &'a Entity>) {
        let hub = self.entity.session.event_hub();
        for component in components {
            let data = json!({"component_id": component.id(), "location_id": self.entity.id()});
            if let Err(error) = hub.publish(Event::new(topic).with_data(data)) {
                log::debug!("{error}");
                return;
            }
        }
    }
}
