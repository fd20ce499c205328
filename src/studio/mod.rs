//! A studio's daily jobs in one call each, on the public surface of everything below.
//!
//! - [`Session::at`](crate::Session::at), [`Entity::path`](crate::Entity::path) and
//!   [`Entity::tree`](crate::Entity::tree): the hierarchy by names

mod hierarchy;
mod tree;

pub use hierarchy::ContextPath;
pub use tree::{Tree, TreeIter};
