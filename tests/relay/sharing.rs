//! Who is given which event, and what becomes of it.

use std::collections::BTreeMap;
#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, Instant};

use ftrack_api::relay::{GapReason, Start, Stream, Worker};
use ftrack_api::{ErrorKind, Event, anyhow};

use crate::redis::Server;
use crate::support::eventually;
use crate::{LONG, SHORT, events, next, next_after, nothing, number, on_each};

#[test]
fn each_group_is_given_all_events_and_each_worker_some() {
    on_each(|stream| {
        let sent = events(40);
        assert_eq!(stream.append(&sent).unwrap(), 40);
        for group in ["thumbnails", "mail"] {
            let workers = ["one", "two", "three"].map(|name| Worker::new(&stream, group, name));
            let mut seen = BTreeMap::new();
            for turn in 0..40 {
                let delivery = next(&workers[turn % 3]);
                assert_eq!((delivery.attempt(), delivery.group()), (1, group));
                assert!(delivery.gap().is_none() && !delivery.is_from_log());
                seen.insert(number(&delivery), delivery.event().unwrap().id().to_owned());
                delivery.ack().unwrap();
            }
            assert!(seen.values().eq(sent.iter().map(ftrack_api::Event::id)));
            assert!(workers.iter().all(nothing));
            let status = stream.group(group).unwrap().unwrap();
            assert_eq!((status.handled, status.lag, status.in_flight), (40, 0, 0));
        }
        assert!(stream.group("unheard").unwrap().is_none());
        assert_eq!(stream.status().unwrap().length, 40);
    });
}

#[test]
fn an_event_enters_once_and_those_without_id_always() {
    on_each(|stream| {
        let sent = events(3);
        assert_eq!(stream.append(sent.iter().chain(&sent)).unwrap(), 3);
        assert_eq!(stream.append(&sent).unwrap(), 0);
        let nameless = events(1).remove(0).with_id("");
        assert_eq!(stream.append([&nameless, &nameless]).unwrap(), 2);
        assert_eq!(stream.status().unwrap().appended, 5);
    });
}

#[test]
fn a_new_group_begins_where_it_is_told() {
    on_each(|stream| {
        stream.append(&events(3)).unwrap();
        let late = Worker::new(&stream, "late", "one").start(Start::Newest);
        assert!(nothing(&late));
        let more = events(1);
        stream.append(&more).unwrap();
        let delivery = next(&late);
        assert_eq!(delivery.event().unwrap().id(), more[0].id());
        delivery.ack().unwrap();
        assert!(nothing(&late));
    });
}

#[test]
fn a_group_whose_name_is_not_used_any_more_can_be_removed() {
    on_each(|stream| {
        assert!(stream.status().unwrap().groups.is_empty());
        stream.append(&events(7)).unwrap();
        let key = |event: &Event| Some((event.data()["number"].as_u64()? % 2).to_string());
        let worker = Worker::new(&stream, "g", "one").ordered_by(key);
        let other = Worker::new(&stream, "h", "one").ordered_by(key);
        next(&worker).reject("no").unwrap();
        next(&worker).retry_after(LONG, "later").unwrap();
        let kept = next(&worker);
        next(&other).ack().unwrap();
        let groups = stream.status().unwrap().groups;
        let figures = groups
            .iter()
            .map(|group| (group.name.as_str(), group.lag, group.in_flight));
        assert_eq!(figures.collect::<Vec<_>>(), [("g", 6, 1), ("h", 6, 0)]);
        assert_eq!((groups[0].delayed, groups[0].dead_letters), (1, 1));

        assert!(stream.remove_group("g").unwrap());
        assert!(!stream.remove_group("g").unwrap());
        assert!(stream.group("g").unwrap().is_none());
        assert!(stream.dead_letters("g").unwrap().is_empty());
        let left = stream.status().unwrap().groups;
        assert_eq!(
            (left.len(), left[0].name.as_str(), left[0].lag),
            (1, "h", 6)
        );
        // Nothing of it holds up a new one of its name.
        assert_eq!(kept.ack().unwrap_err().kind(), ErrorKind::Timeout);
        let anew = Worker::new(&stream, "g", "two").ordered_by(key);
        for expected in 0..7 {
            let delivery = next(&anew);
            assert_eq!((number(&delivery), delivery.attempt()), (expected, 1));
            delivery.ack().unwrap();
        }
        assert!(nothing(&anew));
        assert_eq!(stream.status().unwrap().groups.len(), 2);
        // One that runs says that it was removed, and begins again.
        assert!(stream.remove_group("g").unwrap());
        assert_eq!(anew.next(LONG).unwrap_err().kind(), ErrorKind::NotFound);
        let gap = next(&anew);
        assert_eq!(gap.gap().unwrap().reason, GapReason::StreamLost);
        gap.ack().unwrap();
        assert_eq!(number(&next(&anew)), 0);
    });
}

