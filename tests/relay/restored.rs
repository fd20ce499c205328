//! Redis comes back with older data: it was killed before it had written the latest, or was restored.

use std::time::{Duration, Instant};

use ftrack_api::relay::{GapReason, Stream, Worker};

use crate::redis::Server;
use crate::relaying::{connect, poll_until, publish, relay};
use crate::{LONG, next, nothing, number, support};

#[test]
fn what_redis_has_lost_is_appended_again_in_order() {
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    let mut relays = ["one", "two"].map(|name| relay(&server, &stream, name));
    for relay in &mut relays {
        connect(&server, &stream, relay);
    }
    let has = |count| {
        move |relay: &ftrack_api::relay::Relay| {
            let status = relay.status();
            status.appended + status.repeated >= count
        }
    };
    (0..3).for_each(|number| publish(&server, number));
    relays
        .iter_mut()
        .for_each(|relay| poll_until(relay, "all are there", has(3)));
    assert!(redis.command("SAVE").starts_with("+OK"));
    (3..6).for_each(|number| publish(&server, number));
    relays
        .iter_mut()
        .for_each(|relay| poll_until(relay, "all are there", has(6)));
    let worker = Worker::new(&stream, "g", "one");
    next(&worker).ack().unwrap();

    let redis = redis.pause().resume();
    assert_eq!(stream.status().unwrap().appended, 3);
    publish(&server, 6);
    for relay in &mut relays {
        poll_until(relay, "the rest is there", |_| {
            stream.status().is_ok_and(|status| status.appended >= 7)
        });
        poll_until(relay, "it has the last one", has(7));
    }
    // The group had not begun yet.
    let worker = Worker::new(&stream, "g", "one");
    for expected in 0..7 {
        let delivery = next(&worker);
        assert!(delivery.gap().is_none(), "{delivery:?}");
        assert_eq!(number(&delivery), expected);
        delivery.ack().unwrap();
    }
    assert!(nothing(&worker));
    drop(redis);
}

#[test]
fn what_a_relay_does_not_have_any_more_is_a_gap() {
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    // Room for one event or two.
    let mut one = relay(&server, &stream, "one").memory_bytes(700);
    connect(&server, &stream, &mut one);
    for number in 0..9 {
        publish(&server, number);
        poll_until(&mut one, "it is there", |relay| {
            relay.status().appended > number as u64
        });
        if number == 2 {
            // What it has reported says since when something may be missing.
            poll_until(&mut one, "it reports", |_| {
                stream.status().unwrap().relays[0].appended == 3
            });
            assert!(redis.command("SAVE").starts_with("+OK"));
        }
    }
    let _redis = redis.pause().resume();
    let reported = stream.status().unwrap().relays[0].appended;
    assert_eq!(reported, 3);
    publish(&server, 9);
    let worker = Worker::new(&stream, "g", "one");
    let (mut numbers, mut gaps) = (Vec::new(), Vec::new());
    let end = Instant::now() + LONG;
    while numbers.last() != Some(&9) || gaps.is_empty() {
        assert!(Instant::now() < end, "{numbers:?}, {gaps:?}");
        one.poll(Duration::from_millis(10)).unwrap();
        let Some(delivery) = worker.next(Duration::from_millis(10)).unwrap() else {
            continue;
        };
        match delivery.gap() {
            Some(gap) => gaps.push(gap.clone()),
            None => numbers.push(number(&delivery)),
        }
        delivery.ack().unwrap();
    }
    let (kept, again) = numbers.split_at(3);
    assert_eq!(kept, [0, 1, 2]);
    assert!(again.is_sorted() && again[0] > 3, "{again:?}");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, GapReason::StreamLost);
    assert!(
        gaps[0].from.is_some_and(|from| from < gaps[0].to),
        "{gaps:?}"
    );
}
