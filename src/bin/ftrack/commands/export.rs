//! `ftrack export`: entities as a file that `ftrack import` reads.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use ftrack_api::query::{Projection, Statement};
use ftrack_api::schema::{AttributeKind, EntityType};

use crate::app::App;
use crate::bar;
use crate::cells::Cells;
use crate::column::Column;
use crate::failure::{Failure, Result};
use crate::output::{Format, Rows};
use crate::terminal;

/// Write entities to a CSV or NDJSON file, which `ftrack import` reads
///
/// The id comes first. References are ids, or names where a column such as status.name asks for them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack export \"Task where project.name is test\" tasks.csv
  ftrack export \"User where is_active is true\" active.ndjson --columns username,email,metadata.badge")]
pub(crate) struct Export {
    /// The query; what it selects are the columns unless --columns names them
    query: String,
    /// The file: .csv, or .ndjson; it must not exist
    file: PathBuf,
    /// The columns, with commas between them: attribute paths, custom.KEY, metadata.KEY, and `path`
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,
}

impl Export {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let format = match self
            .file
            .extension()
            .and_then(|extension| extension.to_str())
            .map(str::to_lowercase)
            .as_deref()
        {
            Some("csv") => Format::Csv,
            Some("ndjson" | "jsonl") => Format::Ndjson,
            _ => {
                let failure = Failure::usage(format!(
                    "{} is neither .csv nor .ndjson",
                    self.file.display()
                ));
                return Err(failure);
            }
        };
        let statement: Statement = self.query.trim().parse()?;
        let session = app.session()?;
        let entity_type = session.schema().entity_type(&statement.entity_type)?;
        let names = self.names(&statement, entity_type)?;
        let columns = Column::named(&names, entity_type, session.schema());
        let mut asked = statement;
        asked.projections.clear();
        let query = session.query(asked.fields(Column::paths_of(&columns)))?;
        let query = query.pages_per_request(super::query::PAGES);
        let folder = self
            .file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let failed = |error: &dyn std::fmt::Display| Failure::file(&self.file, error);
        if !self.overwrite && self.file.exists() {
            return Err(failed(&"the file exists").with_remedy("--overwrite replaces it"));
        }
        // Complete or not there: an export that ends early leaves no file.
        let made = tempfile::NamedTempFile::new_in(folder.unwrap_or(".".as_ref()));
        let mut file = made.map_err(|error| failed(&error))?;
        let bar = bar::count();
        let written = write(&query, format, &columns, file.as_file_mut(), &bar);
        bar.finish_and_clear();
        let written = written?;
        allow_others(file.as_file());
        let kept = match self.overwrite {
            true => file
                .persist(&self.file)
                .map(drop)
                .map_err(|error| error.error),
            false => file
                .persist_noclobber(&self.file)
                .map(drop)
                .map_err(|error| error.error),
        };
        kept.map_err(|error| failed(&error))?;
        let rows = terminal::counted(written, "row");
        terminal::say(&format!("wrote {rows} to {}", self.file.display()));
        Ok(())
    }

    fn names(&self, statement: &Statement, entity_type: &EntityType) -> Result<Vec<String>> {
        let mut names: Vec<String> = entity_type
            .primary_key()
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut add = |name: String| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        if !self.columns.is_empty() {
            self.columns
                .iter()
                .for_each(|name| add(name.trim().to_owned()));
        } else if statement.projections.is_empty() {
            // What can be imported again.
            let attributes = entity_type.attributes().iter();
            for attribute in attributes
                .filter(|one| one.is_mutable() && !one.is_computed() && !one.is_restricted())
            {
                let is_key = attribute.name().ends_with("_id")
                    && entity_type
                        .attribute(attribute.name().trim_end_matches("_id"))
                        .is_ok();
                let is_single = !matches!(
                    attribute.kind(),
                    AttributeKind::Collection(_) | AttributeKind::Mapped(_)
                );
                if is_single && !is_key {
                    add(attribute.name().to_owned());
                }
            }
        } else {
            for projection in &statement.projections {
                match projection {
                    Projection::Attribute(path) => add(path.to_string()),
                    other => {
                        return Err(Failure::invalid(format!(
                            "{other} is of no entity; use `ftrack query`"
                        )));
                    }
                }
            }
        }
        Ok(names)
    }
}

fn write(
    query: &ftrack_api::Query,
    format: Format,
    columns: &[Column],
    file: &mut File,
    bar: &indicatif::ProgressBar,
) -> Result<u64> {
    let names = Column::names_of(columns);
    let mut rows = Rows::new(BufWriter::new(file), format, &names)?;
    for row in query.rows_with(&Cells::of(columns)) {
        rows.write(row?)?;
        bar.inc(1);
    }
    rows.finish()
}

/// Temporary files are for their owner only, and an export is an ordinary file.
#[cfg(unix)]
fn allow_others(file: &File) {
    use std::os::unix::fs::PermissionsExt as _;

    // As most shells are set up; if it fails, the file is there for its owner.
    let _ = file.set_permissions(std::fs::Permissions::from_mode(0o644));
}

/// New files inherit the folder's access list.
#[cfg(not(unix))]
fn allow_others(_: &File) {}
