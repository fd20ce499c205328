//! Where a new component goes.

use crate::handle::Location;

/// Where a new component goes. A [`Location`] converts into it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Target {
    /// The location that [`pick_location`](crate::Session::pick_location) returns, or none.
    #[default]
    Auto,
    /// No location. The component can be added to one later, in the same session.
    Nowhere,
    /// `ftrack.unmanaged`, for a path that this machine cannot see. The file is not looked at, so
    /// its size is 0 unless it is given.
    Elsewhere,
    /// This location.
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
