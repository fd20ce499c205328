//! A thread that rests for a day: whatever has to be prompt gets along without its end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_emulator::Emulator;
use serde_json::json;

use super::*;
use crate::SubscribeOptions;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Less than the rest lasts at most: until the next heartbeat is overdue, 17 seconds.
const LONG: Duration = Duration::from_secs(12);

fn config(server: &Emulator) -> HubConfig {
    let mut config = HubConfig::new(server.url(), server.api_user(), server.api_key()).unwrap();
    config.rest = DAY;
    config
}

fn hub(config: HubConfig) -> EventHub {
    let hub = EventHub::new(config);
    hub.connect().unwrap();
    hub
}

fn listen(hub: &EventHub, expression: &str) {
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with(expression, options, |_| Ok(None))
        .unwrap();
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Subscribes, then lets the thread hear of an acknowledgement that nobody waits for.
fn resting(hub: &EventHub) {
    listen(hub, "topic=t");
    hub.publish(Event::new("other")).unwrap();
    let remote = hub.inner.line.running().unwrap();
    eventually("the thread rests", || remote.is_resting());
}

fn server() -> Emulator {
    Emulator::builder().tasks(0).start().unwrap()
}

#[test]
fn those_who_wait_get_their_events() {
    let server = server();
    let (receiver, sender) = (hub(config(&server)), hub(config(&server)));
    resting(&receiver);
    let mut waiters = Vec::new();
    for _ in 0..3 {
        // The first does the thread's work, the others wait for what the thread does.
        let receiver = receiver.clone();
        let wait = move || receiver.next(LONG).unwrap().is_some();
        waiters.push(thread::spawn(wait));
        thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..3 {
        sender.publish(Event::new("t")).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    for waiter in waiters {
        assert!(waiter.join().unwrap(), "an event did not come");
    }
}

#[test]
fn polling_and_asking_without_waiting_look_at_the_socket() {
    let server = server();
    let (receiver, sender) = (hub(config(&server)), hub(config(&server)));
    let polling = |hub: &EventHub| hub.poll() > 0;
    let asking = |hub: &EventHub| hub.next(Duration::ZERO).unwrap().is_some();
    for look in [polling, asking] {
        resting(&receiver);
        sender.publish(Event::new("t")).unwrap();
        eventually("the event comes", || look(&receiver));
    }
}

#[test]
fn whatever_wants_an_answer_gets_it() {
    let server = server();
    let other = hub(config(&server));
    let reply = |_: &Event| Ok(Some(json!("pong")));
    let options = SubscribeOptions::new().acknowledged(LONG);
    other.subscribe_with("topic=ping", options, reply).unwrap();
    let answering = other.clone();
    let answers = thread::spawn(move || answering.wait(None));
    let hub = hub(config(&server));

    resting(&hub);
    hub.publish(Event::new("other")).unwrap();
    hub.flush(LONG).unwrap();
    resting(&hub);
    listen(&hub, "topic=u");
    resting(&hub);
    let pong = hub.request(Event::new("ping"), LONG).unwrap();
    assert_eq!(pong.get_data(), "pong");
    resting(&hub);
    for _ in 0..20 {
        hub.publish(Event::new("other")).unwrap();
        hub.reconnect().unwrap();
    }
    hub.flush(LONG).unwrap();
    assert_eq!(hub.counts().undelivered, 0);
    resting(&hub);
    let start = Instant::now();
    hub.publish(Event::new("other")).unwrap();
    hub.disconnect();
    assert!(start.elapsed() < LONG / 2, "disconnecting waited");
    assert_eq!(hub.counts().undelivered, 0);
    other.disconnect();
    answers.join().unwrap().unwrap();
}

#[test]
fn a_new_connection_does_not_repeat_what_was_acknowledged() {
    const ROUNDS: u64 = 10;
    let server = server();
    let (sender, receiver) = (hub(config(&server)), hub(config(&server)));
    listen(&receiver, "topic=u");
    for _ in 0..ROUNDS {
        resting(&sender);
        sender.publish(Event::new("u")).unwrap();
        receiver.next(LONG).unwrap().expect("it arrives");
        // The acknowledgement takes as long, or on a busy machine a little longer.
        thread::sleep(Duration::from_millis(10));
        sender.reconnect().unwrap();
    }
    // What is repeated is read in the round after.
    assert!(receiver.counts().duplicates < ROUNDS - 1);
}

#[test]
fn a_full_queue_and_a_full_window_empty_themselves() {
    let server = server();
    for limit in [1, 1000] {
        let hub = hub(config(&server).outgoing_limit(limit));
        resting(&hub);
        for _ in 0..300 {
            hub.publish(Event::new("other")).unwrap();
        }
        hub.flush(LONG).unwrap();
    }
}

/// Passes connections to an emulator on, 100 kB of what goes there in 40 ms; answers where, and with
/// how many bytes the fullest has carried.
fn slow_line(server: &Emulator) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener)
        .set_recv_buffer_size(100_000)
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let most = Arc::new(AtomicUsize::new(0));
    let (counted, host) = (Arc::clone(&most), server.url().replace("http://", ""));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let there = TcpStream::connect(&host).unwrap();
            let (mut from, mut to) = (there.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let counted = Arc::clone(&counted);
            thread::spawn(move || {
                let (mut piece, mut count) = (vec![0; 100_000], 0);
                while let Ok(length @ 1..) = (&client).read(&mut piece) {
                    if (&there).write_all(&piece[..length]).is_err() {
                        break;
                    }
                    count += length;
                    counted.fetch_max(count, Ordering::SeqCst);
                    thread::sleep(Duration::from_micros(length as u64 * 2 / 5));
                }
                let _ = there.shutdown(Shutdown::Both);
            });
        }
    });
    (url, most)
}

#[test]
fn an_event_that_takes_long_to_send_is_sent_whole() {
    let server = server();
    let (url, most) = slow_line(&server);
    let mut config = HubConfig::new(&url, server.api_user(), server.api_key()).unwrap();
    config.ack_timeout = Duration::from_secs(2);
    let hub = hub(config);
    let large = Event::new("large").data("x".repeat(15_000_000));
    hub.publish(large).unwrap();
    while most.load(Ordering::SeqCst) < 15_000_000 {
        assert_eq!(hub.counts().undelivered, 0, "it was given up");
        thread::sleep(Duration::from_millis(20));
    }
}
