//! Says why a session does not open, or that all is well.
//!
//! Run it with `cargo run -p ftrack-examples --bin doctor`: it looks at what `FTRACK_SERVER`, `FTRACK_API_KEY`
//! and `FTRACK_API_USER` say. Ends with 1 if something does not work.
#![allow(clippy::print_stdout, reason = "it shows what it finds")]

use std::process::ExitCode;

use ftrack_api::{Session, doctor};

fn main() -> ExitCode {
    let report = doctor::examine(Session::builder());
    println!("{report}");
    match report.is_healthy() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
