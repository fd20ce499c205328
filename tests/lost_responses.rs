//! Commits whose response is lost: applied once, or still recorded.
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
    Entity, Error, ErrorKind, Result, Session, SessionBuilder, Value,
    config::Retry,
    data,
    transport::{Request, Response, Transport},
};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;
use support::{builder, emulator, open};

/// Forwards requests and loses some of them, as the test plans.
#[derive(Clone, Default)]
struct Lossy {
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    /// How many of the next requests do not reach the server.
    swallowed: AtomicU32,
    /// How many of the next requests reach the server and lose their response.
    no_response: AtomicU32,
    /// How many of the next requests with changes reach the server only when another one is sent.
    late: AtomicU32,
    under_way: Mutex<Vec<Vec<u8>>>,
    /// From the next request with changes on: whether requests arrive, and how many requests, or
    /// their responses, are lost.
    from_change: Mutex<Option<(bool, u32)>>,
    /// How many requests with changes have reached it.
    changes: AtomicU32,
    /// After how many of the next requests with changes the transport panics.
    panics: AtomicU32,
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
                true => &self.plan.no_response,
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
        assert!(!is_change(request) || !take(&self.plan.panics), "a fault");
        if take(&self.plan.no_response) {
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

/// Waits too short to slow down a test.
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
    /// A session that sends nothing again by itself.
    fn new() -> Self {
        Self::with(|builder| builder.retry(Retry::off()))
    }

    /// A session that sends again.
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

    /// A session over HTTP, for faults of the emulator.
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

    /// Loses the responses to the next requests.
    fn lose_responses(&self, requests: u32) {
        self.plan.no_response.store(requests, Ordering::SeqCst);
    }

    fn lose_response_to_change(&self) {
        *self.plan.from_change.lock().unwrap() = Some((true, 1));
    }

    /// Loses the next request with changes, or its response, and the reconciliation after it.
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

    /// A folder to which the next commit adds a note.
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

    /// The entity in a session that loses nothing.
    fn seen(&self, entity: &Entity) -> Entity {
        let found = open(&self.server).get(entity.entity_type(), entity.key());
        found.unwrap().unwrap()
    }

    fn nothing_recorded(&self) -> bool {
        self.session.recorded_operations().is_empty()
    }
}

#[test]
fn an_applied_commit_is_reconciled_at_once() {
    let lost = Lost::new();
    let folder = lost.folder("lost response");
    lost.lose_responses(1);
    lost.session.commit().unwrap();
    assert!(lost.nothing_recorded());
    assert_eq!(folder.state(), None);
    assert_eq!(lost.count("lost response"), 1);
    assert!(!folder.get::<String>("project_id").unwrap().is_empty());
}

#[test]
fn a_commit_that_never_arrived_is_sent_again_by_the_next() {
    let lost = Lost::new();
    lost.folder("never arrived");
    lost.swallow(1);
    let error = lost.session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("was not applied"), "{error}");
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
fn a_commit_in_doubt_stays_recorded_and_is_reconciled_by_the_next() {
    let lost = Lost::new();
    let folder = lost.folder("in doubt");
    // The response to the commit is lost, and so is that to the reconciliation.
    lost.lose_responses(2);
    let error = lost.session.commit().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the next commit finds out first"),
        "{error}"
    );
    assert!(error.is_in_doubt() && error.message().contains("may have been applied"));
    assert_eq!(lost.session.recorded_operations().len(), 1);
    // Operations that are recorded later are sent too.
    folder.set("description", "later").unwrap();
    lost.session.commit().unwrap();
    assert!(lost.nothing_recorded());
    assert_eq!(lost.count("in doubt"), 1);
    let seen = lost.seen(&folder);
    assert_eq!(seen.get::<String>("description").unwrap(), "later");
}

