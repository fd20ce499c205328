//! The unit of work: recording changes, committing them, finding out about lost responses.

mod blame;
mod by_key;
mod commit;
mod edit;
mod encode;
mod ensure;
mod merge;
mod pending;
mod reconcile;

pub use encode::Strategy;
