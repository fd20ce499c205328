//! Shows a bar while a file goes to the server.
//!
//! Run it with `cargo run -p ftrack-examples --example progress`: it starts a server of its own.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Duration;

use ftrack_api::location::TransferOptions;
use ftrack_api::{Session, data};
use ftrack_emulator::Emulator;
use indicatif::{ProgressBar, ProgressStyle};

fn main() -> anyhow::Result<()> {
    let latency = Duration::from_millis(50);
    let server = Emulator::builder().tasks(12).latency(latency).start()?;
    let session = Session::builder()
        .server_url(server.url())
        .api_key(server.api_key())
        .api_user(server.api_user())
        .open()?;
    let folder = tempfile::tempdir()?;
    let movie = folder.path().join("plate.mov");
    std::fs::write(&movie, vec![7; 100 << 20])?;

    let location = session.location("ftrack.server")?;
    let component = session.create_component_with(&movie, data! {}, &location, bar(4)?)?;
    let copy = folder.path().join("copy.mov");
    location.download(&component, |_| Ok(copy.clone()), bar(4)?)?;
    println!("{} bytes came back", copy.metadata()?.len());
    Ok(())
}

/// A transfer that shows a bar: in the caller's thread, ten times a second at most.
fn bar(connections: usize) -> anyhow::Result<TransferOptions> {
    let style = "{bar:40} {bytes}/{total_bytes} at {bytes_per_sec}, {eta} left {msg}";
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(style)?);
    Ok(TransferOptions::new()
        .connections(connections)
        .on_progress(move |progress| {
            bar.set_length(progress.total_bytes());
            bar.set_position(progress.bytes());
            if progress.files() == progress.total_files() {
                bar.finish();
            }
        }))
}
