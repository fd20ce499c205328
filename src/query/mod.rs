//! The query language: reading it, building it, printing it, paging through its results.
#![doc = ""]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/queries.md"))]

mod builder;
mod check;
mod criterion;
mod display;
mod expr;
mod fold;
mod literal;
mod operand;
mod page;
mod parse;
mod path;
mod place;
mod split;
mod token;
mod tree;

pub use builder::{Field, all_of, any_of, field, select};
pub use expr::{Expression, IntoStatement};
#[doc(hidden)]
pub use ftrack_api_macros::fill_template;
pub use literal::{Literal, Operator, Word};
pub use operand::{Operand, ToOperand};
pub(crate) use page::{PAGE_SIZE, Pages};
pub use path::{Path, Segment};
pub(crate) use tree::MAX_ROWS;
pub use tree::{
    Aggregate, BuildError, Criterion, Kind, MAX_DEPTH, Order, Projection, Set, Statement,
};
