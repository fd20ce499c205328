//! What sessions keep in caches and take from them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftrack_api::cache::python::ObjectKeyMaker;
use ftrack_api::cache::{Cache, MemoryCache};
use ftrack_api::{Entity, EntityKey, ErrorKind, Session, config::Populate, data};
use ftrack_emulator::Emulator;

use crate::Broken;
use crate::support::{builder, emulator, end::End, open, requests};

type Shared = Arc<MemoryCache>;

fn with(server: &Emulator, cache: &Shared) -> Session {
    builder(server).cache(cache.clone()).open().unwrap()
}

fn first(session: &Session, query: &str) -> Entity {
    session.query(query).unwrap().first().unwrap().unwrap()
}

/// The text that is kept of an entity.
fn kept(session: &Session, cache: &Shared, entity: &EntityKey) -> Option<String> {
    cache
        .get(&session.cache().key(entity).unwrap().unwrap())
        .unwrap()
}

#[test]
fn what_one_session_asked_another_need_not_ask() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let query = "select name, bid, end_date, status.name, parent.name, link from Task";
    let tasks = session.query(query).unwrap().all().unwrap();
    let other = with(&server, &cache);
    let asked = requests(&other, || {
        for task in &tasks {
            let same = other.get("Task", task.id()).unwrap().unwrap();
            for path in [
                "name",
                "bid",
                "end_date",
                "status",
                "status.name",
                "parent.name",
            ] {
                assert_eq!(
                    same.value(path).unwrap(),
                    task.value(path).unwrap(),
                    "{path}"
                );
            }
        }
    });
    assert_eq!(asked, 0);
    let statistics = other.cache().statistics();
    assert_eq!(statistics[0].misses, tasks.len() as u64);
    assert!(statistics[1].hits >= tasks.len() as u64, "{statistics:?}");
}

#[test]
fn peers_are_looked_up_together_and_the_rest_is_fetched_together() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let known = session
        .query("select bid from Task limit 10")
        .unwrap()
        .all()
        .unwrap();
    let other = with(&server, &cache);
    let tasks = other.query("select name from Task").unwrap().all().unwrap();
    assert!(tasks.len() > 20);
    let asked = requests(&other, || {
        for task in &tasks {
            task.get::<Option<f64>>("bid").unwrap();
        }
    });
    assert_eq!(asked, 1);
    let reads = other.cache().statistics()[1].misses;
    assert!(reads < 3 * tasks.len() as u64, "{reads} look-ups");
    drop(known);
}

#[test]
fn a_collection_is_read_from_the_cache_and_so_are_its_members() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let shot = first(
        &session,
        "select children.name from Shot where children any ()",
    );
    let names = |shot: &Entity| -> Vec<String> {
        let children = shot.collection("children").unwrap().all().unwrap();
        children
            .iter()
            .map(|child| child.get("name").unwrap())
            .collect()
    };
    let expected = names(&shot);
    assert!(!expected.is_empty());
    let other = with(&server, &cache);
    let shot = other.entity(shot.key()).unwrap();
    assert_eq!(requests(&other, || assert_eq!(names(&shot), expected)), 0);
}

#[test]
fn the_kinds_of_a_type_are_found_under_any_of_its_names() {
    let (server, cache) = (emulator(), Shared::default());
    let task = first(&with(&server, &cache), "Task");
    let session = with(&server, &cache);
    let found = requests(&session, || {
        let found = session.get("Context", task.id()).unwrap().unwrap();
        assert_eq!(found.entity_type(), "Task");
    });
    assert_eq!(found, 0);
    let session = with(&server, &cache);
    assert!(session.get("Shot", task.id()).unwrap().is_none());
}

#[test]
fn a_user_is_asked_for_once_although_a_query_brings_but_the_key() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let id = first(&session, "User").id();
    assert_eq!(
        requests(&session, || drop(session.get("User", &id).unwrap())),
        0
    );
    let other = with(&server, &cache);
    assert_eq!(
        requests(&other, || assert!(
            other.get("User", &id).unwrap().is_some()
        )),
        0
    );
}

