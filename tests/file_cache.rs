//! The cache in a file: several processes, damage, limits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "figures, and reports of processes")]

mod support;

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftrack_api::ErrorKind;
use ftrack_api::cache::{Cache, FileCache, LayeredCache, MemoryCache, conformance};
use support::{builder, emulator, requests};

fn text(value: &str) -> String {
    value.to_owned()
}

#[test]
fn it_keeps_to_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join("deep")
        .join("below")
        .join("studio cache");
    conformance::check(|| FileCache::open(&path).unwrap()).unwrap();
    conformance::check(|| {
        let file: Arc<dyn Cache> = Arc::new(FileCache::open(&path).unwrap());
        LayeredCache::new([Arc::new(MemoryCache::new()), file])
    })
    .unwrap();
}

#[test]
fn updates_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    support::check_updates(|| FileCache::open(&path).unwrap());
}

#[test]
fn it_counts() {
    let folder = tempfile::tempdir().unwrap();
    let cache = FileCache::open(folder.path().join("cache")).unwrap();
    support::check_counts(&cache);
    assert!(cache.statistics()[0].bytes.unwrap() > 0, "the file's");
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [folder.path().to_owned(), file.join("cache")] {
        let error = FileCache::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}

#[test]
fn values_expire() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileCache::open(folder.path().join("cache")).unwrap();
    let lasting = open();
    lasting.set("a", text("1")).unwrap();
    let brief = open().ttl(Duration::from_secs(1));
    assert_eq!(brief.get("a").unwrap(), Some(text("1")));
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(brief.get("a").unwrap(), None);
    assert!(brief.keys().unwrap().is_empty() && brief.values().unwrap().is_empty());
    assert_eq!(lasting.get("a").unwrap(), Some(text("1")));
    brief.set("a", text("2")).unwrap();
    assert_eq!(brief.get("a").unwrap(), Some(text("2")));
}

#[test]
fn the_file_stays_below_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let limit = 4 << 20;
    let cache = FileCache::open(&path).unwrap().max_bytes(limit);
    let value = "0123456789".repeat(100);
    for page in 0..40 {
        let entries = (0..500).map(|number| (format!("{page} {number}"), value.clone()));
        cache.set_many(entries.collect()).unwrap();
    }
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size <= limit / 4 * 5, "{size}");
    let statistics = &cache.statistics()[0];
    assert!(
        statistics.bytes.unwrap() <= limit + limit / 8,
        "{statistics:?}"
    );
    assert!(statistics.evictions > 10_000, "{statistics:?}");
    assert!(cache.get("39 499").unwrap().is_some(), "the newest stays");
    assert!(cache.get("0 0").unwrap().is_none(), "the oldest goes");
}

/// Overwrites the file at a place.
fn damage(path: &Path, at: u64, with: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(with).unwrap();
}

fn filled(path: &Path) {
    let cache = FileCache::open(path).unwrap();
    let entries = (0..2000).map(|number| (format!("key {number}"), format!("value {number}")));
    cache.set_many(entries.collect()).unwrap();
}

/// Every value is right or missing, and the file works again.
fn assert_usable(cache: &FileCache) {
    for number in 0..2000 {
        if let Ok(Some(found)) = cache.get(&format!("key {number}")) {
            assert_eq!(found, format!("value {number}"));
        }
    }
    cache.set("new", text("1")).unwrap();
    assert_eq!(cache.get("new").unwrap(), Some(text("1")));
    cache.clear(None).unwrap();
    cache.set("new", text("2")).unwrap();
    assert_eq!(cache.values().unwrap(), ["2"]);
}

