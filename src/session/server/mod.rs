//! Single actions of the server: raw calls, widgets, invitations, configurations.

mod call;
mod configurations;
mod invitations;
mod widgets;

pub(crate) use configurations::{Configuration, HIGHEST};
pub use widgets::JOB_SYNC_USERS_LDAP;
