//! The blocking Rust SDK for ftrack.

mod error;

mod value;

mod schema;

pub mod query;

mod operation;

mod wire;

mod store;

mod config;

mod transport;

mod api;

mod cache;

mod handle;

mod entity;

mod session;

pub use api::Statistics;
pub use config::{ApiKey, Populate, SchemaCache};
pub use entity::{Collection, CustomAttributes, FromAttribute, Metadata, Origin};
pub use error::{Error, ErrorKind, Result, ServerError};
pub use handle::{Entity, Session};
pub use operation::{Change, Operation, Plan};
pub use schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
pub use session::{
    IntoKey, Query, QueryIter, Scope, ServerInformation, SessionBuilder, SettingGuard,
};
pub use store::EntityState;
pub use transport::{Canned, Request, Response, Transport};
pub use value::{Data, EntityKey, FromValue, Mismatch, Value};
