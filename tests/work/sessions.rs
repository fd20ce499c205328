//! Entities between sessions, and settings of a session.

use ftrack_api::session::AttributeStrategy;
use ftrack_api::{EntityKey, EntityState, ErrorKind, Session, data};
use serde_json::json;

use crate::same;
use crate::support::{Studio, open, requests};

#[test]
fn entities_move_between_sessions_and_to_json() {
    let studio = Studio::new();
    let (session, other) = (&studio.session, studio.other());
    let task = studio.first("select name, status.name, children from Task");
    task.set("name", "changed here").unwrap();
    let logged: f64 = task.get("time_logged").unwrap();
    let merged = other.merge(&task).unwrap();
    assert_eq!(merged.get::<String>("name").unwrap(), "changed here");
    assert_eq!(merged.state(), Some(EntityState::Modified));
    assert_eq!(
        requests(&other, || {
            merged.get::<Option<String>>("status.name").unwrap();
            assert_eq!(merged.get::<f64>("time_logged").unwrap(), logged);
        }),
        0
    );
    let new = session
        .create("Task", data! { "parent": &studio.project() })
        .unwrap();
    assert_eq!(other.merge(&new).unwrap_err().kind(), ErrorKind::Validation);

    let modified = session
        .encode(&task, AttributeStrategy::ModifiedOnly)
        .unwrap();
    assert_eq!(
        modified,
        json!({"__entity_type__": "Task", "id": task.id(), "name": "changed here"})
    );
    let persisted = session
        .encode(&task, AttributeStrategy::PersistedOnly)
        .unwrap();
    assert_ne!(persisted["name"], "changed here");
    // As in Python: it is for what is stored, and nothing reports when a computed value changes.
    assert_eq!(persisted.get("time_logged"), None);
    let set = session.encode(&task, AttributeStrategy::SetOnly).unwrap();
    assert_eq!(set["time_logged"], logged);
    let all = session.encode(&task, AttributeStrategy::All).unwrap();
    assert!(
        all["created_at"]["__type__"] == "datetime" && all.get("bid").is_some(),
        "{all}"
    );
    assert!(session.decode(&json!({"id": 1})).is_err());
    session.rollback();

    // Members that joined a collection there join it here, and those that left it leave it.
    let scope = |name: &str| session.create("Scope", data! { "name": name }).unwrap();
    let (one, two) = (scope("one"), scope("two"));
    let scopes = task.collection("scopes").unwrap();
    scopes.push(&one).unwrap();
    session.commit().unwrap();
    scopes.push(&two).unwrap();
    scopes.remove(&one).unwrap();
    let third = studio.other();
    let merged = third.merge(&task).unwrap();
    assert_eq!(third.recorded_operations().len(), 2);
    third.commit().unwrap();
    let keys = |session: &Session| {
        same(session, &task)
            .get::<Vec<EntityKey>>("scopes")
            .unwrap()
    };
    assert_eq!(keys(&studio.other()), [two.key()]);
    assert_eq!(merged.get::<Vec<EntityKey>>("scopes").unwrap(), [two.key()]);
    scopes.push(&scope("new")).unwrap();
    let error = studio.other().merge(&task).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[test]
fn settings_end_with_their_session() {
    let server = Studio::new().server;
    let mut guards = Vec::new();
    for _ in 0..10 {
        let session = open(&server);
        assert_eq!(session.populate_mode(), ftrack_api::config::Populate::Peers);
        guards.push(session.auto_populating(ftrack_api::config::Populate::Off));
    }
}
