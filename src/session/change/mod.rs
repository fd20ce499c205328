//! The unit of work: recording changes, committing them, reconciling commits whose response was
//! lost.

mod blame;
mod by_key;
mod commit;
mod edit;
mod encode;
mod ensure;
mod merge;
mod reconcile;
mod recorded;

pub use encode::AttributeStrategy;
