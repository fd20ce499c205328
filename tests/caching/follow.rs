//! Staying fresh by following the server's updates.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ftrack_api::cache::MemoryCache;
use ftrack_api::session::FollowUpdates;
use ftrack_api::{Entity, ErrorKind, Session, data};
use ftrack_emulator::Emulator;

use crate::support::proxy::Proxy;
use crate::support::{builder, emulator, open, requests};

const SOON: Duration = Duration::from_secs(60);

/// A session with a cache that follows updates.
fn following(server: &Emulator) -> (Session, FollowUpdates) {
    let cache: Arc<MemoryCache> = Arc::default();
    let session = builder(server).cache(cache).open().unwrap();
    session.event_hub().connect().unwrap();
    let following = session.follow_updates().unwrap();
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
    let parent = other.entity(shot.key()).unwrap();
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
        self.0.cache().backing().unwrap().get(key)
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        self.0.cache().backing().unwrap().set(key, value)
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.0.cache().backing().unwrap().remove(key)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.0.cache().backing().unwrap().keys()
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

/// Lets everything come that the server tells of what has been committed by now: an event of
/// another session's commit comes after it.
fn until_told(session: &Session, other: &Session) {
    let mark = first(other, "select full_name from Project");
    let seen = session.entity(mark.key()).unwrap();
    seen.value("full_name").unwrap();
    let name = format!("{:?}", Instant::now());
    mark.set("full_name", name.as_str()).unwrap();
    other.commit().unwrap();
    until(session, "the mark arrives", || {
        seen.get::<String>("full_name").unwrap() == name
    });
}

#[test]
fn what_a_session_itself_commits_costs_no_request() {
    let server = emulator();
    let (session, _following) = following(&server);
    let other = open(&server);
    let task = first(&session, "select name from Task order by id desc");
    let shot = first(&session, "select name, children from Shot");
    let status = first(&session, "Status where name is \"On Hold\"");
    task.set("name", "other").unwrap();
    task.set("bid", 90.5).unwrap();
    task.set("status", &status).unwrap();
    let start: jiff::civil::DateTime = "2026-03-04T05:06:07".parse().unwrap();
    task.set("start_date", start).unwrap();
    task.set("description", None::<&str>).unwrap();
    let new = session.create("Task", data! { "name": "new", "parent": &shot });
    let new = new.unwrap();
    session.commit().unwrap();
    until_told(&session, &other);
    let asked = requests(&session, || {
        for name in ["name", "bid", "status", "start_date", "description"] {
            task.value(name).unwrap();
        }
        assert_eq!(new.get::<Entity>("parent").unwrap(), shot);
        assert_eq!(new.get::<String>("name").unwrap(), "new");
    });
    assert_eq!(asked, 0);
}

#[test]
fn what_the_server_does_in_the_wake_of_a_commit_arrives() {
    let server = emulator();
    let (session, _following) = following(&server);
    let task = first(
        &session,
        "select name, parent.children.name from Task where parent.children any ()",
    );
    let parent: Entity = task.get("parent").unwrap();
    // The server deletes the children with it.
    session.delete(&parent).unwrap();
    session.commit().unwrap();
    until_told(&session, &open(&server));
    assert!(session.get("Task", task.id()).unwrap().is_none());
    let key = session.cache().key(&task).unwrap().unwrap();
    assert_eq!(session.cache().backing().unwrap().get(&key).unwrap(), None);
}

/// A session behind a proxy, so that it can be cut off, and one that is not.
struct Apart {
    proxy: Proxy,
    cache: Arc<MemoryCache>,
    session: Session,
    other: Session,
    _server: Emulator,
}

impl Apart {
    fn new() -> Self {
        let server = emulator();
        let proxy = Proxy::before(server.url());
        let cache: Arc<MemoryCache> = Arc::default();
        let builder = builder(&server)
            .server_url(proxy.url())
            .cache(cache.clone());
        Self {
            session: builder.open().unwrap(),
            other: open(&server),
            proxy,
            cache,
            _server: server,
        }
    }

    /// Another session with the same cache that follows nothing.
    fn blind(&self) -> Session {
        let builder = builder(&self._server).server_url(self.proxy.url());
        builder.cache(self.cache.clone()).open().unwrap()
    }

    /// What happens between `cut` and `mend` is known once the hub is connected again.
    fn misses_nothing(&self, cut: impl FnOnce(), mend: impl FnOnce()) {
        let Self { session, other, .. } = self;
        let query = "select name, bid from Task order by id";
        let tasks = session.query(query).unwrap().all().unwrap();
        let [changed, deleted, below] = &tasks[..3] else {
            panic!("more tasks are needed")
        };
        let below = below.key();
        changed.set("description", "mine").unwrap();
        session.event_hub().poll();
        assert_eq!(requests(session, || drop(changed.value("bid").unwrap())), 0);

        cut();
        let bid = changed.get::<f64>("bid").unwrap() + 1.0;
        other
            .update("Task", changed.id(), data! { "bid": bid })
            .unwrap();
        other
            .update("Task", below.id(), data! { "bid": bid })
            .unwrap();
        other.delete_by_key("Task", deleted.id()).unwrap();
        other.commit().unwrap();
        assert_ne!(changed.get::<f64>("bid").unwrap(), bid, "nobody has told");
        mend();

        until(session, "the change is noticed", || {
            changed.get::<f64>("bid").unwrap() == bid
        });
        assert_eq!(changed.get::<String>("description").unwrap(), "mine");
        assert!(session.get("Task", deleted.id()).unwrap().is_none());
        // The cache still has the old value; it counts no more, although another session would
        // believe it.
        session.rollback();
        session.reset();
        let task = session.get("Task", below.id()).unwrap().unwrap();
        assert_eq!(task.get::<f64>("bid").unwrap(), bid);
        // And it has the new one now.
        let blind = self.blind();
        let same = blind.get("Task", below.id()).unwrap().unwrap();
        assert_eq!(
            requests(&blind, || assert_eq!(same.get::<f64>("bid").unwrap(), bid)),
            0
        );
    }
}

#[test]
fn a_lost_connection_leaves_nothing_stale() {
    let apart = Apart::new();
    apart.session.event_hub().connect().unwrap();
    let _following = apart.session.follow_updates().unwrap();
    apart.misses_nothing(|| apart.proxy.stop(), || apart.proxy.restart());
    // And once more, to see that the first time has left it following.
    apart.misses_nothing(|| apart.proxy.stop(), || apart.proxy.restart());
    assert!(apart.session.event_hub().counts().reconnects >= 2);
}

#[test]
fn a_hub_that_was_disconnected_on_purpose_leaves_nothing_stale() {
    let apart = Apart::new();
    let hub = apart.session.event_hub();
    hub.connect().unwrap();
    let _following = apart.session.follow_updates().unwrap();
    apart.misses_nothing(|| hub.disconnect(), || hub.connect().unwrap());
    // A new connection in place of the old one is a gap as well.
    let task = first(&apart.session, "select bid from Task");
    hub.reconnect().unwrap();
    until(&apart.session, "the new connection is noticed", || {
        requests(&apart.session, || drop(task.value("bid").unwrap())) == 1
    });
}

#[test]
fn a_session_may_follow_before_the_hub_is_connected() {
    let apart = Apart::new();
    let _following = apart.session.follow_updates().unwrap();
    let hub = apart.session.event_hub();
    apart.misses_nothing(|| {}, || hub.connect().unwrap());
    // From now on it follows.
    let task = first(&apart.session, "select bid from Task");
    apart
        .other
        .update("Task", task.id(), data! { "bid": 12 })
        .unwrap();
    apart.other.commit().unwrap();
    until(&apart.session, "the change arrives", || {
        task.get::<f64>("bid").unwrap() == 12.0
    });
}
