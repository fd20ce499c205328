//! Calls under way: what other threads can interrupt, and what is in force in a thread.

mod call;
mod cancel;
mod interrupt;
mod scopes;

pub(crate) use call::{Call, Calls, ask, before_asking};
pub use cancel::CancelToken;
pub(crate) use interrupt::Interrupt;
pub use scopes::ThreadScope;
pub(crate) use scopes::{Budget, Scope, WithScopes, budgets_of, tokens_of, with_scopes};
