//! Commits whose answer is lost: applied once, or still recorded.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ftrack_api::{Error, ErrorKind, Request, Response, Result, Retry, Session, Transport, data};
use ftrack_emulator::Emulator;
use support::{builder, emulator, open};

/// Forwards requests, and loses some: which ones, the test says by number.
#[derive(Clone)]
struct Lossy {
    agent: ureq::Agent,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    /// Requests from now on that never reach the server.
    swallowed: AtomicU32,
    /// Requests from now on that reach it and whose answers are lost.
    unanswered: AtomicU32,
}

impl Lossy {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        Self {
            agent: ureq::Agent::new_with_config(config),
            plan: Arc::default(),
        }
    }

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
        let mut post = self.agent.post(request.url.as_str());
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        let mut answer = post.send(request.body).unwrap();
        let body = answer.body_mut().read_to_vec().unwrap();
        if take(&self.plan.unanswered) {
            return Err(Self::lost());
        }
        Ok(Response {
            status: answer.status().as_u16(),
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    }
}

/// A session over such a transport, which sends nothing again by itself.
fn lossy(server: &Emulator) -> (Session, Arc<Plan>) {
    let transport = Lossy::new();
    let plan = transport.plan.clone();
    let builder = builder(server).transport(transport).retry(Retry::off());
    (builder.open().unwrap(), plan)
}

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
fn updates_and_deletions_may_be_sent_again() {
    let server = emulator();
    let (session, plan) = lossy(&server);
    let folder = create(&session, "twice");
    session.commit().unwrap();
    folder.set("description", "same").unwrap();
    plan.unanswered.store(1, Ordering::SeqCst);
    assert!(
        session
            .commit()
            .unwrap_err()
            .to_string()
            .contains("safely be sent again")
    );
    session.commit().unwrap();
    session.delete(&folder).unwrap();
    plan.unanswered.store(1, Ordering::SeqCst);
    session.commit().unwrap_err();
    session.commit().unwrap();
    assert_eq!(count(&server, "twice"), 0);
    assert!(session.recorded_operations().is_empty());
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