#[test]
fn a_damaged_file_is_begun_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: [fn(&Path); 6] = [
        |path| std::fs::write(path, "no database").unwrap(),
        |path| std::fs::write(path, [0x55; 100_000]).unwrap(),
        |path| damage(path, 0, &[0; 100]),
        |path| damage(path, 4096, &[0xff; 20_000]),
        |path| {
            let half = std::fs::metadata(path).unwrap().len() / 2;
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(half + 7).unwrap();
        },
        |path| {
            let other = rusqlite::Connection::open(path).unwrap();
            other
                .execute_batch("DROP TABLE entry; CREATE TABLE other (a)")
                .unwrap();
        },
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let path = folder.path().join(number.to_string());
        filled(&path);
        kind(&path);
        assert_usable(&FileCache::open(&path).unwrap());
        // And while somebody uses it.
        let path = folder.path().join(format!("{number} open"));
        filled(&path);
        let cache = FileCache::open(&path).unwrap();
        cache.get("key 1").unwrap();
        kind(&path);
        assert_usable(&cache);
    }
}

#[test]
fn a_flipped_bit_in_a_value_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    filled(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = b"value 1777";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    bytes[at + 6] = b'9';
    std::fs::write(&path, bytes).unwrap();
    let cache = FileCache::open(&path).unwrap();
    assert_eq!(cache.get("key 1777").unwrap(), None);
    assert_eq!(cache.get("key 1778").unwrap(), Some(text("value 1778")));
}

#[test]
fn a_file_of_another_layout_is_begun_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    filled(&path);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let cache = FileCache::open(&path).unwrap();
    assert!(cache.keys().unwrap().is_empty());
    assert_usable(&cache);
}

#[test]
fn a_writer_that_hangs_blocks_nobody_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    filled(&path);
    let cache = FileCache::open(&path).unwrap();
    let hanging = rusqlite::Connection::open(&path).unwrap();
    hanging
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM entry")
        .unwrap();
    let started = Instant::now();
    assert_eq!(
        cache.get("key 1").unwrap(),
        Some(text("value 1")),
        "readers do not wait"
    );
    assert!(cache.set("key 1", text("new")).is_err());
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert!(cache.remove("key 2").is_err());
    hanging.execute_batch("ROLLBACK").unwrap();
    // What could not be removed counts no more, and goes when something is written.
    assert_eq!(cache.get("key 2").unwrap(), None);
    let other = FileCache::open(&path).unwrap();
    assert!(
        other.get("key 2").unwrap().is_some(),
        "nobody could tell it"
    );
    cache.set("key 1", text("new")).unwrap();
    let found = other.get_many(&["key 1", "key 2"].map(text));
    assert_eq!(found.unwrap(), [Some(text("new")), None]);
}

#[test]
fn a_session_finds_what_an_earlier_one_kept() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let cache = FileCache::open(folder.path().join("cache")).unwrap();
        builder(&server).cache(cache).open().unwrap()
    };
    let tasks = open()
        .query("select name, status.name from Task")
        .unwrap()
        .all()
        .unwrap();
    let keys: Vec<String> = tasks.iter().map(ftrack_api::Entity::id).collect();
    let names: Vec<String> = tasks
        .iter()
        .map(|task| task.get("status.name").unwrap())
        .collect();
    drop(tasks);
    let session = open();
    let asked = requests(&session, || {
        for (key, name) in keys.iter().zip(&names) {
            let task = session.get("Task", key).unwrap().unwrap();
            assert_eq!(task.get::<String>("status.name").unwrap(), *name);
        }
    });
    assert_eq!(asked, 0);
}

const WORKERS: usize = 8;

