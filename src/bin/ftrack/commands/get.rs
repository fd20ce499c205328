//! `ftrack get`: what is known of one entity.

use ftrack_api::query::select;
use ftrack_api::schema::{Attribute, AttributeKind, EntityType, Schema};

use crate::app::App;
use crate::cells::Cells;
use crate::column::Column;
use crate::failure::{Failure, Result};
use crate::locate;
use crate::output::{self, Format, Rows};
use crate::row::Cell;
use crate::terminal;

/// Print the attributes of one entity
///
/// On a terminal there is a line for each attribute, with the names of what it refers to; collections
/// are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack get test/ep01/sq010/sh0010
  ftrack get User:d07ae5d0-66e1-11e1-b5e9-f23c91df25eb --columns username,email --format csv")]
pub(crate) struct Get {
    /// The entity, as a path, TYPE:ID or ID
    entity: String,
    /// What to print, with commas between: attribute paths, custom.KEY, metadata.KEY, and `path`
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    columns: Vec<String>,
    /// How to print; a table on a terminal, ndjson in a pipe
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Get {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity = locate::entity(&session, &self.entity)?;
        let entity_type = entity.type_info();
        let names = match self.columns.as_slice() {
            [] => default_columns(session.schema(), entity_type),
            chosen => chosen.to_vec(),
        };
        let columns = Column::named(&names, entity_type, session.schema());
        let paths = Column::paths_of(&columns);
        let statement = select(entity_type.name()).fields(paths);
        let statement = statement.filter(locate::is_entity(&entity));
        let cells = Cells::of(&columns);
        let row = session.query(statement)?.rows_with(&cells).next();
        let row = row
            .transpose()?
            .ok_or_else(|| Failure::not_found(format!("there is no {entity}")))?;
        let names = Column::names_of(&columns);
        match Format::or_fitting(self.format) {
            Format::Table => print_lines(app, &names, &row),
            format => {
                let mut out = app.out();
                let mut rows = Rows::new(&mut *out, format, &names)?;
                rows.write(row)?;
                rows.finish().map(drop)
            }
        }
    }
}

/// Everything but collections: of a reference the name, if there is one, else the key.
fn default_columns(schema: &Schema, entity_type: &EntityType) -> Vec<String> {
    let attributes = entity_type.attributes().iter();
    let named = |attribute: &Attribute| -> Option<String> {
        let target = schema.entity_type(attribute.target()?).ok()?;
        let name = ["name", "username"]
            .into_iter()
            .find(|name| target.attribute(name).is_ok())?;
        Some(format!("{}.{name}", attribute.name()))
    };
    let is_context = schema.is_kind_of(entity_type.name(), "TypedContext");
    let columns = attributes
        .filter(|attribute| !attribute.is_restricted() && !attribute.name().starts_with('_'))
        .filter_map(|attribute| {
            match attribute.kind() {
                AttributeKind::Collection(_) => None,
                // The same, as one names it.
                _ if is_context && attribute.name() == "link" => Some("path".to_owned()),
                AttributeKind::Reference(_) => named(attribute),
                AttributeKind::Text => {
                    // Its name says more than the key.
                    let reference = attribute.name().strip_suffix("_id");
                    let reference = reference.and_then(|name| entity_type.attribute(name).ok());
                    match reference.and_then(named) {
                        Some(_) => None,
                        None => Some(attribute.name().to_owned()),
                    }
                }
                _ => Some(attribute.name().to_owned()),
            }
        });
    columns.collect()
}

fn print_lines(app: &App, names: &[&str], row: &[Cell]) -> Result<()> {
    let mut table = output::table();
    let mut add = |name: &str, cell: &Cell| -> Result<()> {
        let mut text = Vec::new();
        cell.write_text(&mut text)?;
        let text = terminal::printable(&String::from_utf8_lossy(&text));
        table.add_row([name, &text]);
        Ok(())
    };
    for (name, cell) in names.iter().zip(row) {
        let group = match *name {
            "custom_attributes" => "custom",
            other => other,
        };
        match cell.pairs() {
            None => add(name, cell)?,
            Some(pairs) => {
                for (key, value) in pairs {
                    add(&format!("{group}.{key}"), value)?;
                }
            }
        }
    }
    app.print_table(&table)
}
