//! The blocking Rust SDK for ftrack.

mod error;
pub mod query;

mod value;

mod operation;
mod schema;
mod wire;

mod store;

mod config;

mod transport;

mod api;

pub use api::Statistics;
pub use config::{ApiKey, Populate, SchemaCache};
pub use error::{Error, ErrorKind, Result, ServerError};
pub use operation::{Change, Operation, Plan};
pub use schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
pub use store::EntityState;
pub use transport::{Canned, Request, Response, Transport};
pub use value::{Data, EntityKey, FromValue, Mismatch, Value};
