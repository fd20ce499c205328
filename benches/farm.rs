//! A render farm on paper: 10,000 nodes open a session at once and read a task. What do the schema
//! cache, a shared cache, reading in one request, and jitter do to the server's load?
//!
//!     cargo bench --bench farm
//!
//! A simulation of requests, not of this crate: nodes send one request after another, workers
//! take them in the order of their arrival, and a client that waited too long asks again, while
//! the server, which does not know, does the work all the same. It is the same in every run. The
//! times that a worker takes are assumptions; compare the rows, not the seconds.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const NODES: usize = 10_000;
/// What the server works on at the same time.
const WORKERS: usize = 8;

// In microseconds.
const SECOND: u64 = 1_000_000;
const ROUND_TRIP: u64 = 1_000;
/// What a client waits before it asks again; twice as long each time, up to eight times.
const TIMEOUT: u64 = 60 * SECOND;
const FIRST_DELAY: u64 = SECOND;
/// What a worker needs for each request.
const INFORMATION: u64 = 4_000;
const SCHEMAS: u64 = 60_000;
const ONE_ATTRIBUTE: u64 = 8_000;
const ALL_ATTRIBUTES: u64 = 15_000;

/// Attributes that a node reads from its task and what the task refers to.
const ATTRIBUTES: usize = 20;
/// Bytes of a response, compressed: a schema of a hundred types, and a response to a small query.
const SCHEMA_BYTES: u64 = 60_000;
const SMALL_BYTES: u64 = 1_000;

/// How nodes go about it.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    schema: SchemaFrom,
    /// All attributes in one request rather than one by one.
    batched: bool,
    /// How many of a hundred nodes find the task in a cache that they share.
    shared_hits: usize,
    /// Nodes begin within this many seconds rather than at once.
    jitter: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum SchemaFrom {
    /// Asked for after the server's information, as the official clients do.
    SecondRequest,
    /// Asked for together with it.
    SameRequest,
    /// In a folder that all nodes share, once the first node has written it.
    SharedFolder,
    /// On each node already.
    Node,
}

const PLAIN: Way = Way {
    name: "no cache, schema asked for second",
    schema: SchemaFrom::SecondRequest,
    batched: false,
    shared_hits: 0,
    jitter: 0,
};

const WAYS: [Way; 9] = [
    PLAIN,
    Way {
        name: "no cache, schema in the first request",
        schema: SchemaFrom::SameRequest,
        ..PLAIN
    },
    Way {
        name: "schema in a shared folder, cold",
        schema: SchemaFrom::SharedFolder,
        ..PLAIN
    },
    Way {
        name: "schema in a shared folder, cold, jitter of 30 s",
        schema: SchemaFrom::SharedFolder,
        jitter: 30,
        ..PLAIN
    },
    Way {
        name: "schema on each node",
        schema: SchemaFrom::Node,
        ..PLAIN
    },
    Way {
        name: "… and attributes in one request",
        schema: SchemaFrom::Node,
        batched: true,
        ..PLAIN
    },
    Way {
        name: "… and 95 % of the tasks in a shared cache",
        schema: SchemaFrom::Node,
        batched: true,
        shared_hits: 95,
        ..PLAIN
    },
    Way {
        name: "… and attributes in one request, jitter of 30 s",
        schema: SchemaFrom::Node,
        batched: true,
        jitter: 30,
        ..PLAIN
    },
    Way {
        name: "… and shared cache, and jitter of 30 s",
        schema: SchemaFrom::Node,
        batched: true,
        shared_hits: 95,
        jitter: 30,
    },
];

fn main() {
    println!(
        "{:<48} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "", "requests", "again", "MB", "work s", "p99 s", "all s"
    );
    for way in WAYS {
        let load = simulate(way);
        let seconds = |micros: u64| micros as f64 / SECOND as f64;
        println!(
            "{:<48} {:>9} {:>8} {:>8.0} {:>9.0} {:>9.1} {:>9.1}",
            way.name,
            load.requests,
            load.repeated,
            load.bytes as f64 / 1e6,
            seconds(load.work),
            seconds(load.late),
            seconds(load.last),
        );
    }
}

#[derive(Default)]
struct Load {
    requests: u64,
    repeated: u64,
    bytes: u64,
    /// What all workers did together.
    work: u64,
    /// From a node's start until it is done: 99 of 100 are not later.
    late: u64,
    /// When the last node is done.
    last: u64,
}

fn simulate(way: Way) -> Load {
    let mut load = Load::default();
    let mut random = Random(42);
    let starts: Vec<u64> = (0..NODES)
        .map(|_| random.below((way.jitter * SECOND).max(1)))
        .collect();
    // When, who, which request, and how often it was sent before.
    let mut arriving: BinaryHeap<Reverse<(u64, usize, usize, u32)>> = starts
        .iter()
        .enumerate()
        .map(|(node, &at)| Reverse((at, node, 0, 0)))
        .collect();
    let mut free: BinaryHeap<Reverse<u64>> = (0..WORKERS).map(|_| Reverse(0)).collect();
    let mut folder_since = u64::MAX;
    let mut plans: Vec<Vec<Request>> = vec![Vec::new(); NODES];
    let mut durations = Vec::with_capacity(NODES);
    while let Some(Reverse((at, node, step, sent))) = arriving.pop() {
        if plans[node].is_empty() {
            plans[node] = plan(way, node, folder_since <= at);
        }
        let Some(&request) = plans[node].get(step) else {
            durations.push(at - starts[node]);
            load.last = load.last.max(at);
            continue;
        };
        let begins = free.pop().map_or(at, |Reverse(free)| free.max(at));
        let ends = begins + request.work;
        free.push(Reverse(ends));
        load.requests += 1;
        load.work += request.work;
        if ends - at > TIMEOUT {
            load.repeated += 1;
            let delay = FIRST_DELAY << sent.min(3);
            let again = at + TIMEOUT + delay / 2 + random.below(delay);
            arriving.push(Reverse((again, node, step, sent + 1)));
            continue;
        }
        load.bytes += request.bytes;
        if request.bytes == SCHEMA_BYTES {
            folder_since = folder_since.min(ends);
        }
        arriving.push(Reverse((ends + ROUND_TRIP, node, step + 1, 0)));
    }
    durations.sort_unstable();
    load.late = durations[NODES * 99 / 100];
    load
}

#[derive(Clone, Copy)]
struct Request {
    work: u64,
    bytes: u64,
}

/// What a node sends.
fn plan(way: Way, node: usize, is_in_folder: bool) -> Vec<Request> {
    let small = |work| Request {
        work,
        bytes: SMALL_BYTES,
    };
    let schemas = |work| Request {
        work,
        bytes: SCHEMA_BYTES,
    };
    let mut plan = match way.schema {
        SchemaFrom::SecondRequest => vec![small(INFORMATION), schemas(SCHEMAS)],
        SchemaFrom::Node => vec![small(INFORMATION)],
        SchemaFrom::SharedFolder if is_in_folder => vec![small(INFORMATION)],
        SchemaFrom::SharedFolder | SchemaFrom::SameRequest => vec![schemas(INFORMATION + SCHEMAS)],
    };
    if node % 100 >= way.shared_hits {
        match way.batched {
            true => plan.push(small(ALL_ATTRIBUTES)),
            false => plan.extend([small(ONE_ATTRIBUTE); ATTRIBUTES]),
        }
    }
    plan
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
