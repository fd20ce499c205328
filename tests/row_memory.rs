//! Typed rows take the memory of a page, however many rows there are.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be written without"
)]
#![allow(clippy::print_stdout, reason = "the figures are of interest")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ftrack_emulator::Emulator;
use jiff::civil::DateTime;
use serde::Deserialize;
use support::open;

/// Counts what the thread under test holds. The emulator has threads of its own, which share the
/// process.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counter any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

#[allow(clippy::cast_possible_wrap, reason = "no allocation has 2^63 bytes")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes `work` holds at most, beyond what was held before.
fn peak_of(work: impl FnOnce()) -> isize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
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
    let (few, small) = read(1000);
    let started = std::time::Instant::now();
    let (many, large) = read(u64::MAX);
    println!(
        "{few} rows: {small} bytes at most; {many} rows: {large} bytes at most, in {:?}",
        started.elapsed()
    );
    assert_eq!(few, 1000);
    assert!(many >= tasks as u64);
    // Pages differ a little in size, and a buffer that doubles makes a step of it. If rows were
    // kept, it would be many times as much.
    assert!(large < 2 * small, "{small} bytes became {large}");
}
