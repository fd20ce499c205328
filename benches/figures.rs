//! The figures of `docs/PERFORMANCE.md`: what the client costs, beside the floors, in one run.
//!
//! `cargo bench --bench figures` prints a table of CPU times: the median of several runs, with the
//! ratio to the floor that the goal is about. Responses come from memory, so that neither a socket
//! nor a server is measured. A word after `--` runs only what has it in its name.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod support;

use std::hint::black_box;
use std::time::Duration;

use ftrack_api::entity::FromValue;
use ftrack_api::{Entity, SmolStr, config::SchemaCache};
use jiff::civil::DateTime;
use serde_json::Value as Json;

use support::{DATES, NUMBERS, PATHS, Server, TEXTS, created, median, pages, read, updated};

const TASKS: usize = 10_000;
const CHANGES: usize = 1_000;

fn main() {
    // `cargo bench` adds `--bench`, `cargo test --benches` nothing.
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = |name: &str| wanted.as_ref().is_none_or(|word| name.contains(word));
    let server = Server::new();
    for (name, measure) in PARTS {
        if wanted(name) {
            measure(&server);
        }
    }
}

type Part = (&'static str, fn(&Server));

const PARTS: [Part; 7] = [
    ("query", query),
    ("users", users_data),
    ("attributes", attributes),
    ("get", get),
    ("create", create),
    ("update", update),
    ("open", open),
];

/// Ten thousand tasks of 13 attributes, in pages of 500.
fn query(server: &Server) {
    let pages = pages(TASKS);
    let bytes: usize = pages.iter().map(|page| page.len()).sum();
    println!("query of {TASKS} tasks, {:.2} MB", bytes as f64 / 1e6);
    let reading = median(|| (), |()| pages.iter().map(read).collect::<Vec<_>>());
    let trees = median(
        || (),
        |()| -> Vec<Json> {
            let tree = |page| serde_json::from_slice(&read(page)).expect("JSON");
            pages.iter().map(tree).collect()
        },
    );
    let structs = median(
        || (),
        |()| -> Vec<Vec<support::Reply>> {
            let parse = |page| serde_json::from_slice(&read(page)).expect("JSON");
            pages.iter().map(parse).collect()
        },
    );
    let prepare = || {
        let (session, replay) = server.open();
        replay.then(pages.iter().cloned());
        session
    };
    let entities = median(prepare, |session| (support::query(&session), session));
    let (session, replay, _) = server.loaded(TASKS);
    let merged = median(
        || replay.then(pages.iter().cloned()),
        |()| support::query(&session),
    );
    let prepare = || {
        let (session, replay) = server.open();
        replay.then(pages.iter().cloned());
        session
    };
    let rows = median(prepare, |session| (support::rows(&session), session));
    line("bytes, read", reading, trees);
    line("serde_json::Value, kept", trees, trees);
    line("plain structs", structs, trees);
    line("typed rows, beside plain structs", rows, structs);
    line("entities", entities, trees);
    line("entities that are loaded already", merged, trees);
}

/// The same with what users have besides: `link`, long texts, a null, pairs, a collection.
fn users_data(server: &Server) {
    let pages = support::full_pages(TASKS);
    let bytes: usize = pages.iter().map(|page| page.len()).sum();
    println!(
        "query of {TASKS} tasks with users' data, {:.2} MB",
        bytes as f64 / 1e6
    );
    let trees = median(
        || (),
        |()| -> Vec<Json> {
            let tree = |page| serde_json::from_slice(&read(page)).expect("JSON");
            pages.iter().map(tree).collect()
        },
    );
    let prepare = || {
        let (session, replay) = server.open();
        replay.then(pages.iter().cloned());
        session
    };
    let entities = median(prepare, |session| (support::query_full(&session), session));
    line("serde_json::Value, kept", trees, trees);
    line("entities", entities, trees);
    let session = prepare();
    let tasks = support::query_full(&session);
    let texts: Vec<String> = tasks
        .iter()
        .map(|task| task.get::<Json>("link").expect("loaded").to_string())
        .collect();
    let floor = median(
        || (),
        |()| {
            for text in &texts {
                let link: Vec<support::Link> = serde_json::from_str(text).expect("a list");
                black_box(link);
            }
        },
    );
    let typed = median(
        || (),
        |()| {
            for task in &tasks {
                let link = task.get::<ftrack_api::entity::Json<Vec<support::Link>>>("link");
                black_box(link.expect("loaded"));
            }
        },
    );
    line("floor: `link` parsed from texts", floor, floor);
    line("`link` into a typed list", typed, floor);
}

/// Thirteen attributes of ten thousand tasks.
fn attributes(server: &Server) {
    let (_session, _, tasks) = server.loaded(TASKS);
    println!("attributes of {TASKS} tasks");
    let texts = median(
        || (),
        |()| {
            for task in &tasks {
                for path in TEXTS {
                    black_box(task.get::<String>(path).expect("loaded"));
                }
            }
        },
    );
    let typed = median(
        || (),
        |()| {
            for task in &tasks {
                touch::<String>(task).expect("loaded");
            }
        },
    );
    let short = median(
        || (),
        |()| {
            for task in &tasks {
                touch::<SmolStr>(task).expect("loaded");
            }
        },
    );
    let many = median(
        || (),
        |()| {
            for task in &tasks {
                support::touch_all::<String>(task).expect("loaded");
            }
        },
    );
    let many_short = median(
        || (),
        |()| {
            for task in &tasks {
                support::touch_all::<SmolStr>(task).expect("loaded");
            }
        },
    );
    let values = median(
        || (),
        |()| {
            for task in &tasks {
                for path in PATHS {
                    black_box(task.value(path).expect("loaded"));
                }
            }
        },
    );
    alone("8 texts with `get`", texts);
    alone("13 values with `get_many`, texts as `String`", many);
    alone("13 values with `get_many`, texts as `SmolStr`", many_short);
    alone("13 values with `get`, texts as `String`", typed);
    alone("13 values with `get`, texts as `SmolStr`", short);
    alone("13 values with `value`", values);
}

/// What a script does with a task that it was given.
fn touch<Text: FromValue>(task: &Entity) -> ftrack_api::Result<()> {
    for path in TEXTS {
        black_box(task.get::<Text>(path)?);
    }
    for path in NUMBERS {
        black_box(task.get::<f64>(path)?);
    }
    for path in DATES {
        black_box(task.get::<DateTime>(path)?);
    }
    Ok(())
}

/// Entities that the session knows, by key.
fn get(server: &Server) {
    let (session, _, _tasks) = server.loaded(TASKS);
    let ids: Vec<String> = (0..TASKS).map(|number| support::id(6, number)).collect();
    println!("get of a cached entity");
    let gets = median(
        || (),
        |()| {
            for id in &ids {
                black_box(session.get("Task", id).expect("cached"));
            }
        },
    );
    alone("each", gets / TASKS as u32);
}

/// A thousand new tasks.
fn create(server: &Server) {
    println!("create {CHANGES} and commit");
    let response = created(0..CHANGES);
    let floor = median(
        || (),
        |()| -> (usize, Json) {
            let body = serde_json::to_vec(&support::create_request(0..CHANGES)).expect("prints");
            let response = serde_json::from_slice(&read(&response)).expect("JSON");
            (black_box(body).len(), response)
        },
    );
    let ours = median(
        || {
            let (session, replay) = server.open();
            replay.then([response.clone()]);
            session
        },
        |session| {
            for number in 0..CHANGES {
                let task = session.create("Task", support::new_task(number));
                black_box(task.expect("a good task"));
            }
            session.commit().expect("the response is good");
            session
        },
    );
    line("floor: JSON built, response parsed", floor, floor);
    line("create and commit", ours, floor);
}

/// A thousand changed tasks, of few and of many that are loaded.
fn update(server: &Server) {
    println!("update {CHANGES} and commit");
    let response = updated(0..CHANGES, 7);
    let floor = median(
        || (),
        |()| -> (usize, Json) {
            let request = support::update_request(0..CHANGES, 7);
            let body = serde_json::to_vec(&request).expect("prints");
            let response = serde_json::from_slice(&read(&response)).expect("JSON");
            (black_box(body).len(), response)
        },
    );
    line("floor: JSON built, response parsed", floor, floor);
    for loaded in [CHANGES, 10 * CHANGES, 100 * CHANGES] {
        let (session, replay, tasks) = server.loaded(loaded);
        let mut bid = 1;
        let ours = median(
            || {
                bid += 1;
                replay.then([updated(0..CHANGES, bid)]);
                bid
            },
            |bid| {
                for task in &tasks[..CHANGES] {
                    task.set("bid", bid as i64).expect("it can be set");
                }
                session.commit().expect("the response is good");
            },
        );
        line(&format!("of {loaded} loaded"), ours, floor);
    }
}

/// A session with a warm schema cache.
fn open(server: &Server) {
    println!("open with a warm schema cache");
    let folder = tempfile::tempdir().expect("a folder");
    let (greeting, cold) = (server.greeting(false), server.greeting(true));
    let replay = support::Replay::default();
    let cache = || SchemaCache::Dir(folder.path().to_owned());
    replay.then([cold]);
    drop(support::open(&replay, cache()));
    let file = std::fs::read_dir(folder.path()).expect("the folder");
    let file = file.flatten().next().expect("the cache was written").path();
    let floor = median(
        || (),
        |()| -> (Json, [u8; 16], Json) {
            use md5::Digest;
            let bytes = std::fs::read(&file).expect("the cache");
            let hash = md5::Md5::digest(&bytes).into();
            let greeting = serde_json::from_slice(&read(&greeting)).expect("JSON");
            let schema = serde_json::from_slice(&bytes).expect("JSON");
            (greeting, hash, schema)
        },
    );
    let ours = median(
        || replay.then([greeting.clone()]),
        |()| support::open(&replay, cache()),
    );
    line("floor: read, checked, parsed to `Value`", floor, floor);
    line("open", ours, floor);
}

fn line(name: &str, time: Duration, floor: Duration) {
    let ratio = time.as_secs_f64() / floor.as_secs_f64();
    println!("  {name:<42} {:>10.3} ms {ratio:>8.2}", millis(time));
}

fn alone(name: &str, time: Duration) {
    println!("  {name:<42} {:>10.5} ms", millis(time));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
