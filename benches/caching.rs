//! What caches save: entities by key from the memory, from a file, and from a server that takes a
//! millisecond.
//!
//! `cargo bench --bench caching` prints a table of wall times, and one of the
//! CPU times of opening a session.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod support;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ftrack_api::cache::FileCache;
use ftrack_api::{Session, SessionBuilder, config::SchemaCache};
use ftrack_emulator::Emulator;

const TASKS: usize = 1000;

fn main() {
    let serve = |latency| {
        let server = Emulator::builder().tasks(TASKS).latency(latency).start();
        server.expect("a server")
    };
    let server = serve(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a folder");
    let open_with_file = || {
        let cache = FileCache::open(folder.path().join("cache")).expect("a cache");
        open(builder(&server, folder.path()).cache(cache))
    };
    let session = open_with_file();
    let query = session.query("Task").expect("a query").limit(TASKS as u64);
    let tasks = query.all().expect("tasks");
    let ids: Vec<String> = tasks.iter().map(ftrack_api::Entity::id).collect();
    println!("get of {} tasks, one by one", ids.len());

    let memory = gets(&session, &ids);
    let second = open_with_file();
    let asked_nothing = second.with_request_budget(0, || Ok(gets(&second, &ids)));
    let file = asked_nothing.expect("all of it is in the file");
    line("from the memory", memory, file);
    line("from the file of an earlier session", file, file);
    let plain = open(builder(&server, folder.path()));
    line("from the server", gets(&plain, &ids), file);
    let slow = serve(Duration::from_millis(1));
    let slow = open(builder(&slow, folder.path()));
    line("from the server, 1 ms away", gets(&slow, &ids), file);
    opening(folder.path());
}

/// Opening with a warm schema and a warm file of a thousand tasks, beside the floor: reading,
/// checking and parsing the schema. Responses come from memory.
fn opening(folder: &Path) {
    println!("opening a session");
    let server = support::Server::new();
    let replay = support::Replay::default();
    let schema = || SchemaCache::Dir(folder.join("schema"));
    replay.then([server.greeting(true)]);
    drop(support::open(&replay, schema()));
    let name = folder.join("schema").join("ftrack_api_schema_cache.json");
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..51 {
        times[0].push(timed(|| {
            use md5::Digest;
            let bytes = std::fs::read(&name).expect("the schema");
            let hash: [u8; 16] = md5::Md5::digest(&bytes).into();
            let schema: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            (hash, schema)
        }));
        replay.then([server.greeting(false)]);
        times[1].push(timed(|| support::open(&replay, schema())));
        replay.then([server.greeting(false)]);
        times[2].push(timed(|| {
            let cache = FileCache::open(folder.join("cache")).expect("a cache");
            let none: [&str; 0] = [];
            let builder = support::builder(&replay, schema()).plugin_paths(none);
            open(builder.cache(cache))
        }));
    }
    let [floor, plain, file] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    line("floor: schema read, checked, parsed", floor, floor);
    line("open", plain, floor);
    line("open with the file cache", file, floor);
}

/// The CPU time of `run`, without dropping what it gives.
fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let started = cpu_time::ProcessTime::now();
    let output = black_box(run());
    let time = started.elapsed();
    drop(output);
    time
}

fn builder(server: &Emulator, folder: &Path) -> SessionBuilder {
    Session::builder()
        .server_url(server.url())
        .api_key(server.api_key())
        .api_user(server.api_user())
        .schema_cache(SchemaCache::Dir(folder.to_owned()))
}

fn open(builder: SessionBuilder) -> Session {
    builder.open().expect("a session")
}

fn gets(session: &Session, ids: &[String]) -> Duration {
    let started = Instant::now();
    for id in ids {
        let task = session.get("Task", id).expect("a response");
        black_box(task.expect("a task"));
    }
    started.elapsed()
}

fn line(name: &str, time: Duration, file: Duration) {
    let millis = time.as_secs_f64() * 1e3;
    let ratio = time.as_secs_f64() / file.as_secs_f64();
    println!("  {name:<42} {millis:>10.3} ms {ratio:>8.2}");
}
