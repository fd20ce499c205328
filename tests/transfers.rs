//! Transfers: several connections, progress, cancelling, and what an interrupted one leaves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::accessor::{Accessor, Content, DiskAccessor, PendingWrite};
use ftrack_api::config::SchemaCache;
use ftrack_api::location::{Binding, Target, TransferOptions};
use ftrack_api::structure::{EntityIdStructure, Structure, StructureContext};
use ftrack_api::{CancelToken, Entity, ErrorKind, Location, Session, data, expr};
use ftrack_emulator::Emulator;
use support::{builder, eventually, open, read, requests};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

struct Stage {
    server: Emulator,
    session: Session,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::with(Emulator::builder().tasks(10).start().unwrap())
    }

    fn with(server: Emulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let session = session(&server, folder.path());
        Self {
            server,
            session,
            folder,
        }
    }

    fn at_server(&self) -> Location {
        self.session.location("ftrack.server").unwrap()
    }

    fn origin(&self) -> Location {
        self.session.location("ftrack.origin").unwrap()
    }

    fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes(size)).unwrap();
        path
    }

    /// The pattern of a sequence whose frames differ.
    fn frames(&self, count: usize, size: usize) -> String {
        let folder = self.folder.path().join("frames");
        fs::create_dir_all(&folder).unwrap();
        for frame in 1..=count {
            let mut content = bytes(size);
            content[0] = frame as u8;
            fs::write(folder.join(format!("f.{frame:04}.exr")), content).unwrap();
        }
        let pattern = folder.join(format!("f.%04d.exr [1-{count}]"));
        pattern.to_str().unwrap().to_owned()
    }

    fn disk(&self, binding: Binding) -> Location {
        let data = data! { "name": "test.disk" };
        self.session.ensure("Location", data, "name").unwrap();
        let location = self.session.location("test.disk").unwrap();
        location.bind(binding.structure(EntityIdStructure));
        location
    }

    fn disk_accessor(&self) -> DiskAccessor {
        DiskAccessor::new(self.folder.path().join("disk")).unwrap()
    }

    fn registered(&self) -> u64 {
        let query = self.session.query("ComponentLocation").unwrap();
        query.count().unwrap()
    }
}

fn session(server: &Emulator, folder: &Path) -> Session {
    let cache = SchemaCache::Dir(folder.join("cache"));
    builder(server).schema_cache(cache).open().unwrap()
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| ((n * n) >> 7) as u8).collect()
}

/// Names of the threads of transfers that this process has now.
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

/// Tests that count threads, or have several connections, must not run at the same time.
static COUNTING: Mutex<()> = Mutex::new(());

/// An accessor that sees how many threads use it at once.
struct Crowded {
    inner: DiskAccessor,
    now: AtomicUsize,
    most: Arc<AtomicUsize>,
    allows: bool,
    /// Called before each file is written.
    before: Box<dyn Fn() + Send + Sync>,
}

impl Accessor for Crowded {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.inner.open(resource_identifier)
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(30));
        (self.before)();
        let outcome = self.inner.write(resource_identifier, content);
        self.now.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.exists(resource_identifier)
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.remove(resource_identifier)
    }
    fn allows_connections(&self) -> bool {
        self.allows
    }
    fn prepare(
        &self,
        files: &[PendingWrite<'_>],
    ) -> anyhow::Result<Vec<Option<ftrack_api::accessor::Prepared>>> {
        assert!(files.iter().all(|file| file.size.is_some()));
        Ok(Vec::new())
    }
}

