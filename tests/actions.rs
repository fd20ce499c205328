//! Actions: offered, launched and completed, as the web interface does it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::thread;
use std::time::Duration;

use ftrack_api::action::{
    Action, ActionItem, ActionRegistration, Form, FormField, Launch, Outcome, Selection,
};
use ftrack_api::hub::HubConfig;
use ftrack_api::{ErrorKind, Event, EventHub, Session};
use ftrack_emulator::Emulator;
use serde_json::{Value, json};
use support::{emulator, eventually, open};

/// Long enough for what should arrive on a busy machine, short enough to wait for what should not.
const SHORT: Duration = Duration::from_millis(600);
/// For what must happen at last.
const LONG: Duration = Duration::from_secs(120);

/// Renames one shot; asks for the name.
struct Rename {
    for_everybody: bool,
}

impl Action for Rename {
    fn item(&self) -> ActionItem {
        ActionItem::new("studio.rename", "Rename")
    }

    fn for_everybody(&self) -> bool {
        self.for_everybody
    }

    fn discover(&self, session: &Session, selection: &Selection) -> anyhow::Result<bool> {
        let entities = selection.entities(session)?;
        Ok(entities.iter().all(|entity| entity.entity_type() == "Shot"))
    }

    fn launch(&self, session: &Session, launch: &Launch) -> anyhow::Result<Outcome> {
        let Some(name) = launch.value("name").and_then(Value::as_str) else {
            let field = FormField::text("name", "New name");
            return Ok(Form::new("Rename").field(field).into());
        };
        anyhow::ensure!(!name.is_empty(), "no name");
        if name == "help" {
            return Ok(Outcome::widget("https://studio.example.com/names", "Names"));
        }
        for shot in launch.entities(session)? {
            shot.set("name", name)?;
        }
        session.commit()?;
        let user = launch.username.as_deref().unwrap_or_default();
        Ok(Outcome::success(format!("{user} calls it {name}")))
    }
}

/// What the web interface does, under the name of a user.
struct Web(EventHub);

impl Web {
    fn of(server: &Emulator, user: &str) -> Self {
        let config = HubConfig::new(server.url(), user, server.api_key());
        let hub = EventHub::new(config);
        hub.connect().unwrap();
        Self(hub)
    }

    fn ask(&self, topic: &str, data: Value, timeout: Duration) -> ftrack_api::Result<Value> {
        let event = Event::new(topic).with_data(data);
        let reply = self.0.request(event, timeout)?;
        Ok(reply.data().clone())
    }

    fn discover(&self, selection: &Value, timeout: Duration) -> ftrack_api::Result<Value> {
        let data = json!({"selection": selection});
        self.ask("ftrack.action.discover", data, timeout)
    }

    fn launch(&self, selection: &Value, values: &Value) -> Value {
        let data = json!({"actionIdentifier": "studio.rename", "selection": selection,
                          "values": values});
        self.ask("ftrack.action.launch", data, LONG).unwrap()
    }
}

/// Registers the action; the server knows of both subscriptions when this returns.
fn register(session: &Session, action: Rename) -> ActionRegistration {
    let registration = session.register_action(action).unwrap();
    // The connection is in order: what is acknowledged later was subscribed later.
    let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(LONG);
    let hub = session.event_hub();
    let marker = hub.subscribe_with("topic=marker", options, |_| Ok(None));
    assert!(hub.unsubscribe(marker.unwrap()));
    registration
}

