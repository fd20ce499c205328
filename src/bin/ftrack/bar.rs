//! Bars for what takes long: on a terminal only, and on stderr.

use std::io::IsTerminal as _;
use std::sync::Arc;

use ftrack_api::location::TransferOptions;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over the bytes of a file whose rows are worked on.
pub(crate) fn rows(bytes: u64) -> ProgressBar {
    bar(bytes, "{bar:30} {percent:>3} %  {msg}  {eta} left")
}

/// A counter of rows whose number is not known.
pub(crate) fn count() -> ProgressBar {
    let bar = bar(0, "{spinner} rows: {human_pos}, {elapsed}");
    bar.unset_length();
    bar
}

/// Options of a transfer that shows a bar with its rate and the time left.
pub(crate) fn transfer(name: &str, connections: Option<usize>) -> (TransferOptions, ProgressBar) {
    let bar = bar(0, "{msg} {bar:30} {bytes}/{total_bytes}");
    // A question may come first, and a bar over nothing would be full.
    bar.set_draw_target(ProgressDrawTarget::hidden());
    bar.set_message(name.to_owned());
    let shown = Arc::new(bar.clone());
    let name = name.to_owned();
    let mut options = TransferOptions::new().on_progress(move |progress| {
        if progress.total_bytes() > 0 && shown.length() == Some(0) {
            shown.set_draw_target(target());
        }
        shown.set_length(progress.total_bytes());
        shown.set_position(progress.bytes());
        let left = progress
            .time_left()
            .map(|left| format!(", {} s left", left.as_secs()));
        let rate = indicatif::HumanBytes(progress.rate() as u64);
        let files = match progress.total_files() {
            0 | 1 => String::new(),
            all => format!(" ({} of {all} files)", progress.files()),
        };
        shown.set_message(format!(
            "{name}{files} {rate}/s{}",
            left.unwrap_or_default()
        ));
    });
    if let Some(connections) = connections {
        options = options.connections(connections);
    }
    (options, bar)
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), target());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn target() -> ProgressDrawTarget {
    match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}
