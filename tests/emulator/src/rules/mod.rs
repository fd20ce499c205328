//! Writing: what a create, an update or a delete does beyond its own row.

pub mod assign;
pub mod batch;
pub mod check;
pub mod collection;
pub mod configuration;
pub mod custom;
pub mod defaults;
pub mod echo;
pub mod effects;
pub mod log;
pub mod record;
pub mod remove;
pub mod rollup;
pub mod workflow;

pub use batch::{Batch, Caller};
