//! `ftrack delete`: removes entities.

use ftrack_api::query::{any_of, field, select};

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::Result;
use crate::locate;
use crate::terminal;

/// Delete entities, with everything that is below them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack delete \"test/Import camera\" --dry-run")]
pub(crate) struct Delete {
    /// The entities, each as a path, TYPE:ID or ID
    #[arg(required = true, value_name = "ENTITY")]
    entities: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

impl Delete {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let found = self
            .entities
            .iter()
            .map(|text| locate::entity(&session, text));
        let found = found.collect::<Result<Vec<_>>>()?;
        let schema = session.schema();
        let mut contexts = Vec::new();
        for entity in &found {
            if entity.entity_type() == "Project" {
                contexts.push(field("project_id").eq(entity.id()));
            } else if schema.is_kind_of(entity.entity_type(), "Context") {
                contexts.push(field("ancestors").any(field("id").eq(entity.id())));
            }
            session.delete(entity)?;
        }
        if !contexts.is_empty() && !self.consent.yes {
            let below = session
                .query(select("TypedContext").filter(any_of(contexts)))?
                .count()?;
            if below > 0 {
                terminal::say(&format!(
                    "what is below is deleted as well (tasks, shots and the like: {below})"
                ));
            }
        }
        change::apply(app, &session, self.consent).map(drop)
    }
}
