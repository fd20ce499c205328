//! The event hub beside a bare socket on the same server, and event expressions.
//!
//!     cargo bench --bench events               on the emulator
//!     cargo bench --bench events -- peers      on npm's socket.io, with the official hubs
//!
//! Prints one line for each figure. The bare socket sends the packet and waits for it to come
//! back, without a hub: the floor that a hub can be compared with.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints"
)]

mod peers;

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ftrack_api::event::Filter;
use ftrack_api::hub::{HubConfig, SubscribeOptions};
use ftrack_api::{Event, EventHub};
use ftrack_emulator::Emulator;
use peers::{Figures, Peers};
use serde_json::json;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

const LONG: Duration = Duration::from_secs(20);
/// 200 events a second.
const PACE: Duration = Duration::from_millis(5);

fn main() {
    if std::env::args().any(|argument| argument == "peers") {
        return beside_peers();
    }
    expressions();
    // The server may be another program, such as the real one in `tests/peers/events`.
    let given = std::env::var("BENCH_EVENT_SERVER").ok();
    let emulator = Emulator::builder().tasks(10).start().unwrap();
    let (url, user, key) = match &given {
        Some(url) => (url.as_str(), "ada", "secret"),
        None => (emulator.url(), emulator.api_user(), emulator.api_key()),
    };
    let (mut bare, mut hub) = in_turns(url, user, key);
    report("bare socket", &mut bare);
    report("hub", &mut hub);
    throughput(url, user, key);
}

/// Everybody on one server, in turns: latencies are medians of the rounds, bursts the best.
fn beside_peers() {
    const LATENCIES: u32 = 1000;
    const BURST: u32 = 20_000;
    const ROUNDS: usize = 3;
    let peers = Peers::install();
    let server = peers.server();
    let url = server.url.as_str();
    let names = ["bare socket", "hub", "python", "javascript"];
    let mut rounds: Vec<[Figures; 4]> = Vec::new();
    for _ in 0..ROUNDS {
        let (bare, hub) = in_turns(url, "ada", "secret");
        let bare = Figures {
            latencies: micros(&bare),
            ..Figures::default()
        };
        let ours = Figures {
            latencies: micros(&hub),
            ..burst(url, BURST)
        };
        let others = ["python", "javascript"].map(|who| peers.play(who, url, LATENCIES, BURST));
        let [python, javascript] = others;
        rounds.push([bare, ours, python, javascript]);
    }
    let floor = [0.5, 0.99].map(|share| latency(&rounds, 0, share));
    for (index, name) in names.iter().enumerate() {
        let times = [0.5, 0.99].map(|share| latency(&rounds, index, share));
        let ratios = [times[0] / floor[0], times[1] / floor[1]];
        println!(
            "{name}: p50 {:.0} us ({:.2} of bare), p99 {:.0} us ({:.2} of bare)",
            times[0], ratios[0], times[1], ratios[1]
        );
    }
    for (index, name) in names.iter().enumerate().skip(1) {
        let rate = |round: &[Figures; 4]| f64::from(round[index].received) / round[index].seconds;
        let best = rounds.iter().map(rate).fold(0.0, f64::max);
        let lost: u32 = rounds
            .iter()
            .map(|round| BURST - round[index].received)
            .sum();
        let idle = rounds
            .iter()
            .map(|round| round[index].idle)
            .fold(0.0, f64::max);
        let sent = BURST as usize * ROUNDS;
        println!(
            "{name}: {best:.0} a second, {lost} of {sent} lost, {:.2} % of a processor when idle",
            idle * 100.0
        );
    }
    let python = &rounds[ROUNDS - 1][2];
    let rates = (
        python.parse.unwrap_or_default(),
        python.matched.unwrap_or_default(),
    );
    println!(
        "python: parse {:.0}, match {:.0} a second",
        rates.0, rates.1
    );
    expressions();
}

