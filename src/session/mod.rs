//! What a session can do; one `impl Session` in each file.

mod builder;
mod bulk;
mod call;
mod close;
mod commit;
mod configurations;
mod edit;
mod encode;
mod ensure;
mod events;
mod get;
mod information;
mod inspect;
mod merge;
mod populate;
mod query;
mod scope;
mod threads;

pub use builder::SessionBuilder;
pub(crate) use configurations::Configuration;
pub use encode::Strategy;
pub use get::IntoKey;
pub use information::ServerInformation;
pub use query::{Query, QueryIter};
pub use scope::Scope;
pub use threads::SettingGuard;
