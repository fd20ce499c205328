//! `ftrack cache`: the schemas that are kept between runs.

use std::fs;
use std::path::Path;

use clap::Subcommand;
use ftrack_api::config::SchemaCache;

use crate::app::App;
use crate::failure::{Failure, Result};

/// Show or clear the schemas that are kept between runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack cache show
  ftrack cache clear")]
pub(crate) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the file of each schema, with its size
    Show,
    /// Remove them; the next command fetches the schema again
    Clear,
}

impl Cache {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let files = SchemaCache::Auto.files()?;
        if files.is_empty() {
            crate::terminal::say("no schema is cached");
        }
        for path in files {
            match self.action {
                Action::Show => {
                    let size = fs::metadata(&path).map(|found| found.len());
                    let size = size.map_err(|error| Failure::file(&path, &error))?;
                    app.print(&format!("{size:>9}  {}", path.display()))?;
                }
                Action::Clear => {
                    remove(&path)?;
                    app.print(&format!("removed {}", path.display()))?;
                }
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| Failure::file(path, &error))
}