/// The median of the rounds.
fn latency(rounds: &[[Figures; 4]], index: usize, share: f64) -> f64 {
    let at = |round: &[Figures; 4]| {
        let mut sorted = round[index].latencies.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() as f64 * share) as usize] as f64
    };
    let mut all: Vec<f64> = rounds.iter().map(at).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn micros(latencies: &[Duration]) -> Vec<u64> {
    let micros = latencies.iter().map(Duration::as_micros);
    micros.map(|each| each as u64).collect()
}

/// What came of a burst, and what the hubs cost afterwards.
fn burst(url: &str, burst: u32) -> Figures {
    let (sender, receiver) = (hub(url, "ada", "secret"), hub(url, "ada", "secret"));
    listen(&receiver);
    let start = Instant::now();
    let publisher = std::thread::spawn(move || {
        for number in 0..burst {
            sender
                .publish(Event::new("bench").with_data(number))
                .unwrap();
        }
        sender.flush(LONG).unwrap();
        sender
    });
    let quiet = Duration::from_secs(3);
    let mut received = 0;
    while received < burst && receiver.next(quiet).unwrap().is_some() {
        received += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    let _sender = publisher.join().unwrap();
    let before = cpu_time::ProcessTime::now();
    receiver.wait(Duration::from_secs(2)).unwrap();
    let idle = before.elapsed().as_secs_f64() / 2.0;
    Figures {
        received,
        seconds,
        idle,
        ..Figures::default()
    }
}

fn expressions() {
    let simple = "topic=ftrack.update";
    let rich = "topic=ftrack.* and not (source.user.username=bot or data.n > 5)";
    let event = Event::new("ftrack.update").with_data(json!({"n": 3}));
    for (name, text) in [("simple", simple), ("rich", rich)] {
        let rate = per_second(|| black_box(text).parse::<Filter>());
        println!("parse {name}: {rate:.0} a second");
        let expression: Filter = text.parse().unwrap();
        let rate = per_second(|| black_box(&expression).matches(black_box(&event)));
        println!("match {name}: {rate:.0} a second");
    }
}

fn per_second<T>(mut work: impl FnMut() -> T) -> f64 {
    const BATCH: u32 = 1000;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(500) {
        for _ in 0..BATCH {
            black_box(work());
        }
        count += BATCH;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn hub(url: &str, user: &str, key: &str) -> EventHub {
    let hub = EventHub::new(HubConfig::new(url, user, key));
    hub.connect().unwrap();
    hub
}

fn listen(hub: &EventHub) {
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with("topic=bench", options, |_| Ok(None))
        .unwrap();
}

/// The latencies of bare socket and hub, in turns, as the machine has its moods.
fn in_turns(url: &str, user: &str, key: &str) -> (Vec<Duration>, Vec<Duration>) {
    let (mut bare, mut hub) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        bare.append(&mut bare_latencies(url, user, key));
        hub.append(&mut hub_latencies(url, user, key));
    }
    (bare, hub)
}

/// From before an event is published, the moment that `publish` returns, until a thread has it
/// that waits for it. Nobody wakes anybody for the sake of the measurement.
fn latencies(
    mut publish: impl FnMut(u32) -> Instant,
    mut receive: impl FnMut() + Send,
) -> Vec<Duration> {
    const COUNT: u32 = 200;
    std::thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let arrive = |_| {
                receive();
                Instant::now()
            };
            (0..COUNT).map(arrive).collect::<Vec<_>>()
        });
        let start = Instant::now();
        let timed = |number| {
            std::thread::sleep((start + PACE * number).saturating_duration_since(Instant::now()));
            publish(number)
        };
        let sent: Vec<Instant> = (0..COUNT).map(timed).collect();
        let arrived = receiver.join().unwrap();
        let pairs = arrived.into_iter().zip(sent);
        pairs
            .map(|(arrived, sent)| arrived.duration_since(sent))
            .collect()
    })
}

