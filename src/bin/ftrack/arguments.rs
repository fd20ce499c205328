//! The arguments that all commands share.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};

use crate::commands::Command;
use crate::terminal::Color;

/// ftrack on the command line: query, change, publish and follow what a studio tracks.
///
/// The server, the user and the key come from arguments, from FTRACK_SERVER, FTRACK_API_USER and
/// FTRACK_API_KEY, or from a profile that `ftrack profile add` has saved.
#[derive(Debug, Parser)]
#[command(
    name = "ftrack",
    version,
    max_term_width = 100,
    after_help = "Examples:
  ftrack profile list
  ftrack tree test --depth 1
  ftrack query \"Task where assignments any (resource.username is ada)\" --columns path,status.name
  ftrack status \"test/Import camera\" \"In progress\" --yes
  ftrack help query

`ftrack help COMMAND` shows what a command does, with examples."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) globals: Globals,
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Globals {
    /// The profile to use; it comes before the environment
    #[arg(
        long,
        global = true,
        env = "FTRACK_PROFILE",
        hide_env = true,
        value_name = "NAME"
    )]
    pub(crate) profile: Option<String>,
    /// The server, such as studio.ftrackapp.com
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The user to act as
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The file of profiles, instead of the one in your configuration folder
    #[arg(
        long,
        global = true,
        env = "FTRACK_PROFILES",
        hide_env = true,
        value_name = "FILE"
    )]
    pub(crate) profiles: Option<PathBuf>,
    /// How long the server may take for one response
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|always|never"
    )]
    pub(crate) color: Color,
    /// Log each request to stderr; twice, its text as well
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}
