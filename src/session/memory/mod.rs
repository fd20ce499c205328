//! The memory of a session: backing cache, scopes, settings of a thread, updates by events.

mod backing;
mod cache;
mod follow;
mod scope;
mod settings;
mod statistics;

pub(crate) use backing::is_key_enough;
pub(crate) use cache::CacheSettings;
pub use cache::SessionCache;
pub use follow::FollowUpdates;
pub use scope::MemoryScope;