#[test]
fn an_action_is_offered_launched_and_fails_visibly() {
    let server = emulator();
    let session = open(&server);
    session.event_hub().connect().unwrap();
    let shot = session.query("Shot").unwrap().first().unwrap().unwrap();
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    // The web interface calls both `task`.
    let of = |entity: &ftrack_api::Entity| json!([{"entityId": entity.id(), "entityType": "task"}]);
    let (on_shot, on_task) = (of(&shot), of(&task));
    let registration = register(
        &session,
        Rename {
            for_everybody: false,
        },
    );
    let waiting = session.event_hub().clone();
    let thread = thread::spawn(move || waiting.wait(None));
    let web = Web::of(&server, server.api_user());
    let item = web.discover(&on_shot, LONG).unwrap();
    assert_eq!(item["items"][0]["actionIdentifier"], "studio.rename");
    let refused = web.discover(&on_task, SHORT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let form = web.launch(&on_shot, &json!({}));
    let field = json!([{"type": "text", "name": "name", "label": "New name"}]);
    assert_eq!((&form["type"], &form["items"]), (&json!("form"), &field));
    let done = web.launch(&on_shot, &json!({"name": "sh999"}));
    let message = format!("{} calls it sh999", server.api_user());
    assert_eq!(done, json!({"success": true, "message": message}));
    assert_eq!(shot.get::<String>("name").unwrap(), "sh999");
    let failed = web.launch(&on_shot, &json!({"name": ""}));
    assert_eq!(failed, json!({"success": false, "message": "no name"}));
    let widget = web.launch(&on_shot, &json!({"name": "help"}));
    assert_eq!(
        (&widget["type"], &widget["url"], &widget["title"]),
        (
            &json!("widget"),
            &json!("https://studio.example.com/names"),
            &json!("Names")
        )
    );
    // Null counts as missing.
    assert!(web.discover(&Value::Null, LONG).is_ok());
    assert_eq!(web.launch(&Value::Null, &Value::Null)["type"], "form");
    drop(registration);
    session.close();
    thread.join().unwrap().unwrap();
}

#[test]
fn other_users_see_an_action_for_everybody_only() {
    let server = emulator();
    let session = open(&server);
    session.event_hub().connect().unwrap();
    let waiting = session.event_hub().clone();
    let thread = thread::spawn(move || waiting.wait(None));
    let registration = register(
        &session,
        Rename {
            for_everybody: false,
        },
    );
    let web = Web::of(&server, server.api_user());
    let discover_as_bob = || {
        let event = Event::new("ftrack.action.discover")
            .with_data(json!({"selection": []}))
            .with_source(json!({"user": {"username": "bob"}}));
        web.0.request(event, SHORT)
    };
    assert_eq!(discover_as_bob().unwrap_err().kind(), ErrorKind::Timeout);
    drop(registration);
    let _registration = register(
        &session,
        Rename {
            for_everybody: true,
        },
    );
    eventually("bob is offered it", || discover_as_bob().is_ok());
    session.close();
    thread.join().unwrap().unwrap();
}

#[test]
fn selections_have_todays_types_in_one_request() {
    let server = emulator();
    let session = open(&server);
    let one = |query: &str| session.query(query).unwrap().first().unwrap().unwrap();
    let selected = [
        (one("AssetVersion"), "asset_version"),
        (one("Shot"), "task"),
        (one("Project"), "show"),
        (one("Task"), "task"),
        (one("User"), "user"),
        (one("Sequence"), "typedcontext"),
    ];
    let mut wire: Vec<Value> = selected
        .iter()
        .map(|(entity, legacy)| json!({"entityId": entity.id(), "entityType": legacy}))
        .collect();
    wire.push(json!({"entityId": "deleted", "entityType": "task"}));
    wire.push(json!({"entityId": "x", "entityType": "nonsense"}));
    let event = Event::new("ftrack.action.discover").with_data(json!({"selection": wire}));
    let mut found = Vec::new();
    let sent = support::requests(&session, || {
        found = event.selection().unwrap().entities(&session).unwrap();
    });
    assert_eq!(sent, 1);
    let expected: Vec<_> = selected.into_iter().map(|(entity, _)| entity).collect();
    assert_eq!(found, expected);
}

#[test]
fn actions_and_subscriptions_do_not_keep_the_session_open() {
    let server = emulator();
    let session = open(&server);
    session.event_hub().connect().unwrap();
    session
        .register_action(Rename {
            for_everybody: false,
        })
        .unwrap()
        .keep();
    let called = session.subscribe("topic=studio.ping", |session, _| {
        Ok(Some(session.api_user().into()))
    });
    called.unwrap();
    let pong = session
        .event_hub()
        .publish_synchronous(Event::new("studio.ping"));
    assert_eq!(pong, [session.api_user()]);
    let weak = session.downgrade();
    assert_eq!(server.events().connections(), 1);
    drop(session);
    assert!(weak.upgrade().is_none());
    eventually("the connection is closed", || {
        server.events().connections() == 0
    });
}
