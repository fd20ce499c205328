//! The plugin arguments of a session.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The plugin arguments of a session, as one plugin reads them.
///
/// All plugins get the same arguments; each reads those that it knows.
#[derive(Debug)]
pub struct Arguments {
    plugin: String,
    values: Map<String, Value>,
    known: RefCell<BTreeSet<String>>,
}

impl Arguments {
    pub(super) fn new(plugin: &str, values: &Map<String, Value>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            values: values.clone(),
            known: RefCell::default(),
        }
    }

    /// One argument.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.known.borrow_mut().insert(name.to_owned());
        self.values.get(name)
    }

    /// All arguments as a type of yours. Arguments that it does not have are logged and ignored, because
    /// they may be for another plugin.
    ///
    /// ```
    /// use ftrack_api::plugin::{Arguments, Plugin, Registrar};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings {
    ///     mount: std::path::PathBuf,
    ///     #[serde(default)]
    ///     is_quiet: bool,
    /// }
    ///
    /// struct Locations;
    ///
    /// impl Plugin for Locations {
    ///     # fn name(&self) -> &str { "studio.locations" }
    ///     # fn version(&self) -> &str { "1.0" }
    ///     fn register(&self, _: &mut Registrar, arguments: &Arguments) -> anyhow::Result<()> {
    ///         let settings: Settings = arguments.read()?;
    ///         println!("files are in {}", settings.mount.display());
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - If an argument is missing or has another type.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let mut unknown = BTreeSet::new();
        let read = serde_ignored::deserialize(Value::Object(self.values.clone()), |path| {
            unknown.insert(path.to_string());
        });
        for name in &unknown {
            log::debug!("plugin {} does not use the argument {name}", self.plugin);
        }
        let known = self.values.keys().filter(|name| !unknown.contains(*name));
        self.known.borrow_mut().extend(known.cloned());
        read.map_err(|error| anyhow::Error::new(error).context("invalid plugin arguments"))
    }

    /// The names that the plugin has read.
    pub(super) fn known(self) -> BTreeSet<String> {
        self.known.into_inner()
    }
}