fn hub_latencies(url: &str, user: &str, key: &str) -> Vec<Duration> {
    let (sender, receiver) = (hub(url, user, key), hub(url, user, key));
    listen(&receiver);
    let mut expected = 0..;
    latencies(
        |number| {
            let sent = Instant::now();
            sender
                .publish(Event::new("bench").with_data(number))
                .unwrap();
            sent
        },
        || {
            let event = receiver.next(LONG).unwrap().unwrap();
            assert_eq!(event.data(), expected.next().unwrap());
        },
    )
}

fn bare_latencies(url: &str, user: &str, key: &str) -> Vec<Duration> {
    let (mut sender, mut receiver) = (bare(url, user, key), bare(url, user, key));
    // With a source, as a hub's events have: all carry the same.
    let source = json!({"id": "0123456789abcdef0123456789abcdef", "user": {"username": user}, "host": "workstation"});
    let event = |topic: &str, data| {
        let event = Event::new(topic).with_data(data);
        let event = event.with_source(source.clone());
        serde_json::to_string(&event).unwrap()
    };
    let packet = |number: u32, event: &str| {
        Message::text(format!(
            "5:{number}+::{{\"name\":\"ftrack.event\",\"args\":[{event}]}}"
        ))
    };
    let data = json!({"subscriber": {"id": "bare"}, "subscription": "topic=bench"});
    receiver
        .send(packet(1, &event("ftrack.meta.subscribe", data)))
        .unwrap();
    skip(&mut receiver, "6:::1");
    latencies(
        |number| {
            if number > 0 {
                // The acknowledgement of the one before, so that the connection does not fill up.
                skip(&mut sender, "6:");
            }
            let sent = Instant::now();
            let packet = packet(number + 1, &event("bench", json!(number)));
            sender.send(packet).unwrap();
            sent
        },
        || skip(&mut receiver, "5:"),
    )
}

/// Reads until a packet comes that begins so.
fn skip(socket: &mut WebSocket<TcpStream>, prefix: &str) {
    while !socket
        .read()
        .unwrap()
        .to_text()
        .unwrap()
        .starts_with(prefix)
    {}
}

fn bare(url: &str, user: &str, key: &str) -> WebSocket<TcpStream> {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /socket.io/1/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         ftrack-user: {user}\r\nftrack-api-key: {key}\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let body = response
        .split("\r\n")
        .find(|line| line.contains(":websocket"))
        .unwrap();
    let session = body.split(':').next().unwrap();
    let stream = TcpStream::connect(host).unwrap();
    stream.set_nodelay(true).unwrap();
    let url = format!("ws://{host}/socket.io/1/websocket/{session}");
    // As much as a hub reads at once: the default is slower, as it is overwritten before each read.
    let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
    let (mut socket, _) =
        tungstenite::client::client_with_config(url, stream, Some(config)).unwrap();
    while socket.read().unwrap().to_text().unwrap() != "1::" {}
    socket
}

fn report(name: &str, latencies: &mut [Duration]) {
    latencies.sort();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_micros();
    println!("{name}: p50 {} us, p99 {} us", at(0.5), at(0.99));
}

fn throughput(url: &str, user: &str, key: &str) {
    const COUNT: u32 = 50_000;
    let (sender, receiver) = (hub(url, user, key), hub(url, user, key));
    listen(&receiver);
    let start = Instant::now();
    let publisher = std::thread::spawn(move || {
        for number in 0..COUNT {
            sender
                .publish(Event::new("bench").with_data(number))
                .unwrap();
        }
        sender.flush(LONG).unwrap();
        sender.counts()
    });
    for _ in 0..COUNT {
        receiver.next(LONG).unwrap().unwrap();
    }
    let rate = f64::from(COUNT) / start.elapsed().as_secs_f64();
    let reconnects = publisher.join().unwrap().reconnects;
    println!("throughput: {rate:.0} events a second, {reconnects} reconnects");
}
