//! Where a new component goes.

use crate::handle::Location;

/// Where a new component goes; a [`Location`] is one too.
#[derive(Clone, Debug, Default)]
pub enum Target {
    /// To the location that is picked first; nowhere if none is accessible.
    #[default]
    Auto,
    /// To no location. It can be added to one later, in the same session.
    Nowhere,
    /// To this location.
    In(Location),
}

impl From<Location> for Target {
    fn from(location: Location) -> Self {
        Self::In(location)
    }
}

impl From<&Location> for Target {
    fn from(location: &Location) -> Self {
        Self::In(location.clone())
    }
}

impl From<Option<Location>> for Target {
    fn from(location: Option<Location>) -> Self {
        location.map_or(Self::Nowhere, Self::In)
    }
}
