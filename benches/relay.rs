//! Events through a stream in Redis, beside the bare hub, in one run: latency, throughput and memory.
//!
//! `cargo bench --bench relay`, with the number of events of the long part behind `--`; 200,000
//! unless given. Needs `redis-server`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "figures")]

#[path = "../tests/support/redis.rs"]
mod redis;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::{HubConfig, SubscribeOptions};
use ftrack_api::relay::{Relay, Start, Stream, Worker};
use ftrack_api::{Event, EventHub};
use ftrack_emulator::Emulator;
use redis::Server;
use serde_json::json;

/// The events of a measurement of latency, and how many a second.
const TIMED: usize = 2000;
const TIMED_RATE: usize = 250;

/// The events a second of the long part.
const RATE: usize = 5000;

fn unconnected(server: &Emulator) -> EventHub {
    EventHub::new(HubConfig::new(
        server.url(),
        server.api_user(),
        server.api_key(),
    ))
}

fn hub(server: &Emulator) -> EventHub {
    let hub = unconnected(server);
    hub.connect().unwrap();
    hub
}

/// An event as large as an `ftrack.update`, with the time at which it is made.
fn event(began: Instant, number: usize) -> Event {
    let at = u64::try_from(began.elapsed().as_nanos()).unwrap();
    let filling = "x".repeat(700);
    Event::new("studio.bench")
        .with_data(json!({ "at": at, "key": number % 500, "filling": filling }))
}

fn age(began: Instant, event: &Event) -> Duration {
    let at = Duration::from_nanos(event.data()["at"].as_u64().unwrap());
    began.elapsed().saturating_sub(at)
}

/// Publishes at a steady rate.
fn publish(hub: &EventHub, began: Instant, count: usize, rate: usize) {
    let started = Instant::now();
    for number in 0..count {
        let due = Duration::from_secs_f64(number as f64 / rate as f64);
        if let Some(left) = due.checked_sub(started.elapsed()) {
            thread::sleep(left);
        }
        hub.publish(event(began, number)).unwrap();
    }
}

/// Prints them, and returns the median.
fn percentiles(name: &str, mut ages: Vec<Duration>) -> Duration {
    ages.sort_unstable();
    let at = |percent: usize| ages[(ages.len() - 1) * percent / 100];
    println!(
        "{name}: p50 {:?}, p90 {:?}, p99 {:?}",
        at(50),
        at(90),
        at(99)
    );
    at(50)
}

fn round_trips(server: &Server) -> Vec<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut ping = || {
        let started = Instant::now();
        stream.write_all(b"PING\r\n").unwrap();
        stream.read_exact(&mut [0; 7]).unwrap();
        started.elapsed()
    };
    (0..TIMED).map(|_| ping()).collect()
}

/// KiB of this process; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0u64) * 4
}

fn used_by_redis(server: &Server) -> u64 {
    let keys = ["ftrack:events", "{ftrack:events}:ids"];
    let usage = keys.map(|key| server.command(&format!("MEMORY USAGE {key} SAMPLES 0")));
    usage
        .iter()
        .map(|reply| reply.trim().trim_start_matches(':').parse().unwrap_or(0))
        .sum()
}

fn main() {
    let long: usize = std::env::args()
        .filter_map(|text| text.parse().ok())
        .next()
        .unwrap_or(200_000);
    let emulator = Emulator::builder().tasks(1).start().unwrap();
    let (sender, began) = (hub(&emulator), Instant::now());

    let bare = hub(&emulator);
    let options = SubscribeOptions::new().acknowledged(Duration::from_secs(60));
    bare.subscribe_with("topic=studio.bench", options, |_| Ok(None))
        .unwrap();
    let publisher = sender.clone();
    let publishing = thread::spawn(move || publish(&publisher, began, TIMED, TIMED_RATE));
    let ages = (0..TIMED).map(|_| age(began, &bare.next(None).unwrap().unwrap()));
    let hub_p50 = percentiles("hub, publish to receive", ages.collect());
    publishing.join().unwrap();
    bare.close();

    let redis = Server::durable();
    let trip = percentiles("Redis, one round trip", round_trips(&redis));

    let stream = Stream::redis(redis.url());
    let end = AtomicBool::new(false);
    let handled = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (stream, end, handled) = (&stream, &end, &handled);
        let relay_hub = unconnected(&emulator);
        scope.spawn(move || {
            let mut relay = Relay::new(&relay_hub, stream, "bench").subscribe("topic=studio.bench");
            while !end.load(Ordering::Relaxed) {
                relay.poll(Duration::from_millis(100)).unwrap();
            }
            println!("{:?}", relay.status());
        });
        while stream
            .status()
            .unwrap()
            .relays
            .iter()
            .all(|relay| relay.connected_at.is_none())
        {
            thread::sleep(Duration::from_millis(10));
        }
        let worker = Worker::new(stream, "timed", "one");
        let publisher = sender.clone();
        let publishing = scope.spawn(move || publish(&publisher, began, TIMED, TIMED_RATE));
        let ages = (0..TIMED).map(|_| {
            let delivery = worker.next(None).unwrap().unwrap();
            let age = age(began, delivery.event().unwrap());
            delivery.ack().unwrap();
            age
        });
        let p50 = percentiles("relay, publish to worker", ages.collect());
        publishing.join().unwrap();
        let goal = 2 * hub_p50 + trip;
        println!(
            "the goal is {goal:?}: {}",
            if p50 <= goal { "reached" } else { "missed" }
        );

        let before = (stream.status().unwrap().length, used_by_redis(&redis));
        for number in 0..4 {
            scope.spawn(move || {
                let worker = Worker::new(stream, "long", number.to_string())
                    .start(Start::Newest)
                    .ordered_by(|event| Some(event.data()["key"].to_string()));
                while !end.load(Ordering::Relaxed) {
                    if let Some(delivery) = worker.next(Duration::from_millis(100)).unwrap() {
                        delivery.ack().unwrap();
                        handled.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while stream.group("long").unwrap().is_none() {
            thread::sleep(Duration::from_millis(10));
        }
        let started = Instant::now();
        let publisher = sender.clone();
        let publishing = scope.spawn(move || publish(&publisher, began, long, RATE));
        for part in 1..=10 {
            while handled.load(Ordering::Relaxed) < long * part / 10 {
                thread::sleep(Duration::from_millis(5));
            }
            let count = handled.load(Ordering::Relaxed);
            let rate = count as f64 / started.elapsed().as_secs_f64();
            println!(
                "{count} handled, {rate:.0} a second, {} KiB resident in all",
                resident()
            );
        }
        publishing.join().unwrap();
        let after = (stream.status().unwrap().length, used_by_redis(&redis));
        let entry = (after.1 - before.1) as f64 / (after.0 - before.0) as f64;
        let size = serde_json::to_string(&event(began, 1)).unwrap().len();
        println!("an event of {size} bytes takes {entry:.0} bytes in Redis");
        end.store(true, Ordering::Relaxed);
    });
}
