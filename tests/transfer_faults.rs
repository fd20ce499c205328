//! Transfers against disks and storages that fail: an error that names the file, nothing half
//! registered, nothing left over, and the same call succeeds when the trouble is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "says what the machine does not allow")]

mod support;

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::accessor::{Accessor, Content, DiskAccessor};
use ftrack_api::config::{Retry, SchemaCache};
use ftrack_api::location::{Binding, Target, TransferOptions};
use ftrack_api::structure::IdStructure;
use ftrack_api::transport::{Request, Response, Transport};
use ftrack_api::{Entity, ErrorKind, Location, Session, data};
use ftrack_emulator::Emulator;
use support::{builder, read, requests};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// The status of a refusal of a request to the storage, and its number so far.
type Refuse = Box<dyn Fn(&Request<'_>) -> Option<u16> + Send>;

#[derive(Clone, Default)]
struct Refusals(Arc<Mutex<Option<Refuse>>>);

impl Refusals {
    fn set(&self, refuse: impl Fn(&Request<'_>) -> Option<u16> + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(refuse));
    }

    fn stop(&self) {
        *self.0.lock().unwrap() = None;
    }
}

/// Holds ranges of a download back: those that start at an offset or behind it, for so long at most.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<Option<(usize, Duration)>>>);

impl Gate {
    fn close(&self, offset: usize, limit: Duration) {
        *self.0.lock().unwrap() = Some((offset, limit));
    }

    fn open(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn pass(&self, request: &Request<'_>) {
        let range = request.headers.iter().find(|(name, _)| name == "range");
        let start = range.and_then(|(_, range)| {
            let start = range.strip_prefix("bytes=")?.split('-').next()?;
            start.parse::<usize>().ok()
        });
        let since = Instant::now();
        let holds = |start| {
            let closed = *self.0.lock().unwrap();
            closed.is_some_and(|(offset, limit)| offset <= start && since.elapsed() < limit)
        };
        while start.is_some_and(holds) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Refusing(Box<dyn Transport>, Refusals, Gate);

impl Transport for Refusing {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        self.2.pass(request);
        let refuse = self.1.0.lock().unwrap();
        let is_put = request.method == "PUT";
        let status = refuse
            .as_ref()
            .filter(|_| is_put)
            .and_then(|call| call(request));
        drop(refuse);
        match status {
            None => self.0.send(request),
            Some(status) => Ok(Response {
                status,
                headers: Vec::new(),
                body: Box::new(Cursor::new("Request has expired")),
            }),
        }
    }
}

struct Stage {
    session: Session,
    refusals: Refusals,
    gate: Gate,
    folder: TempDir,
    _server: Emulator,
}

impl Stage {
    fn new() -> Self {
        let server = Emulator::builder().tasks(10).start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let refusals = Refusals::default();
        let gate = Gate::default();
        let ours = (refusals.clone(), gate.clone());
        let session = builder(&server)
            .schema_cache(SchemaCache::Dir(folder.path().join("cache")))
            .retry(Retry::new().first_wait(Duration::from_millis(1)))
            .wrap_transport(move |inner| Refusing(inner, ours.0, ours.1))
            .open()
            .unwrap();
        Self {
            session,
            refusals,
            gate,
            folder,
            _server: server,
        }
    }

    fn at_server(&self) -> Location {
        self.session.location("ftrack.server").unwrap()
    }

    fn origin(&self) -> Location {
        self.session.location("ftrack.origin").unwrap()
    }

    fn disk(&self, accessor: impl Accessor) -> Location {
        let data = data! { "name": "test.disk" };
        self.session.ensure("Location", data, "name").unwrap();
        let location = self.session.location("test.disk").unwrap();
        let binding = Binding::new().accessor(accessor);
        location.bind(binding.structure(IdStructure::default()));
        location
    }

    /// A component in the origin.
    fn file(&self, name: &str, size: usize) -> (Entity, PathBuf) {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes(size)).unwrap();
        let made = self
            .session
            .create_component(&path, data! {}, Target::Nowhere);
        (made.unwrap(), path)
    }

    /// A sequence in the origin.
    fn frames(&self, count: usize, size: usize) -> Entity {
        let folder = self.folder.path().join("frames");
        fs::create_dir_all(&folder).unwrap();
        for frame in 1..=count {
            let mut content = bytes(size);
            content[0] = frame as u8;
            fs::write(folder.join(format!("f.{frame:04}.exr")), content).unwrap();
        }
        let pattern = folder.join(format!("f.%04d.exr [1-{count}]"));
        let made = self
            .session
            .create_component(&pattern, data! {}, Target::Nowhere);
        made.unwrap()
    }

    fn check_frames(&self, location: &Location, sequence: &Entity) {
        for member in sequence.get::<Vec<Entity>>("members").unwrap() {
            let name: String = member.get("name").unwrap();
            let source = self.folder.path().join(format!("frames/f.{name}.exr"));
            assert!(
                read(location, &member) == fs::read(source).unwrap(),
                "{name}"
            );
        }
    }

    fn registered(&self) -> u64 {
        let query = self.session.query("ComponentLocation").unwrap();
        query.count().unwrap()
    }

    fn journals(&self) -> usize {
        let folder = self.folder.path().join("cache/ftrack_api_transfers");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| ((n * n) >> 7) as u8).collect()
}

fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let count = entries.flatten().map(|entry| match entry.path().is_dir() {
        true => files(&entry.path()),
        false => 1,
    });
    count.sum()
}

/// A file system in memory; unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this process may not mount.
    fn new(folder: PathBuf, megabytes: usize) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let mounted = Self(folder);
        mounted
            .mount(&format!("size={megabytes}m"), &["-t", "tmpfs", "tmpfs"])
            .then_some(mounted)
    }

    fn remount(&self, options: &str) {
        assert!(self.mount(&format!("remount,{options}"), &[]));
    }

    fn mount(&self, options: &str, more: &[&str]) -> bool {
        let mut command = Command::new("mount");
        command.args(["-o", options]).args(more).arg(&self.0);
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    let stage = Stage::new();
    let Some(mounted) = Mounted::new(stage.folder.path().join("disk"), 1) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let location = stage.disk(DiskAccessor::new(&mounted.0).unwrap());
    let (frames, movie) = (
        stage.frames(10, 200_000),
        stage.file("movie.mov", 3 * MIB).0,
    );
    let before = stage.registered();
    for connections in [1, 4] {
        for (component, name) in [(&frames, "f.00"), (&movie, "movie")] {
            let plan = location.plan_transfer(component, stage.origin(), true);
            let error = plan.unwrap().connections(connections).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            let text = error.to_string();
            assert!(text.contains(name) && text.contains("No space"), "{text}");
            assert_eq!((files(&mounted.0), stage.registered()), (0, before));
            assert_eq!(stage.journals(), 0);
        }
    }
    mounted.remount("size=20m");
    for component in [&frames, &movie] {
        location.add_component(component, &stage.origin()).unwrap();
    }
    stage.check_frames(&location, &frames);
    assert!(read(&location, &movie) == bytes(3 * MIB));
    assert_eq!(files(&mounted.0), 11);
}

/// Makes its disk read-only after some files.
struct Closing {
    inner: DiskAccessor,
    mounted: Arc<Mounted>,
    left: AtomicUsize,
}

impl Accessor for Closing {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.inner.open(resource_identifier)
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.mounted.remount("ro");
        }
        self.inner.write(resource_identifier, content)
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.exists(resource_identifier)
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.remove(resource_identifier)
    }
}

