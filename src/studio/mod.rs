//! A studio's daily jobs, each in one call, built on the public surface of the other modules.
//!
//! - [`Session::at`](crate::Session::at), [`Entity::path`](crate::Entity::path) and
//!   [`Entity::tree`](crate::Entity::tree): the hierarchy by names
//! - [`Session::instantiate`](crate::Session::instantiate): hierarchies from data
//! - [`Session::publish`](crate::Session::publish): a version with everything that belongs to it
//! - [`Entity::wait`](crate::Entity::wait) and the like: waiting for the server
//! - [`Session::watch`](crate::Session::watch): the result of a query, kept up to date
//! - [`Plan::check`](crate::operation::Plan::check) and [`Plan::inverse`](crate::operation::Plan::inverse):
//!   what the server would refuse, and what undoes a commit
//! - [`Session::can`](crate::Session::can): what the user may do
//! - [`Session::save_pending`](crate::Session::save_pending): changes in a file
#![doc = ""]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/studio.md"))]

mod check;
mod hierarchy;
mod instantiate;
mod inverse;
mod journal;
mod present;
mod publish;
mod recording;
mod rights;
mod rows;
mod template;
mod tree;
mod values;
mod wait;
mod watch;

pub use check::PlanProblem;
pub use hierarchy::ContextPath;
pub use instantiate::Instantiated;
pub use inverse::{Inverse, InverseStep};
pub use journal::{PendingConflict, PendingLoaded};
pub use publish::{Publish, PublishFile, PublishPlan, PublishStep, Published};
pub use rights::Right;
pub use template::{Template, TemplateAsset, TemplateNode};
pub use tree::{Tree, TreeIter};
pub use wait::WaitOptions;
pub use watch::{Watch, WatchChanges};
