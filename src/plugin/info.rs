//! What a session reports about its plugins.

use std::fmt;
use std::path::{Path, PathBuf};

/// A plugin that a session has found. Listed by [`Session::plugins`](crate::Session::plugins).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its name, or that of its file if it was refused before its name was known.
    pub name: String,
    /// Its version, if known.
    pub version: Option<String>,
    /// Where it comes from.
    pub origin: PluginOrigin,
    /// Whether it is in use.
    pub state: PluginState,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginOrigin {
    /// It was given to the builder.
    Code,
    /// A dynamic library on the plugin path.
    Library(PathBuf),
    /// An executable on the plugin path.
    Executable(PathBuf),
    /// A folder on the plugin path that could not be searched.
    Folder(PathBuf),
}

/// Whether a plugin is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginState {
    /// It is registered.
    Loaded,
    /// It was not asked to register, for this reason.
    Refused(String),
    /// Registering it failed with this error.
    Failed(String),
}

impl PluginOrigin {
    /// The file or folder; `None` for a plugin given in code.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Code => None,
            Self::Library(path) | Self::Executable(path) | Self::Folder(path) => Some(path),
        }
    }
}

/// For example `studio.locations (/studio/plugins/liblocations.so)`.
impl fmt::Display for PluginInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin.path() {
            Some(path) => write!(f, "{} ({})", self.name, path.display()),
            None => f.write_str(&self.name),
        }
    }
}
