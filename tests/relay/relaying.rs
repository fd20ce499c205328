//! From the hub into the stream: several relays, a stream that is away, and what was missed.

use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::HubConfig;
use ftrack_api::relay::{GapReason, Relay, Stream, Worker};
use ftrack_api::{Error, ErrorKind, Event, EventHub, data};
use ftrack_emulator::Emulator;
use serde_json::json;

use crate::redis::Server;
use crate::support::{self, eventually, secret};
use crate::{LONG, SHORT, next, number, on_each};

fn hub(server: &Emulator) -> EventHub {
    let config = HubConfig::new(server.url(), server.api_user(), secret(server.api_key()));
    EventHub::new(config)
}

pub(crate) fn relay(server: &Emulator, stream: &Stream, name: &str) -> Relay {
    Relay::new(&hub(server), stream, name).subscribe("topic=studio.*")
}

pub(crate) fn publish(server: &Emulator, number: usize) {
    let event = json!({ "topic": "studio.test", "id": format!("event-{number}"), "data": { "number": number } });
    server.events().publish(event).unwrap();
}

/// Polls until a condition holds.
pub(crate) fn poll_until(relay: &mut Relay, what: &str, mut condition: impl FnMut(&Relay) -> bool) {
    let end = Instant::now() + LONG;
    while !condition(relay) {
        assert!(
            Instant::now() < end,
            "never happened: {what}: {:?}",
            relay.status()
        );
        relay.poll(Duration::from_millis(10)).unwrap();
    }
}

/// Polls until the relay has subscribed and has said so.
pub(crate) fn connect(server: &Emulator, stream: &Stream, relay: &mut Relay) {
    let before = server.events().subscriptions();
    let started = jiff::Timestamp::now();
    poll_until(relay, "it connects", |relay| {
        let name = relay.status().name;
        let relays = stream.status().unwrap().relays;
        let is_known = relays
            .iter()
            .any(|known| known.name == name && known.connected_at > Some(started));
        server.events().subscriptions() >= before + 2 && is_known
    });
}

fn drain(worker: &Worker) -> Vec<usize> {
    let mut numbers = Vec::new();
    while let Some(delivery) = worker.next(SHORT).unwrap() {
        if delivery.gap().is_none() {
            numbers.push(number(&delivery));
        }
        delivery.ack().unwrap();
    }
    numbers
}

#[test]
fn what_a_relay_subscribes_to_is_appended_once_and_in_order() {
    on_each(|stream| {
        let server = support::emulator();
        let mut relays = ["one", "two"].map(|name| relay(&server, &stream, name));
        for relay in &mut relays {
            connect(&server, &stream, relay);
        }
        server
            .events()
            .publish(json!({ "topic": "other.test" }))
            .unwrap();
        (0..300).for_each(|number| publish(&server, number));
        let is_done = |relay: &Relay| {
            let status = relay.status();
            status.appended + status.repeated == 300 && status.waiting == 0
        };
        let [one, two] = &mut relays;
        // They wait for each other.
        poll_until(one, "all are appended", |one| {
            two.poll(Duration::from_millis(10)).unwrap();
            is_done(one) && is_done(two)
        });
        let status = relays[0].status();
        assert_eq!(status.last_event.as_ref().unwrap().0, "event-299");
        assert!(status.rate > 0.0 && status.dropped == 0, "{status:?}");
        assert_eq!(stream.status().unwrap().appended, 300);
        // Reports are readable from elsewhere, each second.
        poll_until(&mut relays[1], "it reports", |_| {
            stream.status().unwrap().relays.iter().any(|relay| {
                relay.name == "two"
                    && relay
                        .last_event
                        .as_ref()
                        .is_some_and(|event| event.0 == "event-299")
            })
        });
        let worker = Worker::new(&stream, "g", "one");
        assert_eq!(drain(&worker), (0..300).collect::<Vec<_>>());
    });
}

