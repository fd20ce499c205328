//! Measures the event server: `cargo run --release --example event_load -- 200 5000 5`.
//!
//! Arguments: connections, events per second, seconds. Half of the events go to one connection
//! (as replies do), and one in a hundred to all of them (as `ftrack.update` does). Every client
//! holds the three subscriptions that an official session has, and one of its own. Clients and
//! server share the machine, so that the figures include the clients' work.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program"
)]

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use ftrack_emulator::events::{Hub, Settings, router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    expected: AtomicU64,
    delivered: AtomicU64,
    micros: Mutex<Vec<u64>>,
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().unwrap());
    let connections: u64 = args.next().unwrap_or(200);
    let rate: u64 = args.next().unwrap_or(5000);
    let seconds: u64 = args.next().unwrap_or(5);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hub = Hub::new(Settings::default());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Without this, a second small packet waits 40 ms for the client to confirm the first.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    let app = router(hub.clone(), Arc::new(|_, _| true));
    runtime.spawn(async move { axum::serve(listener, app).await });

    let (tally, epoch) = (Arc::new(Tally::default()), Instant::now());
    for n in 0..connections {
        let (socket, tally) = (connect(&address, n), tally.clone());
        std::thread::spawn(move || receive(socket, &tally, epoch));
    }
    while hub.subscriptions() < 4 * usize::try_from(connections).unwrap() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (started, busy) = (Instant::now(), processor_time());
    publish(&address, &tally, epoch, connections, rate, seconds);
    let took = started.elapsed().as_secs_f64();
    let deadline = Instant::now() + Duration::from_secs(10);
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    while load(&tally.delivered) < load(&tally.expected) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut micros = std::mem::take(&mut *tally.micros.lock());
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 100] as f64 / 1000.0;
    println!(
        "{} events in {took:.2} s ({:.0}/s) to {connections} connections; {} of {} deliveries \
         ({:.0}/s); latency ms: half {:.2}, 99 % {:.2}, all {:.2}; {} connections left; \
         processor {:.2} s, clients included",
        load(&tally.sent),
        load(&tally.sent) as f64 / took,
        load(&tally.delivered),
        load(&tally.expected),
        load(&tally.delivered) as f64 / started.elapsed().as_secs_f64(),
        at(50),
        at(99),
        at(100),
        hub.connections(),
        processor_time() - busy,
    );
}

fn connect(address: &str, n: u64) -> Socket {
    let url = format!("http://{address}/socket.io/1/?api_user=u&api_key=k");
    let text = ureq::get(url).call().unwrap().body_mut().read_to_string();
    let text = text.unwrap();
    let session = text.split(':').next().unwrap();
    let url = format!("ws://{address}/socket.io/1/websocket/{session}");
    let (mut socket, _) = tungstenite::connect(url).unwrap();
    for (id, subscription) in [
        (format!("hub-{n}"), "topic=ftrack.meta.reply".to_owned()),
        (
            "a".to_owned(),
            "topic=ftrack.storage-scenario.activate and data.storage_scenario.scenario=\"x\""
                .to_owned(),
        ),
        (
            "b".to_owned(),
            "topic=ftrack.storage-scenario.verify and data.scenario_id=\"x\"".to_owned(),
        ),
        (
            "c".to_owned(),
            "topic=ftrack.update and source.user.username!=nobody".to_owned(),
        ),
    ] {
        let data = json!({"subscriber": {"id": id}, "subscription": subscription});
        send(
            &mut socket,
            "",
            &json!({"topic": "ftrack.meta.subscribe", "data": data}),
        );
    }
    socket
}

fn send(socket: &mut Socket, id: &str, event: &Value) {
    let payload = json!({"name": "ftrack.event", "args": [event]});
    let text = format!("5:{id}::{payload}");
    socket.write(Message::text(text)).unwrap();
    socket.flush().unwrap();
}

fn receive(mut socket: Socket, tally: &Tally, epoch: Instant) {
    while let Ok(message) = socket.read() {
        let text = message.to_text().unwrap_or_default();
        if text.starts_with("2::") {
            let _ = socket.send(Message::text("2::"));
        } else if let Some(at) = text.find("\"at\":") {
            let rest = &text[at + 5..];
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
            let sent: u64 = rest[..end].parse().unwrap();
            let micros = now(epoch).saturating_sub(sent);
            tally.micros.lock().push(micros);
            tally.delivered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn now(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_micros()).unwrap()
}

/// Four publishers share the rate and drain their acknowledgements.
fn publish(address: &str, tally: &Arc<Tally>, epoch: Instant, all: u64, rate: u64, seconds: u64) {
    let publishers: Vec<_> = (0..4)
        .map(|p| {
            let (address, tally) = (address.to_owned(), tally.clone());
            std::thread::spawn(move || {
                let (mut socket, mut unacknowledged) = (connect(&address, all + p), 0);
                let start = Instant::now();
                for n in 0..rate * seconds / 4 {
                    let due = Duration::from_secs_f64(n as f64 * 4.0 / rate as f64);
                    while start.elapsed() < due {
                        std::thread::sleep(Duration::from_micros(500));
                    }
                    let (event, fan_out) = event(n, p, all, epoch);
                    send(&mut socket, &format!("{n}+"), &event);
                    tally.expected.fetch_add(fan_out, Ordering::Relaxed);
                    tally.sent.fetch_add(1, Ordering::Relaxed);
                    unacknowledged += 1;
                    if unacknowledged == 64 {
                        drain(&mut socket, &mut unacknowledged);
                    }
                }
                // A socket that is closed before it is read takes its last events with it.
                drain(&mut socket, &mut unacknowledged);
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().unwrap();
    }
}

/// An event of the size of a small `ftrack.update`, and how many listeners it has.
fn event(n: u64, p: u64, all: u64, epoch: Instant) -> (Value, u64) {
    let entity = json!({"entityId": "adb4ad6c-7679-11e2-8df2-f23c91df25eb", "action": "update",
        "entityType": "task", "keys": ["statusid"],
        "changes": {"statusid": {"old": "a", "new": "b"}}});
    let (topic, target, fan_out) = match n % 100 {
        0 => ("ftrack.update", String::new(), all),
        k if k % 2 == 0 => ("nobody.listens", String::new(), 0),
        _ => (
            "ftrack.meta.reply",
            format!("id=hub-{}", (n * 7 + p) % all),
            1,
        ),
    };
    let event = json!({"id": format!("{p}-{n}"), "topic": topic, "target": target, "sent": null,
        "source": {"id": "load", "user": {"username": "u"}}, "inReplyToEvent": null,
        "data": {"at": now(epoch), "entities": [entity]}});
    (event, fan_out)
}

/// Reads until `wanted` acknowledgements have come.
fn drain(socket: &mut Socket, wanted: &mut u64) {
    while *wanted > 0 {
        let message = socket.read().unwrap();
        if message.to_text().is_ok_and(|text| text.starts_with("6:")) {
            *wanted -= 1;
        }
    }
}

/// Seconds of processor time of this process; zero where the system does not say.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}
