//! Typed rows take the memory of the pages of one request, however many rows there are.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the figures are of interest")]

mod support;

use ftrack_emulator::Emulator;
use jiff::civil::DateTime;
use peak_alloc::PeakAlloc;
use serde::Deserialize;
use support::open;

/// Counts for the whole process, the emulator's pages included; its database lies outside.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How many bytes are held at most during `work`, beyond what was held before.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    work();
    ALLOCATOR.peak_usage() - before
}

#[derive(Deserialize)]
struct Task {
    name: String,
    start_date: Option<DateTime>,
    status: Status,
    parent: Parent,
}

#[derive(Deserialize)]
struct Status {
    name: String,
}

#[derive(Deserialize)]
struct Parent {
    name: String,
}

#[test]
fn rows_are_not_kept() {
    let tasks = std::env::var("ROW_MEMORY_TASKS").map_or(20_000, |count| count.parse().unwrap());
    let server = Emulator::builder().tasks(tasks).start().unwrap();
    let session = open(&server);
    let read = |limit: u64| {
        let mut count = 0;
        let peak = peak_of(|| {
            for task in session.select("Task").limit(limit).rows::<Task>() {
                let task = task.unwrap();
                count += u64::from(!task.name.is_empty() && !task.status.name.is_empty());
                assert!(!task.parent.name.is_empty());
                std::hint::black_box(task.start_date);
            }
        });
        (count, peak)
    };
    // The first request sets the connection up.
    read(1);
    // Enough to ask for as many pages at once as a session ever does.
    let (few, small) = read(10_000);
    let started = std::time::Instant::now();
    let (many, large) = read(i64::MAX as u64);
    println!(
        "{few} rows: {small} bytes at most; {many} rows: {large} bytes at most, in {:?}",
        started.elapsed()
    );
    assert_eq!(few, 10_000);
    assert!(many >= tasks as u64);
    // Pages differ a little in size, and a buffer that doubles makes a step of it. Rows that were
    // kept would take several times as much.
    assert!(large < small + (1 << 20), "{small} bytes became {large}");
}
