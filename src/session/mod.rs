//! Sessions: opening one, reading, changing, caching, closing it.
#![doc = ""]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/sessions.md"))]

// A room for each activity, and one `impl Session` in each file.
mod change;
mod components;
mod load;
mod memory;
mod open;
mod scenario;
mod server;

pub use crate::api::{RequestBudget, Statistics};
pub use crate::calls::ThreadScope;
pub use change::AttributeStrategy;
pub use components::{EncodeOptions, MediaSource};
pub use load::{Query, QueryIter, QueryPages, Rows, Search};
pub use memory::{FollowUpdates, MemoryScope, SessionCache};
pub(crate) use open::hub_for;
pub use open::{ServerInformation, SessionBuilder};
pub use scenario::{CentralizedStorage, ScenarioRegistration};
pub use server::{JOB_SYNC_USERS_LDAP, WidgetOptions};
