//! Durable events that workers share.
#![doc = ""]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/events-at-scale.md"))]

mod backlog;
mod catch_up;
mod clock;
mod delivery;
mod engine;
mod entry;
mod gap;
mod journal;
#[cfg(feature = "file-cache")]
mod local;
mod once;
mod order;
#[cfg(feature = "redis")]
mod redis;
#[allow(clippy::module_inception, reason = "it has the type of this name")]
mod relay;
mod running;
mod status;
mod stream;
mod worker;

pub use delivery::Delivery;
pub use engine::Start;
pub use gap::{Gap, GapReason};
pub use once::{Batch, Once};
pub use relay::Relay;
pub use status::{GroupStatus, RelayStatus, StreamStatus};
pub use stream::{DeadLetter, Stream};
pub use worker::Worker;
