//! What a session remembers, and for how long: backing cache, scopes, settings of a thread.

mod backing;
mod cache;
mod follow;
mod scope;
mod settings;
mod statistics;

pub(crate) use backing::{Lower, is_key_enough};
pub use cache::SessionCache;
pub(crate) use cache::{CacheSettings, MemoryCounters};
pub use follow::FollowUpdates;
pub use scope::Scope;
