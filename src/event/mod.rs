//! Events, the expressions that select them, and the types of the server's own events.
//!
//! Nothing here touches a socket, a clock, a lock or a thread.

mod action;
mod expression;
mod matching;
mod model;
mod parse;
mod registry;
mod update;

pub use action::{Action, ActionItem, Form, FormField, Launch, Outcome, Selected};
pub use expression::{Expression, IntoExpression, Operator};
pub use matching::{Candidate, Field, Found};
pub use model::Event;
pub(crate) use registry::{Registry, Subscriber};
pub use update::{Change, ChangedEntity, Names, Parent, Update, UpdateAction};