#[test]
fn connections_are_threads_within_the_call_if_the_accessor_allows_them() {
    let _alone = COUNTING.lock();
    let stage = Stage::new();
    let pattern = stage.frames(40, 100);
    for (connections, allows, panics, expected) in [
        (1, true, false, 1),
        (4, true, false, 4),
        (4, false, false, 1),
        (4, true, true, 4),
    ] {
        let most = Arc::new(AtomicUsize::new(0));
        let location = stage.disk(Binding::new().accessor(Crowded {
            inner: stage.disk_accessor(),
            now: AtomicUsize::new(0),
            most: most.clone(),
            allows,
            before: Box::new(move || assert!(!panics, "an accessor with a fault")),
        }));
        let threads = Arc::new(AtomicUsize::new(0));
        let seen = threads.clone();
        let caller = thread::current().id();
        let options = TransferOptions::new()
            .connections(connections)
            .on_progress(move |_| {
                assert_eq!(thread::current().id(), caller);
                seen.fetch_max(transfer_threads(), Ordering::SeqCst);
            });
        let made = stage
            .session
            .create_component_with(&pattern, data! {}, &location, options);
        assert_eq!(made.is_err(), panics);
        assert_eq!(most.load(Ordering::SeqCst), expected);
        if cfg!(target_os = "linux") {
            let threads = threads.load(Ordering::SeqCst);
            // Faults end it before the first report.
            assert!(panics || (threads > 0) == (expected > 1), "{threads}");
            assert!(threads <= connections);
        }
        // The system lists a thread for a moment after it has ended.
        eventually("no thread is left", || transfer_threads() == 0);
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
        let made = stage
            .session
            .create_component_with(&pattern, data! {}, &server, options())
            .unwrap();
        let mut members: Vec<Entity> = made.get("members").unwrap();
        members.sort_by_key(|member| member.get::<String>("name").unwrap());
        let target = stage.folder.path().join(format!("out {connections}"));
        let asked = requests(&stage.session, || {
            let path = |component: &Entity| Ok(target.join(component.get::<String>("name")?));
            server.download(&made, path, options()).unwrap();
        });
        assert!(asked <= 30 + 2, "{asked} requests");
        for (index, _) in members.iter().enumerate() {
            let name = format!("{:04}", index + 1);
            let source = stage.folder.path().join(format!("frames/f.{name}.exr"));
            assert!(fs::read(target.join(&name)).unwrap() == fs::read(source).unwrap());
        }
        let movie = stage
            .session
            .create_component_with(&large, data! {}, &server, options())
            .unwrap();
        assert!(read(&server, &movie) == bytes(20 * MIB + 17));
    }
}

#[test]
fn signed_urls_of_a_sequence_come_in_one_request() {
    let stage = Stage::new();
    let pattern = stage.frames(40, 1000);
    let asked = requests(&stage.session, || {
        let server = stage.at_server();
        stage
            .session
            .create_component(&pattern, data! {}, server)
            .unwrap();
    });
    // The URLs, the files, and the commit.
    assert_eq!(asked, 1 + 40 + 1);
}

#[test]
fn progress_is_reported_seldom_and_complete() {
    let _alone = COUNTING.lock();
    let stage = Stage::with(
        Emulator::builder()
            .tasks(10)
            .latency(Duration::from_millis(20))
            .start()
            .unwrap(),
    );
    let pattern = stage.frames(20, 5000);
    for connections in [1, 5] {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let seen = reports.clone();
        let options =
            TransferOptions::new()
                .connections(connections)
                .on_progress(move |progress| {
                    let now = Instant::now();
                    seen.lock().unwrap().push((now, progress.clone()));
                });
        stage
            .session
            .create_component_with(&pattern, data! {}, stage.at_server(), options)
            .unwrap();
        let reports = reports.lock().unwrap();
        let (_, last) = reports.last().unwrap();
        assert_eq!((last.files(), last.total_files()), (20, 20));
        assert_eq!((last.bytes(), last.total_bytes()), (100_000, 100_000));
        assert!(last.rate() > 0.0 && last.time_left() == Some(Duration::ZERO));
        let pairs = reports.windows(2);
        // The last one is not delayed.
        let soon = pairs.filter(|pair| pair[1].0 - pair[0].0 < Duration::from_millis(95));
        assert!(soon.count() <= 1);
        assert!(
            reports
                .windows(2)
                .all(|pair| pair[0].1.bytes() <= pair[1].1.bytes())
        );
    }
}

