//! The query language from outside the crate.
#![allow(clippy::unwrap_used, reason = "tests")]

mod errors;
mod forms;
mod holes;
mod laws;
