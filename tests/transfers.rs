//! Transfers: several connections, progress, cancelling, downloads. What an interrupted one leaves is
//! the subject of `transfers/interrupted.rs`, storages that fail that of `transfer_faults.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "transfers/downloads.rs"]
mod downloads;
#[path = "support/gate.rs"]
mod gate;
#[path = "transfers/interrupted.rs"]
mod interrupted;
#[path = "support/stage.rs"]
mod stage;
#[path = "transfers/storage.rs"]
mod storage;
mod support;
#[path = "transfers/together.rs"]
mod together;

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ftrack_api::accessor::{Accessor, Content, DiskAccessor};
use ftrack_api::config::SchemaCache;
use ftrack_api::location::{Binding, Progress, TransferOptions};
use ftrack_api::session::EncodeOptions;
use ftrack_api::structure::{EntityIdStructure, IdStructure, Structure, StructureContext};
use ftrack_api::{CancelToken, Entity, ErrorKind, Location, data};
use gate::cancelled;
use stage::{MIB, Stage, Watched, bytes, files, part_files};
use support::{eventually, open, read, requests};

/// How many threads of transfers this process has now.
fn transfer_threads() -> usize {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let names = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names
        .filter(|name| name.starts_with("ftrack-transfe"))
        .count()
}

/// The system lists a thread for a moment after it has ended.
#[track_caller]
fn no_thread_is_left() {
    eventually("no thread is left", || transfer_threads() == 0);
}

/// Tests that count threads, or have several connections, must not run at the same time.
static COUNTING: Mutex<()> = Mutex::new(());

#[test]
fn connections_are_threads_within_the_call_if_the_accessor_allows_them() {
    let _alone = COUNTING.lock();
    let stage = Stage::new();
    let pattern = stage.frames(40, 100);
    for (connections, allows, panics, expected) in [
        (1, true, false, 1),
        (8, true, false, 8),
        (8, false, false, 1),
        (8, true, true, 8),
    ] {
        // How many threads are in the accessor now, and were at most.
        let inside = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (enter, leave) = (inside.clone(), inside.clone());
        let threads = Arc::new(AtomicUsize::new(0));
        let (seen, counted) = (threads.clone(), threads.clone());
        let mut disk = Watched::new(stage.disk_accessor())
            .before(move || {
                let now = enter[0].fetch_add(1, Ordering::SeqCst) + 1;
                enter[1].fetch_max(now, Ordering::SeqCst);
                eventually("all connections are used", || {
                    enter[1].load(Ordering::SeqCst) >= expected
                });
                assert!(!panics, "an accessor with a fault");
                if cfg!(target_os = "linux") && expected > 1 {
                    eventually("they are counted", || counted.load(Ordering::SeqCst) > 0);
                }
                // More of them would come now.
                thread::sleep(Duration::from_millis(10));
            })
            .after(move || {
                leave[0].fetch_sub(1, Ordering::SeqCst);
            });
        disk.allows_connections = allows;
        let location = stage.disk(disk);
        let caller = thread::current().id();
        let options = TransferOptions::new()
            .connections(connections)
            .on_progress(move |_| {
                assert_eq!(thread::current().id(), caller);
                seen.fetch_max(transfer_threads(), Ordering::SeqCst);
            });
        let made = stage.create(&pattern, &location, options);
        assert_eq!(made.is_err(), panics);
        assert_eq!(inside[1].load(Ordering::SeqCst), expected);
        if cfg!(target_os = "linux") {
            let threads = threads.load(Ordering::SeqCst);
            // Faults end it before the first report.
            assert!(panics || (threads > 0) == (expected > 1), "{threads}");
            assert!(threads <= connections);
        }
        no_thread_is_left();
    }
}

#[test]
fn many_connections_store_what_one_does() {
    let _alone = COUNTING.lock();
    let stage = Stage::new();
    let server = stage.at_server();
    let pattern = stage.frames(30, 20_000);
    let large = stage.file("large.mov", 20 * MIB + 17);
    for connections in [1, 8] {
        let options = || TransferOptions::new().connections(connections);
        let made = stage.create(&pattern, &server, options()).unwrap();
        let target = stage.folder.path().join(format!("out {connections}"));
        let asked = requests(&stage.session, || {
            let path = |component: &Entity| Ok(target.join(component.get::<String>("name")?));
            server.download(&made, path, options()).unwrap();
        });
        assert!(asked <= 30 + 2, "{asked} requests");
        for frame in 1..=30 {
            let source = stage.folder.path().join(format!("frames/f.{frame:04}.exr"));
            let copy = target.join(format!("{frame:04}"));
            assert!(fs::read(copy).unwrap() == fs::read(source).unwrap());
        }
        let movie = stage.create(&large, &server, options()).unwrap();
        assert!(read(&server, &movie) == bytes(20 * MIB + 17));
    }
}

