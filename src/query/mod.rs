//! The query language: reading it, building it, printing it, paging through its results.
#![doc = ""]
#![doc = include_str!("../../docs/queries.md")]

mod builder;
mod check;
mod display;
mod expr;
mod fold;
mod operand;
mod page;
mod parse;
mod place;
mod split;
mod token;
mod tree;

pub use builder::{Field, all_of, any_of, field, select};
#[doc(hidden)]
pub use expr::holes;
pub use expr::{Expression, IntoStatement};
pub use operand::{Operand, ToOperand};
pub use page::{PAGE_SIZE, Pages};
pub use tree::{
    Aggregate, Criterion, Kind, Literal, MAX_DEPTH, Operator, Order, Path, Projection, Refusal,
    Segment, Set, Statement, Word,
};