#[test]
fn invalid_settings_are_reported_by_the_first_call() {
    let server = support::emulator();
    let folder = tempfile::tempdir().unwrap();
    let stream = Stream::local(folder.path().join("events.db"));
    let mut relay = Relay::new(&hub(&server), &stream, "one").subscribe("topic=");
    let error = relay.poll(SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax, "{error}");
    let mut relay = Relay::new(&hub(&server), &stream, "");
    assert_eq!(
        relay.poll(SHORT).unwrap_err().kind(),
        ErrorKind::Configuration
    );
    let mut relay = Relay::new(&hub(&server), &stream, "one").journal(folder.path());
    assert_eq!(relay.poll(SHORT).unwrap_err().kind(), ErrorKind::Io);
    let config = HubConfig::new(server.url(), server.api_user(), "wrong");
    let mut relay = Relay::new(&EventHub::new(config), &stream, "one");
    let error = (0..LONG.as_millis() / SHORT.as_millis())
        .find_map(|_| relay.poll(SHORT).err())
        .expect("the key is refused");
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

#[test]
fn events_wait_in_memory_and_on_disk_while_the_stream_is_away() {
    let server = support::emulator();
    let folder = tempfile::tempdir().unwrap();
    let redis = Server::durable();
    let stream = Stream::redis(redis.url());
    let journal = folder.path().join("journal");
    let open = || {
        relay(&server, &stream, "one")
            .journal(&journal)
            .memory_bytes(4000)
            .journal_bytes(40_000)
    };
    let mut one = open();
    connect(&server, &stream, &mut one);
    let port = redis.port();
    let away = redis.pause();
    (0..100).for_each(|number| publish(&server, number));
    poll_until(&mut one, "they wait", |relay| relay.status().waiting == 100);
    assert!(one.status().lag > Duration::ZERO && one.status().dropped == 0);
    // It keeps what it has when it ends.
    drop(one);
    let mut one = open();
    poll_until(&mut one, "it is found again", |relay| {
        relay.status().waiting == 100
    });
    let redis = away.resume();
    assert_eq!(redis.port(), port);
    poll_until(&mut one, "they are appended", |relay| {
        relay.status().waiting == 0
    });
    let worker = Worker::new(&stream, "g", "one");
    assert_eq!(drain(&worker), (0..100).collect::<Vec<_>>());

    // Beyond the bounds it says what is missing.
    eventually("it is subscribed", || server.events().subscriptions() >= 2);
    let away = redis.pause();
    (100..1000).for_each(|number| publish(&server, number));
    poll_until(&mut one, "all were received", |relay| {
        let status = relay.status();
        status
            .last_event
            .is_some_and(|event| event.0 == "event-999")
    });
    let _redis = away.resume();
    poll_until(&mut one, "they are appended", |relay| {
        relay.status().waiting == 0
    });
    for _ in 0..5 {
        one.poll(SHORT).unwrap();
    }
    let dropped = one.status().dropped;
    assert!(dropped > 0);
    let (mut kept, mut lost) = (Vec::new(), 0);
    while let Some(delivery) = worker.next(SHORT).unwrap() {
        match delivery
            .gap()
            .filter(|gap| gap.reason == GapReason::JournalFull)
        {
            Some(gap) => lost += gap.lost.unwrap(),
            None if delivery.gap().is_some() => {}
            None => kept.push(number(&delivery)),
        }
        delivery.ack().unwrap();
    }
    assert_eq!((lost, kept.len() as u64 + lost), (dropped, 900));
    assert!(kept.is_sorted() && kept[0] == 100, "{kept:?}");
}

#[test]
fn events_wait_while_the_server_is_full_or_a_right_is_missing() {
    let server = support::emulator();
    let redis = Server::start();
    let all = "~ftrack:events ~{ftrack:events}:* +@all";
    let stream = Stream::redis(redis.url_for(all));
    let own = Stream::redis(redis.url());
    let mut one = relay(&server, &stream, "one");
    connect(&server, &own, &mut one);
    // Until the relay has tried to append it, and is about to try again.
    let receive = |one: &mut Relay, number: usize| {
        publish(&server, number);
        let end = Instant::now() + LONG;
        while one.status().lag < Duration::from_secs(2) {
            assert!(Instant::now() < end, "it is appended: {:?}", one.status());
            one.poll(SHORT)?;
        }
        Ok(())
    };
    redis.command("CONFIG SET maxmemory-policy noeviction");
    redis.command("CONFIG SET maxmemory 1");
    // That passes: it is logged.
    receive(&mut one, 0).unwrap();
    redis.command("CONFIG SET maxmemory 0");
    poll_until(&mut one, "it is appended", |relay| {
        relay.status().waiting == 0
    });
    redis.command("ACL SETUSER artist -xadd");
    let error: Error = receive(&mut one, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("XADD"), "{error}");
    redis.command("ACL SETUSER artist +xadd");
    poll_until(&mut one, "it is appended", |relay| {
        relay.status().waiting == 0
    });
    assert_eq!(drain(&Worker::new(&own, "g", "one")), [0, 1]);
}

#[test]
fn a_connection_that_was_lost_is_a_gap_unless_another_relay_had_one() {
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    let worker = Worker::new(&stream, "g", "one");
    let mut one = relay(&server, &stream, "one");
    connect(&server, &stream, &mut one);
    assert!(worker.next(SHORT).unwrap().is_none());
    let before = jiff::Timestamp::now();
    server.events().drop_connections();
    eventually("it is gone", || server.events().connections() == 0);
    poll_until(&mut one, "it says so", |_| {
        stream.status().unwrap().length == 1
    });
    let gap = next(&worker);
    let found = gap.gap().unwrap();
    assert_eq!(
        (found.reason, found.relay.as_deref()),
        (GapReason::NotConnected, Some("one"))
    );
    assert!(
        found.from.unwrap() < before && found.to >= before,
        "{found:?}"
    );
    gap.ack().unwrap();

    // One that starts again, while another is connected all the time and hears from the server. What
    // it may have missed begins 3 seconds before it last said something; by then the other had heard
    // enough. It waits up to 20 seconds for what the other says next, and this test waits longer.
    let mut numbers = 0..;
    let connected = Instant::now() + Duration::from_secs(7);
    while Instant::now() < connected {
        publish(&server, numbers.next().unwrap());
        one.poll(SHORT).unwrap();
    }
    let end = Instant::now() + Duration::from_secs(30);
    thread::scope(|scope| {
        scope.spawn(|| {
            while Instant::now() < end {
                one.poll(SHORT).unwrap();
            }
        });
        let mut two = relay(&server, &stream, "two");
        connect(&server, &stream, &mut two);
        drop(two);
        eventually("it is gone", || server.events().connections() == 1);
        let mut two = relay(&server, &stream, "two");
        connect(&server, &stream, &mut two);
        while Instant::now() < end {
            publish(&server, numbers.next().unwrap());
            two.poll(SHORT).unwrap();
            while let Some(delivery) = worker.next(Duration::ZERO).unwrap() {
                assert!(delivery.gap().is_none(), "{:?}", delivery.gap());
                delivery.ack().unwrap();
            }
        }
    });
}

#[test]
fn a_stream_that_lost_its_data_is_reported_by_the_relay() {
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    let mut one = relay(&server, &stream, "one");
    connect(&server, &stream, &mut one);
    publish(&server, 1);
    poll_until(&mut one, "it is appended", |relay| {
        relay.status().appended == 1
    });
    redis.command("FLUSHALL");
    publish(&server, 2);
    poll_until(&mut one, "it says so", |_| {
        stream.status().unwrap().length == 3
    });
    // A group that is new sees it as well, and what the relay had still in memory.
    let worker = Worker::new(&stream, "new", "one");
    let all = [next(&worker), next(&worker), next(&worker)];
    assert_eq!((number(&all[0]), number(&all[1])), (1, 2));
    assert_eq!(all[2].gap().unwrap().reason, GapReason::StreamLost);
}

#[test]
fn the_servers_log_fills_a_gap_as_far_as_it_knows() {
    let server = support::emulator();
    let redis = Server::start();
    let stream = Stream::redis(redis.url());
    let session = support::open(&server);
    let open = || {
        Relay::new(&hub(&server), &stream, "one")
            .subscribe("topic=ftrack.update")
            .catch_up(&session)
    };
    let mut one = open();
    connect(&server, &stream, &mut one);
    drop(one);
    eventually("it is gone", || server.events().connections() == 0);
    let project = session
        .query("Project where name is test")
        .unwrap()
        .one()
        .unwrap();
    let folder = session
        .create("Folder", data! { "name": "missed", "parent": &project })
        .unwrap();
    session.commit().unwrap();
    folder.set("description", "too").unwrap();
    session.commit().unwrap();
    let mut one = open();
    connect(&server, &stream, &mut one);
    let worker = Worker::new(&stream, "g", "one");
    poll_until(&mut one, "it catches up", |_| {
        stream.status().unwrap().length >= 3
    });
    let id = folder.key().id();
    let mut actions = Vec::new();
    loop {
        let delivery = next(&worker);
        if let Some(gap) = delivery.gap() {
            assert_eq!(gap.reason, GapReason::NotConnected);
            assert!(gap.caught_up.unwrap() >= 2, "{gap:?}");
            break;
        }
        assert!(delivery.is_from_log());
        let event: Event = delivery.event().unwrap().clone();
        let update = event.update(session.schema()).unwrap();
        if update.entities[0].id == id {
            assert_eq!(update.entities[0].legacy_type, "task");
            assert!(event.data()["log"]["id"].is_i64(), "{event:?}");
            actions.push(format!("{:?}", update.entities[0].action));
        }
        delivery.ack().unwrap();
    }
    assert_eq!(actions, ["Add", "Update"]);
}

#[test]
fn a_relay_whose_name_is_not_used_any_more_can_be_removed() {
    on_each(|stream| {
        let server = support::emulator();
        let mut gone = relay(&server, &stream, "gone");
        connect(&server, &stream, &mut gone);
        drop(gone);
        eventually("it is gone", || server.events().connections() == 0);
        assert!(stream.remove_relay("gone").unwrap());
        assert!(!stream.remove_relay("gone").unwrap());
        assert!(stream.status().unwrap().relays.is_empty());
        // The name is as good as new: nothing is missing of the time before.
        let mut again = relay(&server, &stream, "gone");
        connect(&server, &stream, &mut again);
        publish(&server, 7);
        let is_done = |relay: &Relay| relay.status().appended == 1;
        poll_until(&mut again, "it appends", is_done);
        let worker = Worker::new(&stream, "g", "one");
        let delivery = next(&worker);
        assert_eq!((number(&delivery), delivery.gap().is_none()), (7, true));
        // One that runs has lost its record, which may be more than that.
        assert!(stream.remove_relay("gone").unwrap());
        delivery.ack().unwrap();
        poll_until(&mut again, "it reports a gap", |_| {
            stream.status().unwrap().appended == 2
        });
        let lost = next(&worker);
        assert_eq!(lost.gap().unwrap().reason, GapReason::StreamLost);
    });
}
