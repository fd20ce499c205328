//! What is sent again, what is not, and how it is broken off: over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::{
    CancelToken, EntityKey, ErrorKind, Session, SessionBuilder,
    config::{Network, Retry},
    data,
};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;
use support::proxy::{Break, Harm, Proxy, Way};
use support::{Parrot, builder, emulator, eventually, secret, upload};

/// Waits that no test notices.
const QUICK: Retry = Retry::new()
    .first_wait(Duration::from_millis(1))
    .longest_wait(Duration::from_millis(4));

fn quick(server: &Emulator) -> Session {
    builder(server).retry(QUICK).open().unwrap()
}

#[test]
fn reads_are_sent_again_after_every_fault_that_passes() {
    let server = emulator();
    let session = quick(&server);
    for fault in [
        Fault::unavailable(0),
        Fault::too_many_requests(0),
        Fault::bad_gateway(),
        Fault::no_response(),
        Fault::dropped(),
        Fault::cut(200),
    ] {
        let before = session.statistics();
        server.faults().push(fault.clone().times(3));
        let found = session.query("Task limit 5").unwrap().all();
        assert_eq!(found.unwrap().len(), 5, "{fault:?}");
        let after = session.statistics();
        assert_eq!(after.requests - before.requests, 4, "{fault:?}");
        assert_eq!(after.retries - before.retries, 3, "{fault:?}");
    }
    // Opening, raw reads and searches too.
    server.faults().push(Fault::unavailable(0).times(2));
    let session = quick(&server);
    server.faults().push(Fault::no_response().times(2));
    let query = serde_json::json!({"action": "query", "expression": "select id from Task limit 1"});
    assert_eq!(session.call(&[query]).unwrap().len(), 1);
}

#[test]
fn an_outage_ends_with_the_last_error_and_its_history() {
    let server = emulator();
    let session = quick(&server);
    server.faults().push(Fault::unavailable(0).times(1000));
    let error = session.query("Task").unwrap().all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("4 attempts"), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::ZERO));
    // Twenty requests more are allowed, then every call is one request.
    for _ in 0..20 {
        session.query("Task").unwrap().all().unwrap_err();
    }
    let statistics = session.statistics();
    assert_eq!(statistics.retries, 20, "{statistics:?}");
    assert_eq!(statistics.requests, 1 + 21 + 20);
    server.faults().clear();
    assert!(session.query("Task").unwrap().first().unwrap().is_some());
    // Ten responses pay for one more.
    for _ in 0..9 {
        session.query("Task limit 1").unwrap().all().unwrap();
    }
    server.faults().push(Fault::unavailable(0).times(1000));
    session.query("Task").unwrap().all().unwrap_err();
    assert_eq!(session.statistics().retries, 21);
}

#[test]
fn a_server_may_ask_for_a_pause_and_for_too_long_a_one() {
    let server = emulator();
    let session = quick(&server);
    server.faults().push(Fault::unavailable(1));
    let started = Instant::now();
    session.query("Task").unwrap().first().unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    server.faults().push(Fault::too_many_requests(3600));
    let error = session.query("Task").unwrap().first().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(session.statistics().retries, 1);
}

#[test]
fn what_does_not_pass_is_not_sent_again() {
    let server = emulator();
    let session = quick(&server);
    server.faults().push(Fault::server_error());
    let error = session.query("Task").unwrap().all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    let wrong = builder(&server).api_key(secret("wr0ng-key")).retry(QUICK);
    assert_eq!(wrong.open().unwrap_err().kind(), ErrorKind::Authentication);
    let off = builder(&server).retry(Retry::off()).open().unwrap();
    server.faults().push(Fault::dropped());
    assert_eq!(
        off.query("Task").unwrap().all().unwrap_err().kind(),
        ErrorKind::Connection
    );
    assert_eq!(
        (session.statistics().retries, off.statistics().retries),
        (0, 0)
    );
}