#[test]
fn a_removed_group_leaves_no_key_in_redis() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    let keys = || server.command("EVAL \"return #redis.call('KEYS','*group:g:*')\" 0");
    stream.append(&events(30)).unwrap();
    let key = |event: &Event| Some((event.data()["number"].as_u64()? % 3).to_string());
    let worker = Worker::new(&stream, "g", "one").ordered_by(key);
    next(&worker).retry_after(LONG, "later").unwrap();
    next(&worker).reject("no").unwrap();
    let _kept = next(&worker);
    assert_eq!(keys(), ":9\r\n", "of them three lists");
    assert!(stream.remove_group("g").unwrap());
    assert_eq!(keys(), ":0\r\n");
}

#[test]
fn what_a_worker_does_not_finish_is_given_to_another() {
    on_each(|stream| {
        stream.append(&events(1)).unwrap();
        let lease = Duration::from_secs(2);
        let slow = Worker::new(&stream, "g", "slow").lease(lease);
        let quick = Worker::new(&stream, "g", "quick").lease(LONG);
        let since = Instant::now();
        let kept = next(&slow);
        let again = next_after(&quick, since, lease);
        assert_eq!((number(&again), again.attempt()), (0, 2));
        // Too late: it is another's now, whatever the verdict.
        let error = kept.extend(lease).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("lease"), "{error}");
        assert_eq!(kept.ack().unwrap_err().kind(), ErrorKind::Timeout);
        again.ack().unwrap();
        assert!(nothing(&slow));
        let status = stream.group("g").unwrap().unwrap();
        assert_eq!((status.taken_over, status.handled, status.lag), (1, 1, 0));
    });
}

#[test]
fn what_a_worker_drops_is_given_to_another_at_once() {
    on_each(|stream| {
        stream.append(&events(1)).unwrap();
        let [one, two] = ["one", "two"].map(|name| Worker::new(&stream, "g", name).attempts(3));
        drop(next(&one));
        // A handler of a loop of its own that fails.
        let failed = (|| -> anyhow::Result<()> {
            let delivery = next(&two);
            assert_eq!(delivery.attempt(), 2);
            anyhow::bail!("no")
        })();
        failed.unwrap_err();
        let last = next(&one);
        assert_eq!((number(&last), last.attempt()), (0, 3));
        drop(last);
        assert!(nothing(&two));
        let letters = stream.dead_letters("g").unwrap();
        assert_eq!(letters[0].error, "its worker dropped it");
        // What another has meanwhile is not touched.
        stream.append(&events(1)).unwrap();
        let kept = next(&Worker::new(&stream, "g", "slow").lease(Duration::ZERO));
        let taken_over = next(&two);
        drop(kept);
        taken_over.ack().unwrap();
        assert_eq!(stream.group("g").unwrap().unwrap().lag, 0);
    });
}

