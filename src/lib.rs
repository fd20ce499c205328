//! The blocking Rust SDK for ftrack.

mod error;

pub use error::{Error, ErrorKind, Result, ServerError};
