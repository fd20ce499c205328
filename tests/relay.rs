//! Events in a stream, and the workers that share them: on Redis and on a local journal, by the same tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(
    clippy::print_stdout,
    reason = "figures, seeds, and reports of processes"
)]

#[path = "support/redis.rs"]
mod redis;
mod support;

#[path = "relay/away.rs"]
mod away;
#[path = "relay/cutting.rs"]
mod cutting;
#[path = "relay/entries.rs"]
mod entries;
#[path = "relay/goodbye.rs"]
mod goodbye;
#[path = "relay/killing.rs"]
mod killing;
#[path = "relay/lost_replies.rs"]
mod lost_replies;
#[path = "relay/once.rs"]
mod once;
#[path = "relay/order.rs"]
mod order;
#[path = "relay/refused.rs"]
mod refused;
#[path = "relay/relaying.rs"]
mod relaying;
#[path = "relay/restored.rs"]
mod restored;
#[path = "relay/sharing.rs"]
mod sharing;
#[path = "relay/withdrawn.rs"]
mod withdrawn;

use std::time::{Duration, Instant};

use ftrack_api::Event;
use ftrack_api::relay::{Delivery, Stream, Worker};
use redis::Server;
use serde_json::json;

/// So long may a busy machine take for what must happen.
const LONG: Duration = Duration::from_secs(60);
/// So long is waited for what must not happen.
const SHORT: Duration = Duration::from_millis(50);

/// Runs a test on each kind of stream.
fn on_each(test: impl Fn(Stream)) {
    let server = Server::start();
    test(Stream::redis(server.url()));
    let folder = tempfile::tempdir().unwrap();
    test(Stream::local(folder.path().join("events.db")));
}

fn event(number: usize) -> Event {
    Event::new("studio.test").with_data(json!({ "number": number }))
}

fn events(count: usize) -> Vec<Event> {
    (0..count).map(event).collect()
}

fn number(delivery: &Delivery) -> usize {
    let event = delivery.event().expect("an event");
    usize::try_from(event.data()["number"].as_u64().unwrap()).unwrap()
}

fn next(worker: &Worker) -> Delivery {
    worker.next(LONG).unwrap().expect("there is an event")
}

/// What comes after a pause or a lease that began then, and not before its end. The clocks may differ a little.
fn next_after(worker: &Worker, since: Instant, time: Duration) -> Delivery {
    let delivery = next(worker);
    let waited = since.elapsed();
    assert!(waited + SHORT > time, "it came after {waited:?}");
    delivery
}

fn nothing(worker: &Worker) -> bool {
    worker.next(SHORT).unwrap().is_none()
}