#[test]
fn only_what_the_server_said_is_kept() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(
        &session,
        "select name, time_logged, thumbnail_url from Task",
    );
    task.set("name", "not committed").unwrap();
    session.populate(&task, "bid").unwrap();
    let new = session.create(
        "Task",
        data! { "name": "new", "parent": task.get::<Entity>("parent").unwrap() },
    );
    let text = kept(&session, &cache, &task.key()).unwrap();
    assert!(text.contains("\"bid\""), "{text}");
    assert!(!text.contains("not committed"), "{text}");
    assert!(
        !text.contains("time_logged") && !text.contains("thumbnail_url"),
        "{text}"
    );
    assert_eq!(kept(&session, &cache, &new.unwrap().key()), None);
    assert!(
        cache
            .values()
            .unwrap()
            .iter()
            .all(|text| !text.contains(server.api_key()))
    );
}

#[test]
fn attributes_are_kept_that_became_known_one_after_another() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name from Task");
    with(&server, &cache)
        .query("select bid, status from Task")
        .unwrap()
        .all()
        .unwrap();
    let other = with(&server, &cache);
    let asked = requests(&other, || {
        let task = other.get("Task", task.id()).unwrap().unwrap();
        task.get::<String>("name").unwrap();
        task.value("bid").unwrap();
        task.get::<Entity>("status").unwrap();
    });
    assert_eq!(asked, 0);
}

#[test]
fn two_faces_of_a_fact_never_differ() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select status from Task");
    // Somebody without this cache changes it.
    let blind = open(&server);
    let status = blind
        .query("Status where name is \"On Hold\"")
        .unwrap()
        .one()
        .unwrap();
    blind
        .get("Task", task.id())
        .unwrap()
        .unwrap()
        .set("status", &status)
        .unwrap();
    blind.commit().unwrap();
    let other = builder(&server).cache(cache.clone()).open().unwrap();
    let same = first(
        &other,
        &format!("select status_id from Task where id is {}", task.id()),
    );
    assert_eq!(same.get::<String>("status_id").unwrap(), status.id());
    assert_eq!(same.get::<Entity>("status").unwrap().id(), status.id());
}

#[test]
fn what_is_in_memory_is_newer_than_what_is_cached() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name, bid from Task");
    let text = kept(&session, &cache, &task.key()).unwrap();
    let other = with(&server, &cache);
    let same = first(&other, "select name from Task");
    assert_eq!(task.key(), same.key());
    let name: String = same.get("name").unwrap();
    cache
        .set(
            &other.cache().key(&same).unwrap().unwrap(),
            text.replace(&name, "older"),
        )
        .unwrap();
    assert_eq!(requests(&other, || drop(same.value("bid").unwrap())), 0);
    assert_eq!(same.get::<String>("name").unwrap(), name);
}

