//! The storage scenario: where the studio keeps its files, as the server was told.

use serde_json::{Value as Json, json};

use crate::accessor::DiskAccessor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::handle::Session;
use crate::location::Binding;
use crate::structure::StandardStructure;

/// All files on one storage that everybody mounts.
const CENTRALIZED: &str = "ftrack.centralized-storage";

impl Session {
    /// Binds the location of the server's storage scenario, if it has one. A scenario that
    /// cannot be used is a warning: whoever needs the files finds the location not accessible.
    pub(crate) fn activate_storage_scenario(&self) {
        let scenario = self.server_information().get("storage_scenario");
        let Some(scenario) = scenario.filter(|one| one["scenario"].is_string()) else {
            return;
        };
        if scenario["scenario"] == CENTRALIZED
            && let Err(error) = self.bind_centralized(&scenario["data"])
        {
            log::warn!("the studio's storage cannot be used here: {error}");
        }
        let event = Event::new("ftrack.storage-scenario.activate");
        let event = event.with_data(json!({"storage_scenario": scenario}));
        self.event_hub().publish_synchronous(event);
    }

    fn bind_centralized(&self, data: &Json) -> Result<()> {
        let text = |value: &Json, name: &str| {
            let text = value[name].as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| {
                let message = format!("its settings on the server have no {name}");
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
