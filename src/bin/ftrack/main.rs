//! `ftrack`: the command line.
//!
//! Each command is one file in `commands/`: its arguments and what it does. Everything that it asks of
//! a server goes through the public surface of `ftrack_api`.

mod app;
mod arguments;
mod bar;
mod cells;
mod change;
mod column;
mod commands;
mod failure;
mod import;
mod interrupt;
mod literal;
mod locate;
mod log;
mod lookup;
mod output;
mod parents;
#[cfg(any(feature = "file-cache", feature = "redis"))]
mod place;
mod profiles;
#[cfg(any(feature = "file-cache", feature = "redis"))]
mod program;
mod refused;
mod row;
mod rows_file;
mod terminal;
mod values;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};

use arguments::Arguments;

fn main() -> ExitCode {
    let mut command = Arguments::command().color(color_of(std::env::args_os()));
    let matches = command.get_matches_mut();
    let parsed = Arguments::from_arg_matches(&matches);
    let arguments = parsed.unwrap_or_else(|error| error.format(&mut command).exit());
    terminal::set_colors(arguments.globals.color);
    log::start(arguments.globals.verbose);
    let token = interrupt::watch();
    let outcome = token.run(|| {
        let app = app::App::new(arguments.globals);
        let outcome = arguments.command.run(&app);
        // What was printed last may still be buffered.
        let flushed = app.out().flush();
        outcome.and(flushed.map_err(Into::into))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What `--color` says, for the help and for errors in arguments, which come before these are known.
fn color_of(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let mut choice = ColorChoice::Auto;
    let mut is_next = false;
    for argument in arguments.take_while(|argument| argument != "--") {
        let argument = argument.to_string_lossy();
        let value = match argument.strip_prefix("--color=") {
            Some(value) => value,
            None if is_next => &argument,
            None => "",
        };
        choice = match value {
            "always" => ColorChoice::Always,
            "never" => ColorChoice::Never,
            _ => choice,
        };
        is_next = argument == "--color";
    }
    choice
}
