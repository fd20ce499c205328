//! Redis is away for a while under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::relay::{GapReason, Stream, Worker};
use serde_json::json;

use crate::redis::Server;
use crate::relaying::{connect, relay};
use crate::support::{self, end::End};
use crate::{LONG, number};

/// What relays keep in memory: little, so that the journal is used.
const MEMORY: usize = 20_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Two relays, one worker. `RELAY_TEST_AWAY=60` makes it a minute, `RELAY_TEST_RATE` is how many events a second come.
#[test]
fn nothing_is_lost_while_redis_is_away_and_what_has_no_room_is_counted() {
    let rate = setting("RELAY_TEST_RATE", 150);
    let away = Duration::from_secs(setting("RELAY_TEST_AWAY", 3));
    for journal_bytes in [1 << 30, 40_000 * away.as_secs() / 3] {
        let server = support::emulator();
        let redis = Server::durable();
        let stream = Stream::redis(redis.url());
        let folder = tempfile::tempdir().unwrap();
        let mut relays = ["one", "two"].map(|name| {
            relay(&server, &stream, name)
                .journal(folder.path().join(name))
                .memory_bytes(MEMORY)
                .journal_bytes(journal_bytes)
        });
        for relay in &mut relays {
            connect(&server, &stream, relay);
        }
        let is_over = AtomicBool::new(false);
        let (sent, numbers, lost) = thread::scope(|scope| {
            let _end = End(&is_over);
            for relay in &mut relays {
                let is_over = &is_over;
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        relay.poll(Duration::from_millis(100)).unwrap();
                    }
                });
            }
            let publish = |from: usize, time: Duration| {
                let started = Instant::now();
                let mut next = from;
                // So many, however long it takes: they must not all have room.
                while next - from < (time.as_secs() * rate) as usize {
                    let event = json!({ "topic": "studio.test", "id": next.to_string(), "data": { "number": next } });
                    server.events().publish(event).unwrap();
                    next += 1;
                    let due = Duration::from_secs_f64((next - from) as f64 / rate as f64);
                    thread::sleep(due.saturating_sub(started.elapsed()));
                }
                next
            };
            let sent = publish(0, Duration::from_secs(1));
            let paused = redis.pause();
            let sent = publish(sent, away);
            let _redis = paused.resume();
            let sent = publish(sent, Duration::from_secs(1));
            let resumed = Instant::now();
            let worker = Worker::new(&stream, "g", "one");
            let (mut numbers, mut lost) = (Vec::new(), 0);
            let dropped = || {
                let relays = stream.status().unwrap().relays;
                relays.iter().map(|relay| relay.dropped).sum::<u64>()
            };
            while numbers.last() != Some(&(sent - 1)) || lost != dropped() {
                assert!(
                    resumed.elapsed() < LONG + away,
                    "it does not end: {} of {sent}, the last {:?}; {lost} of {} lost: {:#?}",
                    numbers.len(),
                    numbers.last(),
                    dropped(),
                    stream.status()
                );
                let delivery = match worker.next(Duration::from_secs(1)) {
                    Ok(Some(delivery)) => delivery,
                    Ok(None) => continue,
                    Err(error) => panic!("{error}"),
                };
                match delivery.gap() {
                    Some(gap) => {
                        assert_eq!(gap.reason, GapReason::JournalFull);
                        lost += gap.lost.unwrap();
                    }
                    None => numbers.push(number(&delivery)),
                }
                delivery.ack().unwrap();
            }
            println!(
                "{away:?} away, {rate} a second: {sent} sent, {} handled, {lost} reported as lost by two relays, {:.1?} to catch up",
                numbers.len(),
                resumed.elapsed()
            );
            (sent, numbers, lost)
        });
        let late = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(late, None);
        let dropped: u64 = relays.iter().map(|relay| relay.status().dropped).sum();
        if journal_bytes == 1 << 30 {
            assert_eq!((numbers.len(), lost, dropped), (sent, 0, 0));
        } else {
            assert!(lost > 0 && numbers.len() as u64 + lost >= sent as u64);
            assert_eq!(lost, dropped);
        }
    }
}
