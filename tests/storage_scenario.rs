//! The storage scenario: set up by a program and by the form in ftrack's settings, and used.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::thread;
use std::time::Duration;

use ftrack_api::hub::{HubConfig, SubscribeOptions};
use ftrack_api::session::CentralizedStorage;
use ftrack_api::{ErrorKind, Event, EventHub, Session, data};
use ftrack_emulator::Emulator;
use serde_json::{Map, Value, json};
use support::{emulator, open};

/// For what must happen at last.
const LONG: Duration = Duration::from_secs(120);

/// The settings page of the web interface: it shows a form and sends back what was entered.
struct Settings {
    hub: EventHub,
    fields: Map<String, Value>,
}

impl Settings {
    fn of(server: &Emulator) -> Self {
        let config = HubConfig::new(server.url(), server.api_user(), server.api_key());
        let hub = EventHub::new(config);
        hub.connect().unwrap();
        Self {
            hub,
            fields: Map::new(),
        }
    }

    fn ask(&self, topic: &str, data: Value) -> Value {
        let event = Event::new(topic).with_data(data);
        self.hub.request(event, LONG).unwrap().data().clone()
    }

    /// Sends the form with these values; the step that is shown next, its state and all its texts.
    fn submit(&mut self, entered: &Value) -> (String, String, String) {
        self.fields.extend(entered.as_object().unwrap().clone());
        let data = json!({"scenario_id": "ftrack.centralized-storage", "values": self.fields});
        let reply = self.ask("ftrack.storage-scenario.configure", data);
        self.fields.clear();
        let mut texts = String::new();
        for item in reply["items"].as_array().unwrap() {
            match item["name"].as_str() {
                Some(name) => drop(self.fields.insert(name.to_owned(), item["value"].clone())),
                None => texts += item["value"].as_str().unwrap(),
            }
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&self.fields["step"]), text(&reply["state"]), texts)
    }
}

/// A session that handles the events of the storage scenario in a thread of its own until it is closed.
fn handling(server: &Emulator) -> (Session, thread::JoinHandle<()>) {
    let session = open(server);
    let hub = session.event_hub().clone();
    hub.connect().unwrap();
    session.register_storage_scenario().unwrap().keep();
    // What is acknowledged later was subscribed later.
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with("topic=marker", options, |_| Ok(None))
        .unwrap();
    let waits = thread::spawn(move || drop(hub.wait(None)));
    (session, waits)
}

fn mount_points(path: &str) -> Value {
    json!({"linux_mount_point": path, "osx_mount_point": path, "windows_mount_point": path})
}