#[test]
fn a_disk_that_turns_read_only_is_an_error_and_the_transfer_can_be_repeated() {
    let stage = Stage::new();
    let Some(mounted) = Mounted::new(stage.folder.path().join("disk"), 20) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let mounted = Arc::new(mounted);
    let frames = stage.frames(10, 1000);
    let before = stage.registered();
    let inner = DiskAccessor::new(&mounted.0).unwrap();
    let location = stage.disk(Closing {
        inner: inner.clone(),
        mounted: mounted.clone(),
        left: AtomicUsize::new(5),
    });
    let error = location
        .add_component(&frames, &stage.origin())
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("cannot write into") && text.contains("Read-only"),
        "{text}"
    );
    // It cannot remove them now, and says so.
    assert!(
        text.contains("4 of the copied files could not be removed"),
        "{text}"
    );
    assert_eq!((files(&mounted.0), stage.registered()), (4, before));
    mounted.remount("rw");
    let location = stage.disk(inner);
    location.add_component(&frames, &stage.origin()).unwrap();
    stage.check_frames(&location, &frames);
    assert_eq!(files(&mounted.0), 10);
}

#[test]
fn a_part_that_is_refused_for_a_while_is_sent_again() {
    let stage = Stage::new();
    let (movie, _) = stage.file("movie.mov", 40 * MIB);
    for connections in [1, 4] {
        let refused = Mutex::new(Vec::new());
        stage.refusals.set(move |request| {
            let mut refused = refused.lock().unwrap();
            let url = request.url.to_string();
            let is_new = !refused.contains(&url);
            refused.push(url);
            is_new.then_some(503)
        });
        let plan = stage
            .at_server()
            .plan_transfer(&movie, stage.origin(), true);
        plan.unwrap().connections(connections).run().unwrap();
        stage.refusals.stop();
        assert!(read(&stage.at_server(), &movie) == bytes(40 * MIB));
        stage.at_server().remove_component(&movie).unwrap();
    }
}

