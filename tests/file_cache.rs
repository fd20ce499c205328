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
use ftrack_api::cache::python::LayeredCache;
use ftrack_api::cache::{Cache, FileCache, MemoryCache, conformance};
use support::{builder, emulator, eventually, requests};

fn text(value: &str) -> String {
    value.to_owned()
}

#[test]
fn it_conforms() {
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
fn concurrent_updates_lose_nothing() {
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
fn an_unusable_path_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    // It is empty, and so may become a cache.
    drop(FileCache::open(&file).unwrap());
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
    let lasting = open().ttl(Duration::from_secs(3600));
    lasting.set("a", text("1")).unwrap();
    let brief = open().ttl(Duration::from_secs(1));
    eventually("it expires", || brief.get("a").unwrap().is_none());
    assert!(brief.keys().unwrap().is_empty() && brief.values().unwrap().is_empty());
    assert_eq!(lasting.get("a").unwrap(), Some(text("1")));
    brief.set("a", text("2")).unwrap();
    assert_eq!(lasting.get("a").unwrap(), Some(text("2")));
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

/// The values of this key that were ever there, and no other, tell it.
fn value_of(key: &str, round: u32) -> String {
    format!("{key} {round} {}", "x".repeat(300))
}

/// Random numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize % limit
    }
}

/// The database and what was not written back into it, as they are on the disk now.
fn on_disk(path: &Path) -> [Vec<u8>; 2] {
    ["", "-wal"].map(|end| std::fs::read(format!("{}{end}", path.display())).unwrap_or_default())
}

/// What a disk may hold of `after` when the power failed on the way there from `before`: blocks
/// that were not written, or half, or are zeros, and a file that is shorter.
fn interrupted(before: &[u8], after: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut found = after.to_vec();
    let (block, kind) = ([512, 4096][dice.below(2)], dice.below(4));
    for _ in 0..dice.below(12) {
        let start = dice.below(found.len().max(1)) / block * block;
        let mut end = found.len().min(start + block);
        if kind == 1 {
            end -= (end - start) / 2;
        }
        for (at, byte) in (start..end).zip(&mut found[start..end]) {
            let old = before.get(at).copied().unwrap_or(0);
            *byte = if kind == 2 { 0 } else { old };
        }
    }
    if kind == 3 {
        found.truncate(dice.below(found.len().max(1)));
    }
    found
}

/// After a loss of power there is nothing under a key that was never there, whatever did not reach
/// the disk, and the cache works.
#[test]
fn a_loss_of_power_yields_no_wrong_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let cache = FileCache::open(&path).unwrap();
    let keys: Vec<String> = (0..600).map(|number| format!("key {number}")).collect();
    let mut moments = Vec::new();
    for round in 0..12 {
        let some = keys.iter().skip(round as usize * 31 % 200).step_by(2);
        let entries = some.map(|key| (key.clone(), value_of(key, round)));
        cache.set_many(entries.collect()).unwrap();
        cache
            .remove_many(&keys[round as usize * 20..][..30])
            .unwrap();
        // Some of it is on its way to its place.
        if round % 3 == 1 {
            let other = rusqlite::Connection::open(&path).unwrap();
            let written_back = "PRAGMA wal_checkpoint(TRUNCATE)";
            other.query_row(written_back, [], |_| Ok(())).unwrap();
        }
        moments.push(on_disk(&path));
    }
    // It was written when the file was created.
    let lock = std::fs::read(format!("{}.lock", path.display())).unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut right, mut afresh) = (0, 0);
    for case in 0..200 {
        let after = 1 + dice.below(moments.len() - 1);
        let before = after.saturating_sub(1 + dice.below(4));
        let path = folder.path().join(format!("{case}"));
        for (file, end) in ["", "-wal"].into_iter().enumerate() {
            let (old, new) = (&moments[before][file], &moments[after][file]);
            let left = match dice.below(3) {
                0 => old.clone(),
                _ => interrupted(old, new, &mut dice),
            };
            std::fs::write(format!("{}{end}", path.display()), left).unwrap();
        }
        std::fs::write(format!("{}.lock", path.display()), &lock).unwrap();
        let cache = FileCache::open(&path).unwrap();
        let found = cache.get_many(&keys).unwrap();
        for (key, found) in keys.iter().zip(&found) {
            let Some(found) = found else { continue };
            assert!(
                (0..12).any(|round| *found == value_of(key, round)),
                "{case}: {key}: {found:.40}"
            );
        }
        let count = found.iter().flatten().count();
        right += count;
        afresh += u32::from(count == 0);
        let mut again = |_, before: Option<String>| Some(before.unwrap_or_default());
        cache.update_many(&keys, &mut again).unwrap();
        cache.set("new", text("1")).unwrap();
        assert_eq!(cache.get("new").unwrap(), Some(text("1")));
        cache.clear(None).unwrap();
        assert!(
            cache.get_many(&keys).unwrap().iter().all(Option::is_none),
            "{case}"
        );
    }
    println!("{right} values were there in 200 cases, nothing in {afresh}");
    assert!(right > 10_000 && afresh > 10, "{right} {afresh}");
}

