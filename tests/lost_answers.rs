//! Commits whose answer is lost: applied once, or still recorded.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::Cursor;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftrack_api::cache::MemoryCache;
use ftrack_api::{
    Error, ErrorKind, Request, Response, Result, Retry, Session, Transport, Value, data,
};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;
use support::{builder, emulator, open};

/// Forwards requests, and loses some: which ones, the test says by number.
#[derive(Clone, Default)]
struct Lossy {
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    /// Requests from now on that never reach the server.
    swallowed: AtomicU32,
    /// Requests from now on that reach it and whose answers are lost.
    unanswered: AtomicU32,
    /// Requests with changes from now on that reach it only when the next one is sent.
    late: AtomicU32,
    under_way: Mutex<Vec<Vec<u8>>>,
    /// How many requests with changes have reached it.
    changes: AtomicU32,
}

impl Lossy {
    fn lost() -> Error {
        Error::new(ErrorKind::Connection, "the connection broke")
    }
}

fn take(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

impl Transport for Lossy {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        if take(&self.plan.swallowed) {
            return Err(Self::lost());
        }
        if is_change(request) {
            if take(&self.plan.late) {
                self.plan
                    .under_way
                    .lock()
                    .unwrap()
                    .push(request.body.to_vec());
                return Err(Self::lost());
            }
            let late = std::mem::take(&mut *self.plan.under_way.lock().unwrap());
            for body in late {
                self.deliver(request, &body);
            }
        }
        let (status, body) = self.deliver(request, request.body);
        if take(&self.plan.unanswered) {
            return Err(Self::lost());
        }
        Ok(Response {
            status,
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    }
}

impl Lossy {
    fn deliver(&self, request: &Request<'_>, body: &[u8]) -> (u16, Vec<u8>) {
        if is_change(request) {
            self.plan.changes.fetch_add(1, Ordering::SeqCst);
        }
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        support::post(&request.url.origin().ascii_serialization(), headers, body)
    }
}

fn is_change(request: &Request<'_>) -> bool {
    let text = String::from_utf8_lossy(request.body);
    let mut actions = ["create", "update", "delete"].into_iter();
    actions.any(|action| text.contains(&format!("\"action\":\"{action}\"")))
}

/// A session over such a transport, which sends nothing again by itself.
fn lossy(server: &Emulator) -> (Session, Arc<Plan>) {
    retrying(server, Retry::off())
}

fn retrying(server: &Emulator, retry: Retry) -> (Session, Arc<Plan>) {
    let transport = Lossy::default();
    let plan = transport.plan.clone();
    let builder = builder(server).transport(transport).retry(retry);
    (builder.open().unwrap(), plan)
}

/// Waits that no test notices.
const QUICK: Retry = Retry::new()
    .first_wait(Duration::from_millis(1))
    .longest_wait(Duration::from_millis(2));

fn count(server: &Emulator, name: &str) -> usize {
    let query = open(server)
        .query(ftrack_api::expr!("Folder where name is {}", name))
        .unwrap();
    query.all().unwrap().len()
}

fn create(session: &Session, name: &str) -> ftrack_api::Entity {
    let project = session
        .query("Project where name is test")
        .unwrap()
        .one()
        .unwrap();
    session
        .create("Folder", data! { "name": name, "parent": project })
        .unwrap()
}

#[test]
fn an_applied_commit_is_found_out_at_once() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let folder = create(&session, "lost answer");
    plan.unanswered.store(1, Ordering::SeqCst);
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());
    assert_eq!(folder.state(), None);
    assert_eq!(count(&server, "lost answer"), 1);
    assert!(!folder.get::<String>("project_id").unwrap().is_empty());
}

#[test]
fn a_commit_that_never_arrived_is_sent_again_by_the_next() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    create(&session, "never arrived");
    plan.swallowed.store(1, Ordering::SeqCst);
    let error = session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("not on the server"), "{error}");
    assert_eq!(
        (
            session.recorded_operations().len(),
            count(&server, "never arrived")
        ),
        (1, 0)
    );
    session.commit().unwrap();
    assert_eq!(count(&server, "never arrived"), 1);
}

#[test]
fn while_it_cannot_be_told_the_queue_is_kept_and_the_next_commit_asks() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let folder = create(&session, "in doubt");
    // The answer to the commit is lost, and so is the question after it.
    plan.unanswered.store(2, Ordering::SeqCst);
    let error = session.commit().unwrap_err();
    assert!(
        error.to_string().contains("the next commit asks first"),
        "{error}"
    );
    assert_eq!(session.recorded_operations().len(), 1);
    // What is recorded meanwhile is sent too.
    folder.set("description", "later").unwrap();
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());
    assert_eq!(count(&server, "in doubt"), 1);
    let seen = open(&server).get("Folder", folder.key()).unwrap().unwrap();
    assert_eq!(seen.get::<String>("description").unwrap(), "later");
}

