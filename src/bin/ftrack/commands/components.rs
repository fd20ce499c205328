//! `ftrack components`: the files of versions, and where they are.

use ftrack_api::query::{field, select};
use ftrack_api::{Entity, Session};

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::locate;
use crate::output::{Format, Rows};
use crate::row::Cell;

/// List the components of a version, or of the latest version of an asset
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack components AssetVersion:21ef70b2-86d1-409c-bb87-7f41ae0b48f0
  ftrack components AssetVersion:21ef70b2-86d1-409c-bb87-7f41ae0b48f0 --format csv")]
pub(crate) struct Components {
    /// The version, asset or component, as TYPE:ID or ID
    entity: String,
    /// How to print; a table on a terminal, ndjson in a pipe
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Components {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity = locate::entity(&session, &self.entity)?;
        let components = of(&session, &entity)?;
        let availability = session.get_component_availabilities(&components)?;
        let locations = session.query("select name from Location")?.all()?;
        let format = Format::or_fitting(self.format);
        let columns = ["id", "name", "file_type", "size", "locations"];
        let mut out = app.out();
        let mut rows = Rows::new(&mut *out, format, &columns)?;
        for (component, shares) in components.iter().zip(&availability) {
            let mut places = Vec::new();
            for (id, share) in shares.iter().filter(|(_, share)| **share > 0.0) {
                let location = locations.iter().find(|one| one.id() == *id);
                let name = location.map(|one| one.get::<String>("name")).transpose()?;
                let name = name.unwrap_or_else(|| id.clone());
                places.push(match *share < 100.0 {
                    true => format!("{name} ({share:.0} %)"),
                    false => name,
                });
            }
            let text = |text: String| Cell::Text(text.into());
            let file_type: Option<String> = component.get("file_type")?;
            let size: Option<f64> = component.get("size")?;
            rows.write(vec![
                text(component.id()),
                text(component.get("name")?),
                file_type.map_or(Cell::Null, text),
                match (size, format) {
                    (None, _) => Cell::Null,
                    (Some(bytes), Format::Table) => {
                        text(indicatif::HumanBytes(bytes as u64).to_string())
                    }
                    (Some(bytes), _) => Cell::Integer(bytes as i64),
                },
                match format {
                    Format::Table | Format::Csv => text(places.join(", ")),
                    _ => Cell::List(places.into_iter().map(text).collect()),
                },
            ])?;
        }
        rows.finish().map(drop)
    }
}

/// The components of a version, of the latest version of an asset, or the component itself.
pub(crate) fn of(session: &Session, entity: &Entity) -> Result<Vec<Entity>> {
    let names = ["name", "file_type", "size"];
    let schema = session.schema();
    if schema.is_kind_of(entity.entity_type(), "Component") {
        session.populate(entity, names)?;
        return Ok(vec![entity.clone()]);
    }
    let version = match entity.entity_type() {
        "AssetVersion" => entity.clone(),
        "Asset" => {
            let latest = select("AssetVersion")
                .fields(["version"])
                .filter(field("asset_id").eq(entity.id()));
            let latest = session
                .query(latest.order_by_descending("version").limit(1))?
                .first()?;
            latest.ok_or_else(|| Failure::not_found(format!("{entity} has no version")))?
        }
        other => {
            let message =
                format!("a {other} has no components; name a version, an asset or a component");
            return Err(Failure::invalid(message));
        }
    };
    let components = select("Component")
        .fields(names)
        .filter(field("version_id").eq(version.id()));
    Ok(session.query(components.order_by("name"))?.all()?)
}
