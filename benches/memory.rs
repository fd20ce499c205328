//! What loaded tasks weigh: `cargo bench --bench memory`.
//!
//! Counts the bytes that the program asks of its allocator; what the allocator adds to each piece
//! (16 bytes or so) is not seen.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod support;

use std::hint::black_box;

use peak_alloc::PeakAlloc;
use serde_json::Value as Json;

use support::{Server, pages, read};

#[global_allocator]
static COUNTER: PeakAlloc = PeakAlloc;

const TASKS: usize = 10_000;

fn main() {
    let server = Server::new();
    let pages = pages(TASKS);
    println!("{TASKS} tasks: kept, bytes for each, and the peak while they were loaded");
    let trees = || -> Vec<Json> {
        let tree = |page| serde_json::from_slice(&read(page)).expect("JSON");
        pages.iter().map(tree).collect()
    };
    weigh("serde_json::Value", trees);
    let structs = || -> Vec<Vec<support::Reply>> {
        let parse = |page| serde_json::from_slice(&read(page)).expect("JSON");
        pages.iter().map(parse).collect()
    };
    weigh("plain structs", structs);
    let (session, replay) = server.open();
    replay.then(pages.iter().cloned());
    weigh("entities, all held", || support::query(&session));
    one_more(&server);
    let full = support::full_pages(TASKS);
    weigh("Value, users' data", || -> Vec<Json> {
        let tree = |page| serde_json::from_slice(&read(page)).expect("JSON");
        full.iter().map(tree).collect()
    });
    let (session, replay) = server.open();
    replay.then(full.iter().cloned());
    weigh("entities, users' data", || support::query_full(&session));
    drop((session, full));
    let (session, replay) = server.open();
    replay.then(pages.iter().cloned());
    weigh("entities, none held", || drop(support::query(&session)));
    drop(session);
}

/// What each task weighs that comes to those which are loaded: without what a session has once,
/// as the memory for its next response.
fn one_more(server: &Server) {
    let loaded = |tasks| {
        let pages = pages(tasks);
        let (session, replay) = server.open();
        replay.then(pages.iter().cloned());
        let before = COUNTER.current_usage();
        let entities = black_box(support::query(&session));
        let kept = COUNTER.current_usage() - before;
        drop(entities);
        kept
    };
    // Tables grow by doubling: what they hold in reserve is the same share of both.
    let each = (loaded(2 * TASKS) - loaded(TASKS)) / TASKS;
    println!("  {:<24} {each:>18}", "entities, one more");
}

fn weigh<T>(name: &str, load: impl FnOnce() -> T) {
    let before = COUNTER.current_usage();
    COUNTER.reset_peak_usage();
    let loaded = black_box(load());
    let kept = COUNTER.current_usage() - before;
    let peak = COUNTER.peak_usage() - before;
    println!(
        "  {name:<24} {:>8.2} MB {:>6} {:>8.2} MB",
        kept as f64 / 1e6,
        kept / TASKS,
        peak as f64 / 1e6,
    );
    drop(loaded);
}
