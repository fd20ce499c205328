//! The cache in a Redis server, on a server of its own that is killed and started again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "figures, and reports of processes")]

#[path = "support/redis.rs"]
mod redis;
mod support;

use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ftrack_api::cache::{Cache, RedisCache, conformance};
use redis::Server;
use support::{builder, emulator, end::End, eventually, requests, trace};

/// How often a cache has given up a server that took too long.
fn given_up() -> usize {
    let failed = trace::logged("the Redis server failed");
    let is_late =
        |text: &str| text.contains("temporarily unavailable") || text.contains("timed out");
    failed.iter().filter(|(_, text)| is_late(text)).count()
}

/// Runs a test on a new server, and once more if it failed while a cache gave its server up. A cache waits half a
/// second for a reply, uses nothing for a while afterwards, and promises nothing then: a machine that stands still
/// for so long says nothing about it.
fn undisturbed(test: impl Fn(Server)) {
    trace::listen();
    for tries_left in (0..5).rev() {
        let before = given_up();
        let run = AssertUnwindSafe(|| test(Server::start()));
        match std::panic::catch_unwind(run) {
            Ok(()) => return,
            Err(_) if tries_left > 0 && given_up() > before => {}
            Err(why) => std::panic::resume_unwind(why),
        }
    }
}

#[test]
fn it_keeps_to_the_rules() {
    undisturbed(|server| {
        conformance::check(|| server.cache()).unwrap();
        let day = Duration::from_secs(86400);
        conformance::check(|| server.cache().prefix("odd *?[x]\\ prefix:").ttl(day)).unwrap();
    });
}

#[test]
fn updates_at_once_lose_nothing() {
    let server = Server::start();
    support::check_updates(|| server.cache());
    let hour = Duration::from_secs(3600);
    support::check_updates(|| server.cache().prefix("brief:").ttl(hour));
}

/// What the documentation says that it needs, and managed servers allow.
const ENOUGH: &str = "~ftrack:* +mget +set +del +watch +unwatch +multi +exec +scan";

#[test]
fn few_rights_are_enough() {
    undisturbed(|server| {
        conformance::check(|| server.cache_for(ENOUGH)).unwrap();
        let cache = server.cache_for(ENOUGH);
        let twice = ["a", "b", "a"].map(str::to_owned);
        let mut add = |_, before: Option<String>| Some(before.unwrap_or_default() + "x");
        cache.update_many(&twice, &mut add).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some("xx"));
        assert_eq!(cache.statistics()[0].errors, 0);
    });
}

#[test]
fn a_command_that_is_refused_is_named_once_and_nothing_is_cached() {
    undisturbed(|server| {
        let own = server.cache();
        for (right, refused) in [
            ("+mget", "'mget'"),
            ("+watch", "'watch'"),
            ("+multi", "'multi'"),
            ("+exec", "'exec'"),
            ("+set", "'set'"),
            ("+del", "'del'"),
        ] {
            let key = refused.to_owned();
            let before = trace::logged(refused).len();
            own.set(&key, "old".to_owned()).unwrap();
            let cache = server.cache_for(&ENOUGH.replace(right, ""));
            let cache = cache.pause(Duration::ZERO);
            for _ in 0..3 {
                let update = &mut |_, _| Some("new".to_owned());
                cache
                    .update_many(std::slice::from_ref(&key), update)
                    .unwrap();
                cache.get(&key).unwrap();
                cache.remove(&key).unwrap();
            }
            assert!(cache.statistics()[0].errors >= 3);
            let said = trace::logged(refused).split_off(before);
            let warnings = said.iter().filter(|(level, _)| *level == log::Level::Warn);
            assert_eq!(warnings.count(), 1, "{said:?}");
            assert!(said[0].1.contains("its user needs"), "{said:?}");
            // Who knows that it is old does not read it.
            assert_eq!(cache.get(&key).unwrap(), None);
        }
    });
}