#[test]
fn signed_urls_of_a_sequence_come_in_one_request() {
    let stage = Stage::new();
    let pattern = stage.frames(40, 1000);
    let asked = requests(&stage.session, || {
        let options = TransferOptions::new();
        stage.create(&pattern, &stage.at_server(), options).unwrap();
    });
    // The URLs, the files, and the commit.
    assert_eq!(asked, 1 + 40 + 1);
}

#[test]
fn progress_is_reported_seldom_and_complete() {
    let _alone = COUNTING.lock();
    let stage = Stage::late(20);
    let pattern = stage.frames(20, 5000);
    for connections in [1, 5] {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let seen = reports.clone();
        let options = TransferOptions::new()
            .connections(connections)
            .on_progress(move |progress| seen.lock().unwrap().push(progress.clone()));
        stage.create(&pattern, &stage.at_server(), options).unwrap();
        let reports = reports.lock().unwrap();
        let last = reports.last().unwrap();
        assert_eq!((last.files(), last.total_files()), (20, 20));
        assert_eq!((last.bytes(), last.total_bytes()), (100_000, 100_000));
        assert!(last.rate() > 0.0 && last.time_left() == Some(Duration::ZERO));
        let pairs = || reports.windows(2).map(|pair| (&pair[0], &pair[1]));
        // The last one is not delayed.
        let least = Duration::from_millis(99);
        let soon = pairs().filter(|(one, next)| next.elapsed() - one.elapsed() < least);
        assert!(soon.count() <= 1);
        assert!(pairs().all(|(one, next)| one.bytes() <= next.bytes()));
    }
}

