//! Redis has done what it was asked, and the connection is lost before its reply comes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::relay::{Stream, Worker};

use crate::redis::Server;
use crate::{events, next, nothing, number};

/// Passes everything on to a server, but for the next reply if it is told so.
pub(crate) struct Proxy {
    port: u16,
    /// Where new connections lead.
    server: Arc<AtomicU16>,
    loses_reply: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let loses_reply = Arc::new(AtomicBool::new(false));
        let server = Arc::new(AtomicU16::new(server));
        let (loses, target) = (Arc::clone(&loses_reply), Arc::clone(&server));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = target.load(Ordering::SeqCst);
                let redis = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (from, to) = (client.try_clone().unwrap(), redis.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &AtomicBool::new(false)));
                let loses = Arc::clone(&loses);
                thread::spawn(move || pass(redis, client, &loses));
            }
        });
        Self {
            port,
            server,
            loses_reply,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// New connections lead to another server.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    fn lose_the_next_reply(&self) {
        self.loses_reply.store(true, Ordering::SeqCst);
    }

    fn has_lost_it(&self) -> bool {
        !self.loses_reply.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, loses: &AtomicBool) {
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if loses.swap(false, Ordering::SeqCst) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[test]
fn a_repeated_call_says_what_the_first_one_has_done() {
    let server = Server::start();
    let proxy = Proxy::start(server.port());
    let stream = Stream::redis(proxy.url());
    let sent = events(4);
    assert_eq!(stream.append(&sent[..1]).unwrap(), 1);
    proxy.lose_the_next_reply();
    assert_eq!(stream.append(&sent).unwrap(), 3);
    assert!(proxy.has_lost_it());
    assert_eq!(stream.status().unwrap().appended, 4);
    assert_eq!(stream.append(&sent).unwrap(), 0);

    // A delivery is not held up until its lease ends.
    let worker = Worker::new(&stream, "g", "one").lease(Duration::from_secs(600));
    next(&worker).ack().unwrap();
    proxy.lose_the_next_reply();
    let started = Instant::now();
    let delivery = next(&worker);
    assert!(proxy.has_lost_it() && started.elapsed() < Duration::from_secs(60));
    assert_eq!((number(&delivery), delivery.attempt()), (1, 1));
    proxy.lose_the_next_reply();
    delivery.ack().unwrap();
    assert!(proxy.has_lost_it());
    next(&worker).ack().unwrap();
    next(&worker).ack().unwrap();
    assert!(nothing(&worker));
    let group = stream.group("g").unwrap().unwrap();
    assert_eq!((group.handled, group.in_flight, group.lag), (4, 0, 0));
}
