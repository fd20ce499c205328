//! The setting on the server that says where the studio's storage is.

use serde_json::{Value as Json, json};

use super::CENTRALIZED;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::handle::{Entity, Location, Session};

/// A storage that everybody in the studio mounts, and the location that stands for it: for
/// [`Session::set_centralized_storage`].
///
/// A platform without a mount point cannot use the storage.
#[derive(Clone, Debug)]
#[must_use = "pass it to `set_centralized_storage`"]
pub struct CentralizedStorage {
    location: Entity,
    linux: String,
    macos: String,
    windows: String,
}

impl CentralizedStorage {
    /// A storage without mount points.
    pub fn new(location: &Location) -> Self {
        Self::of(location.entity())
    }

    pub(super) fn of(location: &Entity) -> Self {
        Self {
            location: location.clone(),
            linux: String::new(),
            macos: String::new(),
            windows: String::new(),
        }
    }

    /// Sets the folder of the storage on Linux.
    pub fn linux(mut self, mount_point: impl Into<String>) -> Self {
        self.linux = mount_point.into();
        self
    }

    /// Sets the folder of the storage on macOS.
    pub fn macos(mut self, mount_point: impl Into<String>) -> Self {
        self.macos = mount_point.into();
        self
    }

    /// Sets the folder of the storage on Windows.
    pub fn windows(mut self, mount_point: impl Into<String>) -> Self {
        self.windows = mount_point.into();
        self
    }

    fn to_json(&self) -> Result<Json> {
        if [&self.linux, &self.macos, &self.windows]
            .iter()
            .all(|mount_point| mount_point.is_empty())
        {
            let message = "a centralized storage needs a mount point for at least one platform";
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let name: String = self.location.get("name")?;
        Ok(json!({
            "scenario": CENTRALIZED,
            "data": {
                "location_id": self.location.id(),
                "location_name": name,
                "accessor": {"mount_points": {
                    "linux": self.linux, "osx": self.macos, "windows": self.windows,
                }},
            },
        }))
    }
}

impl Session {
    /// Makes a storage that everybody mounts the one of the studio. Sessions that are opened from now
    /// on bind its location to the mount point of their platform, with priority 1. Commits everything
    /// recorded, and publishes `ftrack.storage-scenario.configure-done` if the hub is connected.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    /// use ftrack_api::session::CentralizedStorage;
    ///
    /// session.ensure("Location", data! { "name": "studio.central" }, ["name"])?;
    /// let location = session.location("studio.central")?;
    /// let storage = CentralizedStorage::new(&location).linux("/mnt/projects").windows("P:\\");
    /// session.set_centralized_storage(&storage)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error the setting is as it was, unless the response to the commit was lost.
    ///
    /// - [`ErrorKind::Validation`] if no platform has a mount point.
    /// - [`ErrorKind::NotFound`] if the server has no such setting, or the user may not read it.
    /// - Any error of [`commit`](Self::commit).
    pub fn set_centralized_storage(&self, storage: &CentralizedStorage) -> Result<()> {
        let value = storage.to_json()?.to_string();
        let setting = self.scenario_setting()?;
        setting.set("value", value)?;
        if let Err(error) = self.commit() {
            if !self.is_in_doubt() {
                setting.clear();
            }
            return Err(error.context("setting the storage scenario"));
        }
        let done = Event::new("ftrack.storage-scenario.configure-done");
        if let Err(error) = self.event_hub().publish(done) {
            log::debug!("{error}");
        }
        Ok(())
    }

    fn scenario_setting(&self) -> Result<Entity> {
        let setting =
            r#"select value from Setting where name is "storage_scenario" and group is "STORAGE""#;
        self.query(setting)?.one()
    }

    /// The data of the centralized storage that is set; null if there is none.
    pub(super) fn centralized_storage(&self) -> Result<Json> {
        let value: Option<String> = self.scenario_setting()?.get("value")?;
        let mut value: Json = serde_json::from_str(&value.unwrap_or_default()).unwrap_or_default();
        Ok(match value["scenario"] == CENTRALIZED {
            true => value["data"].take(),
            false => Json::Null,
        })
    }
}
