//! A plugin in a dynamic library: it binds a folder to the studio's location, in every session.
//!
//! `cargo build --example plugin_location` makes the library; put it into a folder of
//! `FTRACK_EVENT_PLUGIN_PATH`. Where the files are is the plugin argument `studio_mount`.

use std::path::PathBuf;

use anyhow::Result;
use ftrack_api::accessor::DiskAccessor;
use ftrack_api::data;
use ftrack_api::location::Binding;
use ftrack_api::plugin::{Arguments, Plugin, Registrar};
use ftrack_api::structure::StandardStructure;
use serde::Deserialize;

/// The plugin arguments that this plugin knows.
#[derive(Deserialize)]
struct Settings {
    studio_mount: PathBuf,
}

struct LocationPlugin;

impl Plugin for LocationPlugin {
    fn name(&self) -> &str {
        "example.location"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn register(&self, registrar: &mut Registrar, arguments: &Arguments) -> Result<()> {
        let settings: Settings = arguments.read()?;
        registrar.configure_location(move |session| {
            session.ensure("Location", data! { "name": "studio.main" }, "name")?;
            session.location("studio.main")?.bind(
                Binding::new()
                    .accessor(DiskAccessor::new(&settings.studio_mount)?)
                    .structure(StandardStructure::new())
                    .priority(10),
            );
            Ok(())
        });
        Ok(())
    }
}

ftrack_api::export_plugin!(LocationPlugin);