#[test]
fn updates_and_deletions_are_settled_by_their_values() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let folder = create(&session, "twice");
    let first = |name: &str| session.query(name).unwrap().first().unwrap().unwrap();
    let (user, task, status) = (first("User"), first("Task"), first("Status"));
    session.commit().unwrap();
    let commit = || {
        let before = plan.changes.load(Ordering::SeqCst);
        let outcome = session.commit();
        (outcome, plan.changes.load(Ordering::SeqCst) - before)
    };
    let now = jiff::civil::date(2026, 1, 2).at(3, 4, 5, 678);
    let changes = || {
        folder.set("description", "same").unwrap();
        folder.set("thumbnail", Value::Null).unwrap();
        task.set("bid", 3600).unwrap();
        task.set("end_date", now).unwrap();
        task.set("status", &status).unwrap();
        user.set("first_name", "Ada").unwrap();
    };
    // The answer is lost, and the values are there: nothing is sent a second time.
    changes();
    plan.unanswered.store(1, Ordering::SeqCst);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    assert!(session.recorded_operations().is_empty());
    assert_eq!(folder.state(), None);
    // The request is lost.
    user.set("first_name", "Bob").unwrap();
    plan.swallowed.store(1, Ordering::SeqCst);
    let error = commit().0.unwrap_err();
    assert!(
        error.to_string().contains("safely be sent again"),
        "{error}"
    );
    assert_eq!(session.recorded_operations().len(), 1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    // The same with a deletion.
    session.delete(&folder).unwrap();
    plan.unanswered.store(1, Ordering::SeqCst);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    assert_eq!(count(&server, "twice"), 0);
    assert!(session.recorded_operations().is_empty());
}

#[test]
fn rows_with_keys_that_others_may_have_made_are_settled_by_their_values() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let folder = create(&session, "with data");
    session.commit().unwrap();
    let other = open(&server).get("Folder", folder.key()).unwrap().unwrap();
    let metadata = folder.metadata().unwrap();
    metadata.to_map().unwrap();
    metadata.set("shared", "ours").unwrap();
    // Somebody else makes the same row, while our request does not arrive.
    other.metadata().unwrap().set("shared", "theirs").unwrap();
    other.session().commit().unwrap();
    plan.swallowed.store(1, Ordering::SeqCst);
    // Whatever becomes of it, ours is either there or still recorded.
    let outcome = session.commit();
    let value = || {
        let seen = open(&server).get("Folder", folder.key()).unwrap().unwrap();
        seen.metadata().unwrap().get("shared").unwrap()
    };
    outcome.unwrap_err();
    assert_eq!(value().as_deref(), Some("theirs"));
    assert!(!session.recorded_operations().is_empty());
}

#[test]
fn what_did_not_arrive_is_sent_again_within_the_commit() {
    let server = emulator();
    let (session, plan) = retrying(&server, QUICK);
    let folder = create(&session, "persistent");
    plan.swallowed.store(1, Ordering::SeqCst);
    session.commit().unwrap();
    assert_eq!(count(&server, "persistent"), 1);
    folder.set("description", "again").unwrap();
    plan.swallowed.store(1, Ordering::SeqCst);
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());
    let seen = open(&server).get("Folder", folder.key()).unwrap().unwrap();
    assert_eq!(seen.get::<String>("description").unwrap(), "again");
    assert_eq!(plan.changes.load(Ordering::SeqCst), 2);
}

#[test]
fn a_request_that_arrives_after_all_is_not_applied_twice() {
    let server = emulator();
    let (session, plan) = retrying(&server, QUICK);
    let folder = create(&session, "late");
    // Asked about, it is not there; sent again, it has arrived just before.
    plan.late.store(1, Ordering::SeqCst);
    session.commit().unwrap();
    assert_eq!(plan.changes.load(Ordering::SeqCst), 2);
    assert_eq!(count(&server, "late"), 1);
    assert!(session.recorded_operations().is_empty());
    assert_eq!(folder.state(), None);
    // The same over two commits.
    let (session, plan) = lossy(&server);
    create(&session, "later");
    plan.late.store(1, Ordering::SeqCst);
    session.commit().unwrap_err();
    session.commit().unwrap();
    assert_eq!(count(&server, "later"), 1);
    assert!(session.recorded_operations().is_empty());
}

