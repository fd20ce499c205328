//! The event hub of a session, on a server that publishes what is committed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use ftrack_api::config::Network;
use ftrack_api::event::UpdateAction;
use ftrack_api::{Entity, Event, Session, Value, data};
use support::{builder, emulator, open};

/// For what must happen at last.
const LONG: Duration = Duration::from_secs(120);

/// Connects the session's hub and subscribes to updates.
fn watch(session: &Session) {
    let hub = session.event_hub();
    hub.connect().unwrap();
    let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with("topic=ftrack.update", options, |_| Ok(None))
        .unwrap();
}

/// The next `ftrack.update` that reaches the hub.
fn next_update(session: &Session) -> Event {
    let event = session.event_hub().next(LONG).unwrap();
    event.expect("an update arrives")
}

#[test]
fn commits_are_announced_under_modern_names() {
    let server = emulator();
    let (session, watcher) = (open(&server), open(&server));
    watch(&watcher);

    let task = session
        .query("select name, status from Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let status: Entity = task.get("status").unwrap();
    let other = session
        .query("select id from Status where name is \"On Hold\"")
        .unwrap()
        .one()
        .unwrap();
    task.set("status", &other).unwrap();
    session.commit().unwrap();

    let event = next_update(&watcher);
    let update = event.update(watcher.schema()).unwrap();
    assert_eq!(update.client_token.as_deref(), Some(session.client_token()));
    assert!(!watcher.event_hub().is_own(&event));
    let changed = update
        .entities
        .iter()
        .find(|one| one.id == task.id())
        .unwrap();
    assert_eq!(
        (changed.entity_type.as_str(), &changed.action),
        ("Task", &UpdateAction::Update)
    );
    let change = changed
        .changes
        .iter()
        .find(|one| one.attribute == "status_id")
        .unwrap();
    assert_eq!(
        (&change.old, &change.new),
        (&Value::from(status.id()), &Value::from(other.id()))
    );
    // A project is called `show` in events.
    assert_eq!(changed.parents.last().unwrap().entity_type, "Project");
}

#[test]
fn own_changes_can_be_told_apart() {
    let server = emulator();
    let session = open(&server);
    session.event_hub().connect().unwrap();
    let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(LONG);
    session
        .event_hub()
        .subscribe_with("topic=ftrack.update", options, |_| Ok(None))
        .unwrap();
    session
        .ensure("User", data! { "username": "new" }, "")
        .unwrap();
    assert!(session.event_hub().is_own(&next_update(&session)));
}

#[test]
fn sessions_talk_to_each_other() {
    let server = emulator();
    let replying = open(&server);
    replying.event_hub().connect().unwrap();
    let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(LONG);
    let double = |event: &Event| Ok(event.data()["n"].as_i64().map(|n| (n * 2).into()));
    replying
        .event_hub()
        .subscribe_with("topic=studio.double", options, double)
        .unwrap();
    let asking = builder(&server)
        .auto_connect_event_hub(true)
        .open()
        .unwrap();
    let reply = std::thread::scope(|scope| {
        scope.spawn(|| replying.event_hub().wait(None).unwrap());
        let event = Event::new("studio.double").with_data(serde_json::json!({"n": 21}));
        let reply = asking.event_hub().request(event, LONG);
        replying.event_hub().disconnect();
        reply.unwrap()
    });
    assert_eq!(reply.data(), &serde_json::json!(42));
}

#[test]
fn closing_a_session_closes_its_hub_promptly() {
    let server = emulator();
    let session = open(&server);
    session.event_hub().connect().unwrap();
    support::trace::listen();
    session.close();
    // It waits for the hub's thread, and logs if that does not end.
    assert_eq!(support::trace::logged_here("left to itself"), []);
    assert!(!session.event_hub().is_connected());
}

/// The environment is read again neither for the session nor for its hub.
#[test]
fn a_session_with_a_network_of_its_own_ignores_the_proxies_of_the_environment() {
    const NAME: &str = "a_session_with_a_network_of_its_own_ignores_the_proxies_of_the_environment";
    if std::env::var_os("EVENTS_TEST_ALONE").is_some() {
        let server = emulator();
        let network = Network::new().no_proxy("*");
        let session = builder(&server).network(network).open().unwrap();
        session.event_hub().connect().unwrap();
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("EVENTS_TEST_ALONE", "1")
        .env("http_proxy", "gopher://nowhere")
        .env("https_proxy", "gopher://nowhere")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}

#[test]
fn custom_attributes_of_events_have_values_of_their_kinds() {
    let server = emulator();
    let (session, watcher) = (open(&server), open(&server));
    watch(&watcher);
    let shot = session.query("Shot").unwrap().first().unwrap().unwrap();
    let custom = shot.custom_attributes().unwrap();
    custom.set("fstart", 1017).unwrap();
    session.commit().unwrap();

    let update = next_update(&watcher).update(watcher.schema()).unwrap();
    let mut changes = update.entities.iter().flat_map(|entity| &entity.changes);
    let change = changes
        .rfind(|change| change.attribute == "fstart")
        .unwrap();
    let definition = custom.configurations("fstart").unwrap();
    assert_eq!(definition[0].typed(&change.new), Value::Number(1017.0));
    for (given, expected) in [
        (Value::from("1001.5"), Value::Number(1001.5)),
        (Value::from(""), Value::Null),
        (Value::from("many"), Value::from("many")),
        (Value::Null, Value::Null),
    ] {
        assert_eq!(definition[0].typed(&given), expected, "{given}");
    }
}