#[test]
fn a_commit_is_in_the_cache_at_once() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(
        &session,
        "select name, bid, status, parent.children from Task",
    );
    let parent: Entity = task.get("parent").unwrap();
    let status = session
        .query("Status where name is \"On Hold\"")
        .unwrap()
        .one()
        .unwrap();
    task.set("bid", 4242).unwrap();
    task.set("status", &status).unwrap();
    let new = session
        .create("Task", data! { "name": "new", "parent": &parent })
        .unwrap();
    session.commit().unwrap();

    let other = with(&server, &cache);
    let asked = requests(&other, || {
        let same = other.get("Task", task.id()).unwrap().unwrap();
        assert_eq!(same.get::<f64>("bid").unwrap(), 4242.0);
        assert_eq!(same.get::<Entity>("status").unwrap().id(), status.id());
        assert!(!same.get::<String>("name").unwrap().is_empty());
        let new = other.get("Task", new.id()).unwrap().unwrap();
        assert_eq!(new.get::<String>("name").unwrap(), "new");
        assert_eq!(new.get::<Entity>("parent").unwrap().id(), parent.id());
        // The server has added it.
        assert!(!new.get::<String>("project_id").unwrap().is_empty());
    });
    assert_eq!(asked, 0);
    let children = other
        .entity(parent.key())
        .unwrap()
        .collection("children")
        .unwrap();
    assert!(
        children
            .all()
            .unwrap()
            .iter()
            .any(|child| child.id() == new.id())
    );

    session.delete(&task).unwrap();
    session.commit().unwrap();
    assert_eq!(kept(&session, &cache, &task.key()), None);
    assert!(
        with(&server, &cache)
            .get("Task", task.id())
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_refused_commit_leaves_the_cache_as_it_is() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name from Task");
    let before = kept(&session, &cache, &task.key());
    assert!(before.is_some());
    let nowhere = "00000000-0000-0000-0000-000000000000";
    task.set("status_id", nowhere).unwrap();
    session.commit().unwrap_err();
    assert_eq!(kept(&session, &cache, &task.key()), before);
}

#[test]
fn rolled_back_changes_leave_no_trace() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name from Task");
    let before = kept(&session, &cache, &task.key());
    task.set("name", "never").unwrap();
    session.delete(&first(&session, "Task offset 1")).unwrap();
    session.rollback();
    assert_eq!(kept(&session, &cache, &task.key()), before);
}

#[test]
fn what_is_gone_on_the_server_leaves_the_cache() {
    let (server, cache) = (emulator(), Shared::default());
    let task = first(&with(&server, &cache), "Task");
    let blind = open(&server);
    blind.delete_by_key("Task", task.id()).unwrap();
    blind.commit().unwrap();
    let session = with(&server, &cache);
    let ghost = session.get("Task", task.id()).unwrap().unwrap();
    assert_eq!(ghost.value("bid").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(kept(&session, &cache, &task.key()), None);
}

#[test]
fn a_cache_that_fails_costs_requests_only() {
    let server = emulator();
    let session = builder(&server).cache(Broken).open().unwrap();
    let task = first(&session, "Task");
    task.get::<String>("status.name").unwrap();
    task.set("bid", 5).unwrap();
    session.commit().unwrap();
    session.delete(&task).unwrap();
    session.commit().unwrap();
    session.cache().clear();
    assert!(session.get("Task", task.id()).unwrap().is_none());
    assert!(session.cache().statistics()[1].errors > 0);
    let none = builder(&server)
        .cache_maker(|_| anyhow::bail!("no disk"))
        .open()
        .unwrap();
    assert!(none.cache().backing().is_none());
}

#[test]
fn what_is_no_entity_is_a_miss() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let tasks = session
        .query("select name from Task limit 2")
        .unwrap()
        .all()
        .unwrap();
    let key = session.cache().key(&tasks[0]).unwrap().unwrap();
    let good = cache.get(&key).unwrap().unwrap();
    let other = kept(&session, &cache, &tasks[1].key()).unwrap();
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"at\":1}",
        "{\"at\":1,\"entity\":5}",
        &good[..good.len() / 2],
        &good.replace("\"Task\"", "\"Nonsense\""),
        &good.replace("\"Task\"", "\"User\""),
        &other,
        "{\"at\":-1,\"entity\":{}}",
        "{\"at\":1,\"entity\":[[[[",
    ] {
        cache.set(&key, bad.to_owned()).unwrap();
        let session = with(&server, &cache);
        let asked = requests(&session, || {
            let task = session.get("Task", tasks[0].id()).unwrap().unwrap();
            assert_eq!(
                task.get::<String>("name").unwrap(),
                tasks[0].get::<String>("name").unwrap()
            );
        });
        assert_eq!(asked, 1, "{bad:?}");
    }
}