#[test]
fn what_is_recorded_after_a_lost_commit_has_a_fate_of_its_own() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    create(&session, "first");
    plan.late.store(1, Ordering::SeqCst);
    session.commit().unwrap_err();
    // The first is still under way when the second comes to it.
    create(&session, "second");
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());
    assert_eq!((count(&server, "first"), count(&server, "second")), (1, 1));
}

#[test]
fn a_lost_commit_may_be_sent_again_in_chunks() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let names: Vec<String> = (0..5).map(|n| format!("part {n}")).collect();
    for arrives in [false, true] {
        for name in &names {
            create(&session, &format!("{name} {arrives}"));
        }
        // Neither the answer comes nor that to the question.
        let lost = if arrives {
            &plan.unanswered
        } else {
            &plan.swallowed
        };
        lost.store(2, Ordering::SeqCst);
        session.commit().unwrap_err();
        create(&session, &format!("one more {arrives}"));
        // In the middle of it another answer is lost.
        let mut left = Vec::new();
        let mut chunks = || {
            session.commit_in_chunks(2, |done, all| {
                left.push(all - done);
                if left.len() == 1 {
                    plan.unanswered.store(1, Ordering::SeqCst);
                }
            })
        };
        while chunks().is_err() {}
        assert!(session.recorded_operations().is_empty());
        assert_eq!(left.last(), Some(&0));
        for name in names.iter().map(String::as_str).chain(["one more"]) {
            assert_eq!(
                count(&server, &format!("{name} {arrives}")),
                1,
                "{name} {arrives}"
            );
        }
    }
}

#[test]
fn an_extended_collection_is_sent_again_without_harm() {
    let server = emulator();
    let (session, plan) = retrying(&server, QUICK);
    let folder = create(&session, "noted");
    session.commit().unwrap();
    let author = session.query("User").unwrap().first().unwrap().unwrap();
    let note = session
        .create("Note", data! { "content": "once", "author": author })
        .unwrap();
    session.commit().unwrap();
    folder.collection("notes").unwrap().push(&note).unwrap();
    plan.unanswered.store(3, Ordering::SeqCst);
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());
    let seen = open(&server).get("Folder", folder.key()).unwrap().unwrap();
    assert_eq!(seen.collection("notes").unwrap().len().unwrap(), 1);
}

#[test]
fn an_extended_collection_is_settled_by_who_is_in_it() {
    let server = emulator();
    let session = builder(&server).retry(QUICK).open().unwrap();
    let folder = create(&session, "noted");
    let author = session.query("User").unwrap().first().unwrap().unwrap();
    let note = |content: &str| {
        let data = data! { "content": content, "author": &author };
        session.create("Note", data).unwrap()
    };
    let (one, two) = (note("one"), note("two"));
    session.commit().unwrap();
    let notes = folder.collection("notes").unwrap();
    let requests_of_commit = |fault: Fault| {
        server.faults().push(fault.only("update"));
        let count = support::requests(&session, || session.commit().unwrap());
        assert!(session.recorded_operations().is_empty());
        assert!(server.faults().pending().is_empty());
        count
    };
    // Who is in it by now, the change, and what became of it.
    notes.push(&one).unwrap();
    assert_eq!(requests_of_commit(Fault::unanswered()), 3);
    notes.push(&two).unwrap();
    notes.remove(&one).unwrap();
    assert_eq!(requests_of_commit(Fault::unanswered()), 3);
    // What has not arrived is sent again, with the question before it.
    notes.push(&one).unwrap();
    assert_eq!(requests_of_commit(Fault::bad_gateway()), 5);
    let seen = open(&server).get("Folder", folder.key()).unwrap().unwrap();
    assert_eq!(seen.collection("notes").unwrap().len().unwrap(), 2);
}

#[test]
fn random_losses_apply_everything_exactly_once() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let project = session
        .query("Project where name is test")
        .unwrap()
        .one()
        .unwrap();
    // A fixed sequence of faults: neither seed nor clock decides whether this passes.
    let mut state = 12345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    for n in 0..100 {
        let name = format!("faulty {n}");
        session
            .create("Folder", data! { "name": &name, "parent": &project })
            .unwrap();
        plan.swallowed.store(next() % 3, Ordering::SeqCst);
        plan.unanswered.store(next() % 3, Ordering::SeqCst);
        while session.commit().is_err() {}
    }
    assert!(session.recorded_operations().is_empty());
    let found = open(&server)
        .query("Folder where name like \"faulty %\"")
        .unwrap()
        .all()
        .unwrap();
    assert_eq!(found.len(), 100);
}

#[test]
fn a_refused_connection_leaves_no_doubt() {
    let server = emulator();
    let session = open(&server);
    create(&session, "server away");
    drop(server);
    let error = session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(session.recorded_operations().len(), 1);
}

