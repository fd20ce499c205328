//! Reading from the server: queries, rows, entities by key, attributes of loaded entities.

mod count;
mod exchange;
mod get;
mod pace;
mod paging;
mod populate;
mod query;
mod query_many;
mod repetition;
mod rows;
mod search;
mod select;

pub(crate) use get::by_keys;
pub use query::{Query, QueryIter, QueryPages};
pub use rows::Rows;
pub use search::Search;