#[test]
fn damaged_values_are_misses_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    filled(&path);
    let other = rusqlite::Connection::open(&path).unwrap();
    for change in [
        "value = CAST(x'ff' AS TEXT) WHERE key = 'key 1'",
        "value = 7 WHERE key = 'key 2'",
        "check_sum = 'x' WHERE key = 'key 3'",
        "written = written + 1 WHERE key = 'key 4'",
        "key = CAST(x'ff' AS TEXT) WHERE key = 'key 5'",
    ] {
        other
            .execute_batch(&format!("UPDATE entry SET {change}"))
            .unwrap();
    }
    let cache = FileCache::open(&path).unwrap();
    let keys: Vec<String> = (1..7).map(|number| format!("key {number}")).collect();
    let found = cache.get_many(&keys).unwrap();
    assert_eq!(found[..5], [None, None, None, None, None]);
    assert_eq!(found[5], Some(text("value 6")));
    assert_eq!(cache.keys().unwrap().len(), 1999);
    cache
        .update_many(&keys, &mut |_, _| Some(text("new")))
        .unwrap();
    assert_eq!(cache.get_many(&keys).unwrap(), vec![Some(text("new")); 6]);
}

#[cfg(unix)]
#[test]
fn a_file_that_another_process_has_replaced_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    filled(&path);
    let cache = FileCache::open(&path).unwrap();
    assert!(cache.get("key 1").unwrap().is_some());
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    let other = FileCache::open(&path).unwrap();
    other.set("key 2", text("new")).unwrap();
    assert_eq!(cache.get("key 1").unwrap(), None);
    assert_eq!(cache.get("key 2").unwrap(), Some(text("new")));
    cache.set("key 3", text("newer")).unwrap();
    assert_eq!(other.get("key 3").unwrap(), Some(text("newer")));
}

/// Files of others: each is put at a path.
const FOREIGN: [fn(&Path); 6] = [
    |path| std::fs::write(path, "notes of a user").unwrap(),
    |path| std::fs::write(path, [0x55; 100_000]).unwrap(),
    |path| std::fs::write(path, [0; 5000]).unwrap(),
    |path| database(path, "CREATE TABLE entry (a); INSERT INTO entry VALUES (1)"),
    |path| {
        database(
            path,
            "PRAGMA journal_mode = wal; CREATE TABLE entry (key TEXT)",
        );
    },
    |path| database(path, "PRAGMA application_id = 7; PRAGMA user_version = 2"),
];

fn database(path: &Path, statements: &str) {
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch(statements).unwrap();
}

fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .map(|file| (file.clone(), std::fs::read(file).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_files_of_others_are_refused_and_stay_as_they_are() {
    for (number, put) in FOREIGN.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        put(&path);
        let before = content(folder.path());
        let error = FileCache::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{number}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(&path.display().to_string()) && text.contains("not a cache"),
            "{error}"
        );
        assert!(content(folder.path()) == before, "{number}");
    }
    // A file that is a lock by its name only.
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("Cargo.lock");
    std::fs::write(&lock, "version = 4").unwrap();
    let error = FileCache::open(folder.path().join("Cargo")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), "version = 4");
}

