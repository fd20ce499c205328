//! The query language from outside the crate.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod batches;
mod errors;
mod forms;
mod holes;
mod laws;
mod sent;
mod server;
#[path = "../support/mod.rs"]
mod support;
