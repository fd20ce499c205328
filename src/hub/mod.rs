//! The event hub: handles for any thread, and one thread that talks to the event server.

#[cfg(any(feature = "redis", feature = "file-cache"))]
mod arrivals;
mod cancel;
mod config;
mod connect;
mod dispatch;
mod driver;
mod gate;
mod handle;
mod line;
mod linger;
mod link;
mod poller;
mod publish;
mod replies;
mod shared;
mod status;
mod subscribe;
mod thread;

#[cfg(any(feature = "redis", feature = "file-cache"))]
pub(crate) use arrivals::Arrival;
pub use config::HubConfig;
pub use handle::EventHub;
pub use publish::PublishOptions;
pub use shared::HubCounts;
pub use status::HubState;
pub use subscribe::{ScopedSubscription, SubscribeOptions, SubscriberId, SubscriberInfo};
