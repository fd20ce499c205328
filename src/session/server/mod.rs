//! Single actions of the server: raw calls, widgets, invitations.

mod call;
mod invitations;
mod widgets;

pub use widgets::{JOB_SYNC_USERS_LDAP, WidgetOptions};