#[test]
fn a_worker_that_is_told_to_end_while_it_waits_takes_nothing_with_it() {
    on_each(|stream| {
        let [one, two] = ["one", "two"].map(|name| Worker::new(&stream, "g", name));
        assert!(nothing(&one));
        for round in 0..10 {
            let token = ftrack_api::CancelToken::new();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| token.run(|| one.run(|_| Ok(()))));
                // At any moment of its wait.
                std::thread::sleep(Duration::from_millis(17 * round));
                token.cancel();
                let error = waiting.join().unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
            });
            stream.append(&events(1)).unwrap();
            let delivery = next(&two);
            assert_eq!(delivery.attempt(), 1);
            delivery.ack().unwrap();
        }
    });
}

#[test]
fn a_lease_can_be_extended() {
    on_each(|stream| {
        stream.append(&events(1)).unwrap();
        let lease = Duration::from_secs(2);
        let worker = Worker::new(&stream, "g", "one").attempts(100).lease(lease);
        // A machine that stands still may be too late.
        let delivery = loop {
            let since = Instant::now();
            let delivery = next(&worker);
            match delivery.extend(Duration::from_secs(600)) {
                Ok(()) => break delivery,
                Err(error) => assert!(since.elapsed() > lease, "{error}"),
            }
        };
        assert!(worker.next(lease + SHORT).unwrap().is_none());
        delivery.ack().unwrap();
    });
}

#[test]
fn a_failure_is_tried_again_and_becomes_a_dead_letter_in_the_end() {
    on_each(|stream| {
        let sent = events(2);
        stream.append(&sent).unwrap();
        let worker = Worker::new(&stream, "g", "one").attempts(3);
        let [failing, nonsense] = [next(&worker), next(&worker)];
        assert_eq!((number(&failing), number(&nonsense)), (0, 1));
        nonsense.reject("it is nonsense").unwrap();
        let pause = Duration::from_secs(1);
        let mut since = Instant::now();
        failing.retry_after(pause, "failure 1").unwrap();
        for attempt in 2..=3 {
            let failing = next_after(&worker, since, pause);
            assert_eq!((number(&failing), failing.attempt()), (0, attempt));
            since = Instant::now();
            let error = format!("failure {attempt}");
            failing.retry_after(pause, error).unwrap();
        }
        assert!(nothing(&worker));
        let status = stream.group("g").unwrap().unwrap();
        assert_eq!(
            (status.retried, status.dead, status.dead_letters, status.lag),
            (2, 2, 2, 0)
        );
        let letters = stream.dead_letters("g").unwrap();
        let found: Vec<_> = letters
            .iter()
            .map(|letter| (letter.error.as_str(), letter.attempts))
            .collect();
        assert_eq!(found, [("it is nonsense", 1), ("failure 3", 3)]);
        assert_eq!(letters[1].event.as_ref().unwrap().id(), sent[0].id());
        assert_eq!(letters[1].worker, "one");

        assert!(stream.return_dead_letter("g", &letters[1].id).unwrap());
        assert!(!stream.return_dead_letter("g", &letters[1].id).unwrap());
        assert!(stream.remove_dead_letter("g", &letters[0].id).unwrap());
        assert!(!stream.remove_dead_letter("g", &letters[0].id).unwrap());
        assert!(!stream.return_dead_letter("g", "nonsense").unwrap_or(false));
        assert!(stream.dead_letters("g").unwrap().is_empty());
        let again = next(&worker);
        assert_eq!((number(&again), again.attempt()), (0, 1));
        again.ack().unwrap();
        assert!(nothing(&worker));
        assert_eq!(stream.group("g").unwrap().unwrap().lag, 0);
    });
}