#[test]
fn what_is_no_text_counts_as_not_there() {
    undisturbed(|server| {
        let cache = server.cache();
        cache.set("good", "1".to_owned()).unwrap();
        assert!(
            server
                .command("SET ftrack:bad \"\\xff\"")
                .starts_with("+OK")
        );
        assert!(server.command("RPUSH ftrack:list 1").starts_with(":1"));
        let keys = ["bad", "good", "list"].map(str::to_owned);
        let found = cache.get_many(&keys).unwrap();
        assert_eq!(found, [None, Some("1".to_owned()), None]);
        let mut update = |_, before: Option<String>| Some(before.unwrap_or_default() + "2");
        cache.update_many(&keys, &mut update).unwrap();
        let found = cache.get_many(&keys).unwrap();
        assert_eq!(found, ["2", "12", "2"].map(|text| Some(text.to_owned())));
        assert_eq!(cache.statistics()[0].errors, 0);
    });
}

#[test]
fn the_longest_times_are_no_trouble() {
    undisturbed(|server| {
        let cache = server.cache().ttl(Duration::MAX).pause(Duration::MAX);
        cache.set("a", "1".to_owned()).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some("1"));
        server.kill();
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.statistics()[0].errors, 1, "it was asked once");
    });
}

#[test]
fn it_counts() {
    undisturbed(|server| support::check_counts(&server.cache()));
}

#[test]
fn caches_with_other_prefixes_do_not_meet() {
    undisturbed(|server| {
        let (one, other) = (server.cache().prefix("a:"), server.cache().prefix("ab:"));
        one.set("x", "1".to_owned()).unwrap();
        other.set("x", "2".to_owned()).unwrap();
        assert_eq!(one.get("x").unwrap().as_deref(), Some("1"));
        one.clear(None).unwrap();
        assert_eq!(other.keys().unwrap(), ["x"]);
        assert_eq!(other.get("x").unwrap().as_deref(), Some("2"));
    });
}

#[test]
fn values_expire() {
    undisturbed(|server| {
        let lasting = server.cache().ttl(Duration::from_secs(3600));
        let brief = server.cache().ttl(Duration::from_millis(300));
        lasting.set("a", "1".to_owned()).unwrap();
        assert!(lasting.get("a").unwrap().is_some());
        brief.set("b", "1".to_owned()).unwrap();
        eventually("b expires", || lasting.keys().unwrap() == ["a"]);
        brief.set("a", "2".to_owned()).unwrap();
        eventually("a expires", || lasting.keys().unwrap().is_empty());
        assert_eq!(brief.statistics()[0].errors, 0);
    });
}

#[test]
fn a_bad_url_is_refused_without_its_password() {
    let error = RedisCache::new("http://user:s3cret@host").unwrap_err();
    assert_eq!(error.kind(), ftrack_api::ErrorKind::Configuration);
    assert!(!format!("{error:?} {error}").contains("s3cret"), "{error}");
    let cache = RedisCache::new("redis://:s3cret@127.0.0.1:1").unwrap();
    assert!(!format!("{cache:?}").contains("s3cret"));
}

#[test]
fn a_server_that_is_away_is_left_alone_for_a_while() {
    undisturbed(|server| {
        let url = server.url();
        let cache = |pause| RedisCache::new(&url).unwrap().pause(pause);
        let (hasty, cache) = (
            cache(Duration::from_millis(100)),
            cache(Duration::from_secs(3600)),
        );
        cache.set("a", "1".to_owned()).unwrap();
        let port = server.kill();
        let misses = (0..1000)
            .filter(|_| cache.get("a").unwrap().is_none())
            .count();
        assert_eq!(misses, 1000);
        assert_eq!(cache.statistics()[0].errors, 1, "it is tried once");
        assert_eq!(hasty.get("a").unwrap(), None);
        let _server = Server::start_at(port);
        eventually("it is tried again", || {
            hasty.set("a", "2".to_owned()).unwrap();
            hasty.get("a").unwrap().as_deref() == Some("2")
        });
        assert_eq!(cache.get("a").unwrap(), None);
    });
}

