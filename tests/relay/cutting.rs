//! Connections to the event server that are lost, again and again: what is in no gap is in the stream, in order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::relay::{Gap, Relay, Stream, Worker};
use ftrack_emulator::Emulator;
use serde_json::json;

use crate::redis::Server;
use crate::relaying::{connect, relay};
use crate::support::{self, end::End, eventually};
use crate::{LONG, number};

/// The events that come at least between some of the cuts.
const SOME: u64 = 20;

/// When each event was sent, by its number.
fn publish_and_cut(
    server: &Emulator,
    stream: &Stream,
    cuts: usize,
    seed: u64,
) -> Vec<jiff::Timestamp> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sent = Vec::new();
    let appended = || stream.status().unwrap().appended;
    for cut in 0..cuts {
        let now = Instant::now();
        let (until, end) = (now + Duration::from_millis(random.u64(50..250)), now + LONG);
        // Every other time some events must have come; else the connections may not be there yet.
        let least = appended() + if cut % 2 == 0 { SOME } else { 0 };
        while Instant::now() < until || appended() < least {
            assert!(Instant::now() < end, "no events come");
            let event = json!({ "topic": "studio.test", "data": { "number": sent.len() } });
            sent.push(jiff::Timestamp::now());
            server.events().publish(event).unwrap();
            thread::sleep(Duration::from_micros(200));
        }
        server.events().drop_connections();
    }
    sent
}

/// What the stream has, in order, and its gaps, once all that was sent is in one or the other.
fn settled(stream: &Stream, sent: &[jiff::Timestamp]) -> (Vec<usize>, Vec<Gap>) {
    let worker = Worker::new(stream, "g", "one");
    let (mut numbers, mut gaps) = (Vec::new(), Vec::<Gap>::new());
    let end = Instant::now() + LONG;
    loop {
        while let Some(delivery) = worker.next(Duration::from_millis(300)).unwrap() {
            match delivery.gap() {
                Some(gap) => gaps.push(gap.clone()),
                None => numbers.push(number(&delivery)),
            }
            delivery.ack().unwrap();
        }
        let found: BTreeSet<usize> = numbers.iter().copied().collect();
        let in_gap = |at: jiff::Timestamp| {
            let covers = |gap: &Gap| gap.from.is_none_or(|from| from <= at) && at <= gap.to;
            gaps.iter().any(covers)
        };
        let lost: Vec<_> = (0..sent.len())
            .filter(|number| !found.contains(number) && !in_gap(sent[*number]))
            .map(|number| (number, sent[number]))
            .collect();
        if lost.is_empty() {
            return (numbers, gaps);
        }
        assert!(
            Instant::now() < end,
            "missing, and in no gap: {lost:?}; gaps: {gaps:?}"
        );
    }
}

fn cut(names: &[&str], cuts: usize) {
    let seed = fastrand::u64(..1 << 32);
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    let mut relays: Vec<Relay> = names
        .iter()
        .map(|name| relay(&server, &stream, name))
        .collect();
    for relay in &mut relays {
        connect(&server, &stream, relay);
    }
    let is_over = AtomicBool::new(false);
    let (sent, (numbers, gaps)) = thread::scope(|scope| {
        let _end = End(&is_over);
        for relay in &mut relays {
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    relay.poll(Duration::from_millis(1)).unwrap();
                }
            });
        }
        let sent = publish_and_cut(&server, &stream, cuts, seed);
        eventually("they are connected again", || {
            server.events().connections() >= names.len()
        });
        let settled = settled(&stream, &sent);
        (sent, settled)
    });
    println!(
        "{names:?}, seed {seed}: {} sent, {} in the stream, {} gaps",
        sent.len(),
        numbers.len(),
        gaps.len()
    );
    let late = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
    assert_eq!(late, None, "seed {seed}");
    assert!(!gaps.is_empty(), "seed {seed}");
}

#[test]
fn one_relay_is_cut_off() {
    cut(&["one"], 20);
}

#[test]
fn two_relays_are_cut_off_at_the_same_moments() {
    cut(&["one", "two"], 12);
}
