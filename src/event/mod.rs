//! Events, the expressions that select them, and the types of the server's own events.
//!
#![doc = include_str!("../../docs/events.md")]

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