#[test]
fn raw_actions_that_write_are_not_sent_again_once_they_may_have_arrived() {
    let server = emulator();
    let session = quick(&server);
    let user = |name: &str| {
        serde_json::json!({
            "action": "create", "entity_type": "User",
            "entity_data": {"__entity_type__": "User", "username": name},
        })
    };
    for fault in [
        Fault::no_response(),
        Fault::bad_gateway(),
        Fault::unavailable(0),
    ] {
        server.faults().push(fault);
        let before = session.statistics().requests;
        session.call(&[user("raw")]).unwrap_err();
        assert_eq!(session.statistics().requests - before, 1);
    }
    // The first was carried out, and nothing since.
    let found = session
        .query("User where username is raw")
        .unwrap()
        .all()
        .unwrap();
    assert_eq!(found.len(), 1);
    // A server that limits rates has not looked at it.
    server.faults().push(Fault::too_many_requests(0).times(2));
    session.call(&[user("later")]).unwrap();
    let found = session
        .query("User where username is later")
        .unwrap()
        .all()
        .unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn an_action_that_is_not_known_may_write() {
    let server = Parrot::new("503 Service Unavailable", "", "");
    let read_only = |actions: &[serde_json::Value]| {
        let script = ftrack_api::transport::ScriptedTransport::new();
        script.respond(200, r#"[{"version": "dev"}, []]"#);
        let session = server.builder().transport(script.clone()).read_only(true);
        let session = session.open().unwrap();
        session.call(actions).unwrap_err().kind()
    };
    let action = |name: &str| serde_json::json!({"action": name});
    assert_eq!(read_only(&[action("query")]), ErrorKind::Connection);
    assert_eq!(
        read_only(&[action("query"), action("delete")]),
        ErrorKind::ReadOnly
    );
    assert_eq!(read_only(&[action("conquer")]), ErrorKind::ReadOnly);
    assert_eq!(read_only(&[serde_json::json!({})]), ErrorKind::ReadOnly);
}

#[test]
fn a_read_only_session_changes_nothing() {
    let server = emulator();
    let session = builder(&server).read_only(true).open().unwrap();
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    let refused = |result: ftrack_api::Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        assert!(error.to_string().contains("read_only"), "{error}");
    };
    let count = session.statistics().requests;
    refused(task.set("name", "x"));
    refused(session.delete(&task));
    refused(session.create("User", data! { "username": "x" }).map(drop));
    refused(session.update("Task", task.key(), data! { "name": "x" }));
    refused(session.commit());
    refused(session.commit_in_chunks(1, |_, _| {}));
    assert_eq!(session.statistics().requests, count);
    refused(
        session
            .ensure("User", data! { "username": "nobody" }, "")
            .map(drop),
    );
    refused(task.metadata().unwrap().set("a", "b"));
    assert!(session.recorded_operations().is_empty());
}

/// A server that takes connections and says nothing; it tells of each.
fn silent() -> (String, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, taken) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    (url, taken)
}

/// A session that passes for open, on a server of which only `responses` come back.
fn session_on(url: &str) -> SessionBuilder {
    Session::builder()
        .server_url(url)
        .api_key("k")
        .api_user("u")
        .schema_cache(ftrack_api::config::SchemaCache::Off)
}

/// Well below every timeout, and far above what it takes.
const PROMPT: Duration = Duration::from_secs(15);