#[test]
fn what_is_too_old_does_not_count() {
    let (server, cache) = (emulator(), Shared::default());
    let task = first(&with(&server, &cache), "Task");
    let hour = Duration::from_secs(3600);
    let open = || {
        builder(&server)
            .cache(cache.clone())
            .cache_max_age(hour)
            .open()
            .unwrap()
    };
    let asked =
        |session: &Session| requests(session, || drop(session.get("Task", task.id()).unwrap()));
    assert_eq!(asked(&open()), 0);
    let session = open();
    let key = session.cache().key(&task).unwrap().unwrap();
    let text = cache.get(&key).unwrap().unwrap();
    let (_, rest) = text.split_once(',').unwrap();
    cache.set(&key, format!("{{\"at\":1000,{rest}")).unwrap();
    assert_eq!(asked(&session), 1);
    assert_eq!(asked(&open()), 0, "it was written again");
    // What is added does not make young what was there.
    cache.set(&key, format!("{{\"at\":1000,{rest}")).unwrap();
    let patient = with(&server, &cache);
    patient
        .query("select bid from Task")
        .unwrap()
        .all()
        .unwrap();
    assert!(
        cache
            .get(&key)
            .unwrap()
            .unwrap()
            .starts_with("{\"at\":1000,")
    );
    assert_eq!(asked(&open()), 1);
}

#[test]
fn users_share_nothing_unless_they_are_meant_to() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "Task");
    let key = session.cache().key(&task).unwrap().unwrap();
    assert!(
        key.contains(session.api_user()) && key.contains(session.schema().hash()),
        "{key}"
    );
    let everybody = builder(&server)
        .cache(cache.clone())
        .cache_for_all_users(true)
        .open()
        .unwrap();
    assert_ne!(everybody.cache().key(&task).unwrap().unwrap(), key);
    let other = emulator();
    let session = with(&other, &cache);
    assert_ne!(session.cache().key(&task).unwrap().unwrap(), key);
    let keyed = builder(&server)
        .cache(cache.clone())
        .cache_key_maker(ObjectKeyMaker);
    assert!(
        keyed
            .open()
            .unwrap()
            .cache()
            .key(&task)
            .unwrap()
            .unwrap()
            .contains('\0')
    );
}

/// A cache whose texts are exchanged while it lies.
#[derive(Default)]
struct Liar {
    cache: MemoryCache,
    is_lying: AtomicBool,
}

impl Liar {
    /// The key whose text is returned for `key`: the next one of the same type.
    fn other(&self, key: &str) -> String {
        if !self.is_lying.load(Ordering::Relaxed) {
            return key.to_owned();
        }
        let start = &key[..key.rfind(':').unwrap()];
        let mut keys = self.cache.keys().unwrap();
        keys.retain(|other| other.starts_with(start));
        keys.sort();
        let next = keys.iter().find(|other| other.as_str() > key);
        next.or(keys.first()).cloned().unwrap_or(key.to_owned())
    }
}

impl Cache for Liar {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        self.cache.get(&self.other(key))
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        self.cache.set(key, value)
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.cache.remove(key)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.cache.keys()
    }
}

#[test]
fn the_text_of_another_entity_is_neither_read_nor_merged() {
    let (server, cache) = (emulator(), Arc::<Liar>::default());
    let session = || builder(&server).cache(cache.clone()).open().unwrap();
    let load = |path: &str| {
        let query = format!("select {path} from Task");
        session().query(query.as_str()).unwrap().all().unwrap()
    };
    let tasks = load("name");
    cache.is_lying.store(true, Ordering::Relaxed);
    let lied_to = session();
    for task in &tasks {
        let same = lied_to.entity(task.key()).unwrap();
        assert_eq!(same.value("name").unwrap(), task.value("name").unwrap());
    }
    load("bid");
    cache.is_lying.store(false, Ordering::Relaxed);
    let other = session();
    for task in &tasks {
        let same = other.entity(task.key()).unwrap();
        assert_eq!(same.value("name").unwrap(), task.value("name").unwrap());
        assert_eq!(same.value("bid").unwrap(), task.value("bid").unwrap());
    }
}