#[test]
fn a_transfer_can_be_cancelled_and_repeated() {
    let stage = Stage::with(
        Emulator::builder()
            .tasks(10)
            .latency(Duration::from_millis(20))
            .start()
            .unwrap(),
    );
    let _alone = COUNTING.lock();
    let pattern = stage.frames(40, 1000);
    let server = stage.at_server();
    let before = stage.registered();
    for connections in [1, 4] {
        let options = TransferOptions::new().connections(connections);
        let observed = options.clone().on_progress(|progress| {
            if progress.files() > 3 {
                progress.cancel();
            }
        });
        let error = stage
            .session
            .create_component_with(&pattern, data! {}, &server, observed)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(stage.session.created().is_empty());
        assert_eq!(stage.registered(), before);
        eventually("no thread is left", || transfer_threads() == 0);
        // By a token of the caller.
        let token = CancelToken::new();
        let button = token.clone();
        let started = Instant::now();
        let error = thread::scope(|threads| {
            threads.spawn(move || {
                thread::sleep(Duration::from_millis(100));
                button.cancel();
            });
            let options = options.clone();
            token.run(|| {
                stage
                    .session
                    .create_component_with(&pattern, data! {}, &server, options)
            })
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(20));
        eventually("no thread is left", || transfer_threads() == 0);
    }
    let made = stage.session.create_component(&pattern, data! {}, &server);
    for member in made.unwrap().get::<Vec<Entity>>("members").unwrap() {
        let name: String = member.get("name").unwrap();
        let source = stage.folder.path().join(format!("frames/f.{name}.exr"));
        assert!(read(&server, &member) == fs::read(source).unwrap());
    }
    assert_eq!(stage.registered(), before + 41);
    assert_eq!(journals(stage.folder.path()), 0);
}

/// A server that is slow may still commit what an interrupted call has sent, after the same call
/// was repeated and has found nothing.
#[test]
fn a_commit_that_comes_late_is_not_undone() {
    /// Registers each component in another session before it names it.
    struct Late {
        other: Session,
        location: String,
        left: AtomicUsize,
    }

    impl Structure for Late {
        fn get_resource_identifier(
            &self,
            component: &Entity,
            context: &StructureContext,
        ) -> anyhow::Result<String> {
            let identifier = EntityIdStructure.get_resource_identifier(component, context)?;
            let one_less = |left: usize| left.checked_sub(1);
            let (set, get) = (Ordering::SeqCst, Ordering::SeqCst);
            if self.left.fetch_update(set, get, one_less).is_ok() {
                let data = data! { "id": component.id(), "name": "late" };
                self.other.create(component.entity_type(), data)?;
                let data = data! {
                    "component_id": component.id(),
                    "location_id": self.location.as_str(),
                    "resource_identifier": identifier.as_str(),
                };
                self.other.create("ComponentLocation", data)?;
                self.other.commit()?;
            }
            Ok(identifier)
        }
    }

    let stage = Stage::new();
    let pattern = stage.frames(5, 1000);
    let token = CancelToken::new();
    let (cancel, written) = (token.clone(), AtomicUsize::new(0));
    let location = stage.disk(Binding::new().accessor(Crowded {
        inner: stage.disk_accessor(),
        now: AtomicUsize::new(0),
        most: Arc::default(),
        allows: false,
        before: Box::new(move || {
            if written.fetch_add(1, Ordering::SeqCst) == 3 {
                cancel.cancel();
            }
        }),
    }));
    let create = || {
        let session = &stage.session;
        session.create_component(&pattern, data! {}, &location)
    };
    let error = token.run(create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let before = stage.registered();
    let late = Late {
        other: open(&stage.server),
        location: location.id(),
        left: AtomicUsize::new(6),
    };
    let accessor = stage.disk_accessor();
    location.bind(Binding::new().accessor(accessor).structure(late));
    let made = create().unwrap();
    assert_eq!(stage.registered(), before + 12);
    for member in made.get::<Vec<Entity>>("members").unwrap() {
        assert_eq!(read(&location, &member).len(), 1000);
    }
    // What the interrupted call had stored is still there.
    let query = "FileComponent where name is late";
    let committed = stage.session.query(query).unwrap().all().unwrap();
    let has_data = |one: &&Entity| location.open(one).is_ok();
    assert_eq!(
        (committed.len(), committed.iter().filter(has_data).count()),
        (5, 3)
    );
    assert_eq!(journals(stage.folder.path()), 0);
}

/// How many transfers left something to resume.
fn journals(folder: &Path) -> usize {
    let found = fs::read_dir(folder.join("cache/ftrack_api_transfers"));
    found.map_or(0, Iterator::count)
}

/// Files that are left incomplete, anywhere below a folder.
fn part_files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let count = entries.flatten().map(|entry| match entry.path().is_dir() {
        true => part_files(&entry.path()),
        false => usize::from(entry.file_name().to_string_lossy().ends_with(".part")),
    });
    count.sum()
}

#[test]
fn a_source_that_changes_is_an_error_that_names_it() {
    struct Changing(DiskAccessor, PathBuf);
    impl Accessor for Changing {
        fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
            self.0.open(resource_identifier)
        }
        fn write(&self, id: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
            self.0.write(id, content)?;
            fs::write(&self.1, bytes(2000))?;
            Ok(())
        }
        fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
            self.0.exists(resource_identifier)
        }
        fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
            self.0.remove(resource_identifier)
        }
    }
    let stage = Stage::new();
    let path = stage.file("growing.mov", 1000);
    let accessor = Changing(stage.disk_accessor(), path.clone());
    let location = stage.disk(Binding::new().accessor(accessor));
    let before = stage.registered();
    let error = stage.session.create_component(&path, data! {}, &location);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("growing.mov changed"), "{error}");
    assert_eq!(stage.registered(), before);
    assert_eq!(
        fs::read_dir(stage.folder.path().join("disk"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_unreadable_frame_in_the_middle_leaves_nothing() {
    let _alone = COUNTING.lock();
    let stage = Stage::new();
    let pattern = stage.frames(10, 100);
    let (origin, disk) = (
        stage.origin(),
        stage.disk(Binding::new().accessor(stage.disk_accessor())),
    );
    let made = stage
        .session
        .create_component(&pattern, data! {}, Target::Nowhere)
        .unwrap();
    fs::remove_file(stage.folder.path().join("frames/f.0005.exr")).unwrap();
    let before = stage.registered();
    for target in [&disk, &stage.at_server()] {
        for connections in [1, 4] {
            let plan = target.plan_transfer(&made, &origin, true).unwrap();
            let error = plan.connections(connections).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("f.0005.exr"), "{error}");
            assert_eq!(stage.registered(), before);
        }
    }
    assert_eq!(journals(stage.folder.path()), 0);
    assert!(
        fs::read_dir(stage.folder.path().join("disk"))
            .map_or(true, |mut entries| entries.next().is_none())
    );
    fs::write(stage.folder.path().join("frames/f.0005.exr"), b"here again").unwrap();
    disk.add_component(&made, &origin).unwrap();
}

#[test]
fn files_are_linked_if_that_is_asked_for() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 1000);
    let binding = Binding::new().accessor(stage.disk_accessor());
    let location = stage.disk(binding.link_when_possible(true));
    let made = stage.session.create_component(&path, data! {}, &location);
    let stored = location.get_filesystem_path(&made.unwrap()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&stored), inode(&path));
    }
    assert!(fs::read(stored).unwrap() == bytes(1000));
}

