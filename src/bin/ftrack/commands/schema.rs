//! `ftrack schema`: the entity types of a server, and how those of two servers differ.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use clap::Subcommand;
use ftrack_api::codegen::{CustomAttributeRow, rust_module};
use ftrack_api::schema::{Attribute, AttributeDefault, AttributeKind, Schema as Types};

use crate::app::App;
use crate::failure::{Code, Failure, Result};
use crate::output;
use crate::terminal;

/// Print the entity types, the attributes of one, or how two servers differ
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  ftrack schema
  ftrack schema Task
  ftrack schema rust
  ftrack schema save before.json
  ftrack schema diff before.json server"
)]
pub(crate) struct Schema {
    #[command(subcommand)]
    action: Option<Action>,
    /// The entity type whose attributes are printed
    entity_type: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what only one of two schemas has
    ///
    /// Exits with 1 if they differ.
    Diff {
        /// A file of `ftrack schema save` or of a schema cache, `server`, or the name of a profile
        first: String,
        /// As the first
        second: String,
    },
    /// Print a Rust module with a struct for each entity type
    Rust,
    /// Write the schema to a file
    Save {
        /// The file; it must not exist
        file: std::path::PathBuf,
    },
}

impl Schema {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        match (self.action, self.entity_type) {
            (Some(Action::Diff { first, second }), _) => diff(app, &first, &second),
            (Some(Action::Rust), _) => rust(app),
            (Some(Action::Save { file }), _) => save(app, &file),
            (None, Some(name)) => print_type(app, &name),
            (None, None) => {
                let session = app.session()?;
                let types = session.schema().entity_types().iter();
                let names: BTreeSet<&str> =
                    types.map(ftrack_api::schema::EntityType::name).collect();
                names.into_iter().try_for_each(|name| app.print(name))
            }
        }
    }
}

fn print_type(app: &App, name: &str) -> Result<()> {
    let session = app.session()?;
    let entity_type = session.schema().entity_type(name)?;
    let mut table = output::table();
    table.set_header(["attribute", "holds", ""]);
    for attribute in entity_type.attributes() {
        let marks = [
            (
                entity_type
                    .primary_key()
                    .iter()
                    .any(|key| key == attribute.name()),
                "key",
            ),
            (attribute.is_required(), "required"),
            (!attribute.is_mutable(), "cannot be changed"),
            (attribute.is_computed(), "computed"),
        ];
        let marks = marks
            .iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, mark)| *mark);
        let marks: Vec<&str> = marks.collect();
        table.add_row([
            attribute.name().to_owned(),
            kind_of(attribute),
            marks.join(", "),
        ]);
    }
    app.print_table(&table)
}

fn kind_of(attribute: &Attribute) -> String {
    match attribute.kind() {
        AttributeKind::Text => "text".to_owned(),
        AttributeKind::Bool => "boolean".to_owned(),
        AttributeKind::Integer => "integer".to_owned(),
        AttributeKind::Number => "number".to_owned(),
        AttributeKind::DateTime => "date-time".to_owned(),
        AttributeKind::Reference(target) => target.to_string(),
        AttributeKind::Collection(target) => format!("list of {target}"),
        AttributeKind::Mapped(_) => "key-value pairs".to_owned(),
        _ => "JSON".to_owned(),
    }
}

fn rust(app: &App) -> Result<()> {
    let session = app.session()?;
    let rows = session.select("CustomAttributeConfiguration").rows();
    let custom: Vec<CustomAttributeRow> = rows.collect::<std::result::Result<_, _>>()?;
    app.print(rust_module(session.schema(), &custom).trim_end())
}

fn save(app: &App, path: &Path) -> Result<()> {
    if path.exists() {
        let failure = Failure::file(path, &"the file exists");
        return Err(failure.with_remedy("give another name, or remove it first"));
    }
    let session = app.session()?;
    let replies = session.call(&[serde_json::json!({ "action": "query_schemas" })])?;
    let schemas = replies.into_iter().next().unwrap_or_default();
    let text = serde_json::to_vec(&schemas).expect("JSON values print");
    let mut file = std::fs::File::create_new(path).map_err(|error| Failure::file(path, &error))?;
    file.write_all(&text).map_err(|error| {
        let _ = std::fs::remove_file(path);
        Failure::file(path, &error)
    })
}

/// The schema in a file, or that of a server.
fn read(app: &App, source: &str) -> Result<Types> {
    let path = Path::new(source);
    if !path.is_file() {
        let session = match source {
            "server" => app.session()?,
            profile => app
                .session_of(profile)
                .map_err(|failure| match failure.code() {
                    Code::Usage => Failure::usage(format!(
                        "{source:?} is no file, and cannot be used as a profile: {failure}"
                    ))
                    .with_remedy(
                        "`ftrack schema save FILE` writes the schema of a server to a file",
                    ),
                    _ => failure,
                })?,
        };
        let replies = session.call(&[serde_json::json!({ "action": "query_schemas" })])?;
        return Ok(Types::from_json(
            &replies.into_iter().next().unwrap_or_default(),
        )?);
    }
    let text = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let schemas = serde_json::from_slice(&text);
    let schemas: serde_json::Value =
        schemas.map_err(|error| Failure::invalid(format!("{source} is not JSON: {error}")))?;
    let schema = Types::from_json(&schemas);
    schema.map_err(|error| Failure::invalid(format!("{source}: {error}")))
}

/// One line for each type or attribute that only one of them has, and two for what differs.
fn diff(app: &App, first: &str, second: &str) -> Result<()> {
    let (first, second) = (lines_of(&read(app, first)?), lines_of(&read(app, second)?));
    let mut differing: Vec<(&String, bool)> = first
        .difference(&second)
        .map(|line| (line, false))
        .collect();
    differing.extend(second.difference(&first).map(|line| (line, true)));
    differing.sort();
    for (line, is_added) in &differing {
        let line = match is_added {
            true => console::style(format!("+ {line}")).green(),
            false => console::style(format!("- {line}")).red(),
        };
        app.print(&line.to_string())?;
    }
    match differing.is_empty() {
        true => terminal::say("they do not differ"),
        false => return Err(Failure::Said(Code::Failed)),
    }
    Ok(())
}

fn lines_of(schema: &Types) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entity_type in schema.entity_types() {
        let base = entity_type
            .base()
            .map_or_else(String::new, |base| format!(", a kind of {base}"));
        let key = entity_type.primary_key().join(", ");
        lines.insert(format!("{}: key {key}{base}", entity_type.name()));
        for attribute in entity_type.attributes() {
            let mut line = format!(
                "{}.{}: {}",
                entity_type.name(),
                attribute.name(),
                kind_of(attribute)
            );
            for (is_so, mark) in [
                (attribute.is_required(), "required"),
                (!attribute.is_mutable(), "cannot be changed"),
                (attribute.is_computed(), "computed"),
                (attribute.is_restricted(), "restricted"),
            ] {
                if is_so {
                    line.push_str(", ");
                    line.push_str(mark);
                }
            }
            if let AttributeDefault::Value(value) = attribute.default() {
                match value.as_str() {
                    Some(text) => line.push_str(&format!(", default {text:?}")),
                    None => line.push_str(&format!(", default {value}")),
                }
            }
            lines.insert(line);
        }
    }
    lines
}
