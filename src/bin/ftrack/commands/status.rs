//! `ftrack status`: shows or sets a status.

use ftrack_api::Entity;

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::{Failure, Result};
use crate::locate;
use crate::terminal;
use crate::values::workflow_of;

/// Print the status of an entity, or set it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack status \"test/Import camera\"
  ftrack status \"test/Import camera\" \"In progress\" --yes
  ftrack status \"test/Import camera\" --list")]
pub(crate) struct Status {
    /// The entity, as a path, TYPE:ID or ID
    entity: String,
    /// The name of the new status
    status: Option<String>,
    /// Print the statuses that there are for it
    #[arg(long, conflicts_with = "status")]
    list: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Status {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity = locate::entity(&session, &self.entity)?;
        entity.type_info().attribute("status")?;
        session.populate(&entity, "name, status.name, status.color")?;
        if !self.list && self.status.is_none() {
            return match entity.get::<Option<Entity>>("status")? {
                Some(status) => print(app, &status),
                None => app.print(""),
            };
        }
        let workflow = workflow_of(&entity)?;
        let workflow =
            workflow.ok_or_else(|| Failure::invalid(format!("{entity} has no statuses")))?;
        let Some(name) = &self.status else {
            let statuses = workflow.get_statuses(entity.entity_type())?;
            session.populate(&statuses, "name, color")?;
            return statuses.iter().try_for_each(|status| print(app, status));
        };
        entity.set("status", &workflow.get_status(entity.entity_type(), name)?)?;
        change::apply(app, &session, self.consent).map(drop)
    }
}

fn print(app: &App, status: &Entity) -> Result<()> {
    let color: Option<String> = status.get("color")?;
    let name = terminal::printable(&status.get::<String>("name")?);
    let style = terminal::style_of(&color.unwrap_or_default());
    app.print(&style.apply_to(name).to_string())
}
