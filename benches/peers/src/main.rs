//! The SDK beside the official Python and JavaScript clients and beside the floors, in one run.
//!
//!     cargo run --release -p ftrack-peers                what it measures, printed
//!     cargo run --release -p ftrack-peers -- --write     the same, into docs/ as well
//!     cargo run -p ftrack-peers -- --quick               one small round: does it still work?
//!
//! It needs Python 3.11 or later and Node.js 20 or later; it installs the clients into `target/`
//! and fails if it cannot. Every contender is a process of its own, started again for each
//! repetition, in turns; all of them talk over loopback to one server that has nothing but
//! prepared responses. This program is the server and the Rust contenders too: it starts itself
//! with the name of a role.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::print_stderr, reason = "and its progress beside it")]

mod api;
#[path = "../../support/attributes.rs"]
#[allow(unreachable_pub, reason = "the other benchmarks share it")]
mod attributes;
mod chart;
mod contender;
mod figures;
mod floors;
mod goals;
mod install;
mod jobs;
mod ours;
mod record;
mod run;
mod server;
mod table;

use std::env;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match play(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(words: &[&str]) -> Result<()> {
    match *words {
        [] => run::run(run::FULL, false),
        ["--write"] => run::run(run::FULL, true),
        ["--quick"] => run::run(run::QUICK, false),
        ["serve", tasks, changes] => server::serve(number(tasks)?, number(changes)?),
        ["ours", scenario, count] => ours::play(scenario, number(count)?),
        ["value", scenario, count] => floors::value(scenario, number(count)?),
        ["structs", "rows", count] => floors::structs(number(count)?),
        ["bytes", "read", count] => floors::bytes(number(count)?),
        _ => bail!("choose --quick or --write or nothing, not {words:?}"),
    }
}

fn number(word: &str) -> Result<usize> {
    word.parse()
        .with_context(|| format!("a number, not {word:?}"))
}