#[test]
fn a_text_of_another_entity_says_nothing_about_that_one() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let query = session.query("select name from Task limit 2").unwrap();
    let tasks = query.all().unwrap();
    let key = |task: &Entity| session.cache().key(task).unwrap().unwrap();
    let name: String = tasks[1].get("name").unwrap();
    let text = cache.get(&key(&tasks[1])).unwrap().unwrap();
    let forged = text.replacen(&format!("{name:?}"), "\"forged\"", 1);
    assert_ne!(forged, text);
    cache.set(&key(&tasks[0]), forged).unwrap();
    let other = with(&server, &cache);
    for task in &tasks {
        let same = other.entity(task.key()).unwrap();
        assert_eq!(same.value("name").unwrap(), task.value("name").unwrap());
    }
}

#[test]
fn values_of_other_entities_in_a_text_are_not_read() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name, status.name from Task");
    let key = session.cache().key(&task).unwrap().unwrap();
    let text = cache.get(&key).unwrap().unwrap();
    let status = r#""__entity_type__":"Status""#;
    assert!(text.contains(status), "{text}");
    let forged = text.replacen(status, &format!(r#"{status},"name":"forged""#), 1);
    cache.set(&key, forged).unwrap();
    let other = with(&server, &cache);
    let same = other.entity(task.key()).unwrap();
    assert_eq!(
        same.value("status.name").unwrap(),
        task.value("status.name").unwrap()
    );
}

#[test]
fn clearing_and_removing_reach_every_layer() {
    let (server, cache) = (emulator(), Shared::default());
    cache.set("of somebody else", "stays".to_owned()).unwrap();
    let session = with(&server, &cache);
    let task = first(&session, "select name from Task");
    task.set("description", "mine").unwrap();
    assert!(session.cache().remove(&task).unwrap());
    assert!(!session.cache().remove(&task).unwrap());
    let misspelt = EntityKey::new("Taks", "1");
    let error = session.cache().remove(&misspelt).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    let error = session.cache().get(&misspelt).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    assert_eq!(
        requests(&session, || drop(task.get::<String>("name").unwrap())),
        1
    );
    assert!(cache.keys().unwrap().len() > 1);
    session.cache().clear();
    assert_eq!(cache.keys().unwrap(), ["of somebody else"]);
    assert_eq!(
        requests(&session, || drop(task.get::<String>("name").unwrap())),
        1
    );
    assert_eq!(task.get::<String>("description").unwrap(), "mine");
    session.reset();
    assert!(
        cache.keys().unwrap().len() > 1,
        "a reset is for the memory, as in Python"
    );
}

#[test]
fn refresh_asks_the_server_whatever_is_cached() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name, bid from Task");
    let blind = open(&server);
    blind
        .update("Task", task.id(), data! { "bid": 77 })
        .unwrap();
    blind.commit().unwrap();
    session.refresh([&task]).unwrap();
    assert_eq!(task.get::<f64>("bid").unwrap(), 77.0);
    let other = with(&server, &cache);
    let same = other.get("Task", task.id()).unwrap().unwrap();
    assert_eq!(
        requests(&other, || assert_eq!(same.get::<f64>("bid").unwrap(), 77.0)),
        0
    );
}

#[test]
fn loading_that_is_not_allowed_is_not_done_from_the_cache_either() {
    let (server, cache) = (emulator(), Shared::default());
    let task = first(&with(&server, &cache), "select bid from Task");
    let session = builder(&server)
        .cache(cache)
        .populate(Populate::Off)
        .open()
        .unwrap();
    let same = session.entity(task.key()).unwrap();
    assert_eq!(same.value("bid").unwrap(), None);
}