#[test]
fn updates_and_deletions_are_reconciled_by_their_values() {
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
    // The response is lost, and the values are on the server: nothing is sent a second time.
    changes();
    lost.lose_responses(1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    assert!(lost.nothing_recorded());
    assert_eq!(folder.state(), None);
    // The request is lost.
    user.set("first_name", "Bob").unwrap();
    lost.swallow(1);
    let error = commit().0.unwrap_err();
    assert!(
        error.to_string().contains("It was not applied so far"),
        "{error}"
    );
    assert_eq!(lost.session.recorded_operations().len(), 1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    // The same with a deletion.
    lost.session.delete(&folder).unwrap();
    lost.lose_responses(1);
    let (outcome, requests) = commit();
    outcome.unwrap();
    assert_eq!(requests, 1);
    assert_eq!(lost.count("twice"), 0);
    assert!(lost.nothing_recorded());
}

#[test]
fn rows_with_keys_that_others_may_have_made_are_reconciled_by_their_values() {
    let lost = Lost::new();
    let folder = lost.folder("with data");
    lost.session.commit().unwrap();
    let other = lost.seen(&folder);
    let metadata = folder.metadata().unwrap();
    metadata.to_map().unwrap();
    metadata.set("shared", "ours").unwrap();
    // Another session creates the same row, while our request does not arrive.
    other.metadata().unwrap().set("shared", "theirs").unwrap();
    other.session().commit().unwrap();
    lost.swallow(1);
    // Our row is either on the server or still recorded.
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
fn a_lost_request_is_sent_again_within_the_commit() {
    let lost = Lost::quick();
    let folder = lost.folder("persistent");
    lost.swallow(1);
    lost.session.commit().unwrap();
    assert_eq!(lost.count("persistent"), 1);
    folder.set("description", "again").unwrap();
    lost.swallow(1);
    lost.session.commit().unwrap();
    assert!(lost.nothing_recorded());
    let seen = lost.seen(&folder);
    assert_eq!(seen.get::<String>("description").unwrap(), "again");
    assert_eq!(lost.changes(), 2);
}

#[test]
fn a_request_that_arrives_late_is_not_applied_twice() {
    let lost = Lost::quick();
    let folder = lost.folder("late");
    // The first request arrives after the reconciliation and before the second request.
    lost.plan.late.store(1, Ordering::SeqCst);
    lost.session.commit().unwrap();
    assert_eq!(lost.changes(), 2);
    assert_eq!(lost.count("late"), 1);
    assert!(lost.nothing_recorded());
    assert_eq!(folder.state(), None);
    // The same over two commits.
    let lost = Lost::new();
    lost.folder("later");
    lost.plan.late.store(1, Ordering::SeqCst);
    lost.session.commit().unwrap_err();
    lost.session.commit().unwrap();
    assert_eq!(lost.count("later"), 1);
    assert!(lost.nothing_recorded());
}

#[test]
fn later_operations_do_not_share_a_request_with_a_lost_commit() {
    let lost = Lost::new();
    lost.folder("first");
    lost.plan.late.store(1, Ordering::SeqCst);
    lost.session.commit().unwrap_err();
    // The first request is still under way when the second commit begins.
    lost.folder("second");
    lost.session.commit().unwrap();
    assert!(lost.nothing_recorded());
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
        // The response to the commit and that to the reconciliation are lost.
        lost.leave_in_doubt(arrives);
        lost.session.commit().unwrap_err();
        lost.folder(&format!("one more {arrives}"));
        // Another response is lost between the chunks.
        let mut left = Vec::new();
        let mut chunks = || {
            lost.session.commit_in_chunks(2, |done, all| {
                left.push(all - done);
                if left.len() == 1 {
                    lost.lose_responses(1);
                }
            })
        };
        while chunks().is_err() {}
        assert!(lost.nothing_recorded());
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
fn a_panic_of_the_transport_leaves_a_commit_in_doubt() {
    let lost = Lost::new();
    lost.folder("panicked");
    lost.plan.panics.store(1, Ordering::SeqCst);
    let commit = std::panic::AssertUnwindSafe(|| lost.session.commit());
    assert!(std::panic::catch_unwind(commit).is_err());
    lost.session.commit().unwrap();
    assert_eq!((lost.count("panicked"), lost.changes()), (1, 1));
}

#[test]
fn a_batch_is_judged_by_what_it_creates_and_not_by_what_it_updates() {
    let lost = Lost::new();
    let old = lost.folder("old");
    lost.session.commit().unwrap();
    old.set("description", "changed").unwrap();
    lost.folder("new");
    lost.swallow(1);
    let error = lost.session.commit().unwrap_err();
    assert!(error.to_string().contains("was not applied"), "{error}");
    lost.session.commit().unwrap();
    assert_eq!(lost.count("new"), 1);
    let seen = lost.seen(&old);
    assert_eq!(seen.get::<String>("description").unwrap(), "changed");
}

#[test]
fn what_was_created_is_recognised_whatever_became_of_it() {
    let lost = Lost::new();
    let folder = lost.folder("ours");
    lost.leave_in_doubt(true);
    lost.session.commit().unwrap_err();
    let theirs = lost.seen(&folder);
    theirs.set("name", "theirs").unwrap();
    theirs.session().commit().unwrap();
    lost.session.commit().unwrap();
    assert!(lost.nothing_recorded());
    assert_eq!(lost.changes(), 1);
    assert_eq!(lost.count("theirs"), 1);
}

/// Changes that never arrived, of an entity that another session has deleted meanwhile.
#[test]
fn changes_of_what_is_gone_do_not_count_as_applied() {
    type Change = fn(&Entity, &Entity);
    // The members of a collection are asked for before the change.
    let changes: [(Change, u64); 2] = [
        (|folder, _| folder.set("description", "late").unwrap(), 1),
        (
            |folder, note| folder.collection("notes").unwrap().push(note).unwrap(),
            2,
        ),
    ];
    for (change, requests) in changes {
        let lost = Lost::new();
        let (folder, note) = (lost.folder("gone"), lost.note("kept"));
        lost.session.commit().unwrap();
        change(&folder, &note);
        lost.leave_in_doubt(false);
        lost.session.commit().unwrap_err();
        let theirs = lost.seen(&folder);
        theirs.session().delete(&theirs).unwrap();
        theirs.session().commit().unwrap();
        lost.session.commit().unwrap_err();
        assert_eq!(lost.session.recorded_operations().len(), 1);
        // The server has refused it, so that nothing is in doubt any more.
        let changes = lost.changes();
        let sent = support::requests(&lost.session, || drop(lost.session.commit().unwrap_err()));
        assert_eq!((lost.changes() - changes, sent), (1, requests));
    }
}

#[test]
fn an_extended_collection_can_be_sent_twice() {
    let lost = Lost::quick();
    let folder = lost.noted();
    lost.lose_responses(3);
    lost.session.commit().unwrap();
    assert!(lost.nothing_recorded());
    let seen = lost.seen(&folder);
    assert_eq!(seen.collection("notes").unwrap().len().unwrap(), 1);
}

#[test]
fn a_lost_request_for_members_leaves_no_doubt() {
    let lost = Lost::new();
    lost.noted();
    lost.swallow(1);
    let before = lost.changes();
    let error = lost.session.commit().unwrap_err().to_string();
    assert!(
        error.contains("commit of 1 change: ") && error.contains("stays recorded"),
        "{error}"
    );
    assert!(!error.contains("may have been applied"), "{error}");
    assert!(!error.contains("not applied"), "{error}");
    assert_eq!(lost.changes(), before);
    lost.session.commit().unwrap();
    assert_eq!(lost.changes(), before + 1);
}

#[test]
fn an_extended_collection_is_reconciled_by_its_members() {
    let lost = Lost::over_http();
    let folder = lost.folder("noted");
    let (other, one, two) = (lost.note("other"), lost.note("one"), lost.note("two"));
    lost.session.commit().unwrap();
    let notes = folder.collection("notes").unwrap();
    notes.push(&other).unwrap();
    lost.session.commit().unwrap();
    let requests_of_commit = |fault: Fault| {
        let faults = lost.server.faults();
        faults.push(fault.only("update"));
        let count = support::requests(&lost.session, || lost.session.commit().unwrap());
        assert!(lost.nothing_recorded());
        assert!(faults.pending().is_empty());
        count
    };
    // Three requests: the present members, the change, the reconciliation.
    notes.push(&one).unwrap();
    assert_eq!(requests_of_commit(Fault::no_response()), 3);
    notes.push(&two).unwrap();
    notes.remove(&one).unwrap();
    assert_eq!(requests_of_commit(Fault::no_response()), 3);
    // Five requests: the first two are sent again after the reconciliation.
    notes.push(&one).unwrap();
    assert_eq!(requests_of_commit(Fault::bad_gateway()), 5);
    notes.remove(&two).unwrap();
    assert_eq!(requests_of_commit(Fault::bad_gateway()), 5);
    let seen = lost.seen(&folder).get::<Vec<Entity>>("notes").unwrap();
    let contents = seen
        .iter()
        .map(|note| note.get::<String>("content").unwrap());
    let mut contents: Vec<String> = contents.collect();
    contents.sort();
    assert_eq!(contents, ["one", "other"]);
}

#[test]
fn random_losses_apply_everything_exactly_once() {
    let lost = Lost::new();
    // A fixed sequence of faults, so that the test does not depend on a seed or a clock.
    let mut state = 12345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    for n in 0..100 {
        lost.folder(&format!("faulty {n}"));
        lost.swallow(next() % 3);
        lost.lose_responses(next() % 3);
        while lost.session.commit().is_err() {}
    }
    assert!(lost.nothing_recorded());
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

/// What a session with nothing but this cache reads, and how many requests that takes.
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
fn a_lost_response_leaves_nothing_stale_in_the_cache() {
    let (lost, cache, shot) = caching();
    let (_, children, asked) = seen_by_another(&lost, &cache, &shot);
    assert_eq!(asked, 0, "it is in the cache");
    let mut more = children.clone();
    more.push("zz new".to_owned());

    // The commit is reconciled at once.
    shot.set("description", "one").unwrap();
    let new = data! { "name": "zz new", "parent": &shot };
    lost.session.create("Task", new).unwrap();
    lost.lose_responses(1);
    lost.session.commit().unwrap();
    let (description, names, _) = seen_by_another(&lost, &cache, &shot);
    assert_eq!((description.as_deref(), &names), (Some("one"), &more));

    // The commit stays in doubt, so that neither list of children is valid.
    let removed = shot.collection("children").unwrap().all().unwrap();
    let removed = removed
        .iter()
        .find(|one| one.get::<String>("name").unwrap() == "zz new");
    lost.session.delete(removed.unwrap()).unwrap();
    lost.lose_responses(2);
    lost.session.commit().unwrap_err();
    let (description, names, asked) = seen_by_another(&lost, &cache, &shot);
    assert_eq!((description.as_deref(), &names), (Some("one"), &children));
    assert!(asked > 0);
}

#[test]
fn values_that_were_rolled_back_in_doubt_are_fetched() {
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
        assert!(error.to_string().contains("finds out first"), "{error}");
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
fn ensure_after_a_commit_in_doubt_creates_nothing_twice() {
    for arrives in [true, false] {
        let lost = Lost::new();
        let data = data! { "name": "ensured", "parent": lost.first("Project where name is test") };
        let ensure = || lost.session.ensure("Folder", data.clone(), "name");
        lost.leave_in_doubt(arrives);
        let error = ensure().unwrap_err();
        assert!(error.to_string().contains("finds out first"), "{error}");
        let folder = ensure().unwrap();
        assert!(lost.nothing_recorded());
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
fn a_timer_whose_response_is_lost_is_reconciled() {
    let lost = Lost::new();
    let worker = lost.worker();
    lost.lose_response_to_change();
    let timer = worker
        .start_timer(TimerOptions::new().comment("working"))
        .unwrap();
    assert_eq!((timer.state(), lost.timers(&worker)), (None, (1, 0)));
    lost.lose_response_to_change();
    let timelog = worker.stop_timer().unwrap();
    assert_eq!(timelog.get::<String>("comment").unwrap(), "working");
    assert_eq!((timelog.state(), lost.timers(&worker)), (None, (0, 1)));
    assert!(lost.nothing_recorded());
}

#[test]
fn a_timer_in_doubt_is_neither_lost_nor_created_twice() {
    for arrives in [true, false] {
        let lost = Lost::new();
        let worker = lost.worker();
        lost.leave_in_doubt(arrives);
        let error = worker.start_timer(TimerOptions::new()).unwrap_err();
        assert!(error.to_string().contains("finds out first"), "{error}");
        assert_eq!(lost.session.plan().changes.len(), 1, "it is still recorded");
        // There is one by now, whichever way.
        let error = worker.start_timer(TimerOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
        assert_eq!(lost.timers(&worker), (1, 0));

        lost.leave_in_doubt(arrives);
        worker.stop_timer().unwrap_err();
        // It has been stopped by now and is not stopped again.
        let error = worker.stop_timer().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(lost.timers(&worker), (0, 1), "{arrives}");
        assert!(lost.nothing_recorded());
    }
}

/// Loses a batch of updates, or the response to it, by one fault and responds to the reconciliation with
/// the other.
fn reconciled_with(loss: Fault, fault: &Fault) -> (Result<()>, Lost, Entity) {
    let lost = Lost::over_http();
    let folder = lost.folder("reconciled");
    lost.session.commit().unwrap();
    folder.set("description", "once").unwrap();
    let faults = lost.server.faults();
    faults.push(loss.only("update"));
    for _ in 0..8 {
        faults.push(fault.clone().only("query"));
    }
    let outcome = lost.session.commit();
    faults.clear();
    (outcome, lost, folder)
}

#[test]
fn a_passing_failure_of_the_reconciliation_leaves_the_commit_in_doubt() {
    for fault in [Fault::bad_gateway(), Fault::no_response()] {
        let (outcome, lost, folder) = reconciled_with(Fault::no_response(), &fault);
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("finds out first"), "{error}");
        // Another session changes the value. The lost batch was applied before that, and must not
        // be applied again.
        let other = open(&lost.server);
        let theirs = other.get("Folder", folder.key()).unwrap().unwrap();
        assert_eq!(theirs.get::<String>("description").unwrap(), "once");
        lost.session.commit().unwrap();
        assert!(lost.nothing_recorded());
    }
}

#[test]
fn a_reconciliation_that_the_server_refuses_sends_the_batch_again() {
    for loss in [Fault::no_response(), Fault::bad_gateway()] {
        let (outcome, lost, folder) = reconciled_with(loss, &Fault::server_error());
        outcome.unwrap();
        assert!(lost.nothing_recorded());
        let seen = lost.seen(&folder);
        assert_eq!(seen.get::<String>("description").unwrap(), "once");
    }
}