#[test]
fn a_download_replaces_nothing_unless_told() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 1000);
    let server = stage.at_server();
    let made = stage
        .session
        .create_component(&path, data! {}, &server)
        .unwrap();
    let target = stage.folder.path().join("new/copy.mov");
    let options = TransferOptions::new();
    let download =
        |options: TransferOptions| server.download(&made, |_| Ok(target.clone()), options);
    download(options.clone()).unwrap();
    fs::write(&target, b"precious").unwrap();
    let error = download(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    download(options.clone().replace(true)).unwrap();
    assert!(fs::read(&target).unwrap() == bytes(1000));
    let two = [
        made.clone(),
        stage
            .session
            .create_component(&path, data! {}, &server)
            .unwrap(),
    ];
    let error = server.download(&two, |_| Ok(stage.folder.path().join("x")), options);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Duplicate);
    assert!(!stage.folder.path().join("x").exists());
}

#[test]
fn one_request_gets_the_identifiers_of_all_peers() {
    let stage = Stage::new();
    let server = stage.at_server();
    let pattern = stage.frames(10, 10);
    stage
        .session
        .create_component(&pattern, data! {}, &server)
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

/// What a child process publishes until it is killed.
fn publish(server: &str, folder: &Path) -> ! {
    let mut parts = server.split(' ');
    let mut next = || parts.next().unwrap().to_owned();
    let cache = SchemaCache::Dir(folder.join("cache"));
    let session = Session::builder()
        .server_url(next())
        .api_key(next())
        .api_user(next())
        .schema_cache(cache)
        .open()
        .unwrap();
    let (source, target, connections) = (next(), next(), next());
    let location = match target.as_str() {
        "server" => session.location("ftrack.server").unwrap(),
        _ => disk_location(&session, folder),
    };
    fs::write(folder.join("started"), b"").unwrap();
    let options = TransferOptions::new().connections(connections.parse().unwrap());
    let source = source.replace("%20", " ");
    let made = session.create_component_with(source, data! { "name": "k" }, &location, options);
    fs::write(folder.join("ended"), made.unwrap().id()).unwrap();
    std::process::exit(0)
}

fn disk_location(session: &Session, folder: &Path) -> Location {
    session
        .ensure("Location", data! { "name": "test.kill" }, "name")
        .unwrap();
    let location = session.location("test.kill").unwrap();
    let disk = DiskAccessor::new(folder.join("store")).unwrap();
    let structure = ftrack_api::structure::IdStructure::default();
    location.bind(Binding::new().accessor(disk).structure(structure));
    location
}

const CHILD: &str = "FTRACK_TRANSFER_CHILD";

/// Kills a process that publishes `source`, after `moment`, and repeats the call here.
fn kill_and_repeat(stage: &Stage, source: &str, target: &str, moment: Duration) -> (Entity, bool) {
    let folder = stage.folder.path();
    for name in ["started", "ended"] {
        let _ = fs::remove_file(folder.join(name));
    }
    let connections = if moment.as_millis().is_multiple_of(2) {
        "1"
    } else {
        "4"
    };
    let (url, key, user) = (
        stage.server.url(),
        stage.server.api_key(),
        stage.server.api_user(),
    );
    let escaped = source.replace(' ', "%20");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_transfer_that_is_killed_is_resumed",
            "--nocapture",
        ])
        .env(
            CHILD,
            format!("{url} {key} {user} {escaped} {target} {connections}"),
        )
        .env("FTRACK_TRANSFER_FOLDER", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the child starts", || folder.join("started").exists());
    thread::sleep(moment);
    let _ = child.kill();
    child.wait().unwrap();
    let ended = folder.join("ended").exists();
    let location = match target {
        "server" => stage.at_server(),
        _ => disk_location(&stage.session, folder),
    };
    let made = stage
        .session
        .create_component(source, data! { "name": "k" }, &location);
    (made.unwrap(), ended)
}