#[test]
fn a_part_that_is_refused_is_an_error_that_names_it() {
    let stage = Stage::new();
    let (movie, _) = stage.file("movie.mov", 40 * MIB);
    let before = stage.registered();
    for (status, kind) in [(403, ErrorKind::Permission), (400, ErrorKind::Server)] {
        for connections in [1, 4] {
            let seen = AtomicUsize::new(0);
            stage.refusals.set(move |_| {
                let number = seen.fetch_add(1, Ordering::SeqCst);
                (number >= 2).then_some(status)
            });
            let plan = stage
                .at_server()
                .plan_transfer(&movie, stage.origin(), true);
            let error = plan.unwrap().connections(connections).run().unwrap_err();
            stage.refusals.stop();
            assert_eq!(error.kind(), kind);
            let text = error.to_string();
            for expected in ["upload part", "of 5 of main.mov", &status.to_string()] {
                assert!(text.contains(expected), "{text}");
            }
            assert_eq!((stage.registered(), stage.journals()), (before, 0));
        }
    }
    stage
        .at_server()
        .add_component(&movie, &stage.origin())
        .unwrap();
    assert!(read(&stage.at_server(), &movie) == bytes(40 * MIB));
}

#[test]
fn addresses_that_expire_before_their_turn_are_asked_for_again() {
    let stage = Stage::new();
    let frames = stage.frames(6, 1000);
    for connections in [1, 4] {
        let expired = Mutex::new(Vec::new());
        stage.refusals.set(move |request| {
            // The first address of each of the first two files.
            let mut expired = expired.lock().unwrap();
            let file = request.url.path().to_owned();
            let is_refused = expired.len() < 2 && !expired.contains(&file);
            is_refused.then(|| expired.push(file)).map(|()| 403)
        });
        let plan = stage
            .at_server()
            .plan_transfer(&frames, stage.origin(), true);
        let plan = plan.unwrap().connections(connections);
        // All addresses, six files, two of them twice with new addresses, the commit.
        let asked = requests(&stage.session, || plan.run().unwrap());
        stage.refusals.stop();
        assert_eq!(asked, 1 + 6 + 2 * 2 + 1);
        stage.check_frames(&stage.at_server(), &frames);
        stage.at_server().remove_component(&frames).unwrap();
    }
}

