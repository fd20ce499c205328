//! Events, the filters that select them, and the content of `ftrack.update`.
//!
#![doc = include_str!(concat!(env!("OUT_DIR"), "/events.md"))]

mod filter;
mod lexical;
mod matching;
mod model;
mod names;
mod parse;
mod registry;
mod update;

pub use filter::Filter;
pub use matching::Comparison;
pub use model::Event;
pub(crate) use model::{CONNECTED_TOPIC, DISCONNECTED_TOPIC, UPDATE_TOPIC};
pub(crate) use names::entity_type_named;
pub use parse::IntoFilter;
pub(crate) use registry::{Registry, Subscriber};
pub use update::{AttributeChange, ChangedEntity, UpdateAction, UpdateEvent, UpdateParent};
pub(crate) use update::{or_default, value_of};
