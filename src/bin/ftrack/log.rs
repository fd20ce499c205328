//! `--verbose`: what the SDK logs, on stderr.

use std::io::Write as _;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::terminal;

struct Stderr;

/// Warnings always; each request from `-v` on, their texts from `-vv` on.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What other crates log is of no use to who runs a command.
        metadata.target().starts_with("ftrack")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info | Level::Debug | Level::Trace => "",
        };
        let text = terminal::printable_lines(&record.args().to_string());
        // Logging must not fail where stderr is closed.
        let _ = writeln!(std::io::stderr(), "{level}{text}");
    }

    fn flush(&self) {}
}