/// A session with a cache over a transport that loses answers, the cache, and a shot with its
/// children, all of it cached.
fn caching(server: &Emulator) -> (Session, Arc<Plan>, Arc<MemoryCache>, ftrack_api::Entity) {
    let (transport, cache) = (Lossy::default(), Arc::new(MemoryCache::new()));
    let plan = transport.plan.clone();
    let builder = builder(server).transport(transport).retry(Retry::off());
    let session = builder.cache(cache.clone()).open().unwrap();
    let query =
        "select name, description, children.name, children.bid from Shot where children any ()";
    let shot = session.query(query).unwrap().first().unwrap().unwrap();
    (session, plan, cache, shot)
}

/// What a session reads that has nothing but this cache, and how many requests it takes.
fn seen_by_another(
    server: &Emulator,
    cache: &Arc<MemoryCache>,
    shot: &ftrack_api::Entity,
) -> (Option<String>, Vec<String>, u64) {
    let session = builder(server).cache(cache.clone()).open().unwrap();
    let before = session.statistics().requests;
    let shot = session.get("Shot", shot.id()).unwrap().unwrap();
    let children = shot.collection("children").unwrap().all().unwrap();
    let mut names: Vec<String> = children
        .iter()
        .map(|one| one.get("name").unwrap())
        .collect();
    names.sort();
    let description = shot.get("description").unwrap();
    (description, names, session.statistics().requests - before)
}

#[test]
fn a_lost_answer_leaves_nothing_old_in_the_cache() {
    let server = emulator();
    let (session, plan, cache, shot) = caching(&server);
    let (_, children, asked) = seen_by_another(&server, &cache, &shot);
    assert_eq!(asked, 0, "it is in the cache");
    let mut more = children.clone();
    more.push("zz new".to_owned());

    // The commit is found out about at once.
    shot.set("description", "one").unwrap();
    let new = data! { "name": "zz new", "parent": &shot };
    session.create("Task", new).unwrap();
    plan.unanswered.store(1, Ordering::SeqCst);
    session.commit().unwrap();
    let (description, names, _) = seen_by_another(&server, &cache, &shot);
    assert_eq!((description.as_deref(), &names), (Some("one"), &more));

    // It stays in doubt: neither list of children may be taken for the server's.
    let gone = shot.collection("children").unwrap().all().unwrap();
    let gone = gone
        .iter()
        .find(|one| one.get::<String>("name").unwrap() == "zz new");
    session.delete(gone.unwrap()).unwrap();
    plan.unanswered.store(2, Ordering::SeqCst);
    session.commit().unwrap_err();
    let (description, names, asked) = seen_by_another(&server, &cache, &shot);
    assert_eq!((description.as_deref(), &names), (Some("one"), &children));
    assert!(asked > 0);
}

#[test]
fn what_was_rolled_back_in_doubt_is_asked_for() {
    let server = emulator();
    for is_applied in [true, false] {
        let (session, plan, cache, shot) = caching(&server);
        let (_, before, _) = seen_by_another(&server, &cache, &shot);
        let old: Option<String> = shot.get("description").unwrap();
        let deleted = shot
            .collection("children")
            .unwrap()
            .all()
            .unwrap()
            .remove(0);
        shot.set("description", "in doubt").unwrap();
        session.delete(&deleted).unwrap();
        let new = data! { "name": format!("in doubt {is_applied}"), "parent": &shot };
        let new = session.create("Task", new).unwrap();
        match is_applied {
            true => plan.unanswered.store(2, Ordering::SeqCst),
            false => plan.swallowed.store(2, Ordering::SeqCst),
        }
        let error = session.commit().unwrap_err();
        assert!(error.to_string().contains("asks first"), "{error}");
        session.rollback();

        let description: Option<String> = shot.get("description").unwrap();
        let children = shot.collection("children").unwrap().all().unwrap();
        let mut names: Vec<String> = children
            .iter()
            .map(|one| one.get("name").unwrap())
            .collect();
        names.sort();
        let seen = (description.clone(), names.clone());
        let (description, names, _) = seen_by_another(&server, &cache, &shot);
        assert_eq!(seen, (description, names), "applied: {is_applied}");
        let expected = if is_applied {
            Some("in doubt")
        } else {
            old.as_deref()
        };
        assert_eq!(seen.0.as_deref(), expected);
        assert_eq!(seen.1 == before, !is_applied);
        assert_eq!(session.get("Task", new.id()).unwrap().is_some(), is_applied);
        assert_eq!(
            session.get("Task", deleted.id()).unwrap().is_none(),
            is_applied
        );
    }
}
