//! Redis has done what it was asked, and the connection is lost before its reply comes, or has garbage instead.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::relay::{Once, Stream, Worker};
use ftrack_api::{ErrorKind, data};

use crate::redis::Server;
use crate::support::{self, eventually};
use crate::{events, next, nothing, number};

/// What a client gets for a reply, before its connection ends.
type Instead = &'static [u8];

const NOTHING: Instead = b"";
const GARBAGE: Instead = b"\x16\x03\x01 this is not Redis\r\n\r\n";

/// Passes everything on to a server, but for the next replies if it is told so.
pub(crate) struct Proxy {
    port: u16,
    /// Where new connections lead.
    server: Arc<AtomicU16>,
    instead: Arc<Mutex<Vec<Instead>>>,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let instead = Arc::<Mutex<Vec<Instead>>>::default();
        let server = Arc::new(AtomicU16::new(server));
        let (replies, target) = (Arc::clone(&instead), Arc::clone(&server));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = target.load(Ordering::SeqCst);
                let redis = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (from, to) = (client.try_clone().unwrap(), redis.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &Mutex::default()));
                let replies = Arc::clone(&replies);
                thread::spawn(move || pass(redis, client, &replies));
            }
        });
        Self {
            port,
            server,
            instead,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// New connections lead to another server.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    /// Instead of the next replies come these, and the connection ends.
    fn replace(&self, replies: &[Instead]) {
        self.instead.lock().unwrap().extend(replies);
    }

    fn has_replaced_all(&self) -> bool {
        self.instead.lock().unwrap().is_empty()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, instead: &Mutex<Vec<Instead>>) {
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if let Some(reply) = instead.lock().unwrap().pop() {
            let _ = to.write_all(reply);
            break;
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[test]
fn a_repeated_call_says_what_the_first_one_has_done() {
    for instead in [NOTHING, GARBAGE] {
        let server = Server::start();
        let proxy = Proxy::start(server.port());
        let stream = Stream::redis(proxy.url());
        let sent = events(4);
        assert_eq!(stream.append(&sent[..1]).unwrap(), 1);
        proxy.replace(&[instead]);
        assert_eq!(stream.append(&sent).unwrap(), 3);
        assert!(proxy.has_replaced_all());
        assert_eq!(stream.status().unwrap().appended, 4);
        assert_eq!(stream.append(&sent).unwrap(), 0);

        // A delivery is not held up until its lease ends.
        let worker = Worker::new(&stream, "g", "one").lease(Duration::from_secs(600));
        next(&worker).ack().unwrap();
        proxy.replace(&[instead]);
        let started = Instant::now();
        let delivery = next(&worker);
        assert!(proxy.has_replaced_all() && started.elapsed() < Duration::from_secs(60));
        assert_eq!((number(&delivery), delivery.attempt()), (1, 1));
        proxy.replace(&[instead]);
        delivery.ack().unwrap();
        assert!(proxy.has_replaced_all());
        next(&worker).ack().unwrap();
        next(&worker).ack().unwrap();
        assert!(nothing(&worker));
        let group = stream.group("g").unwrap().unwrap();
        assert_eq!((group.handled, group.in_flight, group.lag), (4, 0, 0));
    }
}

/// The call that is repeated finds the marker that it has set itself.
#[test]
fn a_change_whose_marker_got_no_reply_is_made() {
    let server = Server::start();
    let proxy = Proxy::start(server.port());
    let stream = Stream::redis(proxy.url());
    stream.append(&events(1)).unwrap();
    let studio = support::emulator();
    let session = support::open(&studio);
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    let delivery = next(&Worker::new(&stream, "g", "one"));
    proxy.replace(&[NOTHING]);
    let done = delivery.once(&session, |batch| {
        batch
            .session()
            .update("Task", task.key().id(), data! { "bid": 7200 })?;
        Ok(())
    });
    assert_eq!(done.unwrap(), Once::Applied);
    assert!(proxy.has_replaced_all());
    let again = support::open(&studio).get("Task", task.key().id());
    assert_eq!(again.unwrap().unwrap().get::<f64>("bid").unwrap(), 7200.0);
}

/// What a worker waits for is handed out by the turn that waits.
#[test]
fn an_event_whose_reply_is_lost_while_a_worker_waits_is_handed_out_once() {
    let server = Server::start();
    let proxy = Proxy::start(server.port());
    let stream = Stream::redis(server.url());
    let worker = Worker::new(&Stream::redis(proxy.url()), "g", "one");
    assert!(nothing(&worker));
    for event in events(20) {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| next(&worker));
            eventually("it waits", || {
                server.command("INFO clients").contains("blocked_clients:1")
            });
            proxy.replace(&[NOTHING]);
            stream.append([&event]).unwrap();
            let delivery = waiting.join().unwrap();
            assert_eq!(delivery.attempt(), 1);
            assert_eq!(delivery.event().unwrap().id(), event.id());
            delivery.ack().unwrap();
        });
        assert!(proxy.has_replaced_all());
    }
    let group = stream.group("g").unwrap().unwrap();
    assert_eq!((group.handled, group.in_flight, group.lag), (20, 0, 0));
}

#[test]
fn a_worker_that_waits_goes_on_when_redis_has_forgotten_its_script() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    let worker = Worker::new(&stream, "g", "one");
    assert!(nothing(&worker));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| next(&worker));
        eventually("it waits", || {
            server.command("INFO clients").contains("blocked_clients:1")
        });
        server.command("SCRIPT FLUSH");
        stream.append(&events(1)).unwrap();
        waiting.join().unwrap().ack().unwrap();
    });
}

#[test]
fn garbage_again_and_again_is_a_lost_connection() {
    let server = Server::start();
    let proxy = Proxy::start(server.port());
    let stream = Stream::redis(proxy.url());
    let sent = events(2);
    assert_eq!(stream.append(&sent[..1]).unwrap(), 1);
    proxy.replace(&[GARBAGE; 2]);
    let error = stream.append(&sent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(proxy.has_replaced_all());
    // What the call has done is known to the next one.
    assert_eq!(stream.append(&sent).unwrap(), 0);
    assert_eq!(stream.status().unwrap().appended, 2);
}

#[test]
fn run_goes_on_after_garbage() {
    let server = Server::start();
    let proxy = Proxy::start(server.port());
    let stream = Stream::redis(proxy.url());
    stream.append(&events(3)).unwrap();
    let worker = Worker::new(&stream, "g", "one").lease(Duration::from_secs(1));
    let token = ftrack_api::CancelToken::new();
    let mut seen = BTreeSet::new();
    let handler = |delivery: &ftrack_api::relay::Delivery| {
        // The reply to the turn that acknowledges it, and the attempt to repeat that.
        if seen.is_empty() {
            proxy.replace(&[GARBAGE; 2]);
        }
        seen.insert(number(delivery));
        if seen.len() == 3 {
            token.cancel();
        }
        Ok(())
    };
    let error = token.run(|| worker.run(handler)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(proxy.has_replaced_all());
    assert_eq!(stream.group("g").unwrap().unwrap().lag, 0);
}
