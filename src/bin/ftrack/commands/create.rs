//! `ftrack create`: a new entity.

use ftrack_api::{Data, Entity};

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::{Failure, Result};
use crate::values::{Assignment, Place, Values};

/// Create an entity, and print its key
///
/// Values are given as for `ftrack set`; names of statuses and types are those that the project of the
/// parent offers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack create User username=grace first_name=Grace last_name=Hopper --yes
  ftrack create Task name=a parent=test type=Generic --dry-run")]
pub(crate) struct Create {
    /// The entity type, such as Task
    entity_type: String,
    /// Its values, as NAME=VALUE
    #[arg(value_name = "NAME=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

impl Create {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity_type = session.schema().entity_type(&self.entity_type)?;
        let assignments = self
            .values
            .iter()
            .map(|text| Assignment::parse(entity_type, text));
        let assignments = assignments.collect::<Result<Vec<_>>>()?;
        let mut values = Values::new(&session);
        let created = create(&mut values, entity_type.name(), &assignments)?;
        if change::apply(app, &session, self.consent)? {
            app.print(&format!("{}:{}", created.entity_type(), created.id()))?;
        }
        Ok(())
    }
}

/// Records the creation of an entity with these values.
fn create(values: &mut Values<'_>, name: &str, assignments: &[Assignment]) -> Result<Entity> {
    let session = values.session();
    let entity_type = session.schema().entity_type(name)?;
    // What says which statuses and types there are.
    let mut near: Option<Entity> = None;
    for name in ["project", "parent", "asset"] {
        let wanted = Place::Attribute(name.to_owned());
        let Some(assignment) = assignments.iter().find(|one| one.place == wanted) else {
            continue;
        };
        let value = values.value(entity_type, name, &assignment.text, None)?;
        if let Some(key) = value.as_reference() {
            let found = session.get(key.entity_type(), key.clone())?;
            near = Some(found.ok_or_else(|| Failure::not_found(format!("there is no {key}")))?);
        }
    }
    let mut data = Data::new();
    for assignment in assignments {
        if let Place::Attribute(name) = &assignment.place {
            let value = values.value(entity_type, name, &assignment.text, near.as_ref())?;
            data.set(name, value);
        }
    }
    let created = session.create(entity_type.name(), data)?;
    for assignment in assignments {
        if !matches!(assignment.place, Place::Attribute(_)) {
            values.set_pair(&created, &assignment.place, &assignment.text)?;
        }
    }
    Ok(created)
}
