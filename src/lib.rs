//! The blocking Rust SDK for ftrack.

mod error;

mod value;

mod operation;
mod schema;
mod wire;

mod store;

pub use error::{Error, ErrorKind, Result, ServerError};
pub use operation::{Change, Operation, Plan};
pub use schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
pub use value::{Data, EntityKey, FromValue, Mismatch, Value};
