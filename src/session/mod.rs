//! What a session can do; one `impl Session` in each file.

mod builder;
mod call;
mod close;
mod commit;
mod edit;
mod get;
mod information;
mod inspect;
mod populate;
mod query;
mod threads;

pub use builder::SessionBuilder;
pub use get::IntoKey;
pub use information::ServerInformation;
pub use query::{Query, QueryIter};
pub use threads::SettingGuard;