/// Elsewhere an open file cannot be replaced.
#[cfg(unix)]
#[test]
fn a_foreign_file_in_place_of_an_open_cache_stays_as_it_is() {
    for (number, put) in FOREIGN.into_iter().enumerate() {
        if number == 2 {
            // Zeros where a cache was are what a loss of power leaves.
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let cache = FileCache::open(&path).unwrap();
        cache.set("key", text("value")).unwrap();
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        put(&path);
        let before = std::fs::read(&path).unwrap();
        assert!(cache.get("key").is_err(), "{number}");
        assert!(cache.set("key", text("new")).is_err(), "{number}");
        assert!(std::fs::read(&path).unwrap() == before, "{number}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_without_waiting() {
    let pipe = |path: &Path| {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let endless = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for put in [&pipe as &dyn Fn(&Path), &endless] {
        for end in ["", ".lock", "-wal", "-shm"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache");
            put(&folder.path().join(format!("cache{end}")));
            let error = FileCache::open(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{end}: {error}");
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
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
fn a_damaged_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: [fn(&Path); 8] = [
        |path| std::fs::write(path, "").unwrap(),
        |path| std::fs::write(path, [0; 100_000]).unwrap(),
        |path| std::fs::write(path, "SQLite").unwrap(),
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
        |path| {
            let other = rusqlite::Connection::open(path).unwrap();
            other
                .execute_batch("ALTER TABLE entry RENAME COLUMN value TO vblue")
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
fn a_file_of_another_layout_is_emptied() {
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
    assert!(cache.remove("key 2").is_err());
    // SQLite itself would wait for ten seconds.
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    hanging.execute_batch("ROLLBACK").unwrap();
    // What could not be removed no longer counts, and is removed when something is written.
    assert_eq!(cache.get("key 2").unwrap(), None);
    let other = FileCache::open(&path).unwrap();
    assert!(
        other.get("key 2").unwrap().is_some(),
        "another process does not know of the removal"
    );
    cache.set("key 1", text("new")).unwrap();
    let found = other.get_many(&["key 1", "key 2"].map(text));
    assert_eq!(found.unwrap(), [Some(text("new")), None]);
}

#[test]
fn too_many_failed_removals_make_everything_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    filled(&path);
    let cache = FileCache::open(&path).unwrap();
    let other = FileCache::open(&path).unwrap();
    let hanging = rusqlite::Connection::open(&path).unwrap();
    hanging.execute_batch("BEGIN IMMEDIATE").unwrap();
    let keys: Vec<String> = (0..100_001).map(|number| format!("old {number}")).collect();
    assert!(cache.remove_many(&keys).is_err());
    hanging.execute_batch("ROLLBACK").unwrap();
    assert_eq!(cache.get("key 1").unwrap(), None, "it may be old");
    assert!(other.get("key 1").unwrap().is_some());
    cache.set("new", text("1")).unwrap();
    assert_eq!(other.keys().unwrap(), ["new"]);
    cache.set("newer", text("2")).unwrap();
    assert_eq!(cache.get("new").unwrap(), Some(text("1")));
}

#[test]
fn a_session_reads_the_cache_of_an_earlier_one() {
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
    // Half a second is the most that one waits for another, and SQLite itself would wait for five. A machine that
    // stands still adds to it, but not every time.
    let longest = |_| kill_for_a_while();
    let is_short = |longest: (u64, String)| longest.0 < 4000;
    assert!(
        (0..3).map(longest).any(is_short),
        "a call takes four seconds each time"
    );
}

/// Returns the longest call in milliseconds.
fn kill_for_a_while() -> (u64, String) {
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
        if random & (1 << 20) == 0 {
            // Else it may be killed while it starts, as all are on a busy machine.
            eventually("it works", || {
                let report = std::fs::read_to_string(&workers[victim].report);
                report.unwrap().contains("rounds")
            });
        }
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
    assert!(cache.keys().unwrap().len() > 100, "the file was replaced");
    assert!(rounds > 20, "{rounds} rounds");
    longest
}

fn end(mut worker: Worker) -> PathBuf {
    worker.child.kill().unwrap();
    worker.child.wait().unwrap();
    worker.report
}
