//! `ftrack doctor`: everything between this machine and the server.

use ftrack_api::doctor;

use crate::app::App;
use crate::failure::{Code, Failure, Result};

/// Check whether the server can be used, and say what to do if not
///
/// It looks at the settings, the name, the connection, the certificate, the clock, the key, the schema
/// cache and the event server, in this order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack doctor")]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let report = doctor::examine(app.builder()?);
        app.print(&report.to_string())?;
        match report.is_healthy() {
            true => Ok(()),
            false => Err(Failure::Said(Code::Failed)),
        }
    }
}