/// Uploads, downloads, copies between locations and media to be encoded: what they report last is all,
/// and what is asked to be cancelled ends so.
#[test]
fn every_kind_of_transfer_reports_progress_and_can_be_cancelled() {
    let _alone = COUNTING.lock();
    let stage = Stage::new();
    let path = stage.file("clip.mov", 3000);
    let (server, disk) = (stage.at_server(), stage.disk(stage.disk_accessor()));
    let made = stage
        .create(&path, &server, TransferOptions::new())
        .unwrap();
    let target = stage.folder.path().join("copy.mov");
    type Observer = Arc<dyn Fn(&Progress) + Send + Sync>;
    type Run<'a> = &'a dyn Fn(Observer) -> ftrack_api::Result<()>;
    let options = |observer: Observer| TransferOptions::new().on_progress(move |one| observer(one));
    let upload = |observer| stage.create(&path, &server, options(observer)).map(drop);
    let download = |observer| {
        let path = |_: &Entity| Ok(target.clone());
        server.download(&made, path, options(observer))
    };
    let copy = |observer: Observer| {
        let plan = disk.plan_transfer(&made, &server, true)?;
        plan.on_progress(move |one| observer(one)).run()
    };
    let encode = |observer| {
        let options = EncodeOptions::new().transfer(options(observer));
        stage.session.encode_media(&path, options).map(drop)
    };
    let all: [(&str, Run<'_>); 4] = [
        ("upload", &upload),
        ("download", &download),
        ("copy", &copy),
        ("encode", &encode),
    ];
    for (what, run) in all {
        let cancelled = run(Arc::new(Progress::cancel));
        let error = cancelled.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{what}: {error}");
        let last = Arc::new(Mutex::new((0, 0, 0, 0)));
        let seen = last.clone();
        let observer = move |now: &Progress| {
            let bytes = (now.bytes(), now.total_bytes());
            *seen.lock().unwrap() = (bytes.0, bytes.1, now.files(), now.total_files());
        };
        run(Arc::new(observer)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(*last.lock().unwrap(), (3000, 3000, 1, 1), "{what}");
    }
}

/// Says when some files have been sent.
fn when_sending(options: TransferOptions) -> (TransferOptions, mpsc::Receiver<()>) {
    let (is_sending, sending) = mpsc::channel();
    let options = options.on_progress(move |progress| {
        if progress.files() > 3 {
            let _ = is_sending.send(());
        }
    });
    (options, sending)
}

#[test]
fn a_transfer_can_be_cancelled_and_repeated() {
    let _alone = COUNTING.lock();
    let (stage, gate) = Stage::gated();
    let pattern = stage.frames(120, 1000);
    let server = stage.at_server();
    let before = stage.registered();
    for connections in [1, 8] {
        let options = TransferOptions::new().connections(connections);
        gate.close_after(10, connections);
        let opened = gate.clone();
        let observed = options.clone().on_progress(move |progress| {
            if progress.files() > 3 {
                progress.cancel();
                opened.open();
            }
        });
        let error = stage.create(&pattern, &server, observed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(stage.session.created().is_empty());
        assert_eq!(stage.registered(), before);
        no_thread_is_left();
        // By a token of the caller, while frames are sent.
        gate.close_after(10, connections);
        let token = CancelToken::new();
        let button = token.clone();
        let (observed, sending) = when_sending(options);
        let error = thread::scope(|threads| {
            let gate = &gate;
            threads.spawn(move || {
                sending.recv().unwrap();
                button.cancel();
                gate.open();
            });
            token.run(|| stage.create(&pattern, &server, observed))
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
        no_thread_is_left();
    }
    let options = TransferOptions::new().connections(8);
    let made = stage.create(&pattern, &server, options);
    stage.check_frames(&server, &made.unwrap(), 120);
    assert_eq!(stage.registered(), before + 121);
    assert_eq!(stage.journals(), 0);
}

#[test]
fn closing_the_session_ends_a_transfer() {
    let _alone = COUNTING.lock();
    let (stage, gate) = Stage::gated();
    let pattern = stage.frames(60, 1000);
    let server = stage.at_server();
    gate.close_after(10, 8);
    let (options, sending) = when_sending(TransferOptions::new().connections(8));
    let error = thread::scope(|threads| {
        let (session, gate) = (&stage.session, &gate);
        threads.spawn(move || {
            sending.recv().unwrap();
            session.close();
            gate.open();
        });
        stage.create(&pattern, &server, options)
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
    no_thread_is_left();
}

#[test]
fn a_source_that_changes_is_an_error_that_names_it() {
    let stage = Stage::new();
    let path = stage.file("growing.mov", 1000);
    let growing = path.clone();
    let disk = Watched::new(stage.disk_accessor());
    let location = stage.disk(disk.after(move || fs::write(&growing, bytes(2000)).unwrap()));
    let before = stage.registered();
    let error = stage.create(&path, &location, TransferOptions::new());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("growing.mov changed"), "{error}");
    assert_eq!((stage.registered(), files(&stage.store())), (before, 0));
}

#[test]
fn an_unreadable_frame_in_the_middle_leaves_nothing() {
    let _alone = COUNTING.lock();
    let stage = Stage::new();
    let made = stage.unsent(&stage.frames(10, 100));
    let (origin, disk) = (stage.origin(), stage.disk(stage.disk_accessor()));
    let missing = stage.folder.path().join("frames/f.0005.exr");
    fs::remove_file(&missing).unwrap();
    let before = stage.registered();
    for target in [&disk, &stage.at_server()] {
        for connections in [1, 8] {
            let plan = target.plan_transfer(&made, &origin, true).unwrap();
            let error = plan.connections(connections).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("f.0005.exr"), "{error}");
            assert_eq!(stage.registered(), before);
            no_thread_is_left();
        }
    }
    assert_eq!((stage.journals(), files(&stage.store())), (0, 0));
    fs::write(missing, b"here again").unwrap();
    disk.add_component(&made, &origin).unwrap();
}

/// Copies have the current time and the permissions of a new file; links are the source itself.
#[test]
fn files_are_linked_if_that_is_asked_for() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 1000);
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let source = fs::File::options().write(true).open(&path).unwrap();
    source.set_modified(old).unwrap();
    for may_link in [false, true] {
        let binding = Binding::new().accessor(stage.disk_accessor());
        let binding = binding
            .structure(EntityIdStructure)
            .link_when_possible(may_link);
        let location = stage.bound("test.disk", binding);
        let made = stage.create(&path, &location, TransferOptions::new());
        let stored = location.get_filesystem_path(&made.unwrap()).unwrap();
        assert!(fs::read(&stored).unwrap() == bytes(1000));
        let modified = fs::metadata(&stored).unwrap().modified().unwrap();
        assert_eq!(modified == old, may_link);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            let found = |path: &std::path::Path| fs::metadata(path).unwrap();
            assert_eq!(found(&stored).ino() == found(&path).ino(), may_link);
            // The source is private from now on, and so is only what is a link to it.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let made = stage.create(&path, &location, TransferOptions::new());
            let stored = location.get_filesystem_path(&made.unwrap()).unwrap();
            let usual = found(&stage.file("usual", 1)).mode();
            let expected = if may_link { found(&path).mode() } else { usual };
            assert_eq!(found(&stored).mode(), expected);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// The bytes do not pass through this process: the system is asked a few times, not for each buffer,
/// of which even those of 1 MiB would be read and written 128 times.
#[test]
#[cfg(target_os = "linux")]
fn disks_copy_by_themselves() {
    /// The calls of this thread to read and to write, so far.
    fn calls() -> u64 {
        let text = fs::read_to_string("/proc/thread-self/io").unwrap();
        let counts = text.lines().filter_map(|line| line.split_once(": "));
        let calls = counts.filter(|(name, _)| name.starts_with("sysc"));
        calls.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
    }

    let stage = Stage::new();
    let path = stage.file("plate.mov", 64 * MIB);
    let made = stage.unsent(&path);
    let disk = stage.disk(stage.disk_accessor());
    let plan = disk.plan_transfer(&made, stage.origin(), true).unwrap();
    let before = calls();
    plan.run().unwrap();
    let asked = calls() - before;
    assert!(asked < 128, "{asked}");
    let target = stage.folder.path().join("copy.mov");
    let before = calls();
    let options = TransferOptions::new();
    disk.download(&made, |_| Ok(target.clone()), options)
        .unwrap();
    let asked = calls() - before;
    assert!(asked < 128, "{asked}");
    for copy in [disk.get_filesystem_path(&made).unwrap(), target] {
        assert!(fs::read(copy).unwrap() == bytes(64 * MIB));
    }
}

/// A disk that notes what it is to flush, and how many of the files were registered by then. The first
/// time it fails.
struct Flushing {
    inner: DiskAccessor,
    registered: Arc<dyn Fn() -> u64 + Send + Sync>,
    flushes: Arc<Mutex<Vec<(usize, u64)>>>,
}

impl Accessor for Flushing {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.inner.open(resource_identifier)
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        self.inner.write(resource_identifier, content)
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.exists(resource_identifier)
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.remove(resource_identifier)
    }
    fn flush(&self, resource_identifiers: &[&str]) -> anyhow::Result<()> {
        for one in resource_identifiers {
            anyhow::ensure!(self.inner.exists(one)?, "{one} is not there");
        }
        let mut flushes = self.flushes.lock().unwrap();
        flushes.push((resource_identifiers.len(), (self.registered)()));
        anyhow::ensure!(flushes.len() > 1, "the cable is loose");
        self.inner.flush(resource_identifiers)
    }
}

#[test]
fn files_are_flushed_at_once_and_before_they_are_registered() {
    let stage = Stage::new();
    let made = stage.unsent(&stage.frames(3, 10));
    stage.session.commit().unwrap();
    let other = open(&stage.server);
    let registered: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || {
        let rows = other.query("ComponentLocation where location.name is test.disk");
        rows.unwrap().count().unwrap()
    });
    let flushes = Arc::default();
    let disk = stage.disk(Flushing {
        inner: stage.disk_accessor(),
        registered: registered.clone(),
        flushes: Arc::clone(&flushes),
    });
    let error = disk.add_component(&made, &stage.origin()).unwrap_err();
    assert!(error.to_string().contains("the cable is loose"), "{error}");
    assert_eq!(registered(), 0);
    disk.add_component(&made, &stage.origin()).unwrap();
    assert_eq!(registered(), 4);
    assert_eq!(*flushes.lock().unwrap(), [(3, 0), (3, 0)]);
}

#[test]
fn a_download_replaces_nothing_unless_told() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 1000);
    let server = stage.at_server();
    let options = TransferOptions::new();
    let two = [(); 2].map(|()| stage.create(&path, &server, options.clone()).unwrap());
    let target = stage.folder.path().join("new/copy.mov");
    let download =
        |options: TransferOptions| server.download(&two[0], |_| Ok(target.clone()), options);
    download(options.clone()).unwrap();
    fs::write(&target, b"precious").unwrap();
    let error = download(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    download(options.clone().replace(true)).unwrap();
    assert!(fs::read(&target).unwrap() == bytes(1000));
    // Two files cannot have one place.
    let target = stage.folder.path().join("x");
    let error = server.download(&two, |_| Ok(target.clone()), options);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Duplicate);
    assert!(!target.exists());
}

/// Those that are complete are not downloaded again, and none that somebody has changed is replaced.
#[test]
fn an_interrupted_download_of_many_files_does_what_is_left() {
    let _alone = COUNTING.lock();
    let (stage, gate) = Stage::gated();
    let server = stage.at_server();
    let made = stage.create(&stage.frames(40, 1000), &server, TransferOptions::new());
    let made = made.unwrap();
    for connections in [1, 8] {
        let folder = stage.folder.path().join(format!("out {connections}"));
        let path = |frame: &Entity| Ok(folder.join(frame.get::<String>("name")? + ".exr"));
        let options = TransferOptions::new().connections(connections);
        let seen = AtomicUsize::new(0);
        gate.close(connections, move |request| {
            let is_data = request.url.path() == "/component/get";
            is_data && seen.fetch_add(1, Ordering::SeqCst) >= 10
        });
        let opened = gate.clone();
        let cancelled = options.clone().on_progress(move |progress| {
            if progress.files() > 3 {
                progress.cancel();
                opened.open();
            }
        });
        let error = server.download(&made, path, cancelled).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        let complete = files(&folder) - part_files(&folder);
        assert!((4..40).contains(&complete), "{complete}");
        // One that was there before, or that somebody has changed.
        let mut left = fs::read_dir(&folder)
            .unwrap()
            .map(|one| one.unwrap().path());
        let first = left.find(|path| path.extension().is_some_and(|end| end == "exr"));
        let first = first.unwrap();
        let data = fs::read(&first).unwrap();
        fs::write(&first, b"precious").unwrap();
        let error = server.download(&made, path, options.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
        assert!(
            error.to_string().contains(&first.display().to_string()),
            "{error}"
        );
        fs::remove_file(&first).unwrap();
        let last = Arc::new(Mutex::new((0, 0)));
        let told = last.clone();
        let again = options.clone().on_progress(move |progress| {
            *told.lock().unwrap() = (progress.files(), progress.bytes());
        });
        let asked = requests(&stage.session, || {
            server.download(&made, path, again).unwrap();
        });
        // The files, and that which was removed once more.
        assert_eq!(asked as usize, 40 - complete + 1);
        assert_eq!(*last.lock().unwrap(), (40, 40 * 1000));
        assert!(fs::read(&first).unwrap() == data);
        for frame in 1..=40 {
            let source = stage.folder.path().join(format!("frames/f.{frame:04}.exr"));
            let copy = folder.join(format!("{frame:04}.exr"));
            assert!(fs::read(copy).unwrap() == fs::read(source).unwrap());
        }
        assert_eq!((files(&folder), stage.journals()), (40, 0));
        // It has ended: now they are files like any other.
        let error = server.download(&made, path, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
        assert_eq!(stage.journals(), 0);
    }
}

#[test]
fn one_request_gets_the_identifiers_of_all_peers() {
    let stage = Stage::new();
    let options = TransferOptions::new();
    stage
        .create(&stage.frames(10, 10), &stage.at_server(), options)
        .unwrap();
    let other = open(&stage.server);
    let server = other.location("ftrack.server").unwrap();
    let query = "FileComponent where file_type is '.exr' limit 10";
    let components = other.query(query).unwrap().all().unwrap();
    let asked = requests(&other, || {
        for component in &components {
            server.get_url(component).unwrap();
            server.get_resource_identifier(component).unwrap();
        }
    });
    assert_eq!((components.len(), asked), (10, 1));
    let asked = requests(&other, || {
        components.iter().for_each(|one| drop(read(&server, one)));
    });
    assert_eq!(asked, 10);
    server.remove_component(&components[0]).unwrap();
    let error = server.get_url(&components[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
