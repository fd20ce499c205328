//! `ftrack man`: the manual pages.

use std::path::PathBuf;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man as Page;

use crate::app::App;
use crate::arguments::Arguments;
use crate::failure::{Failure, Result};
use crate::terminal;

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack man
  ftrack man --dir .

`ftrack man | man -l -` shows the page.")]
pub(crate) struct Man {
    /// Write ftrack.1, ftrack-query.1 and so on into this folder, which is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let mut command = without_help(Arguments::command());
        command.build();
        let Some(folder) = self.dir else {
            let mut page = Vec::new();
            Page::new(command).render(&mut page)?;
            return app.print(String::from_utf8_lossy(&page).trim_end());
        };
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command, &folder));
        written.map_err(|error| Failure::file(&folder, &error))?;
        terminal::say(&format!("wrote the pages to {}", folder.display()));
        Ok(())
    }
}

/// `ftrack help query` is no command that needs a page, nor is that of each command with others below.
fn without_help(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let command = command.disable_help_subcommand(true);
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, without_help)
    })
}