#[test]
fn what_could_not_be_told_is_made_up_for() {
    undisturbed(|server| {
        let proxy = support::proxy::Proxy::to(([127, 0, 0, 1], server.port()).into());
        let url = format!("redis://{}/", proxy.address());
        let cache = RedisCache::new(&url).unwrap();
        let cache = cache.pause(Duration::from_millis(200));
        let direct = server.cache();
        let keys = ["set", "removed", "updated", "stays"].map(str::to_owned);
        for key in &keys {
            cache.set(key, "old".to_owned()).unwrap();
        }
        proxy.stop();
        cache.set("set", "new".to_owned()).unwrap();
        cache.remove("removed").unwrap();
        let mut update = |_, _| Some("new".to_owned());
        cache.update_many(&keys[2..3], &mut update).unwrap();
        assert!(direct.get("set").unwrap().is_some(), "nobody could tell it");
        proxy.restart();
        eventually("it is tried again", || {
            cache.get("stays").unwrap().as_deref() == Some("old")
        });
        let found = direct.get_many(&keys).unwrap();
        assert_eq!(found, [None, None, None, Some("old".to_owned())]);
        cache.set("set", "newer".to_owned()).unwrap();
        assert_eq!(direct.get("set").unwrap().as_deref(), Some("newer"));
    });
}

#[test]
fn more_than_can_be_remembered_is_everything() {
    undisturbed(|server| {
        let proxy = support::proxy::Proxy::to(([127, 0, 0, 1], server.port()).into());
        let url = format!("redis://{}/", proxy.address());
        let cache = RedisCache::new(&url).unwrap().prefix("[mine]*:");
        let cache = cache.pause(Duration::from_millis(200));
        let direct = server.cache().prefix("[mine]*:");
        let others = server.cache().prefix("mine:");
        let pairs = |count, value: &str| {
            let pair = |number| (format!("k{number}"), value.to_owned());
            (0..count).map(pair).collect::<Vec<_>>()
        };
        cache.set_many(pairs(3000, "old")).unwrap();
        cache.set("unchanged", "1".to_owned()).unwrap();
        others.set("x", "theirs".to_owned()).unwrap();
        proxy.stop();
        cache.set_many(pairs(100_001, "new")).unwrap();
        proxy.restart();
        eventually("all is removed", || {
            assert_eq!(cache.get("unchanged").unwrap(), None);
            direct.keys().unwrap().is_empty()
        });
        assert_eq!(others.keys().unwrap(), ["x"]);
        // Once.
        direct.set("k1", "newer".to_owned()).unwrap();
        assert_eq!(cache.get("k1").unwrap().as_deref(), Some("newer"));
    });
}

#[test]
fn a_server_that_does_not_reply_costs_half_a_second_once() {
    // It takes connections, and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", silent.local_addr().unwrap());
    let cache = RedisCache::new(&url).unwrap();
    let started = Instant::now();
    for _ in 0..100 {
        assert!(cache.get("a").unwrap().is_none());
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_session_goes_on_when_the_server_is_killed_and_started_again() {
    let emulator = emulator();
    let server = Server::start();
    let url = server.url();
    let cache = || {
        RedisCache::new(&url)
            .unwrap()
            .pause(Duration::from_millis(200))
    };
    let session = builder(&emulator).cache(cache()).open().unwrap();
    let ids: Vec<String> = session
        .query("select name, status.name from Task limit 40")
        .unwrap()
        .all()
        .unwrap()
        .iter()
        .map(ftrack_api::Entity::id)
        .collect();
    let over = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    let reads_go_on = || {
        let enough = reads.load(Ordering::Relaxed) + 20;
        eventually("reads go on", || reads.load(Ordering::Relaxed) >= enough);
    };
    std::thread::scope(|threads| {
        let end = End(&over);
        let load = |_| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let session = builder(&emulator).cache(cache()).open().unwrap();
                    for id in &ids {
                        let task = session.get("Task", id).unwrap().unwrap();
                        assert!(!task.get::<String>("status.name").unwrap().is_empty());
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let workers: Vec<_> = (0..3).map(load).collect();
        let mut server = server;
        for _ in 0..4 {
            reads_go_on();
            let port = server.kill();
            reads_go_on();
            server = Server::start_at(port);
        }
        reads_go_on();
        drop(end);
        for worker in workers {
            worker.join().unwrap();
        }
        // It serves again: what one session asks another need not ask.
        eventually("it serves again", || {
            let session = builder(&emulator).cache(cache()).open().unwrap();
            let tasks = session.query("select name, status.name from Task limit 40");
            tasks.unwrap().all().unwrap();
            let other = builder(&emulator).cache(cache()).open().unwrap();
            requests(&other, || drop(other.get("Task", &ids[0]).unwrap())) == 0
        });
        drop(server);
    });
}
