//! Locations: what a session binds to them, and where in them components are.
//!
#![doc = include_str!(concat!(env!("OUT_DIR"), "/locations.md"))]

mod binding;
mod bindings;
mod built_in;
mod contain;
mod download;
mod handle;
mod identifiers;
mod journal;
mod members;
mod options;
mod plan;
mod register;
mod remove;
mod restore;
#[cfg(feature = "s3")]
mod s3;
mod stored;
mod target;
mod transfer;

pub use binding::Binding;
pub(crate) use bindings::Bindings;
pub(crate) use built_in::BUILT_IN;
pub use built_in::{
    CONNECT_LOCATION_ID, ORIGIN_LOCATION_ID, REVIEW_LOCATION_ID, SERVER_LOCATION_ID,
    UNMANAGED_LOCATION_ID,
};
pub(crate) use identifiers::IDS_PER_REQUEST;
pub(crate) use journal::Journal;
pub use options::TransferOptions;
pub use plan::{Transfer, TransferStep};
pub use register::{COMPONENT_ADDED_TO_LOCATION_TOPIC, COMPONENT_REMOVED_FROM_LOCATION_TOPIC};
pub use target::Target;
pub(crate) use transfer::MIN_JOURNAL_BYTES;

pub use crate::accessor::Progress;