#[test]
fn the_form_creates_a_location_and_sets_it_up() {
    let server = emulator();
    let (session, waits) = handling(&server);
    let mut web = Settings::of(&server);
    let offered = web.ask("ftrack.storage-scenario.discover", json!({}));
    assert_eq!(offered["id"], "ftrack.centralized-storage");

    let (step, state, _) = web.submit(&json!({}));
    assert_eq!((&*step, &*state), ("select_location", "configuring"));
    let (step, _, texts) = web.submit(&json!({"location_id": "no-such-location"}));
    assert_eq!(step, "select_location");
    assert!(texts.contains("does not exist"), "{texts}");
    let (step, _, _) = web.submit(&json!({"location_id": "create_new_location"}));
    assert_eq!(step, "configure_location");
    let (step, _, texts) = web.submit(&json!({"location_name": "ftrack.server"}));
    assert_eq!(step, "configure_location");
    assert!(texts.contains("named ftrack.server already"), "{texts}");
    let (step, _, texts) = web.submit(&json!({"location_name": "central", "location_label": " "}));
    assert_eq!(step, "configure_location");
    assert!(texts.contains("cannot be empty"), "{texts}");
    assert_eq!(
        web.fields["location_name"], "central",
        "what was entered stays"
    );
    let (step, _, _) = web.submit(&json!({"location_label": "Central"}));
    assert_eq!(step, "select_mount_point");
    let (step, state, texts) = web.submit(&mount_points(""));
    assert_eq!((&*step, &*state), ("confirm_summary", "confirm"));
    assert!(texts.contains("cannot be used there"), "{texts}");
    let (step, _, texts) = web.submit(&json!({}));
    assert_eq!(step, "select_mount_point");
    assert!(texts.contains("at least one platform"), "{texts}");
    assert!(
        session.recorded_operations().is_empty(),
        "nothing of it stays"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (_, _, texts) = web.submit(&mount_points(path));
    assert!(texts.contains("Central") && texts.contains(path), "{texts}");
    let (step, state, _) = web.submit(&json!({}));
    assert_eq!((&*step, &*state), ("save_configuration", "done"));
    session.close();
    waits.join().unwrap();

    // Whoever opens a session now stores files there.
    let artist = open(&server);
    let location = artist.pick_location().unwrap().unwrap();
    assert_eq!(location.name().unwrap(), "central");
    let file = folder.path().join("source.txt");
    std::fs::write(&file, "x").unwrap();
    let versions = artist
        .query("AssetVersion where asset.parent.name is_not ''")
        .unwrap();
    let version = versions.first().unwrap().unwrap();
    let data = data! { "name": "source", "version": &version };
    let stored = artist.create_component(&file, data, &location);
    let stored = location.get_filesystem_path(&stored.unwrap()).unwrap();
    assert!(stored.starts_with(path), "{}", stored.display());
}

#[test]
fn the_form_offers_what_is_set_up_already() {
    let server = emulator();
    let admin = open(&server);
    let made = admin.create("Location", data! { "name": "old", "label": "Old storage" });
    let id = made.unwrap().id();
    admin.commit().unwrap();
    let location = admin.location("old").unwrap();
    let nowhere = CentralizedStorage::new(&location);
    let error = admin.set_centralized_storage(&nowhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    let storage = CentralizedStorage::new(&location)
        .linux("/mnt/a")
        .macos("/Volumes/a");
    admin.set_centralized_storage(&storage).unwrap();

    let (session, waits) = handling(&server);
    let mut web = Settings::of(&server);
    let (_, _, texts) = web.submit(&json!({}));
    assert!(texts.contains("will not be found"), "{texts}");
    assert_eq!(web.fields["location_id"], id.as_str());
    let (step, _, _) = web.submit(&json!({}));
    assert_eq!(step, "select_mount_point");
    assert_eq!(web.fields["linux_mount_point"], "/mnt/a");
    let (_, _, texts) = web.submit(&json!({"windows_mount_point": "S:\\"}));
    assert!(texts.contains("existing location Old storage"), "{texts}");
    let (_, state, _) = web.submit(&json!({}));
    assert_eq!(state, "done");
    session.close();
    waits.join().unwrap();
    let artist = open(&server);
    let scenario = artist.server_information().get("storage_scenario");
    let points = &scenario.unwrap()["data"]["accessor"]["mount_points"];
    let expected = json!({"linux": "/mnt/a", "osx": "/Volumes/a", "windows": "S:\\"});
    assert_eq!(*points, expected);
}

/// What the desktop application asks when it starts.
#[test]
fn a_storage_that_is_not_there_is_reported() {
    let server = emulator();
    let session = open(&server);
    let verify = |points: Value| {
        let scenario = json!({"scenario": "ftrack.centralized-storage",
                              "data": {"accessor": {"mount_points": points}}});
        let event = Event::new("ftrack.connect.verify-startup");
        let event = event.with_data(json!({"storage_scenario": scenario}));
        session.event_hub().publish_synchronous(event)
    };
    let everywhere = |path: &str| json!({"linux": path, "osx": path, "windows": path});
    assert!(verify(json!({})).is_empty());
    let registration = session.register_storage_scenario().unwrap();
    for (points, expected) in [
        (json!({}), "no mount point"),
        (everywhere(""), "no mount point"),
        (everywhere("/no/such/folder"), "no folder /no/such/folder"),
    ] {
        let found = verify(points);
        assert!(found[0].as_str().unwrap().contains(expected), "{found:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let found = verify(everywhere(folder.path().to_str().unwrap()));
    assert!(found.iter().all(Value::is_null), "{found:?}");
    drop(registration);
    assert!(verify(json!({})).is_empty());
}