/// What a worker of the next test does, in a process of its own: it writes and reads values that
/// tell their key, and reports its longest call in milliseconds.
fn work(path: &Path, worker: usize) -> ! {
    let mut longest = Duration::ZERO;
    let mut timed = |name: &str, what: &mut dyn FnMut()| {
        let started = Instant::now();
        what();
        let took = started.elapsed();
        if took > longest {
            longest = took;
            println!("longest {} {name}", took.as_millis());
        }
    };
    let mut cache = None;
    timed("open", &mut || {
        cache = Some(FileCache::open(path).unwrap().max_bytes(8 << 20));
    });
    let cache = cache.unwrap();
    let value = |key: &str, round: u64| format!("{key}|{round}|{}", "x".repeat(400));
    let mut failures = 0;
    for round in 0.. {
        let keys: Vec<String> = (0..200)
            .map(|n| format!("key {}", (round * 37 + n) % 5000))
            .collect();
        timed("set", &mut || {
            let entries = keys.iter().map(|key| (key.clone(), value(key, round)));
            failures += u64::from(cache.set_many(entries.collect()).is_err());
        });
        timed("get", &mut || {
            let found = cache.get_many(&keys);
            failures += u64::from(found.is_err());
            for (key, found) in keys.iter().zip(found.unwrap_or_default()) {
                let Some(found) = found else { continue };
                let mut parts = found.split('|');
                let right = parts.next() == Some(key)
                    && parts
                        .next()
                        .is_some_and(|round| round.parse::<u64>().is_ok())
                    && parts.next() == Some(&"x".repeat(400));
                if !right {
                    println!("wrong {key}: {found:.60}");
                }
            }
        });
        if round % 5 == worker as u64 % 5 {
            timed("remove", &mut || {
                failures += u64::from(cache.remove_many(&keys[..20]).is_err());
            });
        }
        println!("rounds {round} failures {failures}");
    }
    unreachable!("it is killed");
}

struct Worker {
    child: Child,
    report: PathBuf,
}

fn start(path: &Path, folder: &Path, worker: usize, life: usize) -> Worker {
    let report = folder.join(format!("report {worker} {life}"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "processes_that_are_killed_do_no_harm",
            "--nocapture",
        ])
        .env("FILE_CACHE_WORKER", worker.to_string())
        .env("FILE_CACHE_PATH", path)
        .stdout(Stdio::from(std::fs::File::create(&report).unwrap()))
        .spawn()
        .unwrap();
    Worker { child, report }
}

/// Eight processes on one file, one of them killed every 50 ms or so. `FILE_CACHE_SECONDS=60`
/// makes it last a minute; without it, 8 seconds.
#[test]
fn processes_that_are_killed_do_no_harm() {
    if let Ok(worker) = std::env::var("FILE_CACHE_WORKER") {
        let path = std::env::var("FILE_CACHE_PATH").unwrap();
        work(path.as_ref(), worker.parse().unwrap());
    }
    let seconds = std::env::var("FILE_CACHE_SECONDS").map_or(8, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let mut life = 0;
    let mut next = |worker: usize| {
        life += 1;
        start(&path, folder.path(), worker, life)
    };
    let mut workers: Vec<Worker> = (0..WORKERS).map(&mut next).collect();
    let mut reports: Vec<PathBuf> = Vec::new();
    let started = Instant::now();
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    while started.elapsed() < Duration::from_secs(seconds) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_millis(20 + random % 60));
        let victim = (random >> 8) as usize % WORKERS;
        let old = std::mem::replace(&mut workers[victim], next(victim));
        reports.push(end(old));
    }
    let lives = reports.len() + workers.len();
    reports.extend(workers.into_iter().map(end));

    let (mut longest, mut rounds, mut failures) = ((0, String::new()), 0, 0);
    for report in reports {
        let mut text = String::new();
        std::fs::File::open(report)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(
            !text.contains("wrong") && !text.contains("panicked"),
            "{text}"
        );
        let mut last = (0, 0);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["longest", took, name] => {
                    longest = longest.max((took.parse::<u64>().unwrap_or(0), (*name).to_owned()));
                }
                ["rounds", round, "failures", count] => {
                    last = (
                        round.parse::<u64>().unwrap_or(0),
                        count.parse::<u64>().unwrap_or(0),
                    );
                }
                _ => {}
            }
        }
        (rounds, failures) = (rounds + last.0, failures + last.1);
    }
    println!("{lives} lives, {rounds} rounds, {failures} calls gave up, longest {longest:?} ms");
    let check = rusqlite::Connection::open(&path).unwrap();
    let sound: String = check
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    let cache = FileCache::open(&path).unwrap();
    assert!(
        cache.keys().unwrap().len() > 100,
        "nothing was begun afresh"
    );
    assert!(rounds > 20, "{rounds} rounds");
    assert!(longest.0 < 1000, "a call took {longest:?} ms");
}

fn end(mut worker: Worker) -> PathBuf {
    worker.child.kill().unwrap();
    worker.child.wait().unwrap();
    worker.report
}
