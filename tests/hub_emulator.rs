//! The event hub on the emulator: its event server, and the updates that commits cause.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use ftrack_api::event::UpdateAction;
use ftrack_api::hub::{HubConfig, SubscribeOptions};
use ftrack_api::{ErrorKind, Event, EventHub, Value};
use ftrack_emulator::Emulator;
use serde_json::json;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(120);

fn hub(server: &Emulator) -> EventHub {
    let config = HubConfig::new(server.url(), server.api_user(), server.api_key());
    let hub = EventHub::new(config);
    hub.connect().unwrap();
    hub
}

fn listen(hub: &EventHub, expression: &str) {
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with(expression, options, |_| Ok(None))
        .unwrap();
}

#[test]
fn events_replies_and_refusals() {
    let server = support::emulator();
    let config = HubConfig::new(server.url(), server.api_user(), "wrong");
    let error = EventHub::new(config).connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let (one, two) = (hub(&server), hub(&server));
    let options = SubscribeOptions::new().acknowledged(LONG);
    two.subscribe_with("topic=studio.* and data.n >= 3", options, |event| {
        Ok(Some(json!({"got": event.data()["n"]})))
    })
    .unwrap();
    let waiting = two.clone();
    let thread = std::thread::spawn(move || waiting.wait(None));
    let question = |n: i64| Event::new("studio.x").with_data(json!({"n": n}));
    let nobody_replies = |n| one.request_all(question(n), SHORT).unwrap().is_empty();
    assert!(nobody_replies(1));
    let reply = one.request(question(3), LONG).unwrap();
    assert_eq!(reply.data(), &json!({"got": 3}));
    two.close();
    thread.join().unwrap().unwrap();
    assert!(nobody_replies(3));
}

#[test]
fn a_commit_causes_an_update_with_todays_names() {
    let server = support::emulator();
    let session = support::open(&server);
    let hub = hub(&server);
    listen(&hub, "topic=ftrack.update");
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    let now: String = task.get("status_id").unwrap();
    let others = format!("Status where id is_not \"{now}\"");
    let status = session
        .query(others.as_str())
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    task.set("status", &status).unwrap();
    task.set("name", "renamed").unwrap();
    session.commit().unwrap();
    let event = hub.next(LONG).unwrap().unwrap();
    let update = event.update(session.schema()).unwrap();
    let changed = update
        .entities
        .iter()
        .find(|changed| changed.key() == task.key())
        .unwrap();
    assert_eq!(changed.action, UpdateAction::Update);
    let new = |name: &str| {
        let change = changed
            .changes
            .iter()
            .find(|change| change.attribute == name);
        change.map(|change| change.new.clone())
    };
    assert_eq!(new("status_id"), Some(Value::from(status.id())));
    assert_eq!(new("name"), Some(Value::from("renamed")));
    assert_eq!(changed.parents.last().unwrap().entity_type, "Project");
    let loaded = session
        .get(&changed.entity_type, changed.key())
        .unwrap()
        .unwrap();
    assert_eq!(loaded, task);
}

#[test]
fn a_burst_through_the_emulator() {
    const COUNT: u64 = 10_000;
    let server = support::emulator();
    let (one, two) = (hub(&server), hub(&server));
    listen(&two, "topic=burst");
    let publisher = std::thread::spawn(move || {
        for n in 0..COUNT {
            one.publish(Event::new("burst").with_data(n)).unwrap();
        }
        one.flush(LONG).unwrap();
        one.counts()
    });
    for n in 0..COUNT {
        assert_eq!(two.next(LONG).unwrap().unwrap().data(), n);
    }
    let counts = publisher.join().unwrap();
    assert_eq!((counts.acknowledged, counts.reconnects), (COUNT, 0));
}