#[test]
fn a_memory_limit_lets_go_what_nobody_uses() {
    let server = emulator();
    let session = builder(&server).memory_limit(40).open().unwrap();
    let held = first(&session, "select name, parent.name from Task");
    let parent: String = held.get("parent.name").unwrap();
    let changed = first(&session, "select name from Task offset 1");
    changed.set("bid", 3).unwrap();
    let changed = changed.key();
    for offset in (0..60).step_by(10) {
        let query =
            format!("select name, status.name, parent.name from Task offset {offset} limit 10");
        for task in session.query(query).unwrap().all().unwrap() {
            task.get::<String>("parent.name").unwrap();
        }
    }
    assert!(
        session.entity_count() <= 40 + 30,
        "{}",
        session.entity_count()
    );
    let evictions = session.cache().statistics()[0].evictions;
    assert!(evictions > 20, "{evictions}");
    assert_eq!(
        requests(&session, || drop(held.get::<String>("name").unwrap())),
        0
    );
    assert_eq!(held.get::<String>("parent.name").unwrap(), parent);
    session.commit().unwrap();
    let other = open(&server).get("Task", changed.id()).unwrap().unwrap();
    assert_eq!(other.get::<f64>("bid").unwrap(), 3.0);
}

/// One request brings more entities than may stay: the values that it was made for are read all the
/// same, without asking for them again and again.
#[test]
fn what_has_just_arrived_is_not_evicted_before_it_is_read() {
    let server = Emulator::builder().tasks(1600).start().unwrap();
    for limit in [1, 100] {
        let session = builder(&server).memory_limit(limit).open().unwrap();
        let _budget = session.request_budget(100);
        let query = session.query("select name, parent.name from Task").unwrap();
        let mut tasks = 0;
        for task in &query.page_size(50) {
            task.unwrap().get::<String>("parent.name").unwrap();
            tasks += 1;
        }
        assert_eq!(tasks, 1600, "with a limit of {limit}");
        // Keys that need four requests: each of them would evict what those before have brought.
        let task = first(&session, "select id from Task");
        let many = session.query("select id from Task").unwrap().all().unwrap();
        assert!(!task.get::<String>("parent.name").unwrap().is_empty());
        assert!(!many[1599].get::<String>("parent.name").unwrap().is_empty());
    }
}

#[test]
fn what_comes_from_a_cache_counts_in_the_memory_limit() {
    let (server, cache) = (emulator(), Shared::default());
    let tasks = with(&server, &cache).query("Task").unwrap().all().unwrap();
    assert!(tasks.len() > 30, "{}", tasks.len());
    let other = builder(&server).cache(cache.clone()).memory_limit(10);
    let other = other.open().unwrap();
    let asked = requests(&other, || {
        for task in &tasks {
            let same = other.get("Task", task.id()).unwrap().unwrap();
            assert_eq!(same.value("name").unwrap(), task.value("name").unwrap());
        }
    });
    assert_eq!(asked, 0);
    let count = other.entity_count();
    assert!(count <= 40, "{count} entities in memory");
}

/// The members of a collection are more than one request names, and more than may stay.
#[test]
fn a_path_through_a_collection_is_read_within_a_memory_limit() {
    let server = Emulator::builder().tasks(1500).start().unwrap();
    for limit in [1, 100] {
        let session = builder(&server).memory_limit(limit).open().unwrap();
        let _budget = session.request_budget(60);
        let task = first(
            &session,
            "select project.id from Task order by project.name",
        );
        let project: Entity = task.get("project").unwrap();
        let names: Vec<String> = project.get("descendants.name").unwrap();
        assert!(names.len() > 600, "{}", names.len());
        let projects: Vec<String> = project.get("descendants.project.full_name").unwrap();
        assert_eq!(projects.len(), names.len());
    }
}

