//! The storage scenario: the studio's file storage as configured on the server.

use serde_json::{Value as Json, json};

use crate::accessor::DiskAccessor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::handle::Session;
use crate::location::Binding;
use crate::structure::StandardStructure;

/// The scenario in which all files are on one storage that everybody mounts.
const CENTRALIZED: &str = "ftrack.centralized-storage";

impl Session {
    /// Binds the location of the server's storage scenario, if it has one. If that fails it only
    /// logs a warning; using the location is an error then.
    pub(crate) fn activate_storage_scenario(&self) {
        let scenario = self.server_information().get("storage_scenario");
        let Some(scenario) = scenario.filter(|one| one["scenario"].is_string()) else {
            return;
        };
        if scenario["scenario"] == CENTRALIZED
            && let Err(error) = self.bind_centralized(&scenario["data"])
        {
            log::warn!("cannot bind the location of the storage scenario: {error}");
        }
        let event = Event::new("ftrack.storage-scenario.activate");
        let event = event.with_data(json!({"storage_scenario": scenario}));
        self.event_hub().publish_synchronous(event);
    }

    fn bind_centralized(&self, data: &Json) -> Result<()> {
        let text = |value: &Json, name: &str| {
            let text = value[name].as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| {
                let message = format!("its configuration on the server has no {name}");
                Error::new(ErrorKind::Configuration, message)
            })
        };
        let (id, name) = (text(data, "location_id")?, text(data, "location_name")?);
        let platform = match std::env::consts::OS {
            "macos" => "osx",
            "windows" => "windows",
            _ => "linux",
        };
        let mount_point = text(&data["accessor"]["mount_points"], platform)?;
        self.decode(&json!({"__entity_type__": "Location", "id": id, "name": name}))?;
        let binding = Binding::new()
            .accessor(DiskAccessor::new(mount_point)?)
            .structure(StandardStructure::new())
            .priority(1);
        self.location_by_id(&id)?.bind(binding);
        Ok(())
    }
}
