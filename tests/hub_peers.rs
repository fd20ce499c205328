//! The event hub with what others have made: the real socket.io 0.9.19 server, and the official
//! JavaScript and Python hubs on it, in both directions.
//!
//! `tests/peers/run` installs what they need and runs these tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use ftrack_api::hub::{HubConfig, SubscribeOptions};
use ftrack_api::{Event, EventHub};
use serde_json::{Value, json};

/// For what must happen in the end.
const LONG: Duration = Duration::from_secs(120);
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/events");

/// A program that reads commands and writes replies, line by line.
struct Peer {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Peer {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(FOLDER);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = crossbeam_channel::unbounded();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let input = child.stdin.take().unwrap();
        Self {
            child,
            input,
            lines,
        }
    }

    fn server() -> (Self, String) {
        let server = Self::start("node", &["server.cjs"]);
        let line = server
            .lines
            .recv_timeout(LONG)
            .expect("the server says where it listens");
        let port = line.strip_prefix("listening ").unwrap().to_string();
        (server, format!("http://127.0.0.1:{port}"))
    }

    fn client(language: &str, url: &str) -> Self {
        let python = std::env::var("FTRACK_PEERS_PYTHON").unwrap_or("python3".into());
        let client = match language {
            "python" => Self::start(&python, &["client.py", url]),
            _ => Self::start("node", &["client.mjs", url]),
        };
        client.expect("ready");
        client
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    /// The next reply of this kind.
    #[track_caller]
    fn expect(&self, kind: &str) -> Value {
        loop {
            let line = self
                .lines
                .recv_timeout(LONG)
                .unwrap_or_else(|_| panic!("no {kind}"));
            if let Ok(mut value) = serde_json::from_str::<Value>(&line)
                && let Some(found) = value.get_mut(kind)
            {
                return found.take();
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hub(url: &str) -> EventHub {
    let hub = EventHub::new(HubConfig::new(url, "ada", "secret"));
    hub.connect().unwrap();
    hub
}

fn listen(hub: &EventHub, expression: &str) {
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with(expression, options, |_| Ok(None))
        .unwrap();
}

#[test]
#[ignore = "tests/peers/run installs what it needs"]
fn the_real_server() {
    let (mut server, url) = Peer::server();
    let refused = EventHub::new(HubConfig::new(&url, "ada", "wrong")).connect();
    assert_eq!(
        refused.unwrap_err().kind(),
        ftrack_api::ErrorKind::Authentication
    );
    let (one, two) = (hub(&url), hub(&url));
    listen(&two, "topic=t and data.n > 5");
    for n in 0..10 {
        one.publish(Event::new("t").with_data(json!({"n": n})))
            .unwrap();
    }
    for n in 6..10 {
        assert_eq!(two.next(LONG).unwrap().unwrap().data()["n"], n);
    }
    let targeted = Event::new("t")
        .with_data(json!({"n": 99}))
        .with_target("id=nobody");
    one.publish(targeted).unwrap();
    server.tell("cut");
    let end = Instant::now() + LONG;
    while two.counts().reconnects == 0 || one.counts().reconnects == 0 {
        assert!(Instant::now() < end, "the hubs connect again");
        two.wait(Duration::from_millis(20)).unwrap();
    }
    two.flush(LONG).unwrap();
    // Subscribing once more is acknowledged after the subscriptions that were restored.
    listen(&two, "topic=other");
    one.publish(Event::new("t").with_data(json!({"n": 7})))
        .unwrap();
    assert_eq!(two.next(LONG).unwrap().unwrap().data()["n"], 7);
}

/// The server announces a frame of exactly 65,536 bytes as empty: the event in it is lost, the
/// hub is not.
#[test]
#[ignore = "tests/peers/run installs what it needs"]
fn frames_that_the_real_server_gets_wrong() {
    let (_server, url) = Peer::server();
    let (one, two) = (hub(&url), hub(&url));
    listen(&two, "topic=t");
    // From well below to well above the length that goes wrong, byte by byte around it.
    one.publish(Event::new("t").with_data(json!({"x": ""})))
        .unwrap();
    let first = two.next(LONG).unwrap().unwrap();
    let around = 65_536 - format!("5:::{}", json!({"name": "ftrack.event", "args": [first]})).len();
    for size in around - 3..around + 3 {
        one.publish(Event::new("t").with_data(json!({"x": "y".repeat(size)})))
            .unwrap();
    }
    one.flush(LONG).unwrap();
    // The wrong frame is hit.
    let end = Instant::now() + LONG;
    while two.counts().reconnects == 0 {
        assert!(Instant::now() < end, "the hub connects again");
        two.wait(Duration::from_millis(20)).unwrap();
    }
    // Acknowledged after the subscriptions that were restored.
    listen(&two, "topic=other");
    one.publish(Event::new("t").with_data(json!({"x": "end"})))
        .unwrap();
    while two.next(LONG).unwrap().expect("the end comes").data()["x"] != "end" {}
}

/// A reset that arrives after the server has said goodbye itself ends the whole server program: it
/// has no handler for it any more. So nothing that is on its way may meet a closed socket.
#[test]
#[ignore = "tests/peers/run installs what it needs"]
fn leaving_in_a_burst_does_no_harm() {
    let (mut server, url) = Peer::server();
    let one = hub(&url);
    for turn in 0..40 {
        let two = hub(&url);
        listen(&two, "topic=t");
        for _ in 0..20 {
            let data = json!({"x": "y".repeat(200_000)});
            one.publish(Event::new("t").with_data(data)).unwrap();
        }
        let first = two.next(LONG).unwrap();
        assert!(first.is_some());
        match turn % 2 {
            0 => two.disconnect(),
            _ => two.reconnect().unwrap(),
        }
        one.flush(LONG).unwrap();
    }
    assert!(
        server.child.try_wait().unwrap().is_none(),
        "the server is dead"
    );
}

/// The server closes the connection of a client that sends much; nothing is lost by that.
#[test]
#[ignore = "tests/peers/run installs what it needs"]
fn a_burst_through_the_real_server() {
    const COUNT: usize = 20_000;
    let (_server, url) = Peer::server();
    let (one, two) = (hub(&url), hub(&url));
    listen(&two, "topic=burst");
    let start = Instant::now();
    let publisher = std::thread::spawn(move || {
        for n in 0..COUNT {
            one.publish(Event::new("burst").with_data(json!({"n": n})))
                .unwrap();
        }
        one.flush(Duration::from_secs(60)).unwrap();
        one.counts()
    });
    let mut seen = HashSet::new();
    while seen.len() < COUNT {
        let event = two
            .next(LONG)
            .unwrap()
            .unwrap_or_else(|| panic!("only {}", seen.len()));
        assert!(seen.insert(event.data()["n"].as_u64().unwrap()), "twice");
    }
    let took = start.elapsed();
    let counts = publisher.join().unwrap();
    assert_eq!(counts.undelivered, 0);
    let rate = COUNT as f64 / took.as_secs_f64();
    eprintln!(
        "{rate:.0} events a second, {} reconnects",
        counts.reconnects
    );
}

#[test]
#[ignore = "tests/peers/run installs what it needs"]
fn official_clients_in_both_directions() {
    for language in ["js", "python"] {
        let (_server, url) = Peer::server();
        let ours = hub(&url);
        let mut theirs = Peer::client(language, &url);
        // Theirs to ours, with our reply.
        let handled = Arc::new(AtomicBool::new(false));
        let is_handled = handled.clone();
        let handler = move |event: &Event| {
            is_handled.store(true, Ordering::SeqCst);
            Ok(Some(json!({"from": "rust", "data": event.data()})))
        };
        let options = SubscribeOptions::new().acknowledged(LONG);
        let id = ours
            .subscribe_with("topic=to.rust", options, handler)
            .unwrap();
        theirs.tell(r#"request to.rust {"n": 1}"#);
        let end = Instant::now() + LONG;
        while !handled.load(Ordering::SeqCst) {
            assert!(Instant::now() < end, "no request from {language}");
            ours.wait(Duration::from_millis(20)).unwrap();
        }
        assert_eq!(
            theirs.expect("reply"),
            json!({"from": "rust", "data": {"n": 1}})
        );
        // Ours to theirs, with their reply.
        theirs.tell("subscribe to.them");
        theirs.expect("subscribed");
        // The server may not know of the subscription yet.
        let question = || Event::new("to.them").with_data(json!({"ä": [1, null, "x"]}));
        let ask = || ours.request(question(), Duration::from_millis(300)).ok();
        let end = Instant::now() + LONG;
        let reply = loop {
            match ask() {
                Some(reply) => break reply,
                None => assert!(Instant::now() < end, "no reply from {language}"),
            }
        };
        assert_eq!(
            reply.data(),
            &json!({"from": language, "data": {"ä": [1, null, "x"]}})
        );
        assert_eq!(theirs.expect("event")["topic"], "to.them");
        // A target that is somebody else.
        ours.publish(Event::new("to.them").with_target("id=nobody"))
            .unwrap();
        // Unsubscribed: theirs is not heard any more.
        assert!(ours.unsubscribe(&id));
        listen(&ours, "topic=end");
        theirs.tell("publish to.rust {}");
        theirs.tell(r#"publish end {"last": true}"#);
        let event = ours.next(LONG).unwrap().unwrap();
        assert_eq!((event.topic(), event.username()), ("end", Some("ada")));
        assert!(
            theirs.lines.try_iter().all(|line| !line.contains("event")),
            "{language}"
        );
    }
}
