//! `ftrack completions`: a script for a shell.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::app::App;
use crate::arguments::Arguments;
use crate::failure::Result;

/// Print a script that completes commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack completions bash
  ftrack completions zsh

For bash, `source <(ftrack completions bash)` in ~/.bashrc.")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        // Into memory first: it panics where it cannot write.
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), "ftrack", &mut script);
        app.print(String::from_utf8_lossy(&script).trim_end())
    }
}