/// Python's chapter on caching: data that is related comes together, however it was fetched.
#[test]
fn what_is_fetched_in_several_ways_is_one_entity() {
    let server = emulator();
    let session = open(&server);
    let task = first(&session, "select id from Task where notes any ()");
    let note = task.collection("notes").unwrap().all().unwrap().remove(0);
    assert_eq!(note.known_value("content").unwrap(), None);
    let query = ftrack_api::expr!("select content from Note where id is {}", note.id());
    session.query(query).unwrap().all().unwrap();
    assert!(note.known_value("content").unwrap().is_some());
    let same = session.get("Note", note.id()).unwrap().unwrap();
    assert_eq!(same, note);
}

/// One session commits an attribute, others fetch another one of the same entity: what is kept is
/// read, joined and written, and the older value of the first must not come back with it.
#[test]
fn who_adds_an_attribute_brings_no_older_ones_back() {
    let (server, cache) = (emulator(), Shared::default());
    let session = with(&server, &cache);
    let task = first(&session, "select name, bid, description from Task");
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let _end = End(&over);
        for _ in 0..3 {
            threads.spawn(|| {
                let other = with(&server, &cache);
                let same = other.entity(task.key()).unwrap();
                while !over.load(Ordering::Relaxed) {
                    other.populate(&same, "description").unwrap();
                }
            });
        }
        for number in 0..100 {
            task.set("bid", number).unwrap();
            session.commit().unwrap();
            let kept = kept(&session, &cache, &task.key()).unwrap();
            let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
            let bid = kept["entity"]["bid"].as_f64();
            assert_eq!(bid, Some(f64::from(number)), "it was committed");
        }
    });
}

/// Does something the next time that it is asked for several keys, and knows nothing.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<Work>>>);

type Work = Box<dyn FnOnce() + Send>;

impl Cache for Meanwhile {
    fn get(&self, _: &str) -> anyhow::Result<Option<String>> {
        Ok(None)
    }

    fn set(&self, _: &str, _: String) -> anyhow::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        if let Some(work) = self.0.lock().unwrap().take() {
            work();
        }
        Ok(vec![None; keys.len()])
    }
}

#[test]
fn what_is_being_read_is_not_forgotten_meanwhile() {
    let (server, meanwhile) = (emulator(), Meanwhile::default());
    let session = builder(&server).cache(meanwhile.clone()).open().unwrap();
    let task = first(&session, "select id from Task");
    // Only the key of the status is known, and no handle holds it.
    let scope = session.scope();
    let query = session.query("select status.id from Task").unwrap();
    drop(query.all().unwrap());
    *meanwhile.0.lock().unwrap() = Some(Box::new(move || drop(scope)));
    assert!(!task.get::<String>("status.name").unwrap().is_empty());
    assert!(meanwhile.0.lock().unwrap().is_none());
}

/// A cache in which nothing is found, and which resets a session when something is written.
#[derive(Default)]
struct Resetting(Mutex<Option<Session>>);

impl Cache for Resetting {
    fn get(&self, _: &str) -> anyhow::Result<Option<String>> {
        Ok(None)
    }

    fn set(&self, _: &str, _: String) -> anyhow::Result<()> {
        let session = self.0.lock().unwrap().take();
        session.iter().for_each(Session::reset);
        Ok(())
    }

    fn remove(&self, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// As another thread may do: what was fetched is written to the cache before it is read.
#[test]
fn what_is_invalidated_between_its_load_and_its_read_is_fetched_again() {
    let (server, cache) = (emulator(), Arc::<Resetting>::default());
    let session = builder(&server).cache(cache.clone()).open().unwrap();
    let task = first(&session, "select id from Task");
    *cache.0.lock().unwrap() = Some(session.clone());
    let asked = requests(&session, || {
        assert!(!task.get::<String>("name").unwrap().is_empty());
    });
    assert!(cache.0.lock().unwrap().is_none());
    assert_eq!(asked, 2);
}
