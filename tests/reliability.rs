//! What happens to each operation when each thing goes wrong: fills the table in
//! `docs/RELIABILITY.md`, and fails when it says something else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "shown when the table differs")]

#[path = "reliability/faults.rs"]
mod faults;
#[path = "support/generated.rs"]
mod generated;
#[path = "reliability/operations.rs"]
mod operations;
#[path = "hub/relay.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod support;

use std::time::{Duration, Instant};

use faults::{FAULTS, Fault};
use ftrack_emulator::Emulator;
use operations::{OPERATIONS, Operation, Stage};

/// `FTRACK_GENERATE=1 cargo test --test reliability` writes the table again.
#[test]
fn the_table_is_up_to_date() {
    generated::check_table("reliability", &table());
}

fn table() -> String {
    let names: Vec<_> = OPERATIONS.iter().map(|one| one.name).collect();
    let mut lines = vec![
        format!("| | {} |", names.join(" | ")),
        format!("|---|{}", "---|".repeat(names.len())),
    ];
    // Each column has servers of its own: columns are filled side by side.
    let columns: Vec<Vec<String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = OPERATIONS
            .iter()
            .map(|one| scope.spawn(|| column(one)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    for (row, fault) in FAULTS.iter().enumerate() {
        let cells: Vec<_> = columns.iter().map(|column| column[row].as_str()).collect();
        lines.push(format!("| {} | {} |", fault.name, cells.join(" | ")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn column(operation: &Operation) -> Vec<String> {
    let length = FAULTS.len().div_ceil(operation.servers);
    std::thread::scope(|scope| {
        let parts = FAULTS.chunks(length);
        let workers: Vec<_> = parts
            .map(|part| scope.spawn(|| cells(operation, part)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

fn cells(operation: &Operation, faults: &[Fault]) -> Vec<String> {
    let server = Emulator::builder().tasks(1).start().unwrap();
    let healthy = Healthy::measure(&server, operation);
    let settled = |fault| settled(&server, operation, fault, &healthy);
    faults.iter().map(settled).collect()
}

/// Where a session has to give up what never comes, a machine that stands still looks like the fault: what is
/// documented has to come in one of three attempts, each more patient than the one before.
fn settled(server: &Emulator, operation: &Operation, fault: &Fault, healthy: &Healthy) -> String {
    let mut patience = healthy.patience();
    let mut found = cell(server, operation, fault, healthy, patience);
    let documented = generated::documented("reliability", fault.name, operation.name);
    for _ in 1..3 {
        if !fault.is_waited_out || documented.as_ref() == Some(&found) {
            break;
        }
        patience *= 2;
        found = cell(server, operation, fault, healthy, patience);
    }
    found
}

/// What an operation costs when nothing goes wrong.
struct Healthy {
    requests: u64,
    /// What it takes on this machine with all that else runs on it, its preparation included.
    time: Duration,
}

impl Healthy {
    fn measure(server: &Emulator, operation: &Operation) -> Self {
        let started = Instant::now();
        let mut stage = Stage::new(server, operation, &FAULTS[0], Duration::MAX);
        let before = stage.requests();
        (operation.run)(&mut stage).unwrap();
        Self {
            requests: stage.requests() - before,
            time: started.elapsed(),
        }
    }

    /// How long to wait for nothing: longer than the server takes where it responds.
    fn patience(&self) -> Duration {
        (self.time * 3).max(Duration::from_secs(2))
    }
}

/// What the user gets and what the server holds then. Whatever it is, one more commit without
/// faults leaves the server with each change applied once.
fn cell(
    server: &Emulator,
    operation: &Operation,
    fault: &Fault,
    healthy: &Healthy,
    patience: Duration,
) -> String {
    let started = Instant::now();
    let mut stage = Stage::new(server, operation, fault, patience);
    (fault.arm)(&mut stage);
    let before = stage.requests();
    let outcome = (operation.run)(&mut stage);
    let is_at_work = fault.is_waited_out && fault.reaches_server && operation.is_commit;
    if let Some(held) = operation.held.filter(|_| is_at_work) {
        // It must not lose its client before it has finished.
        stage.held(held, true);
    }
    stage.heal();
    let requests = stage.requests() - before;
    let gets = match &outcome {
        Ok(()) if requests > healthy.requests => format!("ok ({requests} requests)"),
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("**{:?}**", error.kind()),
    };
    println!(
        "{} / {}: {gets} in {:?}",
        fault.name,
        operation.name,
        started.elapsed()
    );
    let Some(held) = operation.held else {
        return gets;
    };
    let holds = stage.held(held, fault.reaches_server);
    println!("    {holds}; {outcome:?}");
    if outcome.is_ok() {
        assert_eq!(holds, "once", "{} / {}", fault.name, operation.name);
    } else if let Some(session) = stage.session.as_ref().filter(|_| operation.is_commit) {
        assert!(
            !session.recorded_operations().is_empty(),
            "the queue is lost"
        );
        support::patiently(|| session.commit());
        assert_eq!(
            held(&mut stage),
            "once",
            "{} / {}",
            fault.name,
            operation.name
        );
    }
    format!("{gets}, {holds}")
}
