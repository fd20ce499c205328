//! Many threads on one session: nothing is lost, nothing is sent twice, no thread waits for ever.
//!
//! Three seconds here; `FTRACK_SOAK_SECONDS=60 cargo test --test soak` for longer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::{Duration, Instant};

use ftrack_api::{Entity, Session, data};
use support::{emulator, open};

const THREADS: u64 = 16;

#[test]
fn sixteen_threads_share_a_session() {
    let seconds = std::env::var("FTRACK_SOAK_SECONDS").map_or(3, |text| text.parse().unwrap());
    let server = emulator();
    let session = open(&server);
    let project = session
        .query("Project where name is test")
        .unwrap()
        .one()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let made: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (session, project) = (&session, &project);
                scope.spawn(move || (thread, work(session, project, thread, end)))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    session.commit().unwrap();
    assert!(session.recorded_operations().is_empty());

    let other = open(&server);
    for (thread, count) in made {
        assert!(count > 0, "thread {thread} never got its turn");
        let query = ftrack_api::expr!(
            "select name, description from Folder where name like {}",
            format!("t{thread}-%")
        );
        let found = other.query(query).unwrap().all().unwrap();
        assert_eq!(found.len() as u64, count, "thread {thread}");
        for folder in found {
            let name: String = folder.get("name").unwrap();
            let number: u64 = name.split('-').nth(1).unwrap().parse().unwrap();
            assert_eq!(
                folder.get::<String>("description").unwrap(),
                format!("number {number}")
            );
        }
    }
}

/// Creates folders until `end`, changes each after its creation is on the server, and reads what
/// others do meanwhile. Says how many it made.
fn work(session: &Session, project: &Entity, thread: u64, end: Instant) -> u64 {
    let mut number = 0;
    while Instant::now() < end {
        let name = format!("t{thread}-{number}");
        let folder = session
            .create("Folder", data! { "name": name, "parent": project })
            .unwrap();
        session.commit().unwrap();
        folder
            .set("description", format!("number {number}"))
            .unwrap();
        assert_eq!(
            folder.get::<String>("description").unwrap(),
            format!("number {number}")
        );
        if number % 4 == 0 {
            let some = session
                .query("select name from Folder limit 20")
                .unwrap()
                .all()
                .unwrap();
            some.iter()
                .for_each(|one| drop(one.get::<String>("name").unwrap()));
        }
        number += 1;
    }
    session.commit().unwrap();
    number
}