#[test]
fn cancelling_ends_requests_bodies_and_waits_at_once() {
    let (url, taken) = silent();
    let (broken, _) = ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[", ());
    for response in ["", "HTTP/1.1 200 OK\r\n", broken] {
        let token = CancelToken::new();
        let (button, builder) = (token.clone(), session_on(&url));
        let asking = thread::spawn(move || token.run(|| builder.open().unwrap_err()));
        let mut stream = taken.recv().unwrap();
        stream.write_all(response.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(50));
        let cancelled = Instant::now();
        button.cancel();
        let error = asking.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(cancelled.elapsed() < PROMPT);
        assert!(button.is_cancelled());
    }
    // A wait between two attempts.
    let parrot = Parrot::new("503 Service Unavailable", "Retry-After: 100\r\n", "");
    let token = CancelToken::new();
    let (button, builder) = (token.clone(), parrot.builder());
    let asking = thread::spawn(move || token.run(|| builder.open().unwrap_err()));
    while parrot.count() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(50));
    button.cancel();
    assert_eq!(asking.join().unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(parrot.count(), 1);
    // One that is cancelled before anything begins.
    let error = button.run(|| parrot.builder().open().unwrap_err());
    assert_eq!((error.kind(), parrot.count()), (ErrorKind::Cancelled, 1));
}

#[test]
fn a_token_that_asks_does_so_in_the_thread_that_waits() {
    let asking = || {
        let (home, count) = (thread::current().id(), Arc::new(AtomicU32::new(0)));
        let asked = count.clone();
        let token = CancelToken::asking(move || {
            assert_eq!(thread::current().id(), home);
            asked.fetch_add(1, Ordering::SeqCst) == 1
        });
        (token, count)
    };
    // A response that does not come; a wait between two attempts; the hub.
    let (url, _taken) = silent();
    let parrot = Parrot::new("503 Service Unavailable", "Retry-After: 100\r\n", "");
    for builder in [session_on(&url), parrot.builder()] {
        let (token, count) = asking();
        let begun = Instant::now();
        let error = token.run(|| builder.open().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(count.load(Ordering::SeqCst) >= 2);
        assert!(begun.elapsed() < PROMPT);
    }
    let (token, count) = asking();
    let hub = ftrack_api::EventHub::new(ftrack_api::hub::HubConfig::new(&url, "user", "key"));
    let error = token.run(|| hub.connect().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(count.load(Ordering::SeqCst) >= 2);
    // Waits for events, for room in the queue of a hub that is not connected yet, and for an empty one.
    let hub = ftrack_api::EventHub::new(
        ftrack_api::hub::HubConfig::new(&url, "user", "key").outgoing_limit(1),
    );
    hub.connect_in_background().unwrap();
    hub.publish(ftrack_api::Event::new("first")).unwrap();
    let long = Duration::from_secs(100);
    let waits: [&dyn Fn() -> ftrack_api::Result<()>; 3] = [
        &|| hub.wait(Some(long)).map(drop),
        &|| hub.publish(ftrack_api::Event::new("second")).map(drop),
        &|| hub.flush(long).map(drop),
    ];
    for wait in waits {
        let (token, count) = asking();
        let error = token.run(|| wait().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(count.load(Ordering::SeqCst) >= 2);
    }
    hub.close();
    // A commit that waits for another thread's.
    let server = emulator();
    let session = builder(&server).open().unwrap();
    let project = session.query("Project").unwrap().first().unwrap();
    let folder = data! { "name": "late", "parent": &project.unwrap() };
    session.create("Folder", folder).unwrap();
    server.faults().push(Fault::slow(Duration::from_secs(20)));
    thread::scope(|scope| {
        let (button, session) = (CancelToken::new(), &session);
        let token = button.clone();
        let first = scope.spawn(move || token.run(|| session.commit().unwrap_err()));
        under_way(&server);
        let (token, count) = asking();
        let error = token.run(|| session.commit().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(count.load(Ordering::SeqCst) >= 2);
        button.cancel();
        first.join().unwrap();
    });
    // One that says no has no effect.
    let token = CancelToken::asking(|| false);
    server
        .faults()
        .push(Fault::slow(Duration::from_millis(500)));
    assert!(
        token
            .run(|| session.query("Task").unwrap().first())
            .unwrap()
            .is_some()
    );
}

/// A file in the server's storage that is larger than what sockets hold.
fn stored(server: &Emulator) -> EntityKey {
    let session = builder(server).open().unwrap();
    let mut file = tempfile::NamedTempFile::with_suffix(".bin").unwrap();
    file.write_all(&vec![7; LARGE]).unwrap();
    upload(&session, file.path()).key()
}

const LARGE: usize = 6 << 20;

#[test]
fn cancelling_and_closing_end_a_download_that_is_read() {
    let server = emulator();
    let key = stored(&server);
    for kind in [ErrorKind::Cancelled, ErrorKind::Closed] {
        let proxy = Proxy::before(server.url());
        let session = builder(&server).server_url(proxy.url()).open().unwrap();
        let component = session.get("FileComponent", &key).unwrap().unwrap();
        let storage = session.location("ftrack.server").unwrap();
        proxy.push(Break::new(Way::ToClient, 100_000, Harm::Stall));
        // Opened outside of what is cancelled.
        let mut file = storage.open(&component).unwrap();
        let token = CancelToken::new();
        let button = token.clone();
        let (begun, first) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut data = vec![0];
            let outcome = token.run(|| {
                file.read_exact(&mut data)?;
                begun.send(()).unwrap();
                file.read_to_end(&mut data)
            });
            (outcome.unwrap_err(), data.len(), file.read(&mut [0]))
        });
        first.recv().unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(!reading.is_finished(), "it waits for the rest");
        let begun = Instant::now();
        match kind {
            ErrorKind::Cancelled => button.cancel(),
            _ => session.close(),
        }
        let (error, length, after) = reading.join().unwrap();
        assert!(begun.elapsed() < PROMPT);
        let own = |error: std::io::Error| error.downcast::<ftrack_api::Error>().unwrap();
        let error = own(error);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("download"), "{error}");
        assert!(length < LARGE);
        match kind {
            // The token was about what was read in it: the file goes on.
            ErrorKind::Cancelled => assert_eq!(after.unwrap(), 1),
            _ => assert_eq!(own(after.unwrap_err()).kind(), kind),
        }
    }
}

/// Waits until the server has taken the requests to which it responds late.
fn under_way(server: &Emulator) {
    eventually("the requests are taken", || {
        server.faults().pending().is_empty()
    });
}

#[test]
fn cancelling_touches_nothing_else() {
    let server = emulator();
    let session = builder(&server).open().unwrap();
    let token = CancelToken::new();
    let tasks = |session: &Session| session.query("Task limit 3").unwrap().all();
    assert_eq!(token.run(|| tasks(&session)).unwrap().len(), 3);
    server.faults().push(Fault::slow(Duration::from_secs(20)));
    let (slow, button) = (session.clone(), token.clone());
    let asking = thread::spawn(move || token.run(|| tasks(&slow)));
    under_way(&server);
    // The other thread's request goes on while the first waits, and after it is gone.
    assert_eq!(tasks(&session).unwrap().len(), 3);
    button.cancel();
    assert_eq!(
        asking.join().unwrap().unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    assert_eq!(tasks(&session).unwrap().len(), 3);
}

#[test]
fn a_commit_that_waits_for_another_one_can_be_cancelled() {
    let server = emulator();
    let session = builder(&server).open().unwrap();
    let create = |name: &str| session.create("User", data! { "username": name }).unwrap();
    create("first");
    server.faults().push(Fault::slow(Duration::from_secs(60)));
    let first = {
        let session = session.clone();
        thread::spawn(move || session.commit().unwrap_err())
    };
    under_way(&server);
    create("second");
    let token = CancelToken::new();
    let (button, waiting) = (token.clone(), session.clone());
    let second = thread::spawn(move || token.run(|| waiting.commit().unwrap_err()));
    thread::sleep(Duration::from_millis(100));
    assert!(!second.is_finished());
    let begun = Instant::now();
    button.cancel();
    let error = second.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(!first.is_finished() && begun.elapsed() < PROMPT);
    assert_eq!(session.recorded_operations().len(), 2);
    let waiting = session.clone();
    let rollback = thread::spawn(move || waiting.rollback());
    thread::sleep(Duration::from_millis(50));
    assert!(!rollback.is_finished());
    session.close();
    rollback.join().unwrap();
    assert!(session.recorded_operations().is_empty());
    assert_eq!(first.join().unwrap().kind(), ErrorKind::Closed);
    assert!(begun.elapsed() < PROMPT);
}

#[test]
fn what_is_cancelled_beforehand_is_not_sent_and_leaves_no_doubt() {
    let server = emulator();
    let session = quick(&server);
    let data = data! { "username": "cancelled" };
    session.create("User", data).unwrap();
    let token = CancelToken::new();
    token.cancel();
    let sent = session.statistics().requests;
    let error = token.run(|| session.query("Task").unwrap().all());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
    let error = token.run(|| session.commit()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(!error.is_in_doubt(), "{error}");
    assert_eq!(session.statistics().requests, sent);
    // Nothing has to be found out first.
    session.commit().unwrap();
    assert_eq!(session.statistics().requests, sent + 1);
}

#[test]
fn a_cancelled_commit_is_settled_by_the_next() {
    let server = emulator();
    let session = builder(&server).open().unwrap();
    session
        .create("User", data! { "username": "slow" })
        .unwrap();
    let others = builder(&server).open().unwrap();
    let made = || {
        let query = others.query("User where username is slow").unwrap();
        query.count().unwrap()
    };
    server.faults().push(Fault::slow(Duration::from_secs(60)));
    let token = CancelToken::new();
    let (committing, button) = (session.clone(), token.clone());
    let committing = thread::spawn(move || token.run(|| committing.commit()));
    under_way(&server);
    // The response is late, not what it tells of.
    eventually("the server has done it", || made() == 1);
    button.cancel();
    let error = committing.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(
        error.to_string().contains("next commit finds out"),
        "{error}"
    );
    assert_eq!(session.recorded_operations().len(), 1);
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());
    assert_eq!(made(), 1);
}

#[test]
fn closing_ends_what_other_threads_wait_for() {
    let server = emulator();
    let session = builder(&server).open().unwrap();
    server
        .faults()
        .push(Fault::slow(Duration::from_secs(60)).times(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let session = session.clone();
            thread::spawn(move || session.query("Task").unwrap().all().unwrap_err())
        })
        .collect();
    under_way(&server);
    let closing = Instant::now();
    session.close();
    for thread in threads {
        assert_eq!(thread.join().unwrap().kind(), ErrorKind::Closed);
    }
    assert!(closing.elapsed() < PROMPT);
    assert_eq!(
        session.query("Task").unwrap().all().unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[test]
fn the_deadline_bounds_all_attempts() {
    let (url, _taken) = silent();
    let started = Instant::now();
    // All of them would take twenty seconds.
    let retry = QUICK.attempts(100).deadline(Duration::from_secs(2));
    let builder = session_on(&url)
        .timeout(Duration::from_millis(200))
        .retry(retry);
    let error = builder.network(Network::new()).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(" attempts"), "{error}");
    assert!(started.elapsed() < PROMPT);
}
