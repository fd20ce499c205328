//! Closing and dropping sessions in any state, from any thread, while others use them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ftrack_api::{Entity, Error, ErrorKind, Event, Result, Session, data};
use ftrack_emulator::Emulator;
use support::proxy::{Break, Harm, Proxy, Way};
use support::{builder, emulator, eventually, open};

/// Far less than the time limit of a request, and enough for a busy machine.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// What a thread does over and over until an error ends it.
type Work = fn(&Session, &Entity) -> Result<()>;

const WORKS: [(&str, Work); 9] = [
    ("query", |session, _| session.query("Task")?.all().map(drop)),
    ("pages", |session, _| {
        for page in session.query("Task")?.page_size(7).pages() {
            page?;
        }
        Ok(())
    }),
    ("iterate", |session, _| {
        for task in &session.query("select id from Task")?.page_size(3) {
            // Each needs a request of its own.
            task?.get::<Option<String>>("description")?;
        }
        Ok(())
    }),
    ("commit", |session, project| {
        // The other threads commit it as well; a name is free once.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("closing {}", NEXT.fetch_add(1, Ordering::SeqCst));
        session.create("Folder", data! {"name": name, "parent": project})?;
        session.commit()
    }),
    ("set", |session, project| {
        project.set("full_name", "closing")?;
        session.commit()
    }),
    ("call", |session, _| {
        let query = serde_json::json!({"action": "query", "expression": "select id from Task"});
        session.call(&[query]).map(drop)
    }),
    ("publish", |session, _| {
        session.event_hub().publish(Event::new("closing")).map(drop)
    }),
    ("wait", |session, _| {
        session.event_hub().wait(Duration::from_secs(3600))?;
        match session.is_closed() {
            true => Err(Error::new(ErrorKind::Closed, "waiting has ended")),
            false => Ok(()),
        }
    }),
    ("upload", |session, _| {
        let data = data! { "name": "closing", "file_type": ".bin", "size": 5 };
        let component = session.create("FileComponent", data)?;
        let origin = session.location("ftrack.origin")?;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        origin.register_component(&component, file)?;
        session
            .location("ftrack.server")?
            .add_component(&component, &origin)
    }),
];

/// Starts all of it, each in a thread of its own that ends with the first error.
fn work(session: &Session, project: &Entity) -> Vec<(&'static str, JoinHandle<Error>)> {
    let spawn = |(name, work): (&'static str, Work)| {
        let (session, project) = (session.clone(), project.clone());
        let thread = thread::spawn(move || {
            loop {
                if let Err(error) = work(&session, &project) {
                    return error;
                }
            }
        });
        (name, thread)
    };
    WORKS.into_iter().map(spawn).collect()
}

fn project(session: &Session) -> Entity {
    session
        .query("Project where name is test")
        .unwrap()
        .one()
        .unwrap()
}

#[track_caller]
fn promptly<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    let took = started.elapsed();
    assert!(took < MAX_WAIT, "{what} took {took:?}");
    done
}

/// Closes while everything is under way, `requests` of which hang.
fn close_under_way(server: &Emulator, random: &mut fastrand::Rng, hang: bool) {
    let proxy = Proxy::before(server.url());
    let session = builder(server).server_url(proxy.url()).open().unwrap();
    let project = project(&session);
    session.event_hub().connect().unwrap();
    if hang {
        for _ in 0..random.usize(1..4) {
            proxy.push(Break::new(
                Way::ToClient,
                random.usize(0..20_000),
                Harm::Stall,
            ));
        }
    }
    let threads = work(&session, &project);
    thread::sleep(Duration::from_millis(random.u64(0..80)));
    let closer = session.clone();
    let closing = thread::spawn(move || promptly("closing", || closer.close()));
    closing.join().unwrap();
    for (name, thread) in threads {
        let error = promptly(name, || thread.join().unwrap());
        assert_eq!(error.kind(), ErrorKind::Closed, "{name}: {error:?}");
    }
    everything_is_closed(&session, &project);
}

