//! Commits whose answer is lost: applied once, or still recorded.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::Cursor;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftrack_api::cache::MemoryCache;
use ftrack_api::entity::TimerOptions;
use ftrack_api::query::field;
use ftrack_api::{
    Entity, Error, ErrorKind, Request, Response, Result, Retry, Session, SessionBuilder, Transport,
    Value, data,
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
    /// What begins at the next request with changes: whether it and those after it arrive, and how
    /// many of them, or of their answers, are lost.
    from_change: Mutex<Option<(bool, u32)>>,
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
        if is_change(request)
            && let Some((arrives, count)) = self.plan.from_change.lock().unwrap().take()
        {
            let lost = match arrives {
                true => &self.plan.unanswered,
                false => &self.plan.swallowed,
            };
            lost.store(count, Ordering::SeqCst);
        }
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

/// Waits that no test notices.
const QUICK: Retry = Retry::new()
    .first_wait(Duration::from_millis(1))
    .longest_wait(Duration::from_millis(2));

/// A session over such a transport.
struct Lost {
    server: Emulator,
    session: Session,
    plan: Arc<Plan>,
}

impl Lost {
    /// It sends nothing again by itself.
    fn new() -> Self {
        Self::with(|builder| builder.retry(Retry::off()))
    }

    /// It sends again.
    fn quick() -> Self {
        Self::with(|builder| builder.retry(QUICK))
    }

    fn with(change: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        let (server, transport) = (emulator(), Lossy::default());
        let plan = transport.plan.clone();
        let builder = builder(&server).transport(transport);
        let session = change(builder).open().unwrap();
        Self {
            server,
            session,
            plan,
        }
    }

    /// Over HTTP, which only the server's faults break.
    fn over_http() -> Self {
        let server = emulator();
        let session = builder(&server).retry(QUICK).open().unwrap();
        Self {
            server,
            session,
            plan: Arc::default(),
        }
    }

    /// Loses the next requests before they arrive.
    fn swallow(&self, requests: u32) {
        self.plan.swallowed.store(requests, Ordering::SeqCst);
    }

    /// Loses the answers to the next requests.
    fn leave_unanswered(&self, requests: u32) {
        self.plan.unanswered.store(requests, Ordering::SeqCst);
    }

    fn leave_change_unanswered(&self) {
        *self.plan.from_change.lock().unwrap() = Some((true, 1));
    }

    /// Loses the next request with changes, or its answer, and the question after it.
    fn leave_in_doubt(&self, arrives: bool) {
        *self.plan.from_change.lock().unwrap() = Some((arrives, 2));
    }

    /// How many requests with changes have reached the server.
    fn changes(&self) -> u32 {
        self.plan.changes.load(Ordering::SeqCst)
    }

    fn first(&self, query: &str) -> Entity {
        self.session.query(query).unwrap().first().unwrap().unwrap()
    }

    fn folder(&self, name: &str) -> Entity {
        let project = self.first("Project where name is test");
        let data = data! { "name": name, "parent": project };
        self.session.create("Folder", data).unwrap()
    }

    fn note(&self, content: &str) -> Entity {
        let data = data! { "content": content, "author": self.first("User") };
        self.session.create("Note", data).unwrap()
    }

    /// A folder that gets a note by the next commit.
    fn noted(&self) -> Entity {
        let (folder, note) = (self.folder("noted"), self.note("once"));
        self.session.commit().unwrap();
        folder.collection("notes").unwrap().push(&note).unwrap();
        folder
    }

    /// How many folders of that name the server has.
    fn count(&self, name: &str) -> usize {
        let query = ftrack_api::expr!("Folder where name is {}", name);
        let found = open(&self.server).query(query).unwrap().all();
        found.unwrap().len()
    }

    /// The entity as a session sees it that loses nothing.
    fn seen(&self, entity: &Entity) -> Entity {
        let found = open(&self.server).get(entity.entity_type(), entity.key());
        found.unwrap().unwrap()
    }

    fn is_settled(&self) -> bool {
        self.session.recorded_operations().is_empty()
    }
}

#[test]
fn an_applied_commit_is_found_out_at_once() {
    let lost = Lost::new();
    let folder = lost.folder("lost answer");
    lost.leave_unanswered(1);
    lost.session.commit().unwrap();
    assert!(lost.is_settled());
    assert_eq!(folder.state(), None);
    assert_eq!(lost.count("lost answer"), 1);
    assert!(!folder.get::<String>("project_id").unwrap().is_empty());
}

#[test]
fn a_commit_that_never_arrived_is_sent_again_by_the_next() {
    let lost = Lost::new();
    lost.folder("never arrived");
    lost.swallow(1);
    let error = lost.session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("not on the server"), "{error}");
    assert_eq!(
        (
            lost.session.recorded_operations().len(),
            lost.count("never arrived")
        ),
        (1, 0)
    );
    lost.session.commit().unwrap();
    assert_eq!(lost.count("never arrived"), 1);
}

