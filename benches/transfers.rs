//! What connections are worth in a transfer: `cargo bench --bench transfers`.
//!
//! A server of its own waits 50 ms before each response. Times are of one run, so only their ratios
//! mean something. The peak of memory is that of a transfer with this many connections, measured
//! after the ones with fewer; the server is in the same process and stores on disk.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use ftrack_api::config::SchemaCache;
use ftrack_api::location::TransferOptions;
use ftrack_api::{Session, data};
use ftrack_emulator::Emulator;

const LATENCY: Duration = Duration::from_millis(50);
const FRAMES: usize = 100;
const FRAME_BYTES: usize = 200_000;
const MOVIE_BYTES: usize = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let server = Emulator::builder().tasks(1).latency(LATENCY).start()?;
    let folder = tempfile::tempdir()?;
    let session = Session::builder()
        .server_url(server.url())
        .api_key(server.api_key())
        .api_user(server.api_user())
        .schema_cache(SchemaCache::Dir(folder.path().join("cache")))
        .open()?;
    for frame in 0..FRAMES {
        let path = folder.path().join(format!("f.{frame:04}.exr"));
        fs::write(path, bytes(FRAME_BYTES, frame))?;
    }
    let frames = folder.path().join(format!("f.%04d.exr [0-{}]", FRAMES - 1));
    let movie = folder.path().join("movie.mov");
    let mut file = fs::File::create(&movie)?;
    for part in 0..MOVIE_BYTES >> 20 {
        file.write_all(&bytes(1 << 20, part))?;
    }
    println!("{FRAMES} frames of {FRAME_BYTES} bytes, and {MOVIE_BYTES} bytes in parts");
    println!("| connections | frames, s | back, s | movie, s | peak memory, MB |");
    for connections in [1, 2, 4, 8] {
        let (frames, back) = publish(&session, &frames, connections, folder.path())?;
        let (movie, _) = publish(&session, &movie, connections, folder.path())?;
        println!(
            "| {connections} | {:.2} | {:.2} | {:.2} | {} |",
            frames.as_secs_f64(),
            back.as_secs_f64(),
            movie.as_secs_f64(),
            peak_memory(),
        );
    }
    Ok(())
}

/// The times of a transfer to the server and of one back.
fn publish(
    session: &Session,
    path: &Path,
    connections: usize,
    folder: &Path,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let options = TransferOptions::new().connections(connections);
    let location = session.location("ftrack.server")?;
    let started = Instant::now();
    let made = session.create_component_with(path, data! {}, &location, options.clone())?;
    let there = started.elapsed();
    let target = folder.join(format!("out {connections} {}", made.id()));
    let started = Instant::now();
    let path = |frame: &ftrack_api::Entity| Ok(target.join(frame.get::<String>("name")?));
    location.download(&made, path, options)?;
    let back = started.elapsed();
    fs::remove_dir_all(&target)?;
    Ok((there, back))
}

fn bytes(size: usize, seed: usize) -> Vec<u8> {
    (0..size)
        .map(|n| ((n * n) >> 7) as u8 ^ seed as u8)
        .collect()
}

/// Of this process so far, in MB; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes / 1024)
}
