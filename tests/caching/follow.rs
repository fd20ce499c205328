//! Staying fresh by following the server's updates.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ftrack_api::cache::MemoryCache;
use ftrack_api::{Entity, ErrorKind, FollowUpdates, Session, data};
use ftrack_emulator::Emulator;

use crate::support::{builder, emulator, open, requests};

const SOON: Duration = Duration::from_secs(5);

/// A session with a cache that follows updates.
fn following(server: &Emulator) -> (Session, FollowUpdates) {
    let cache: Arc<MemoryCache> = Arc::default();
    let session = builder(server).cache(cache).open().unwrap();
    session.event_hub().connect().unwrap();
    let following = session.follow_updates().unwrap();
    // The server has taken the subscription when this one is acknowledged.
    let options = ftrack_api::SubscribeOptions::new().acknowledged(SOON);
    let hub = session.event_hub();
    hub.subscribe_with("topic=test", options, |_| Ok(None))
        .unwrap();
    (session, following)
}

fn until(session: &Session, what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "{what}");
        session.event_hub().wait(Duration::from_millis(20)).unwrap();
    }
}

fn first(session: &Session, query: &str) -> Entity {
    session.query(query).unwrap().first().unwrap().unwrap()
}

#[test]
fn changes_of_others_are_read_everywhere() {
    let server = emulator();
    let (session, _following) = following(&server);
    let task = first(&session, "select name, bid, parent.children from Task");
    let shot: Entity = task.get("parent").unwrap();
    let count = |shot: &Entity| shot.collection("children").unwrap().all().unwrap().len();
    let before = count(&shot);

    let other = open(&server);
    other
        .update("Task", task.id(), data! { "bid": 77 })
        .unwrap();
    let parent = other.entity(&shot.key()).unwrap();
    let new = other
        .create("Task", data! { "name": "new", "parent": &parent })
        .unwrap();
    other.commit().unwrap();
    assert_ne!(
        task.get::<f64>("bid").unwrap(),
        77.0,
        "nothing happens by itself"
    );
    until(&session, "the change arrives", || {
        task.get::<f64>("bid").unwrap() == 77.0
    });
    until(&session, "the child arrives", || count(&shot) == before + 1);

    // The cache below is as fresh.
    let later = builder(&server).cache_maker({
        let session = session.clone();
        move |_| Ok(Some(Arc::new(Below(session))))
    });
    let later = later.open().unwrap();
    let same = later.get("Task", task.id()).unwrap().unwrap();
    assert_eq!(same.get::<f64>("bid").unwrap(), 77.0);

    other.delete(&new).unwrap();
    other.delete_by_key("Task", task.id()).unwrap();
    other.commit().unwrap();
    until(&session, "the deletion arrives", || {
        session.get("Task", task.id()).unwrap().is_none()
    });
    assert_eq!(task.value("sort").unwrap_err().kind(), ErrorKind::NotFound);
    until(&session, "the children are gone", || {
        count(&shot) == before - 1
    });
}

/// The cache below another session.
struct Below(Session);

impl ftrack_api::cache::Cache for Below {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        self.0.cache().below().unwrap().get(key)
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        self.0.cache().below().unwrap().set(key, value)
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.0.cache().below().unwrap().remove(key)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.0.cache().below().unwrap().keys()
    }
}

#[test]
fn metadata_and_assignments_of_others_arrive() {
    let server = emulator();
    let (session, _following) = following(&server);
    let task = first(&session, "select metadata, assignments from Task");
    let other = open(&server);
    let same = other.get("Task", task.id()).unwrap().unwrap();
    let key = |task: &Entity| task.metadata().unwrap().get("studio").unwrap();
    assert_eq!(key(&task), None);
    same.metadata().unwrap().set("studio", "north").unwrap();
    other.commit().unwrap();
    until(&session, "metadata arrives", || {
        key(&task).as_deref() == Some("north")
    });
    same.metadata().unwrap().set("studio", "south").unwrap();
    other.commit().unwrap();
    until(&session, "changed metadata arrives", || {
        key(&task).as_deref() == Some("south")
    });
}

#[test]
fn own_changes_and_local_values_stay() {
    let server = emulator();
    let (session, following) = following(&server);
    let task = first(&session, "select name, bid from Task");
    task.set("bid", 5).unwrap();
    session.commit().unwrap();
    session
        .event_hub()
        .wait(Duration::from_millis(200))
        .unwrap();
    assert_eq!(requests(&session, || drop(task.value("bid").unwrap())), 0);
    task.set("description", "mine").unwrap();
    let other = open(&server);
    other.update("Task", task.id(), data! { "bid": 6 }).unwrap();
    other.commit().unwrap();
    until(&session, "the change arrives", || {
        task.get::<f64>("bid").unwrap() == 6.0
    });
    assert_eq!(task.get::<String>("description").unwrap(), "mine");

    drop(following);
    other.update("Task", task.id(), data! { "bid": 7 }).unwrap();
    other.commit().unwrap();
    session
        .event_hub()
        .wait(Duration::from_millis(200))
        .unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 6.0, "it follows no more");
}
