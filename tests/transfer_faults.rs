//! Transfers against disks and storages that fail: an error that names the file, nothing half
//! registered, nothing left over, and the same call succeeds when the trouble is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "says what the machine does not allow")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/stage.rs"]
mod stage;
mod support;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ftrack_api::ErrorKind;
use ftrack_api::accessor::DiskAccessor;
use ftrack_api::config::Retry;
use ftrack_api::location::TransferOptions;
use ftrack_api::transport::{Request, Response, Transport};
use stage::{MIB, Stage, Watched, bytes, files};
use support::{read, requests};

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

struct Refusing(Box<dyn Transport>, Refusals);

impl Transport for Refusing {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
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

/// A stage whose storage refuses the requests that a test chooses.
fn refusing() -> (Stage, Refusals) {
    let refusals = Refusals::default();
    let ours = refusals.clone();
    let stage = Stage::with(0, move |builder| {
        builder
            .retry(Retry::new().first_wait(Duration::from_millis(1)))
            .wrap_transport(move |inner| Refusing(inner, ours))
    });
    (stage, refusals)
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
    let Some(mounted) = Mounted::new(stage.store(), 1) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let location = stage.disk(DiskAccessor::new(&mounted.0).unwrap());
    let (frames, movie) = (
        stage.unsent(&stage.frames(10, 200_000)),
        stage.unsent(&stage.file("movie.mov", 3 * MIB)),
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
    stage.check_frames(&location, &frames, 10);
    assert!(read(&location, &movie) == bytes(3 * MIB));
    assert_eq!(files(&mounted.0), 11);
}

#[test]
fn a_disk_that_turns_read_only_is_an_error_and_the_transfer_can_be_repeated() {
    let stage = Stage::new();
    let Some(mounted) = Mounted::new(stage.store(), 20) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let mounted = Arc::new(mounted);
    let frames = stage.unsent(&stage.frames(10, 1000));
    let before = stage.registered();
    let inner = DiskAccessor::new(&mounted.0).unwrap();
    let (closing, left) = (mounted.clone(), AtomicUsize::new(5));
    let location = stage.disk(Watched::new(inner.clone()).before(move || {
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            closing.remount("ro");
        }
    }));
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
    stage.check_frames(&location, &frames, 10);
    assert_eq!(files(&mounted.0), 10);
}

#[test]
fn a_part_that_is_refused_for_a_while_is_sent_again() {
    let (stage, refusals) = refusing();
    let movie = stage.unsent(&stage.file("movie.mov", 40 * MIB));
    for connections in [1, 4] {
        let refused = Mutex::new(Vec::new());
        refusals.set(move |request| {
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
        refusals.stop();
        assert!(read(&stage.at_server(), &movie) == bytes(40 * MIB));
        stage.at_server().remove_component(&movie).unwrap();
    }
}

#[test]
fn a_part_that_is_refused_is_an_error_that_names_it() {
    let (stage, refusals) = refusing();
    let movie = stage.unsent(&stage.file("movie.mov", 40 * MIB));
    let before = stage.registered();
    for (status, kind) in [(403, ErrorKind::Permission), (400, ErrorKind::Server)] {
        for connections in [1, 4] {
            let seen = AtomicUsize::new(0);
            refusals.set(move |_| {
                let number = seen.fetch_add(1, Ordering::SeqCst);
                (number >= 2).then_some(status)
            });
            let plan = stage
                .at_server()
                .plan_transfer(&movie, stage.origin(), true);
            let error = plan.unwrap().connections(connections).run().unwrap_err();
            refusals.stop();
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
    let (stage, refusals) = refusing();
    let frames = stage.unsent(&stage.frames(6, 1000));
    for connections in [1, 4] {
        let expired = Mutex::new(Vec::new());
        refusals.set(move |request| {
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
        refusals.stop();
        assert_eq!(asked, 1 + 6 + 2 * 2 + 1);
        stage.check_frames(&stage.at_server(), &frames, 6);
        stage.at_server().remove_component(&frames).unwrap();
    }
}

#[test]
fn an_interrupted_upload_whose_addresses_have_expired_begins_anew() {
    let (stage, refusals) = refusing();
    let movie = stage.unsent(&stage.file("movie.mov", 40 * MIB));
    let urls = Arc::new(Mutex::new(Vec::new()));
    let seen = urls.clone();
    refusals.set(move |request| {
        let mut seen = seen.lock().unwrap();
        seen.push(request.url.query().unwrap().to_owned());
        if seen.len() == 3 {
            // Afterwards the progress is due, at which it is cancelled.
            thread::sleep(Duration::from_millis(200));
        }
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
    refusals.set(move |request| request.url.query()?.contains(&upload).then_some(403));
    server.add_component(&movie, &stage.origin()).unwrap();
    refusals.stop();
    assert!(read(&server, &movie) == bytes(40 * MIB));
    assert_eq!(stage.journals(), 0);
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_an_error() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("vanishes", |path| drop(fs::remove_file(path))),
        ("shrinks", |path| {
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1000)
                .unwrap();
        }),
        ("grows", |path| {
            let file = fs::OpenOptions::new().append(true).open(path);
            file.unwrap().write_all(b"more").unwrap();
        }),
        ("is written again", |path| {
            fs::write(path, vec![1; 40 * MIB]).unwrap();
        }),
    ];
    for (what, change) in changes {
        for connections in [1, 4] {
            let (stage, refusals) = refusing();
            let path = stage.file("movie.mov", 40 * MIB);
            let movie = stage.unsent(&path);
            let before = stage.registered();
            let changed = path.clone();
            let first = AtomicUsize::new(0);
            refusals.set(move |_| {
                if first.fetch_add(1, Ordering::SeqCst) == 0 {
                    change(&changed);
                }
                None
            });
            let server = stage.at_server();
            let plan = server.plan_transfer(&movie, stage.origin(), true).unwrap();
            let error = plan.connections(connections).run().unwrap_err();
            refusals.stop();
            assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
            assert!(error.to_string().contains("movie.mov"), "{what}: {error}");
            // Several connections may have read all of it before it shrinks.
            if (what, connections) == ("shrinks", 1) {
                let says_so = error.to_string().contains("movie.mov became smaller");
                assert!(says_so, "{error}");
            }
            assert_eq!(
                (stage.registered(), stage.journals()),
                (before, 0),
                "{what}"
            );
            // When it is complete, the same call sends it.
            fs::write(&path, bytes(41 * MIB)).unwrap();
            server.add_component(&movie, &stage.origin()).unwrap();
            assert!(read(&server, &movie) == bytes(41 * MIB), "{what}");
        }
    }
}

#[test]
fn a_part_that_arrives_as_other_bytes_is_an_error() {
    /// Says of the third part of an upload that other bytes have arrived.
    struct Spoiling(Box<dyn Transport>);

    impl Transport for Spoiling {
        fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
            let mut response = self.0.send(request)?;
            let url = request.url.as_str();
            if request.method == "PUT" && url.contains("part=3") {
                let spoilt = response.headers.iter_mut();
                for (_, value) in spoilt.filter(|(name, _)| name.eq_ignore_ascii_case("etag")) {
                    *value = "\"0123456789abcdef0123456789abcdef\"".to_owned();
                }
            }
            Ok(response)
        }
    }

    let stage = Stage::with(0, |builder| builder.wrap_transport(Spoiling));
    let movie = stage.unsent(&stage.file("movie.mov", 40 * MIB));
    let before = stage.registered();
    for connections in [1, 4] {
        let server = stage.at_server();
        let plan = server.plan_transfer(&movie, stage.origin(), true).unwrap();
        let error = plan.connections(connections).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("main.mov") && text.contains("part 3"),
            "{text}"
        );
        assert_eq!((stage.registered(), stage.journals()), (before, 0));
    }
}

/// The offset at which the range begins that a request asks for.
fn first_byte(request: &Request<'_>) -> Option<usize> {
    let range = request.headers.iter().find(|(name, _)| name == "range");
    let (_, range) = range?;
    let first = range.strip_prefix("bytes=")?.split('-').next()?;
    first.parse().ok()
}

#[test]
fn a_large_download_is_read_in_ranges_and_goes_on_where_it_broke_off() {
    let (stage, gate) = Stage::gated();
    let size = 5 * 16 * MIB + 1000;
    let movie = stage.unsent(&stage.file("movie.mov", size));
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
        // waits until it is cancelled.
        gate.close(connections, |request| {
            first_byte(request) >= Some(3 * 16 * MIB)
        });
        let opened = gate.clone();
        let cancelled = options.clone().on_progress(move |progress| {
            if progress.bytes() > 20 << 20 {
                progress.cancel();
                opened.open();
            }
        });
        assert_eq!(
            download(cancelled).unwrap_err().kind(),
            ErrorKind::Cancelled
        );
        gate.open();
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
    let frames = stage.unsent(&stage.frames(20, 100));
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

/// Loses the responses to questions for registered components, once it has sent such a registration.
struct Losing(Box<dyn Transport>, Arc<AtomicUsize>);

impl Transport for Losing {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        let body = String::from_utf8_lossy(request.body);
        let is_about = body.contains("ComponentLocation");
        if is_about && body.contains("\"query\"") && self.1.load(Ordering::SeqCst) > 0 {
            return Ok(Response {
                status: 403,
                headers: Vec::new(),
                body: Box::new(Cursor::new("not now")),
            });
        }
        if is_about && body.contains("\"create\"") {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        self.0.send(request)
    }
}

#[test]
fn what_another_session_has_registered_stays_if_nobody_can_say_so() {
    let sent = Arc::new(AtomicUsize::new(0));
    let ours = Arc::clone(&sent);
    let stage = Stage::with(0, move |builder| {
        builder.wrap_transport(move |inner| Losing(inner, ours))
    });
    let movie = stage.file("movie.mov", 30_000);
    let component = stage.unsent(&movie);
    stage.session.commit().unwrap();
    let plan = stage
        .at_server()
        .plan_transfer(&component, stage.origin(), true)
        .unwrap();
    let other = support::open(&stage.server);
    let theirs = other.get("FileComponent", &component).unwrap().unwrap();
    let origin = other.location("ftrack.origin").unwrap();
    let path = movie.display().to_string();
    origin.register_component(&theirs, &path).unwrap();
    let server = other.location("ftrack.server").unwrap();
    server.add_component(&theirs, &origin).unwrap();

    sent.store(0, Ordering::SeqCst);
    let error = plan.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
    assert_eq!(sent.load(Ordering::SeqCst), 1);
    assert!(read(&server, &theirs) == fs::read(&movie).unwrap());
}
