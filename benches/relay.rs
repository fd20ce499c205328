//! Events through a stream in Redis, beside the bare hub, in one run: latency, throughput and memory.
//!
//! `cargo bench --bench relay`, with the number of events of the long part behind `--`, 200,000 unless given, and how
//! many come in a second, 5,000 unless given. In the long part the relay and the four workers are processes of their
//! own; Redis, and this process with the event server and the publisher, share the machine's cores with them. It takes
//! two minutes at most. Needs `redis-server`.
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
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The hub, Redis and the relay take turns: how quick a machine is changes from second to second.
const ROUNDS: usize = 10;

/// The stream of the long part: the relay waits for none of another part.
const LONG_STREAM: &str = "long";

/// The long part ends here, whatever it has done.
const LONGEST: Duration = Duration::from_secs(100);

/// How many KiB a process may need more at one moment than at another.
const NOISE: u64 = 1024;

/// What may come behind the last event at a rate that is sustained: this process looks ten times a second.
const SLACK: Duration = Duration::from_millis(500);

/// What a process of the long part is, in its environment.
const ROLE: &str = "BENCH_ROLE";

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
fn event(topic: &str, began: Instant, number: usize) -> Event {
    let at = u64::try_from(began.elapsed().as_nanos()).unwrap();
    let filling = "x".repeat(700);
    Event::new(topic).with_data(json!({ "at": at, "key": number % 500, "filling": filling }))
}

fn age(began: Instant, event: &Event) -> Duration {
    let at = Duration::from_nanos(event.data()["at"].as_u64().unwrap());
    began.elapsed().saturating_sub(at)
}

fn at_rate(count: usize, rate: usize, mut each: impl FnMut(usize)) {
    let started = Instant::now();
    for number in 0..count {
        let due = Duration::from_secs_f64(number as f64 / rate as f64);
        if let Some(left) = due.checked_sub(started.elapsed()) {
            thread::sleep(left);
        }
        each(number);
    }
}

/// Publishes at a steady rate.
fn publish(hub: &EventHub, topic: &str, began: Instant, count: usize, rate: usize) {
    at_rate(count, rate, |number| {
        hub.publish(event(topic, began, number)).unwrap();
    });
}

fn verdict(is_reached: bool) -> &'static str {
    match is_reached {
        true => "reached",
        false => "missed",
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

/// Round trips at the rate of the events: a machine that has slept between them is slower to answer.
fn round_trips(server: &Server) -> Vec<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut ages = Vec::new();
    at_rate(TIMED / ROUNDS, TIMED_RATE, |_| {
        let started = Instant::now();
        stream.write_all(b"PING\r\n").unwrap();
        stream.read_exact(&mut [0; 7]).unwrap();
        ages.push(started.elapsed());
    });
    ages
}

/// KiB of a process; 0 where the system does not say.
fn resident(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0u64) * 4
}

/// The processor time of a process so far, in seconds; 0 where the system does not say.
fn busy(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split(' ');
    let ticks: f64 = fields
        .skip(12)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

fn used_by_redis(server: &Server) -> u64 {
    let keys = [LONG_STREAM.to_owned(), format!("{{{LONG_STREAM}}}:ids")];
    let usage = keys.map(|key| server.command(&format!("MEMORY USAGE {key} SAMPLES 0")));
    usage
        .iter()
        .map(|reply| reply.trim().trim_start_matches(':').parse().unwrap_or(0))
        .sum()
}

/// A process of the long part.
fn start(role: &str, emulator: &Emulator, redis: &Server) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .env(ROLE, role)
        .env("BENCH_STREAM", redis.url())
        .env("FTRACK_SERVER", emulator.url())
        .env("FTRACK_API_KEY", emulator.api_key())
        .env("FTRACK_API_USER", emulator.api_user())
        .spawn();
    Process(child.unwrap())
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn play(role: &str) -> ! {
    let variable = |name: &str| std::env::var(name).unwrap();
    let stream = Stream::redis(variable("BENCH_STREAM")).name(LONG_STREAM);
    let error = if role == "relay" {
        let [server, user, key] =
            ["FTRACK_SERVER", "FTRACK_API_USER", "FTRACK_API_KEY"].map(variable);
        let hub = EventHub::new(HubConfig::new(server, user, key));
        let mut relay = Relay::new(&hub, &stream, "long").subscribe("topic=studio.bench");
        relay.run().unwrap_err()
    } else {
        let worker = Worker::new(&stream, "long", role)
            .start(Start::Newest)
            .ordered_by(|event| Some(event.data()["key"].to_string()));
        worker.run(|_| Ok(())).unwrap_err()
    };
    panic!("{role}: {error}");
}

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        play(&role);
    }
    let mut numbers = std::env::args().filter_map(|text| text.parse().ok());
    let long: usize = numbers.next().unwrap_or(200_000);
    let rate: usize = numbers.next().unwrap_or(5000);
    let emulator = Emulator::builder().tasks(1).start().unwrap();
    let (sender, began) = (hub(&emulator), Instant::now());

    let redis = Server::durable();
    latency(&emulator, &redis, &sender, began);
    long_part(&emulator, &redis, &sender, (began, long, rate));
}

