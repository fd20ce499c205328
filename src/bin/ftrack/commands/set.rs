//! `ftrack set`: changes attributes of one entity.

use ftrack_api::schema::AttributeKind;

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::Result;
use crate::locate;
use crate::values::{Assignment, Place, Values};

/// Change attributes of one entity
///
/// Values are read by the type of their attribute. A reference is given by an id or a name, such as
/// status="In progress"; a date as 2026-01-31; custom attributes as custom.KEY=VALUE, and metadata as
/// metadata.KEY=VALUE. An empty value means none.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack set User:d07ae5d0-66e1-11e1-b5e9-f23c91df25eb email=ada@example.com --yes
  ftrack set \"test/Import camera\" bid=7200 status=\"In progress\" --dry-run
  ftrack set \"test/Import camera\" metadata.renderer=arnold --yes")]
pub(crate) struct Set {
    /// The entity, as a path, TYPE:ID or ID
    entity: String,
    /// What to set, as NAME=VALUE
    #[arg(required = true, value_name = "NAME=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

impl Set {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity = locate::entity(&session, &self.entity)?;
        let entity_type = entity.type_info();
        let assignments = self
            .values
            .iter()
            .map(|text| Assignment::parse(entity_type, text));
        let assignments = assignments.collect::<Result<Vec<_>>>()?;
        // What the plan shows as the values before.
        let mut before: Vec<String> = Vec::new();
        for assignment in &assignments {
            let Place::Attribute(name) = &assignment.place else {
                continue;
            };
            before.push(match entity_type.attribute(name)?.kind() {
                AttributeKind::Reference(target) => {
                    let target = session.schema().entity_type(target)?;
                    match target.attribute("name") {
                        Ok(_) => format!("{name}.name"),
                        Err(_) => name.clone(),
                    }
                }
                _ => name.clone(),
            });
        }
        let named = ["name", "username"]
            .into_iter()
            .find(|name| entity_type.attribute(name).is_ok());
        before.extend(named.map(str::to_owned));
        session.populate(&entity, before)?;
        let mut values = Values::new(&session);
        for assignment in &assignments {
            values.set_pair(&entity, &assignment.place, &assignment.text)?;
        }
        change::apply(app, &session, self.consent).map(drop)
    }
}
