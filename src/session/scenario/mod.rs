//! The storage scenario: the studio's file storage as configured on the server.

mod form;
mod setting;

use serde_json::{Value as Json, json};

use crate::accessor::DiskAccessor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Filter};
use crate::handle::Session;
use crate::hub::{ScopedSubscription, SubscribeOptions};
use crate::location::Binding;
use crate::structure::StandardStructure;

pub use setting::CentralizedStorage;

/// The scenario in which all files are on one storage that everybody mounts.
const CENTRALIZED: &str = "ftrack.centralized-storage";

/// The name of this platform among the mount points.
const PLATFORM: &str = match std::env::consts::OS.as_bytes() {
    b"macos" => "osx",
    b"windows" => "windows",
    _ => "linux",
};

/// Handles the events of the storage scenario until it is dropped; see [`Session::register_storage_scenario`].
#[derive(Debug)]
#[must_use = "bind it: `let _registration = …`; `let _ = …` would drop it at once"]
pub struct ScenarioRegistration([ScopedSubscription; 3]);

impl ScenarioRegistration {
    /// Handles them for as long as the session is open.
    pub fn keep(self) {
        for subscription in self.0 {
            subscription.keep();
        }
    }
}

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
        let mount_point = text(&data["accessor"]["mount_points"], PLATFORM)?;
        self.decode(&json!({"__entity_type__": "Location", "id": id, "name": name}))?;
        let binding = Binding::new()
            .accessor(DiskAccessor::new(mount_point)?)
            .structure(StandardStructure::new())
            .priority(1);
        self.location_by_id(&id)?.bind(binding);
        Ok(())
    }

    /// Offers the centralized storage to the session's user in ftrack's settings: replies with the
    /// form that sets it up, and tells the desktop application when it starts whether the storage is
    /// mounted. The returned value ends that when it is dropped.
    ///
    /// The event hub must be connected, and something must wait for events, as for any subscription.
    /// Programs that need no form call [`set_centralized_storage`](Self::set_centralized_storage).
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use std::time::Duration;
    ///
    /// session.event_hub().connect()?;
    /// let _registration = session.register_storage_scenario()?;
    /// session.event_hub().wait(Duration::from_millis(20))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if the user's name cannot be written in an event filter: nothing is
    ///   registered.
    pub fn register_storage_scenario(&self) -> Result<ScenarioRegistration> {
        type Handler = fn(&Session, &Event) -> Result<Option<Json>>;
        let of_user = |topic: &str| {
            let user = Filter::equal("source.user.username", self.api_user());
            Filter::topic(topic).and(user)
        };
        let configured = of_user("ftrack.storage-scenario.configure");
        let started = Filter::topic("ftrack.connect.verify-startup");
        let subscribe = |filter: Filter, handler: Handler| {
            let handler = move |session: &Session, event: &Event| Ok(handler(session, event)?);
            let id = self.subscribe_with(filter, SubscribeOptions::new(), handler)?;
            Ok::<_, Error>(self.event_hub().scoped(id))
        };
        Ok(ScenarioRegistration([
            subscribe(of_user("ftrack.storage-scenario.discover"), |_, _| {
                Ok(Some(json!({
                    "id": CENTRALIZED,
                    "name": "Centralized storage scenario",
                    "description": "All files are on one storage that everybody in the studio mounts \
                                    (recommended).",
                })))
            })?,
            subscribe(
                configured.and(Filter::equal("data.scenario_id", CENTRALIZED)),
                |session, event| form::next(session, event.data()).map(Some),
            )?,
            subscribe(
                started.and(Filter::equal("data.storage_scenario.scenario", CENTRALIZED)),
                |_, event| Ok(problem(&event.data()["storage_scenario"]).map(Json::from)),
            )?,
        ]))
    }
}

/// Why this machine cannot use the storage of a scenario; `None` if it can.
fn problem(scenario: &Json) -> Option<String> {
    let mount_point = scenario["data"]["accessor"]["mount_points"][PLATFORM].as_str();
    match mount_point.filter(|path| !path.is_empty()) {
        None => Some(
            "The storage scenario has no mount point for this operating system, so files cannot be \
             stored or found. An administrator can add one in ftrack's settings."
                .to_owned(),
        ),
        Some(path) if !std::path::Path::new(path).is_dir() => Some(format!(
            "The storage is not available: there is no folder {path}. If it is a network drive, mount \
             it; if the storage is new, create the folder."
        )),
        Some(_) => None,
    }
}
