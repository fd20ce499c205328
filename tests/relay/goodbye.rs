//! Relays that end, and say so.

use std::time::Duration;

use ftrack_api::relay::{GapReason, Relay, Stream, Worker};
use ftrack_emulator::Emulator;

use crate::redis::Server;
use crate::relaying::{connect, poll_until, publish, relay};
use crate::support::{self, eventually};
use crate::{next, on_each};

fn has_ended(stream: &Stream, name: &str) -> bool {
    let relays = stream.status().unwrap().relays;
    let found = relays.iter().find(|relay| relay.name == name);
    found.expect("it has reported").has_ended
}

/// Connects, relays an event, and is dropped.
fn begin_and_end(server: &Emulator, stream: &Stream, name: &str, (number, length): (usize, u64)) {
    let mut one = relay(server, stream, name);
    connect(server, stream, &mut one);
    assert!(!has_ended(stream, name));
    publish(server, number);
    poll_until(&mut one, "all is appended", |_| {
        stream.status().unwrap().length == length
    });
    drop(one);
    assert!(has_ended(stream, name));
    eventually("its hub is gone", || server.events().connections() == 0);
}

#[test]
fn one_that_ends_says_so_and_knows_what_it_has_missed_when_it_begins_again() {
    on_each(|stream| {
        let server = support::emulator();
        let worker = Worker::new(&stream, "g", "one");
        begin_and_end(&server, &stream, "one", (0, 1));
        next(&worker).ack().unwrap();
        publish(&server, 1);
        // An event and a gap.
        begin_and_end(&server, &stream, "one", (2, 3));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let delivery = next(&worker);
            kinds.push(delivery.gap().map(|gap| gap.reason));
            delivery.ack().unwrap();
        }
        kinds.sort_by_key(Option::is_some);
        assert_eq!(kinds, [None, Some(GapReason::NotConnected)]);
    });
}

#[test]
fn one_that_has_something_left_or_was_killed_does_not_say_so() {
    let server = support::emulator();
    let folder = tempfile::tempdir().unwrap();
    let redis = Server::durable();
    let stream = Stream::redis(redis.url());
    let open = || relay(&server, &stream, "one").journal(folder.path().join("journal"));
    let mut one = open();
    connect(&server, &stream, &mut one);
    let away = redis.pause();
    publish(&server, 0);
    poll_until(&mut one, "it waits", |relay| relay.status().waiting == 1);
    drop(one);
    let redis = away.resume();
    assert!(!has_ended(&stream, "one"));
    let mut one = open();
    let appended = |relay: &Relay| relay.status().appended > 0 && relay.status().waiting == 0;
    poll_until(&mut one, "it is appended", appended);
    // As by `kill -9`.
    std::mem::forget(one);
    assert!(!has_ended(&stream, "one"));
    drop(redis);
}

#[test]
fn one_that_cannot_say_so_ends_nevertheless() {
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    let mut one = relay(&server, &stream, "one");
    connect(&server, &stream, &mut one);
    drop(redis);
    drop(one);
    // One that never was at work has nothing to say.
    drop(relay(&server, &stream, "two"));
    let mut three = relay(&server, &stream, "three");
    three.poll(Duration::ZERO).unwrap();
    drop(three);
}
