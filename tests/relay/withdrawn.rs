//! Rights that are withdrawn while streams and workers are used: scripts check them now and then only, and may be
//! stopped anywhere in between.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ftrack_api::relay::{Delivery, Stream, Worker};
use ftrack_api::{ErrorKind, Event, Result};
use serde_json::json;

use crate::redis::Server;
use crate::{LONG, number};

const ALL: &str = "~ftrack:events ~{ftrack:events}:* +@all";
const LEASE: Duration = Duration::from_millis(200);

fn keyed(number: usize) -> Event {
    let key = if number == 3 { "other" } else { "key" };
    Event::new("studio.test").with_data(json!({ "key": key, "number": number }))
}

fn worker(stream: &Stream) -> Worker {
    Worker::new(stream, "g", "one")
        .ordered_by(|event| event.data()["key"].as_str().map(str::to_owned))
        .attempts(100)
        .lease(LEASE)
}

/// Without one right, in the second after the rights were checked, `attempt` fails or does what it always does.
fn without(server: &Server, right: &str, attempt: impl FnOnce() -> Result<()>) -> bool {
    server.command(&format!("ACL SETUSER artist -{right}"));
    let result = attempt();
    server.command(&format!("ACL SETUSER artist +{right}"));
    match result {
        Ok(()) => false,
        // On a busy machine its lease may have ended.
        Err(error) if error.kind() == ErrorKind::Timeout => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Permission, "{right}: {error}");
            true
        }
    }
}

/// Handles events until all of these were seen.
fn handle_all(worker: &Worker, expected: usize, mut seen: BTreeSet<usize>, what: &str) {
    let end = Instant::now() + LONG;
    while seen.len() < expected {
        assert!(Instant::now() < end, "{what}: only {seen:?} came");
        let Some(delivery) = worker.next(LEASE).unwrap() else {
            continue;
        };
        if delivery.gap().is_none() {
            seen.insert(number(&delivery));
        }
        match delivery.ack() {
            // On a busy machine its lease may have ended.
            Err(error) if error.kind() != ErrorKind::Timeout => panic!("{what}: {error}"),
            _ => {}
        }
    }
}

#[test]
fn no_event_is_lost_whichever_right_a_worker_loses_in_the_middle_of_a_turn() {
    type Step = fn(Delivery, &Worker) -> Result<()>;
    let steps: [Step; 4] = [
        // It takes others in as well.
        |delivery, _| delivery.extend(LEASE),
        |delivery, _| delivery.ack(),
        |delivery, _| delivery.retry_after(Duration::ZERO, "later"),
        // Its lease ends, and it is handed out again.
        |_, worker| {
            std::thread::sleep(LEASE);
            worker.next(LEASE).map(drop)
        },
    ];
    let server = Server::start();
    let stream = Stream::redis(server.url_for(ALL));
    let mut refused = BTreeSet::new();
    for right in [
        "time",
        "get",
        "set",
        "hget",
        "hmget",
        "hset",
        "hdel",
        "rpush",
        "lpush",
        "lpop",
        "lindex",
        "zadd",
        "zrem",
        "zscore",
        "zrange",
        "zrangebyscore",
        "xrange",
        "xread",
    ] {
        for step in steps {
            server.command("FLUSHALL");
            stream.append(&[keyed(0)]).unwrap();
            let worker = worker(&stream);
            let delivery = worker.next(LONG).unwrap().unwrap();
            stream.append(&[keyed(1), keyed(2), keyed(3)]).unwrap();
            // An acknowledgement may arrive and its reply be an error: so it counts as seen.
            let seen = BTreeSet::from([number(&delivery)]);
            let is_refused = without(&server, right, || {
                step(delivery, &worker)?;
                worker.next(LEASE).map(drop)
            });
            if is_refused {
                refused.insert(right);
            }
            handle_all(&worker, 4, seen, right);
        }
    }
    assert!(refused.len() > 12, "{refused:?}");
}

#[test]
fn no_event_is_lost_whichever_right_is_missing_while_it_is_appended() {
    let server = Server::start();
    let stream = Stream::redis(server.url_for(ALL))
        .max_age(LONG)
        .max_length(1_000_000);
    for right in [
        "time",
        "get",
        "set",
        "xadd",
        "xtrim",
        "zadd",
        "zscore",
        "zremrangebyrank",
        "zremrangebyscore",
    ] {
        server.command("FLUSHALL");
        stream.append(&[keyed(0)]).unwrap();
        let next: Vec<Event> = (1..150).map(keyed).collect();
        assert!(
            without(&server, right, || stream.append(&next).map(drop)),
            "{right}"
        );
        stream.append(&next).unwrap();
        handle_all(&worker(&stream).lease(LONG), 150, BTreeSet::new(), right);
    }
}

/// As after a right was withdrawn between two steps of a turn.
#[test]
fn what_is_handed_out_twice_lets_no_later_event_of_its_key_pass() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    stream.append(&[keyed(0), keyed(1), keyed(2)]).unwrap();
    let worker = worker(&stream).lease(LONG);
    let first = worker.next(LONG).unwrap().unwrap();
    let reply = server.command("ZRANGE {ftrack:events}:group:g:flight 0 0");
    let member = reply.lines().nth(2).unwrap();
    server.command(&format!("RPUSH {{ftrack:events}}:group:g:ready {member}"));
    first.ack().unwrap();
    let again = worker.next(LONG).unwrap().unwrap();
    assert_eq!(number(&again), 0);
    again.ack().unwrap();
    for expected in 1..3 {
        let delivery = worker.next(LONG).unwrap().unwrap();
        assert_eq!(number(&delivery), expected);
        assert!(worker.next(LEASE).unwrap().is_none());
        delivery.ack().unwrap();
    }
    assert_eq!(stream.group("g").unwrap().unwrap().lag, 0);
}