#[track_caller]
fn everything_is_closed(session: &Session, project: &Entity) {
    assert!(session.is_closed());
    for (name, work) in WORKS {
        let error = work(session, project).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{name}: {error:?}");
    }
    let hub = session.event_hub();
    for error in [
        hub.connect().unwrap_err(),
        hub.connect_in_background().unwrap_err(),
        session.commit().unwrap_err(),
        session.get("Task", "x").unwrap_err(),
        session.delete(project).unwrap_err(),
        session.select("Task").count().unwrap_err(),
        session
            .populate(std::slice::from_ref(project), "metadata")
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
    }
    session.close();
}

#[test]
fn closing_ends_what_other_threads_do() {
    let server = emulator();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..12 {
        close_under_way(&server, &mut random, round % 2 == 1);
    }
    no_connection_is_left(&server);
}

#[track_caller]
fn no_connection_is_left(server: &Emulator) {
    eventually("no event connection is left", || {
        server.events().connections() == 0
    });
}

#[test]
fn the_last_handle_closes_whatever_it_is() {
    let server = emulator();
    let last: [fn(Session) -> Box<dyn Send>; 4] = [
        |session| Box::new(session),
        |session| Box::new(project(&session)),
        |session| Box::new(session.query("Task").unwrap()),
        |session| Box::new(session.query("Task").unwrap().page_size(2).pages()),
    ];
    for make in last {
        let session = open(&server);
        session.event_hub().connect().unwrap();
        let handle = make(session);
        assert_eq!(server.events().connections(), 1);
        thread::spawn(move || promptly("dropping", || drop(handle)))
            .join()
            .unwrap();
        no_connection_is_left(&server);
    }
}

#[test]
fn dropping_while_others_use_their_handles() {
    let server = emulator();
    for _ in 0..5 {
        let session = open(&server);
        let project = project(&session);
        session.event_hub().connect().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = WORKS
            .into_iter()
            .filter(|(name, _)| *name != "wait")
            .map(|(name, work)| {
                let (session, project, stop) = (session.clone(), project.clone(), stop.clone());
                thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        work(&session, &project)
                            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
                    }
                })
            })
            .collect();
        drop((session, project));
        thread::sleep(Duration::from_millis(20));
        stop.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
        no_connection_is_left(&server);
    }
}

#[test]
fn a_handler_closes_its_own_session() {
    let server = emulator();
    let session = open(&server);
    let hub = session.event_hub();
    hub.connect().unwrap();
    let closer = session.clone();
    hub.subscribe("topic=closing", move |_| {
        closer.close();
        Ok(None)
    })
    .unwrap();
    hub.publish_synchronous(Event::new("closing"));
    everything_is_closed(&session, &project_of_closed(&server));
    // The handler owned a handle of its session: closing has dropped it.
    drop(session);
    no_connection_is_left(&server);
}

/// An entity of another session, closed as well.
fn project_of_closed(server: &Emulator) -> Entity {
    let other = open(server);
    let project = project(&other);
    other.close();
    project
}

#[test]
fn closing_before_connecting_and_while_connecting() {
    let server = emulator();
    open(&server).close();
    for delay in [0, 1, 5, 20] {
        let session = builder(&server)
            .auto_connect_event_hub(true)
            .open()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        promptly("closing", || session.close());
        assert!(session.is_closed());
    }
    no_connection_is_left(&server);
    // A server that accepts the connection and says nothing.
    let proxy = Proxy::before(server.url());
    let session = builder(&server).server_url(proxy.url()).open().unwrap();
    proxy.push(Break::new(Way::ToServer, 0, Harm::Stall));
    session.event_hub().connect_in_background().unwrap();
    thread::sleep(Duration::from_millis(30));
    promptly("closing", || session.close());
}
