//! What a session can do; one `impl Session` in each file.

mod builder;
mod bulk;
mod call;
mod close;
mod commit;
mod configurations;
mod count;
mod edit;
mod encode;
mod ensure;
mod events;
mod get;
mod information;
mod inspect;
mod many;
mod merge;
mod network;
mod populate;
mod query;
mod rows;
mod scope;
mod search;
mod select;
mod statistics;
mod threads;

pub use builder::SessionBuilder;
pub(crate) use configurations::Configuration;
pub use encode::Strategy;
pub use get::IntoKey;
pub use information::ServerInformation;
pub use query::{Query, QueryIter, QueryPages};
pub use rows::Rows;
pub use scope::Scope;
pub use search::Search;
pub use threads::SettingGuard;
pub(crate) use threads::ThreadSettings;
