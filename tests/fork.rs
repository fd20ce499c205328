//! A session that a forked process inherits shares no connection with its parent.
//!
//! A program without a harness: a process that forks should have one thread, and the harness
//! would bring others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "a program that reports")]

#[cfg(all(unix, feature = "redis"))]
#[path = "support/redis.rs"]
mod redis;

#[cfg(unix)]
mod support;

#[cfg(unix)]
mod unix {
    use std::panic::AssertUnwindSafe;

    use fork::Fork;
    use ftrack_api::Session;
    use ftrack_emulator::Emulator;

    /// Responses that one process would take from the other if they shared a socket.
    fn asks(session: &Session, who: &str) {
        for number in 0..40 {
            let name = format!("{who} {number}");
            let query = format!("select id from User where username is \"{name}\"");
            assert!(
                session.query(&query).unwrap().first().unwrap().is_none(),
                "{name}"
            );
            let limit = if who == "parent" { 3 } else { 5 };
            let found = session.query(format!("Task limit {limit}")).unwrap();
            assert_eq!(found.all().unwrap().len(), limit, "{who}");
        }
    }

    pub(super) fn main() {
        let server = Emulator::builder().tasks(20).start().unwrap();
        let session = super::support::open(&server);
        asks(&session, "before");
        session.event_hub().connect().unwrap();
        match fork::fork().unwrap() {
            Fork::Child => {
                let is_fine = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    assert!(
                        !session.event_hub().is_connected(),
                        "the hub is the parent's"
                    );
                    asks(&session, "child");
                    session.event_hub().connect().unwrap();
                    assert!(session.event_hub().is_connected());
                    session.close();
                }));
                std::process::exit(i32::from(is_fine.is_err()));
            }
            Fork::Parent(child) => {
                asks(&session, "parent");
                let status = fork::waitpid(child).unwrap();
                assert!(
                    session.event_hub().is_connected(),
                    "the parent's hub goes on"
                );
                asks(&session, "parent");
                println!("the child ended with {status:?}");
                assert_eq!(fork::WEXITSTATUS(status), 0);
            }
        }
        #[cfg(feature = "file-cache")]
        {
            let inherited = || {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("cache");
                inherit(&ftrack_api::cache::FileCache::open(path).unwrap())
            };
            assert!((0..5).any(|_| inherited()), "it gave up each time");
        }
        #[cfg(feature = "redis")]
        {
            let inherited = || inherit(&crate::redis::Server::start().cache());
            assert!((0..5).any(|_| inherited()), "it gave up each time");
        }
    }

    /// How many files and sockets this process has open, where that can be told.
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    fn handles() -> usize {
        std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    }

    /// The status of a child whose cache has given up.
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    const GAVE_UP: i32 = 2;

    /// Parent and child use a cache at once, each over a connection of its own. False if the cache gave up, which
    /// waits for the other process or for the server no longer than half a second, and promises nothing then.
    #[cfg(any(feature = "file-cache", feature = "redis"))]
    fn inherit(cache: &dyn ftrack_api::cache::Cache) -> bool {
        let has = |key: &str, value: &str| {
            let found = cache.get(key);
            if found.is_err() || cache.statistics()[0].errors > 0 {
                return false;
            }
            assert_eq!(found.unwrap().as_deref(), Some(value));
            true
        };
        let uses = |who: &str| {
            (0..300).all(|number| {
                let (key, value) = (format!("{who} {}", number % 7), format!("{who} {number}"));
                cache.set(&key, value.clone()).is_ok() && has(&key, &value)
            })
        };
        if !uses("before") {
            return false;
        }
        let before = handles();
        let outcomes = match fork::fork().unwrap() {
            Fork::Child => {
                let used = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    let used = uses("child");
                    let is_linux = cfg!(target_os = "linux");
                    assert!(
                        !used || !is_linux || handles() > before,
                        "it uses its parent's connection"
                    );
                    used
                }));
                std::process::exit(match used {
                    Ok(true) => 0,
                    Ok(false) => GAVE_UP,
                    Err(_) => 1,
                });
            }
            Fork::Parent(child) => {
                let used = uses("parent");
                (used, fork::WEXITSTATUS(fork::waitpid(child).unwrap()))
            }
        };
        match outcomes {
            (false, _) | (_, GAVE_UP) => return false,
            (true, status) => assert_eq!(status, 0),
        }
        has("child 5", "child 299")
    }
}

fn main() {
    #[cfg(unix)]
    unix::main();
}