/// From publishing to receiving, with the hub alone and through a relay to a worker that takes events in any order.
fn latency(emulator: &Emulator, redis: &Server, sender: &EventHub, began: Instant) {
    let bare = hub(emulator);
    let options = SubscribeOptions::new().acknowledged(Duration::from_secs(60));
    bare.subscribe_with("topic=studio.bare", options, |_| Ok(None))
        .unwrap();
    let stream = Stream::redis(redis.url());
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let (stream, end) = (&stream, &end);
        let relay_hub = unconnected(emulator);
        scope.spawn(move || {
            let mut relay = Relay::new(&relay_hub, stream, "bench").subscribe("topic=studio.bench");
            while !end.load(Ordering::Relaxed) {
                relay.poll(Duration::from_millis(100)).unwrap();
            }
        });
        let is_connected = || {
            let relays = stream.status().unwrap().relays;
            relays.iter().any(|relay| relay.connected_at.is_some())
        };
        while !is_connected() {
            thread::sleep(Duration::from_millis(10));
        }
        let worker = Worker::new(stream, "timed", "one");
        // Publishes one round beside what receives it.
        let timed = |topic: &'static str, receive: &dyn Fn() -> Duration| -> Vec<Duration> {
            let publishing =
                scope.spawn(move || publish(sender, topic, began, TIMED / ROUNDS, TIMED_RATE));
            let ages = (0..TIMED / ROUNDS).map(|_| receive()).collect();
            publishing.join().unwrap();
            ages
        };
        let (mut hub_ages, mut trips, mut relay_ages) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            hub_ages.extend(timed("studio.bare", &|| {
                age(began, &bare.next(None).unwrap().unwrap())
            }));
            trips.extend(round_trips(redis));
            relay_ages.extend(timed("studio.bench", &|| {
                let delivery = worker.next(None).unwrap().unwrap();
                let age = age(began, delivery.event().unwrap());
                delivery.ack().unwrap();
                age
            }));
        }
        let hub = percentiles("hub, publish to receive", hub_ages);
        let trip = percentiles("Redis, one round trip", trips);
        let relay = percentiles("relay, publish to worker", relay_ages);
        let goal = 2 * hub + trip;
        println!(
            "the goal is twice the hub and a round trip, {goal:?}: {}",
            verdict(relay <= goal)
        );
        end.store(true, Ordering::Relaxed);
    });
    bare.close();
}

/// How far the long part is.
struct Progress {
    handled: usize,
    /// Events that are in the stream, or wait in the relay, and were not handled.
    waiting: usize,
    missing: u64,
}

fn progress(stream: &Stream) -> Progress {
    let (status, group) = (stream.status().unwrap(), stream.group("long").unwrap());
    let (group, relays) = (group.unwrap(), status.relays.iter());
    let relay = relays.clone().find(|relay| relay.name == "long").unwrap();
    Progress {
        handled: usize::try_from(group.handled).unwrap(),
        waiting: usize::try_from(group.lag + relay.waiting).unwrap(),
        missing: relay.dropped,
    }
}