#[test]
fn while_it_cannot_be_told_the_queue_is_kept_and_the_next_commit_asks() {
    let lost = Lost::new();
    let folder = lost.folder("in doubt");
    // The answer to the commit is lost, and so is the question after it.
    lost.leave_unanswered(2);
    let error = lost.session.commit().unwrap_err();
    assert!(
        error.to_string().contains("the next commit asks first"),
        "{error}"
    );
    assert_eq!(lost.session.recorded_operations().len(), 1);
    // What is recorded meanwhile is sent too.
    folder.set("description", "later").unwrap();
    lost.session.commit().unwrap();
    assert!(lost.is_settled());
    assert_eq!(lost.count("in doubt"), 1);
    let seen = lost.seen(&folder);
    assert_eq!(seen.get::<String>("description").unwrap(), "later");
}

#[test]
fn updates_and_deletions_are_settled_by_their_values() {
    let lost = Lost::new();
    let folder = lost.folder("twice");
    let (user, task, status) = (lost.first("User"), lost.first("Task"), lost.first("Status"));
    lost.session.commit().unwrap();
    let commit = || {
        let before = lost.changes();
        let outcome = lost.session.commit();
        (outcome, lost.changes() - before)
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
    lost.leave_unanswered(1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    assert!(lost.is_settled());
    assert_eq!(folder.state(), None);
    // The request is lost.
    user.set("first_name", "Bob").unwrap();
    lost.swallow(1);
    let error = commit().0.unwrap_err();
    assert!(
        error.to_string().contains("safely be sent again"),
        "{error}"
    );
    assert_eq!(lost.session.recorded_operations().len(), 1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    // The same with a deletion.
    lost.session.delete(&folder).unwrap();
    lost.leave_unanswered(1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    assert_eq!(lost.count("twice"), 0);
    assert!(lost.is_settled());
}

#[test]
fn rows_with_keys_that_others_may_have_made_are_settled_by_their_values() {
    let lost = Lost::new();
    let folder = lost.folder("with data");
    lost.session.commit().unwrap();
    let other = lost.seen(&folder);
    let metadata = folder.metadata().unwrap();
    metadata.to_map().unwrap();
    metadata.set("shared", "ours").unwrap();
    // Somebody else makes the same row, while our request does not arrive.
    other.metadata().unwrap().set("shared", "theirs").unwrap();
    other.session().commit().unwrap();
    lost.swallow(1);
    // Whatever becomes of it, ours is either there or still recorded.
    let outcome = lost.session.commit();
    let value = || {
        let seen = lost.seen(&folder);
        seen.metadata().unwrap().get("shared").unwrap()
    };
    outcome.unwrap_err();
    assert_eq!(value().as_deref(), Some("theirs"));
    assert!(!lost.session.recorded_operations().is_empty());
}

#[test]
fn what_did_not_arrive_is_sent_again_within_the_commit() {
    let lost = Lost::quick();
    let folder = lost.folder("persistent");
    lost.swallow(1);
    lost.session.commit().unwrap();
    assert_eq!(lost.count("persistent"), 1);
    folder.set("description", "again").unwrap();
    lost.swallow(1);
    lost.session.commit().unwrap();
    assert!(lost.is_settled());
    let seen = lost.seen(&folder);
    assert_eq!(seen.get::<String>("description").unwrap(), "again");
    assert_eq!(lost.changes(), 2);
}

#[test]
fn a_request_that_arrives_after_all_is_not_applied_twice() {
    let lost = Lost::quick();
    let folder = lost.folder("late");
    // Asked about, it is not there; sent again, it has arrived just before.
    lost.plan.late.store(1, Ordering::SeqCst);
    lost.session.commit().unwrap();
    assert_eq!(lost.changes(), 2);
    assert_eq!(lost.count("late"), 1);
    assert!(lost.is_settled());
    assert_eq!(folder.state(), None);
    // The same over two commits.
    let lost = Lost::new();
    lost.folder("later");
    lost.plan.late.store(1, Ordering::SeqCst);
    lost.session.commit().unwrap_err();
    lost.session.commit().unwrap();
    assert_eq!(lost.count("later"), 1);
    assert!(lost.is_settled());
}

#[test]
fn what_is_recorded_after_a_lost_commit_has_a_fate_of_its_own() {
    let lost = Lost::new();
    lost.folder("first");
    lost.plan.late.store(1, Ordering::SeqCst);
    lost.session.commit().unwrap_err();
    // The first is still under way when the second comes to it.
    lost.folder("second");
    lost.session.commit().unwrap();
    assert!(lost.is_settled());
    assert_eq!((lost.count("first"), lost.count("second")), (1, 1));
}

#[test]
fn a_lost_commit_may_be_sent_again_in_chunks() {
    let lost = Lost::new();
    let names: Vec<String> = (0..5).map(|n| format!("part {n}")).collect();
    for arrives in [false, true] {
        for name in &names {
            lost.folder(&format!("{name} {arrives}"));
        }
        // Neither the answer comes nor that to the question.
        lost.leave_in_doubt(arrives);
        lost.session.commit().unwrap_err();
        lost.folder(&format!("one more {arrives}"));
        // In the middle of it another answer is lost.
        let mut left = Vec::new();
        let mut chunks = || {
            lost.session.commit_in_chunks(2, |done, all| {
                left.push(all - done);
                if left.len() == 1 {
                    lost.leave_unanswered(1);
                }
            })
        };
        while chunks().is_err() {}
        assert!(lost.is_settled());
        assert_eq!(left.last(), Some(&0));
        for name in names.iter().map(String::as_str).chain(["one more"]) {
            assert_eq!(
                lost.count(&format!("{name} {arrives}")),
                1,
                "{name} {arrives}"
            );
        }
    }
}

#[test]
fn an_extended_collection_is_sent_again_without_harm() {
    let lost = Lost::quick();
    let folder = lost.noted();
    lost.leave_unanswered(3);
    lost.session.commit().unwrap();
    assert!(lost.is_settled());
    let seen = lost.seen(&folder);
    assert_eq!(seen.collection("notes").unwrap().len().unwrap(), 1);
}

#[test]
fn a_lost_question_before_the_commit_leaves_no_doubt() {
    let lost = Lost::new();
    lost.noted();
    lost.swallow(1);
    let before = lost.changes();
    let error = lost.session.commit().unwrap_err().to_string();
    assert!(
        error.contains("commit of 1 change, which stays recorded"),
        "{error}"
    );
    assert!(!error.contains("may be on the server"), "{error}");
    assert!(!error.contains("safely"), "{error}");
    assert_eq!(lost.changes(), before);
    lost.session.commit().unwrap();
    assert_eq!(lost.changes(), before + 1);
}

#[test]
fn an_extended_collection_is_settled_by_who_is_in_it() {
    let lost = Lost::over_http();
    let folder = lost.folder("noted");
    let (one, two) = (lost.note("one"), lost.note("two"));
    lost.session.commit().unwrap();
    let notes = folder.collection("notes").unwrap();
    let requests_of_commit = |fault: Fault| {
        let faults = lost.server.faults();
        faults.push(fault.only("update"));
        let count = support::requests(&lost.session, || lost.session.commit().unwrap());
        assert!(lost.is_settled());
        assert!(faults.pending().is_empty());
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
    let seen = lost.seen(&folder);
    assert_eq!(seen.collection("notes").unwrap().len().unwrap(), 2);
}

#[test]
fn random_losses_apply_everything_exactly_once() {
    let lost = Lost::new();
    // A fixed sequence of faults: neither seed nor clock decides whether this passes.
    let mut state = 12345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    for n in 0..100 {
        lost.folder(&format!("faulty {n}"));
        lost.swallow(next() % 3);
        lost.leave_unanswered(next() % 3);
        while lost.session.commit().is_err() {}
    }
    assert!(lost.is_settled());
    let found = open(&lost.server).query("Folder where name like \"faulty %\"");
    assert_eq!(found.unwrap().count().unwrap(), 100);
}

#[test]
fn a_refused_connection_leaves_no_doubt() {
    let Lost {
        server, session, ..
    } = Lost::over_http();
    drop(server);
    session
        .create("Task", data! { "name": "server away" })
        .unwrap();
    let error = session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(session.recorded_operations().len(), 1);
}

/// A session with a cache, the cache, and a shot with its children, all of it cached.
fn caching() -> (Lost, Arc<MemoryCache>, Entity) {
    let cache = Arc::new(MemoryCache::new());
    let lost = Lost::with(|builder| builder.retry(Retry::off()).cache(cache.clone()));
    let query =
        "select name, description, children.name, children.bid from Shot where children any ()";
    let shot = lost.first(query);
    (lost, cache, shot)
}

/// What a session reads that has nothing but this cache, and how many requests it takes.
fn seen_by_another(
    lost: &Lost,
    cache: &Arc<MemoryCache>,
    shot: &Entity,
) -> (Option<String>, Vec<String>, u64) {
    let session = builder(&lost.server).cache(cache.clone()).open().unwrap();
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
    let (lost, cache, shot) = caching();
    let (_, children, asked) = seen_by_another(&lost, &cache, &shot);
    assert_eq!(asked, 0, "it is in the cache");
    let mut more = children.clone();
    more.push("zz new".to_owned());

    // The commit is found out about at once.
    shot.set("description", "one").unwrap();
    let new = data! { "name": "zz new", "parent": &shot };
    lost.session.create("Task", new).unwrap();
    lost.leave_unanswered(1);
    lost.session.commit().unwrap();
    let (description, names, _) = seen_by_another(&lost, &cache, &shot);
    assert_eq!((description.as_deref(), &names), (Some("one"), &more));

    // It stays in doubt: neither list of children may be taken for the server's.
    let gone = shot.collection("children").unwrap().all().unwrap();
    let gone = gone
        .iter()
        .find(|one| one.get::<String>("name").unwrap() == "zz new");
    lost.session.delete(gone.unwrap()).unwrap();
    lost.leave_unanswered(2);
    lost.session.commit().unwrap_err();
    let (description, names, asked) = seen_by_another(&lost, &cache, &shot);
    assert_eq!((description.as_deref(), &names), (Some("one"), &children));
    assert!(asked > 0);
}

#[test]
fn what_was_rolled_back_in_doubt_is_asked_for() {
    for is_applied in [true, false] {
        let (lost, cache, shot) = caching();
        let (_, before, _) = seen_by_another(&lost, &cache, &shot);
        let old: Option<String> = shot.get("description").unwrap();
        let mut children = shot.collection("children").unwrap().all().unwrap();
        let deleted = children.remove(0);
        shot.set("description", "in doubt").unwrap();
        lost.session.delete(&deleted).unwrap();
        let new = data! { "name": format!("in doubt {is_applied}"), "parent": &shot };
        let new = lost.session.create("Task", new).unwrap();
        lost.leave_in_doubt(is_applied);
        let error = lost.session.commit().unwrap_err();
        assert!(error.to_string().contains("asks first"), "{error}");
        lost.session.rollback();

        let description: Option<String> = shot.get("description").unwrap();
        let children = shot.collection("children").unwrap().all().unwrap();
        let mut names: Vec<String> = children
            .iter()
            .map(|one| one.get("name").unwrap())
            .collect();
        names.sort();
        let seen = (description.clone(), names.clone());
        let (description, names, _) = seen_by_another(&lost, &cache, &shot);
        assert_eq!(seen, (description, names), "applied: {is_applied}");
        let expected = if is_applied {
            Some("in doubt")
        } else {
            old.as_deref()
        };
        assert_eq!(seen.0.as_deref(), expected);
        assert_eq!(seen.1 == before, !is_applied);
        assert_eq!(
            lost.session.get("Task", new.id()).unwrap().is_some(),
            is_applied
        );
        assert_eq!(
            lost.session.get("Task", deleted.id()).unwrap().is_none(),
            is_applied
        );
    }
}

#[test]
fn who_ensures_again_while_it_is_in_doubt_makes_nothing_twice() {
    for arrives in [true, false] {
        let lost = Lost::new();
        let data = data! { "name": "ensured", "parent": lost.first("Project where name is test") };
        let ensure = || lost.session.ensure("Folder", data.clone(), "name");
        lost.leave_in_doubt(arrives);
        let error = ensure().unwrap_err();
        assert!(error.to_string().contains("asks first"), "{error}");
        let folder = ensure().unwrap();
        assert!(lost.is_settled());
        assert_eq!(lost.count("ensured"), 1, "{arrives}");
        assert_eq!(lost.seen(&folder).state(), None);
    }
}

impl Lost {
    fn worker(&self) -> Entity {
        let data = data! { "username": "worker", "is_active": true };
        let worker = self.session.create("User", data).unwrap();
        self.session.commit().unwrap();
        worker
    }

    /// How many timers and time logs the server has of a user.
    fn timers(&self, worker: &Entity) -> (u64, u64) {
        let session = open(&self.server);
        let count = |entity_type: &str| {
            let own = session
                .select(entity_type)
                .filter(field("user_id").eq(worker.id()));
            own.count().unwrap()
        };
        (count("Timer"), count("Timelog"))
    }
}

#[test]
fn a_timer_whose_answer_is_lost_is_found_out_about() {
    let lost = Lost::new();
    let worker = lost.worker();
    lost.leave_change_unanswered();
    let timer = worker
        .start_timer(TimerOptions::new().comment("working"))
        .unwrap();
    assert_eq!((timer.state(), lost.timers(&worker)), (None, (1, 0)));
    lost.leave_change_unanswered();
    let timelog = worker.stop_timer().unwrap();
    assert_eq!(timelog.get::<String>("comment").unwrap(), "working");
    assert_eq!((timelog.state(), lost.timers(&worker)), (None, (0, 1)));
    assert!(lost.is_settled());
}

#[test]
fn a_timer_in_doubt_is_neither_lost_nor_made_twice() {
    for arrives in [true, false] {
        let lost = Lost::new();
        let worker = lost.worker();
        lost.leave_in_doubt(arrives);
        let error = worker.start_timer(TimerOptions::new()).unwrap_err();
        assert!(error.to_string().contains("asks first"), "{error}");
        assert_eq!(lost.session.plan().changes.len(), 1, "it is still recorded");
        // There is one by now, whichever way.
        let error = worker.start_timer(TimerOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
        assert_eq!(lost.timers(&worker), (1, 0));

        lost.leave_in_doubt(arrives);
        worker.stop_timer().unwrap_err();
        // It has been stopped by now, and is not stopped again.
        let error = worker.stop_timer().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(lost.timers(&worker), (0, 1), "{arrives}");
        assert!(lost.is_settled());
    }
}