#[test]
fn an_interrupted_upload_whose_addresses_have_expired_begins_anew() {
    let stage = Stage::new();
    let (movie, _) = stage.file("movie.mov", 40 * MIB);
    let urls = Arc::new(Mutex::new(Vec::new()));
    let seen = urls.clone();
    stage.refusals.set(move |request| {
        seen.lock()
            .unwrap()
            .push(request.url.query().unwrap().to_owned());
        None
    });
    let server = stage.at_server();
    let plan = server.plan_transfer(&movie, stage.origin(), true).unwrap();
    let plan = plan.on_progress(|progress| {
        if progress.bytes() > 10 << 20 {
            progress.cancel();
        }
    });
    assert_eq!(plan.run().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(stage.journals(), 1);
    // The signatures of that upload are of no use any more; which is seen from its id.
    let old = urls.lock().unwrap()[0].clone();
    let upload = old
        .split('&')
        .find(|part| part.starts_with("upload"))
        .unwrap();
    let upload = upload.to_owned();
    stage
        .refusals
        .set(move |request| request.url.query()?.contains(&upload).then_some(403));
    server.add_component(&movie, &stage.origin()).unwrap();
    stage.refusals.stop();
    assert!(read(&server, &movie) == bytes(40 * MIB));
    assert_eq!(stage.journals(), 0);
}

#[test]
fn a_file_that_shrinks_or_vanishes_while_it_is_sent_is_an_error() {
    for vanishes in [true, false] {
        let stage = Stage::new();
        let (movie, path) = stage.file("movie.mov", 40 * MIB);
        let before = stage.registered();
        stage.refusals.set(move |_| {
            match vanishes {
                true => drop(fs::remove_file(&path)),
                false => fs::OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_len(1000)
                    .unwrap(),
            }
            None
        });
        let error = stage.at_server().add_component(&movie, &stage.origin());
        let error = error.unwrap_err();
        stage.refusals.stop();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("movie.mov"), "{error}");
        assert_eq!(stage.registered(), before);
    }
}

#[test]
fn a_large_download_is_read_in_ranges_and_goes_on_where_it_broke_off() {
    let stage = Stage::new();
    let size = 5 * 16 * MIB + 1000;
    let (movie, _) = stage.file("movie.mov", size);
    let server = stage.at_server();
    server.add_component(&movie, &stage.origin()).unwrap();
    let target = stage.folder.path().join("out/movie.mov");
    let download = |options: TransferOptions| {
        server.download(&movie, |_| Ok(target.clone()), options.replace(true))
    };
    // Where it is must be asked for once.
    download(TransferOptions::new()).unwrap();
    for connections in [1, 2, 8] {
        let options = TransferOptions::new().connections(connections);
        let asked = requests(&stage.session, || download(options.clone()).unwrap());
        assert_eq!(asked, 6, "{connections}");
        assert!(fs::read(&target).unwrap() == bytes(size));
        // What a cancelled one leaves is the start of the file, and is not asked for again. The rest
        // waits until it is cancelled. With one connection the caller's thread reads too, and the
        // progress is only told once time has passed.
        let limit = match connections {
            1 => Duration::from_millis(200),
            _ => Duration::from_secs(60),
        };
        stage.gate.close(3 * 16 * MIB, limit);
        let gate = stage.gate.clone();
        let cancelled = options.clone().on_progress(move |progress| {
            if progress.bytes() > 20 << 20 {
                progress.cancel();
                gate.open();
            }
        });
        assert_eq!(
            download(cancelled).unwrap_err().kind(),
            ErrorKind::Cancelled
        );
        stage.gate.open();
        let mut left = fs::read_dir(target.parent().unwrap()).unwrap().flatten();
        let part = left.find(|entry| entry.path() != target).unwrap().path();
        let part = fs::read(part).unwrap();
        assert!(part.len() > 16 * MIB && part.len() < size);
        assert!(part == bytes(size)[..part.len()]);
        let asked = requests(&stage.session, || download(options).unwrap());
        assert_eq!(asked, (size - part.len()).div_ceil(16 * MIB) as u64);
        assert!(fs::read(&target).unwrap() == bytes(size));
        assert_eq!(files(target.parent().unwrap()), 1);
    }
}

#[test]
fn requests_of_all_connections_count_in_the_budget_of_the_caller() {
    let stage = Stage::new();
    let frames = stage.frames(20, 100);
    let server = stage.at_server();
    for connections in [1, 8] {
        let plan = || {
            let plan = server.plan_transfer(&frames, stage.origin(), true);
            plan.unwrap().connections(connections)
        };
        let before = stage.registered();
        {
            let plan = plan();
            let budget = stage.session.request_budget(10);
            let error = plan.run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OverBudget, "{error}");
            assert!(budget.spent() <= 10 && budget.check().is_err());
        }
        assert_eq!(stage.registered(), before);
        let plan = plan();
        let budget = stage.session.request_budget(100);
        plan.run().unwrap();
        assert_eq!(budget.spent(), 1 + 20 + 1);
        budget.check().unwrap();
        drop(budget);
        server.remove_component(&frames).unwrap();
    }
}