/// Bytes of the parts that a killed process has noted as acknowledged.
fn acknowledged(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder.join("cache/ftrack_api_transfers")) else {
        return 0;
    };
    let texts = entries
        .flatten()
        .map(|entry| fs::read_to_string(entry.path()).unwrap());
    texts.map(|text| text.matches("e_tag").count()).sum()
}

/// Random moments; the process does its work in about half a second. `TRANSFER_KILLS=30` is the
/// number that releases are tested with.
#[test]
fn a_transfer_that_is_killed_is_resumed() {
    if let Ok(task) = std::env::var(CHILD) {
        let folder = std::env::var("FTRACK_TRANSFER_FOLDER").unwrap();
        publish(&task, folder.as_ref());
    }
    let kills = std::env::var("TRANSFER_KILLS").map_or(2, |text| text.parse().unwrap());
    let stage = Stage::with(
        Emulator::builder()
            .tasks(10)
            .latency(Duration::from_millis(15))
            .start()
            .unwrap(),
    );
    let folder = stage.folder.path();
    let movie = stage.file("movie.mov", 20 * 8 * MIB - 5);
    let movie = movie.to_str().unwrap();
    let frames = stage.frames(200, 3000);
    for kill in 0..kills {
        let moment = Duration::from_millis(10 + (kill * 7919) % 900);
        let before = stage.registered();
        let (made, ended) = kill_and_repeat(&stage, movie, "server", moment);
        assert!(read(&stage.at_server(), &made) == fs::read(movie).unwrap());
        // What the killed process may have registered is complete as well.
        let new = stage.registered() - before;
        assert!(new == 1 || new == 2, "{new}");
        assert!(new == 2 || !ended);
        for target in ["server", "disk"] {
            let before = stage.registered();
            let stored = part_files(&folder.join("store"));
            assert_eq!(stored, 0);
            let (made, _) = kill_and_repeat(&stage, &frames, target, moment);
            let location = match target {
                "server" => stage.at_server(),
                _ => disk_location(&stage.session, folder),
            };
            check_frames(&stage, &location, &made);
            let new = stage.registered() - before;
            assert!(new == 201 || new == 402, "{new} at {moment:?}");
            if target == "disk" {
                assert_eq!(part_files(&folder.join("store")), 0, "{moment:?}");
                assert_eq!(
                    files(&folder.join("store")) as u64,
                    stage.in_location(&location)
                );
            }
        }
        assert_eq!(journals(folder), 0, "{moment:?}");
    }
}

