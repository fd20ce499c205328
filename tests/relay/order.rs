//! Events of one key, one after the other.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ftrack_api::relay::{Stream, Worker};
use ftrack_api::{ErrorKind, Event};
use serde_json::json;

use crate::support::{end::End, eventually};
use crate::{LONG, SHORT, next, next_after, nothing, on_each};

fn keyed(key: &str, number: usize) -> Event {
    Event::new("studio.test").with_data(json!({ "key": key, "number": number }))
}

fn worker(stream: &Stream, name: &str) -> Worker {
    Worker::new(stream, "g", name)
        .ordered_by(|event| event.data()["key"].as_str().map(str::to_owned))
        .lease(LONG)
}

fn what(delivery: &ftrack_api::relay::Delivery) -> (String, usize) {
    let data = delivery.event().unwrap().data();
    let number = usize::try_from(data["number"].as_u64().unwrap()).unwrap();
    (data["key"].as_str().unwrap_or_default().to_owned(), number)
}

#[test]
fn events_of_a_key_wait_for_each_other_and_others_do_not() {
    on_each(|stream| {
        let sent = [keyed("a", 0), keyed("a", 1), keyed("b", 2), keyed("a", 3)];
        stream.append(&sent).unwrap();
        let [one, two] = ["one", "two"].map(|name| worker(&stream, name));
        let a0 = next(&one);
        let b2 = next(&two);
        assert_eq!((what(&a0), what(&b2)), (("a".into(), 0), ("b".into(), 2)));
        assert!(nothing(&two));
        a0.ack().unwrap();
        let a1 = next(&two);
        assert_eq!(what(&a1).1, 1);
        // One that is put off holds up those of its key.
        let pause = Duration::from_secs(2);
        let since = Instant::now();
        a1.retry_after(pause, "later").unwrap();
        let a1 = next_after(&one, since, pause);
        assert_eq!((what(&a1).1, a1.attempt()), (1, 2));
        a1.reject("no").unwrap();
        let a3 = next(&two);
        assert_eq!(what(&a3).1, 3);
        a3.ack().unwrap();
        b2.ack().unwrap();
        assert_eq!(stream.group("g").unwrap().unwrap().lag, 0);
    });
}

#[test]
fn a_worker_that_dies_holds_its_key_until_its_lease_ends() {
    on_each(|stream| {
        stream.append(&[keyed("a", 0), keyed("a", 1)]).unwrap();
        let lease = Duration::from_secs(1);
        let (one, two) = (worker(&stream, "one").lease(lease), worker(&stream, "two"));
        let since = Instant::now();
        // As if its process was killed.
        std::mem::forget(next(&one));
        let again = next_after(&two, since, lease);
        assert_eq!((what(&again).1, again.attempt()), (0, 2));
        again.ack().unwrap();
        assert_eq!(what(&next(&two)).1, 1);
    });
}

#[test]
fn events_without_a_key_and_with_long_ones_are_handled_too() {
    on_each(|stream| {
        let long = "x|".repeat(5000);
        let none = Event::new("studio.test").with_data(json!({ "number": 7 }));
        stream
            .append(&[
                keyed(&long, 0),
                keyed(&long, 1),
                none,
                keyed("", 3),
                keyed("a|b", 4),
            ])
            .unwrap();
        let worker = worker(&stream, "one");
        let mut seen = Vec::new();
        while let Some(delivery) = worker.next(SHORT).unwrap() {
            seen.push(what(&delivery).1);
            delivery.ack().unwrap();
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 3, 4, 7]);
    });
}

#[test]
fn a_key_that_is_held_up_bounds_what_is_taken_in_and_loses_nothing() {
    on_each(|stream| {
        let held: Vec<_> = (0..10_500).map(|number| keyed("a", number)).collect();
        stream.append(&held).unwrap();
        let worker = worker(&stream, "one").lease(LONG);
        let first = next(&worker);
        assert!(worker.next(Duration::from_secs(2)).unwrap().is_none());
        first.ack().unwrap();
        for number in 1..200 {
            let delivery = next(&worker);
            assert_eq!(what(&delivery).1, number);
            delivery.ack().unwrap();
        }
    });
}

#[test]
fn a_key_that_cannot_be_found_out_is_an_error() {
    on_each(|stream| {
        stream.append(&[keyed("a", 0)]).unwrap();
        let worker = Worker::new(&stream, "g", "one").ordered_by(|_| panic!("no key"));
        let error = worker.next(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Callback);
        assert!(error.to_string().contains("no key"), "{error}");
    });
}

#[test]
fn workers_at_once_keep_the_order_of_every_key() {
    on_each(|stream| {
        const KEYS: usize = 7;
        const EVENTS: usize = 1500;
        let sent: Vec<_> = (0..EVENTS)
            .map(|number| keyed(&(number % KEYS).to_string(), number))
            .collect();
        let seen: Mutex<HashMap<String, Vec<usize>>> = Mutex::default();
        let busy: [AtomicUsize; KEYS] = Default::default();
        let (count, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let is_done = || count.load(Ordering::SeqCst) >= EVENTS || is_over.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            let _end = End(&is_over);
            for name in 0..6 {
                let (stream, seen, busy, count) = (&stream, &seen, &busy, &count);
                let (is_done, is_over) = (&is_done, &is_over);
                scope.spawn(move || {
                    let _end = End(is_over);
                    let worker = worker(stream, &name.to_string()).lease(LONG);
                    while !is_done() {
                        let Some(delivery) = worker.next(SHORT).unwrap() else {
                            continue;
                        };
                        let (key, number) = what(&delivery);
                        let index = number % KEYS;
                        assert_eq!(busy[index].fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        seen.lock().unwrap().entry(key).or_default().push(number);
                        busy[index].fetch_sub(1, Ordering::SeqCst);
                        delivery.ack().unwrap();
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for part in sent.chunks(100) {
                stream.append(part).unwrap();
            }
            eventually("all are handled", &is_done);
        });
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.values().map(Vec::len).sum::<usize>(), EVENTS);
        assert!(seen.values().all(|numbers| numbers.is_sorted()));
    });
}
