//! What caches save: entities by key from the memory, from a file, and from a server that takes a
//! millisecond.
//!
//! `cargo bench --features file-cache --bench caching` prints a table of wall times.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ftrack_api::cache::FileCache;
use ftrack_api::{SchemaCache, Session, SessionBuilder};
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
        let task = session.get("Task", id).expect("an answer");
        black_box(task.expect("a task"));
    }
    started.elapsed()
}

fn line(name: &str, time: Duration, file: Duration) {
    let millis = time.as_secs_f64() * 1e3;
    let ratio = time.as_secs_f64() / file.as_secs_f64();
    println!("  {name:<42} {millis:>10.3} ms {ratio:>8.2}");
}
