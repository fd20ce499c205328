//! Opening a session: settings, plugins, the server's information; closing it.

mod builder;
mod close;
mod events;
mod information;
mod introduction;
mod plugins;

pub use builder::SessionBuilder;
pub(crate) use events::hub_for;
pub use information::ServerInformation;
