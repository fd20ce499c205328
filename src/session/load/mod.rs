//! Reading from the server: queries, rows, entities by key, attributes of loaded entities.

mod count;
mod get;
mod populate;
mod query;
mod query_many;
mod rows;
mod search;
mod select;
mod table;

pub(crate) use get::by_keys;
pub use query::{Query, QueryIter, QueryPages};
pub use rows::Rows;
pub use search::Search;
pub use table::{Column, FromCell, Table, TableRow};
