//! Telling the server which components are in a location, and which are no more.

use serde_json::json;

use super::{CHUNK, COMPONENT_ADDED_TO_LOCATION_TOPIC, COMPONENT_REMOVED_FROM_LOCATION_TOPIC};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::handle::{Entity, Location};
use crate::query::{field, select};

impl Location {
    /// Notes that a component's data is in this location, without moving any: for data that
    /// another program has put there. Commits what is recorded.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// [`ErrorKind::Duplicate`] if the component is in this location; else as for
    /// [`commit`](crate::Session::commit). After an error the component is not in the location,
    /// unless the error says that nobody knows.
    pub fn register_component(&self, component: &Entity, resource_identifier: &str) -> Result<()> {
        self.refuse_present(std::slice::from_ref(component))?;
        self.register(&[(component.clone(), resource_identifier.to_owned())])
    }

    /// # Errors
    ///
    /// [`ErrorKind::ReadOnly`] before anything is moved that the server could not be told of.
    pub(super) fn check_writable(&self) -> Result<()> {
        match self.binding().is_remembered {
            true => Ok(()),
            false => self.entity.session.shared.api.check_writable(),
        }
    }

    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] naming the components that are in this location.
    pub(super) fn refuse_present(&self, components: &[Entity]) -> Result<()> {
        let found = self.find_resource_identifiers(components)?;
        let present = components.iter().zip(&found);
        let present: Vec<String> = present
            .filter(|(_, identifier)| identifier.is_some())
            .map(|(component, _)| component.to_string())
            .collect();
        if present.is_empty() {
            return Ok(());
        }
        let message = format!("{} in {self} already", super::identifiers::listed(&present));
        Err(Error::new(ErrorKind::Duplicate, message))
    }

    /// Registers components where their data is, all of them or none.
    pub(crate) fn register(&self, placed: &[(Entity, String)]) -> Result<()> {
        let binding = self.binding();
        let (session, own) = (&self.entity.session, self.entity.id());
        if binding.is_remembered {
            for (component, identifier) in placed {
                let locations = &session.shared.locations;
                locations.remember(&own, component.id(), identifier.clone());
            }
            return Ok(());
        }
        let mut rows = Vec::with_capacity(placed.len());
        for (component, identifier) in placed {
            let stored = match &binding.transformer {
                Some(transformer) => transformer
                    .encode(identifier, component)
                    .map_err(self.failure(component))?,
                None => identifier.clone(),
            };
            rows.push(crate::data! {
                "component": component,
                "location": self,
                "resource_identifier": stored,
            });
        }
        let mut created = Vec::with_capacity(rows.len());
        let recorded = rows.into_iter().try_for_each(|data| {
            created.push(session.create("ComponentLocation", data)?);
            Ok(())
        });
        if let Err(error) = recorded.and_then(|()| session.commit()) {
            if !session.is_in_doubt() {
                // Nothing was applied. Without the rows a later commit cannot register data that the
                // caller has removed by then.
                session.discard(&created);
            }
            return Err(error.context(format!("registering components in {self}")));
        }
        self.tell(
            COMPONENT_ADDED_TO_LOCATION_TOPIC,
            placed.iter().map(|(component, _)| component),
        );
        Ok(())
    }

    /// Takes components out of the server's list, and commits.
    pub(super) fn deregister(&self, components: &[Entity]) -> Result<()> {
        let (session, own) = (&self.entity.session, self.entity.id());
        if self.binding().is_remembered {
            for component in components {
                session.shared.locations.forget(&own, &component.id());
            }
            return Ok(());
        }
        for chunk in components.chunks(CHUNK) {
            let here = field("location_id").eq(own.clone());
            let these = field("component_id").is_in(chunk.iter().map(Entity::id));
            let query = select("ComponentLocation")
                .fields(["id"])
                .filter(here.and(these));
            for row in session.query(query)?.all()? {
                session.delete(&row)?;
            }
        }
        session.commit()?;
        self.tell(COMPONENT_REMOVED_FROM_LOCATION_TOPIC, components.iter());
        Ok(())
    }

    /// Publishes what happened, for whoever listens. Without a connection nobody does.
    fn tell<'a>(&self, topic: &str, components: impl Iterator<Item = &'a Entity>) {
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
