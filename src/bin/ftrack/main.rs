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
mod profiles;
mod refused;
mod row;
mod rows_file;
mod terminal;
mod values;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