#[test]
fn an_event_is_kept_while_what_its_handler_needs_is_away() {
    on_each(|stream| {
        stream.append(&events(1)).unwrap();
        let worker = Worker::new(&stream, "g", "one").attempts(1);
        let token = ftrack_api::CancelToken::new();
        let mut calls = 0;
        let handler = |delivery: &ftrack_api::relay::Delivery| {
            calls += 1;
            assert_eq!(delivery.attempt(), calls);
            if calls < 3 {
                let away = Stream::redis("redis://127.0.0.1:1/").status();
                return Err(anyhow::Error::from(away.unwrap_err()).context("the database"));
            }
            token.cancel();
            Ok(())
        };
        token.run(|| worker.run(handler)).unwrap_err();
        let status = stream.group("g").unwrap().unwrap();
        assert_eq!((status.handled, status.dead, status.lag), (1, 0, 0));
    });
}

#[test]
fn an_event_that_ends_its_workers_becomes_a_dead_letter() {
    on_each(|stream| {
        stream.append(&events(1)).unwrap();
        let worker = Worker::new(&stream, "g", "victim").attempts(2).lease(SHORT);
        // As if the process died: the delivery is neither acknowledged nor rejected.
        for attempt in 1..=2 {
            let delivery = next(&worker);
            assert_eq!(delivery.attempt(), attempt);
            std::mem::forget(delivery);
        }
        eventually("the lease has ended", || {
            assert!(nothing(&worker));
            !stream.dead_letters("g").unwrap().is_empty()
        });
        let letters = stream.dead_letters("g").unwrap();
        assert_eq!(
            (letters[0].attempts, letters[0].worker.as_str()),
            (2, "victim")
        );
        assert!(letters[0].error.contains("lease"), "{}", letters[0].error);
    });
}

#[test]
fn more_dead_letters_than_a_page_are_listed() {
    on_each(|stream| {
        stream.append(&events(250)).unwrap();
        let worker = Worker::new(&stream, "g", "one");
        for _ in 0..250 {
            next(&worker).reject("no").unwrap();
        }
        assert_eq!(stream.dead_letters("g").unwrap().len(), 250);
    });
}

#[test]
fn run_acknowledges_tries_again_and_ends_when_it_is_cancelled() {
    on_each(|stream| {
        stream.append(&events(4)).unwrap();
        let worker = Worker::new(&stream, "g", "one").attempts(2);
        let token = ftrack_api::CancelToken::new();
        let mut calls = Vec::new();
        let handler = |delivery: &ftrack_api::relay::Delivery| {
            calls.push((number(delivery), delivery.attempt()));
            if calls.len() == 6 {
                token.cancel();
            }
            match number(delivery) {
                1 if delivery.attempt() == 1 => anyhow::bail!("not yet"),
                2 => panic!("never"),
                _ => Ok(()),
            }
        };
        let error = token.run(|| worker.run(handler)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        // Those that are due again may come before the last.
        calls.sort_by_key(|(_, attempt)| *attempt);
        let expected = [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (2, 2)];
        assert_eq!(calls, expected);
        let letters = stream.dead_letters("g").unwrap();
        assert_eq!(
            (letters.len(), letters[0].error.as_str()),
            (1, "panic: never")
        );
        let status = stream.group("g").unwrap().unwrap();
        // What was handled before the cancellation is acknowledged.
        assert_eq!((status.handled, status.lag), (3, 0));
    });
}

/// A shell's job control and a machine that is suspended stop a process and continue it: the system
/// then ends reads from sockets, and nothing has failed.
#[cfg(unix)]
#[test]
fn a_process_that_is_stopped_and_continued_goes_on() {
    const STOPS: &str = "for stop in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -STOP $PPID; kill -CONT $PPID; sleep 0.02
    done";
    on_each(|stream| {
        let worker = Worker::new(&stream, "stopped", "one");
        let mut stopping = Command::new("sh").args(["-c", STOPS]).spawn().unwrap();
        let mut handled = 0;
        while stopping.try_wait().unwrap().is_none() {
            stream.append(&events(1)).unwrap();
            next(&worker).ack().unwrap();
            handled += 1;
            assert!(nothing(&worker));
        }
        assert_eq!(stream.status().unwrap().length, handled);
    });
}
