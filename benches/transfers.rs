//! What connections are worth in a transfer: `cargo bench --bench transfers`.
//!
//! The server is a process of its own that waits 50 ms before each response, and so is each client, so
//! that the peak of memory is that of one transfer. Times are of one run, so only their ratios mean
//! something: `ROUNDS=5` takes the medians of five.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ftrack_api::config::SchemaCache;
use ftrack_api::location::TransferOptions;
use ftrack_api::{Session, data};
use ftrack_emulator::Emulator;

const LATENCY: Duration = Duration::from_millis(50);
const FRAMES: usize = 100;
const FRAME_BYTES: usize = 200_000;
const MOVIE_BYTES: usize = 256 << 20;
/// What a child process is to do.
const ROLE: &str = "FTRACK_BENCH_ROLE";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let role = std::env::var(ROLE).unwrap_or_default();
    match role.split('\n').collect::<Vec<_>>()[..] {
        ["server"] => return serve(),
        ["client", url, key, user, folder, what, connections] => {
            let session = Session::builder()
                .server_url(url)
                .api_key(key)
                .api_user(user)
                .schema_cache(SchemaCache::Dir(Path::new(folder).join("cache")))
                .open()?;
            let (there, back) = publish(&session, folder.as_ref(), what, connections.parse()?)?;
            println!("{there} {back} {}", peak_memory());
            return Ok(());
        }
        _ => {}
    }
    let rounds = std::env::var("ROUNDS").map_or(1, |text| text.parse().unwrap_or(1));
    let folder = tempfile::tempdir()?;
    for frame in 0..FRAMES {
        let path = folder.path().join(format!("f.{frame:04}.exr"));
        fs::write(path, bytes(FRAME_BYTES, frame))?;
    }
    let mut file = fs::File::create(folder.path().join("movie.mov"))?;
    for part in 0..MOVIE_BYTES >> 20 {
        file.write_all(&bytes(1 << 20, part))?;
    }
    let mut server = child("server")?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
    let server_of = line.trim().replace(' ', "\n");
    println!("{FRAMES} frames of {FRAME_BYTES} bytes, and {MOVIE_BYTES} bytes in parts");
    println!(
        "| connections | frames, s | and back, s | peak, MB | movie, s | and back, s | peak, MB |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for connections in [1, 2, 4, 8] {
        print!("| {connections} |");
        for what in [format!("f.%04d.exr [0-{}]", FRAMES - 1), "movie.mov".into()] {
            let role = format!(
                "client\n{server_of}\n{}\n{what}\n{connections}",
                folder.path().display()
            );
            let runs = (0..rounds)
                .map(|_| run(&role))
                .collect::<Outcome<Vec<_>>>()?;
            let median = |index: usize| {
                let mut all: Vec<f64> = runs.iter().map(|run| run[index]).collect();
                all.sort_by(f64::total_cmp);
                all[all.len() / 2]
            };
            print!(" {:.2} | {:.2} | {:.0} |", median(0), median(1), median(2));
        }
        println!();
    }
    // The server ends with its input.
    drop(server.stdin.take());
    server.wait()?;
    Ok(())
}

fn child(role: &str) -> Outcome<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(ROLE, role);
    Ok(command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?)
}

fn serve() -> Outcome<()> {
    let server = Emulator::builder().tasks(1).latency(LATENCY).start()?;
    println!(
        "{} {} {}",
        server.url(),
        server.api_key(),
        server.api_user()
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The seconds of a transfer to the server and of one back, and the peak of memory in MB.
fn run(role: &str) -> Outcome<Vec<f64>> {
    let output = child(role)?.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse);
    let numbers: Vec<f64> = numbers.collect::<Result<_, _>>()?;
    match numbers.len() {
        3 => Ok(numbers),
        _ => Err(format!("a client failed: {}", output.status).into()),
    }
}

/// The seconds of a transfer to the server and of one back.
fn publish(
    session: &Session,
    folder: &Path,
    what: &str,
    connections: usize,
) -> Outcome<(f64, f64)> {
    let options = TransferOptions::new().connections(connections);
    let location = session.location("ftrack.server")?;
    let started = Instant::now();
    let source = folder.join(what);
    let made = session.create_component_with(source, data! {}, &location, options.clone())?;
    let there = started.elapsed();
    let target = folder.join(format!("out {connections} {}", made.id()));
    let started = Instant::now();
    let path = |frame: &ftrack_api::Entity| Ok(target.join(frame.get::<String>("name")?));
    location.download(&made, path, options)?;
    let back = started.elapsed();
    fs::remove_dir_all(&target)?;
    Ok((there.as_secs_f64(), back.as_secs_f64()))
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