/// Every frame has the bytes of its source.
fn check_frames(stage: &Stage, location: &Location, sequence: &Entity) {
    let members: Vec<Entity> = sequence.get("members").unwrap();
    assert_eq!(members.len(), 200);
    for member in &members {
        let name: String = member.get("name").unwrap();
        let source = stage.folder.path().join(format!("frames/f.{name}.exr"));
        assert!(
            read(location, member) == fs::read(source).unwrap(),
            "{name}"
        );
    }
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

impl Stage {
    /// The files that are registered in a location.
    fn in_location(&self, location: &Location) -> u64 {
        let rows = expr!("ComponentLocation where location_id is {}", location.id());
        let all = self.session.query(rows).unwrap().count().unwrap();
        // One of 201 is the sequence.
        all - all / 201
    }
}

/// A process that is killed while it sends parts has noted those that were acknowledged; they are
/// not sent again.
#[test]
fn acknowledged_parts_are_not_sent_again() {
    let _alone = COUNTING.lock();
    let stage = Stage::with(
        Emulator::builder()
            .tasks(10)
            .latency(Duration::from_millis(5))
            .start()
            .unwrap(),
    );
    let path = stage.file("movie.mov", 15 * 8 * MIB);
    let folder = stage.folder.path();
    for connections in [1, 3] {
        let sent = Arc::new(AtomicUsize::new(0));
        let cancelled = AtomicBool::new(false);
        let options =
            TransferOptions::new()
                .connections(connections)
                .on_progress(move |progress| {
                    if progress.bytes() > (50 << 20) && !cancelled.swap(true, Ordering::SeqCst) {
                        progress.cancel();
                    }
                });
        let create = |options: TransferOptions| {
            let server = stage.at_server();
            stage
                .session
                .create_component_with(&path, data! {}, &server, options)
        };
        let error = create(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let noted = acknowledged(folder);
        assert!((1..15).contains(&noted), "{noted}");
        let counted = sent.clone();
        let options = TransferOptions::new().on_progress(move |progress| {
            counted.store(usize::try_from(progress.bytes()).unwrap(), Ordering::SeqCst);
        });
        let mut made = None;
        let asked = requests(&stage.session, || made = Some(create(options).unwrap()));
        // Does the component exist, the other parts, their end, the commit.
        assert_eq!(asked, 1 + (15 - noted as u64) + 1 + 1);
        assert_eq!(sent.load(Ordering::SeqCst), 15 * 8 * MIB);
        assert!(read(&stage.at_server(), &made.unwrap()) == fs::read(&path).unwrap());
        assert_eq!(journals(folder), 0);
    }
    // A source that has changed is sent anew.
    let options = TransferOptions::new().on_progress(|progress| {
        if progress.bytes() > (50 << 20) {
            progress.cancel();
        }
    });
    let server = stage.at_server();
    let error = stage
        .session
        .create_component_with(&path, data! {}, &server, options);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
    let mut changed = bytes(15 * 8 * MIB);
    changed[0] ^= 1;
    fs::write(&path, &changed).unwrap();
    let made = stage
        .session
        .create_component(&path, data! {}, &server)
        .unwrap();
    assert!(read(&server, &made) == changed);
}

#[test]
fn two_processes_that_write_one_file_do_not_mix() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 50 * MIB);
    let target = stage.folder.path().join("target");
    let outcomes: Vec<bool> = thread::scope(|threads| {
        let run = || {
            // Accessors of two sessions know nothing of each other, as those of two processes.
            let disk = DiskAccessor::new(&target).unwrap();
            let file = fs::File::open(&path).unwrap();
            let mut content = Content::new(file).with_path(&path);
            disk.write("plate.mov", &mut content).is_ok()
        };
        let running: Vec<_> = (0..6).map(|_| threads.spawn(run)).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1);
    assert!(fs::read(target.join("plate.mov")).unwrap() == bytes(50 * MIB));
    assert_eq!((files(&target), part_files(&target)), (1, 0));
}

#[test]
fn a_part_file_is_continued_only_if_it_is_of_the_same_source() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 40 * MIB);
    let whole = bytes(40 * MIB);
    let made = stage
        .session
        .create("FileComponent", data! { "name": "plate", "size": 1 })
        .unwrap();
    stage
        .origin()
        .register_component(&made, path.to_str().unwrap())
        .unwrap();
    let location = stage.disk(Binding::new().accessor(stage.disk_accessor()));
    // Cancelled after a stride: its part file stays.
    let plan = location.plan_transfer(&made, stage.origin(), true).unwrap();
    let plan = plan.on_progress(|progress| {
        if progress.bytes() > 0 {
            progress.cancel();
        }
    });
    assert_eq!(plan.run().unwrap_err().kind(), ErrorKind::Cancelled);
    let folder = stage.folder.path().join("disk");
    assert_eq!((files(&folder), part_files(&folder)), (1, 1));
    let part = fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // Other bytes in it are noticed.
    for spoilt in [false, true] {
        if spoilt {
            location.remove_component(&made).unwrap();
            fs::write(&part, vec![7; MIB]).unwrap();
        }
        location.add_component(&made, &stage.origin()).unwrap();
        assert!(read(&location, &made) == whole);
        assert_eq!((files(&folder), part_files(&folder)), (1, 0));
    }
}

#[test]
fn closing_the_session_ends_a_transfer() {
    let _alone = COUNTING.lock();
    let stage = Stage::with(
        Emulator::builder()
            .tasks(10)
            .latency(Duration::from_millis(50))
            .start()
            .unwrap(),
    );
    let pattern = stage.frames(200, 1000);
    let server = stage.at_server();
    let options = TransferOptions::new().connections(4);
    let closing = stage.session.clone();
    let error = thread::scope(|threads| {
        threads.spawn(move || {
            thread::sleep(Duration::from_millis(300));
            closing.close();
        });
        stage
            .session
            .create_component_with(&pattern, data! {}, &server, options)
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
    eventually("no thread is left", || transfer_threads() == 0);
}