/// Many events at a steady rate: whether they are handled as fast as they come, in how much memory, and at what cost.
fn long_part(
    emulator: &Emulator,
    redis: &Server,
    sender: &EventHub,
    (began, long, rate): (Instant, usize, usize),
) {
    let stream = Stream::redis(redis.url()).name(LONG_STREAM);
    let relay = start("relay", emulator, redis);
    let workers = ["one", "two", "three", "four"].map(|name| start(name, emulator, redis));
    let is_ready = || {
        let relays = stream.status().unwrap().relays;
        let relay = relays.iter().find(|relay| relay.name == "long");
        relay.is_some_and(|relay| relay.connected_at.is_some())
    };
    while !is_ready() || stream.group("long").unwrap().is_none() {
        thread::sleep(Duration::from_millis(10));
    }
    let before = (stream.status().unwrap().length, used_by_redis(redis));
    let times = || {
        let workers = workers.iter().map(|worker| busy(worker.0.id())).sum();
        let others = [relay.0.id(), redis.process(), std::process::id()].map(busy);
        [others[0], workers, others[1], others[2]]
    };
    let busy_before = times();
    let started = Instant::now();
    let publisher = sender.clone();
    let publishing = thread::spawn(move || {
        publish(&publisher, "studio.bench", began, long, rate);
        publisher.flush(Duration::from_secs(60)).unwrap();
        started.elapsed()
    });
    let memory = || {
        let workers = workers.iter().map(|worker| resident(worker.0.id()));
        (resident(relay.0.id()), workers.max().unwrap_or(0))
    };
    let (mut memories, mut most_waiting) = (Vec::new(), 0);
    let took = loop {
        thread::sleep(Duration::from_millis(100));
        let now = progress(&stream);
        most_waiting = most_waiting.max(now.waiting);
        if now.handled * 10 / long > memories.len() {
            memories.push(memory());
            println!(
                "{} handled after {:.1?}, {} waiting, {} missing; KiB resident: relay {}, largest worker {}",
                now.handled,
                started.elapsed(),
                now.waiting,
                now.missing,
                memories[memories.len() - 1].0,
                memories[memories.len() - 1].1,
            );
        }
        if now.handled >= long || started.elapsed() > LONGEST {
            break started.elapsed();
        }
    };
    let handled = progress(&stream).handled;
    let published = match publishing.is_finished() {
        true => publishing.join().unwrap(),
        false => took,
    };
    let used = times();
    let (sent, done) = (
        long as f64 / published.as_secs_f64(),
        handled as f64 / took.as_secs_f64(),
    );
    println!(
        "{handled} of {long} handled: published {sent:.0} a second, handled {done:.0} a second, at most {most_waiting} waiting"
    );
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let is_reached =
        handled == long && took < Duration::from_secs_f64(long as f64 / rate as f64) + SLACK;
    println!(
        "the goal is {rate} a second, on {cores} cores: {}",
        verdict(is_reached)
    );
    // By then every process has its connections and buffers.
    if let [_, (relay, worker), .., (relay_end, worker_end)] = memories[..] {
        let is_flat = |from: u64, to: u64| to <= from + from / 10 + NOISE;
        let is_flat = is_flat(relay, relay_end) && is_flat(worker, worker_end);
        println!(
            "the goal is flat memory: relay {relay} to {relay_end} KiB, largest worker {worker} to {worker_end} KiB: {}",
            verdict(is_flat)
        );
    }
    // Unlike the rate, it says the same on a busy machine.
    let mut sum = 0.0;
    for (index, who) in ["relay", "workers", "Redis", "server and publisher"]
        .iter()
        .enumerate()
    {
        let micros = (used[index] - busy_before[index]) * 1e6 / handled as f64;
        sum += micros;
        println!("{who}: {micros:.0} µs of processor time for an event");
    }
    println!("all: {sum:.0} µs, {:.2} cores", sum * done / 1e6);
    let after = (stream.status().unwrap().length, used_by_redis(redis));
    let entry = (after.1 - before.1) as f64 / (after.0 - before.0) as f64;
    let size = serde_json::to_string(&event("studio.bench", began, 1))
        .unwrap()
        .len();
    println!("an event of {size} bytes takes {entry:.0} bytes in Redis");
}
