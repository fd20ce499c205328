//! An S3-compatible storage as a location, on a server of its own that knows nothing of ftrack.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/moto.rs"]
mod moto;
mod support;

use std::fs;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ftrack_api::accessor::{Accessor, AccessorExt, S3Accessor, S3Bucket};
use ftrack_api::config::{Retry, SchemaCache};
use ftrack_api::location::{Binding, Target, TransferOptions};
use ftrack_api::structure::{EntityIdStructure, StandardStructure};
use ftrack_api::transport::{Request, Response, Transport};
use ftrack_api::{Entity, ErrorKind, Location, Session, data, expr};
use ftrack_emulator::Emulator;
use gate::{Gate, cancelled};
use moto::{ACCESS_KEY, BUCKET, Moto, SECRET_KEY};
use support::{builder, read, requests, secret};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// What happens to a request to the storage.
enum Fate {
    Passes,
    /// It is carried out, and the response is lost.
    Lost,
    /// A byte of what it returns is another one.
    Spoilt,
    Refused(u16),
}

type Meddle = Box<dyn FnMut(&Request<'_>) -> Fate + Send>;

/// Counts requests to the storage and lets some of them fail.
#[derive(Clone, Default)]
struct Meddler {
    sent: Arc<Mutex<Vec<String>>>,
    meddle: Arc<Mutex<Option<Meddle>>>,
}

struct Meddling(Box<dyn Transport>, Meddler);

impl Transport for Meddling {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        let is_ours = request.url.path().starts_with(&format!("/{BUCKET}"));
        if !is_ours {
            return self.0.send(request);
        }
        let line = format!("{} {}", request.method, request.url);
        assert!(!line.contains(SECRET_KEY));
        // Whether it is right, the storage knows.
        assert!(line.contains("X-Amz-Signature="), "{line}");
        self.1.sent.lock().unwrap().push(line);
        let mut meddle = self.1.meddle.lock().unwrap();
        let fate = meddle.as_mut().map_or(Fate::Passes, |call| call(request));
        drop(meddle);
        match fate {
            Fate::Passes => self.0.send(request),
            Fate::Lost => {
                self.0
                    .send(request)?
                    .body
                    .read_to_end(&mut Vec::new())
                    .unwrap();
                Err(ftrack_api::Error::new(ErrorKind::Connection, "it was lost"))
            }
            Fate::Spoilt => {
                let mut response = self.0.send(request)?;
                let mut bytes = Vec::new();
                response.body.read_to_end(&mut bytes).unwrap();
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= 1;
                }
                response.body = Box::new(Cursor::new(bytes));
                Ok(response)
            }
            Fate::Refused(status) => {
                let body = "<Error><Code>Refused</Code><Message>not now</Message>\
                    <StringToSign>confidential</StringToSign></Error>";
                Ok(Response {
                    status,
                    headers: Vec::new(),
                    body: Box::new(Cursor::new(body)),
                })
            }
        }
    }
}

impl Meddler {
    fn set(&self, meddle: impl FnMut(&Request<'_>) -> Fate + Send + 'static) {
        *self.meddle.lock().unwrap() = Some(Box::new(meddle));
    }

    fn stop(&self) {
        *self.meddle.lock().unwrap() = None;
    }

    /// The requests since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

struct Stage {
    moto: Moto,
    _server: Emulator,
    session: Session,
    meddler: Meddler,
    gate: Gate,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let server = Emulator::builder().tasks(10).start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let meddler = Meddler::default();
        let ours = meddler.clone();
        let gate = Gate::default();
        let gated = gate.transport();
        let session = builder(&server)
            .schema_cache(SchemaCache::Dir(folder.path().join("cache")))
            .retry(Retry::new().first_wait(std::time::Duration::from_millis(1)))
            .wrap_transport(move |inner| gated(Box::new(Meddling(inner, ours))))
            .open()
            .unwrap();
        Self {
            moto: Moto::start(),
            _server: server,
            session,
            meddler,
            gate,
            folder,
        }
    }

    fn bucket(&self) -> S3Bucket {
        S3Bucket::new(self.moto.url(), BUCKET).credentials(ACCESS_KEY, secret(SECRET_KEY))
    }

    fn accessor(&self) -> S3Accessor {
        S3Accessor::new(&self.session, self.bucket()).unwrap()
    }

    fn location(&self) -> Location {
        let data = data! { "name": "test.s3" };
        self.session.ensure("Location", data, "name").unwrap();
        let location = self.session.location("test.s3").unwrap();
        let binding = Binding::new().accessor(self.accessor());
        location.bind(binding.structure(EntityIdStructure));
        location
    }

    fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes(size)).unwrap();
        path
    }

    fn registered(&self) -> u64 {
        let query = expr!("ComponentLocation where location.name is test.s3");
        self.session.query(query).unwrap().count().unwrap()
    }
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| ((n * n) >> 7) as u8).collect()
}

fn kind(error: &anyhow::Error) -> ErrorKind {
    error.downcast_ref::<ftrack_api::Error>().unwrap().kind()
}

#[test]
fn objects_are_written_read_listed_and_removed() {
    let stage = Stage::new();
    for prefix in ["", "lighthouse/v 1"] {
        let bucket = stage.bucket().prefix(prefix);
        let s3 = S3Accessor::new(&stage.session, bucket).unwrap();
        let keys = [
            "a/plain.txt",
            "a/b/with blank+plus%41.txt",
            "a/ünï 漢字.txt",
            "a-b",
            "signed/~!$&'()*+,;=:@?#[]{}|^`\"<>\\ .txt",
        ];
        for (index, key) in keys.iter().enumerate() {
            let content = bytes(index * 1000);
            assert!(!s3.exists(key).unwrap());
            s3.write_bytes(key, &content).unwrap();
            assert!(s3.exists(key).unwrap() && s3.is_file(key).unwrap());
            assert_eq!(s3.read_bytes(key).unwrap(), content);
            let mut rest = Vec::new();
            s3.open_at(key, content.len() as u64 / 2)
                .unwrap()
                .read_to_end(&mut rest)
                .unwrap();
            assert_eq!(rest, content[content.len() / 2..]);
            // Anybody with the URL can read it.
            let url = s3.get_url(key).unwrap();
            let mut response = ureq::get(url).call().unwrap();
            assert_eq!(response.body_mut().read_to_vec().unwrap(), content);
        }
        assert_eq!(
            s3.list("a").unwrap(),
            ["a/b", "a/plain.txt", "a/ünï 漢字.txt"]
        );
        assert_eq!(s3.list("a/b").unwrap(), [keys[1]]);
        assert!(s3.is_container("a").unwrap() && !s3.is_container("a-b").unwrap());
        assert!(!s3.exists("a").unwrap());
        assert_eq!(s3.get_container("a/b/c").unwrap().as_deref(), Some("a/b"));
        assert_eq!(s3.get_container("a").unwrap(), None);
        assert_eq!(kind(&s3.list("nothing").unwrap_err()), ErrorKind::NotFound);
        let missing = s3.open("nothing").err().unwrap();
        assert_eq!(kind(&missing), ErrorKind::NotFound);
        for key in keys {
            assert!(s3.remove(key).unwrap());
            assert!(!s3.remove(key).unwrap());
        }
        assert_eq!(stage.moto.objects(), 0);
    }
}

#[test]
fn a_folder_of_many_objects_is_listed_whole() {
    let stage = Stage::new();
    for index in 0..1005 {
        let address = stage.moto.address(&format!("many/{index:04}"));
        ureq::put(address).send("x").unwrap();
    }
    let found = stage.accessor().list("many").unwrap();
    assert_eq!(found.len(), 1005);
    assert_eq!(found[1004], "many/1004");
}

#[test]
fn keys_that_would_lead_elsewhere_are_refused_and_settings_are_checked() {
    let stage = Stage::new();
    let s3 = stage.accessor();
    let long = "a".repeat(1025);
    for key in [
        "", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b", "a\nb", &long,
    ] {
        for error in [
            s3.open(key).err().unwrap(),
            s3.write_bytes(key, b"x").unwrap_err(),
            s3.exists(key).unwrap_err(),
            s3.remove(key).unwrap_err(),
            s3.get_url(key).unwrap_err(),
        ] {
            assert_eq!(kind(&error), ErrorKind::Validation, "{key:?}");
        }
    }
    assert_eq!(stage.meddler.take().len(), 0);
    for bucket in [
        S3Bucket::new("", "plates"),
        S3Bucket::new("minio:9000", "plates"),
        S3Bucket::new("ftp://minio", "plates"),
        S3Bucket::new("http://minio", ""),
        S3Bucket::new("http://minio", "a/b"),
        S3Bucket::new("http://minio", "plates").prefix("a/../b"),
        S3Bucket::new("http://127.0.0.1", "plates").virtual_host(true),
    ] {
        let error = S3Accessor::new(&stage.session, bucket).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("bucket"), "{error}");
    }
    let shown = format!("{:?} {s3:?}", stage.bucket());
    assert!(
        !shown.contains(SECRET_KEY) && shown.contains(BUCKET),
        "{shown}"
    );
}

/// Everything else here shows that the storage accepts the right ones.
#[test]
fn signatures_are_those_of_the_secret_key() {
    let stage = Stage::new();
    let right = stage.accessor();
    right.write_bytes("here", b"precious").unwrap();
    let url = right.get_url("here").unwrap();
    let fetch = |url: &str| {
        ureq::get(url)
            .call()
            .map(|response| response.status().as_u16())
    };
    assert_eq!(fetch(&url).unwrap(), 200);
    for (from, to) in [
        ("/here?", "/there?"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
        ("us-east-1", "us-east-2"),
    ] {
        assert!(url.contains(from), "{url}");
        let refused = fetch(&url.replace(from, to));
        assert!(
            matches!(refused, Err(ureq::Error::StatusCode(403))),
            "{to}: {refused:?}"
        );
    }

    let other = |bucket: S3Bucket| S3Accessor::new(&stage.session, bucket).unwrap();
    let bucket = S3Bucket::new(stage.moto.url(), BUCKET);
    for wrong in [
        bucket
            .clone()
            .credentials(ACCESS_KEY, secret("an0ther-s3cret")),
        bucket.clone().credentials("somebody", secret(SECRET_KEY)),
    ] {
        let wrong = other(wrong);
        for error in [
            wrong.open("here").err().unwrap(),
            wrong.exists("here").unwrap_err(),
            wrong.list("here").unwrap_err(),
            wrong.remove("here").unwrap_err(),
            wrong.write_bytes("new", b"x").unwrap_err(),
            wrong.write_bytes("large", &bytes(17 * MIB)).unwrap_err(),
        ] {
            assert_eq!(kind(&error), ErrorKind::Permission, "{error}");
        }
    }
    assert_eq!((stage.moto.objects(), stage.moto.unfinished()), (1, 0));

    for right in [
        stage.bucket().region("eu-central-1"),
        bucket.session_credentials(ACCESS_KEY, secret(SECRET_KEY), "a token/of=a+role"),
    ] {
        assert_eq!(other(right).read_bytes("here").unwrap(), b"precious");
    }
}

#[test]
fn existing_objects_are_not_replaced() {
    let stage = Stage::new();
    let s3 = stage.accessor();
    s3.write_bytes("taken", b"precious").unwrap();
    for size in [100, 17 * MIB] {
        let error = s3.write_bytes("taken", &bytes(size)).unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Duplicate, "{error}");
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(s3.read_bytes("taken").unwrap(), b"precious");
    }
    assert_eq!(stage.moto.unfinished(), 0);
}

#[test]
fn connections_share_frames_parts_and_ranges() {
    let stage = Stage::new();
    let location = stage.location();
    let folder = stage.folder.path().join("frames");
    fs::create_dir(&folder).unwrap();
    for frame in 1..=20 {
        fs::write(folder.join(format!("f.{frame:04}.exr")), bytes(frame * 500)).unwrap();
    }
    let frames = folder.join("f.%04d.exr [1-20]");
    let movie = stage.file("large.mov", 70 * MIB + 3);
    for connections in [1, 8] {
        let options = || TransferOptions::new().connections(connections);
        let create = |path: &PathBuf| {
            let session = &stage.session;
            session
                .create_component_with(path, data! {}, &location, options())
                .unwrap()
        };
        let sequence = create(&frames);
        for member in sequence.get::<Vec<Entity>>("members").unwrap() {
            let name: String = member.get("name").unwrap();
            let source = folder.join(format!("f.{name}.exr"));
            assert!(read(&location, &member) == fs::read(source).unwrap());
        }
        let large = create(&movie);
        let target = stage.folder.path().join(format!("copy {connections}"));
        stage.meddler.take();
        location
            .download(&large, |_| Ok(target.clone()), options())
            .unwrap();
        assert!(fs::read(&target).unwrap() == bytes(70 * MIB + 3));
        // Each range once.
        assert_eq!(stage.meddler.take().len(), 5);
        // The official server, and back.
        let server = stage.session.location("ftrack.server").unwrap();
        server.add_component(&large, &location).unwrap();
        assert!(read(&server, &large) == bytes(70 * MIB + 3));
        location.remove_component(&sequence).unwrap();
        location.remove_component(&large).unwrap();
        assert_eq!((stage.moto.objects(), stage.registered()), (0, 0));
    }
    assert_eq!(stage.moto.unfinished(), 0);
}

#[test]
fn a_byte_that_changes_on_its_way_is_noticed_where_the_storage_has_a_checksum() {
    let stage = Stage::new();
    let location = stage.location();
    let target = stage.folder.path().join("copy.mov");
    // Several parts have no checksum of the whole.
    for (size, is_noticed) in [(1000, true), (16 * MIB, true), (20 * MIB, false)] {
        let path = stage.file("plate.mov", size);
        let session = &stage.session;
        let made = session
            .create_component(&path, data! {}, &location)
            .unwrap();
        for connections in [1, 4] {
            let download = || {
                let options = TransferOptions::new()
                    .connections(connections)
                    .replace(true);
                location.download(&made, |_| Ok(target.clone()), options)
            };
            stage.meddler.set(|_| Fate::Spoilt);
            let spoilt = download();
            stage.meddler.stop();
            match spoilt {
                Err(error) => {
                    assert!(is_noticed, "{error}");
                    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
                    let text = error.to_string();
                    assert!(text.contains("copy.mov has the MD5"), "{text}");
                }
                Ok(()) => assert!(!is_noticed, "{size}"),
            }
            download().unwrap();
            assert!(fs::read(&target).unwrap() == bytes(size));
        }
    }
}

#[test]
fn a_structure_makes_keys_that_people_can_read() {
    let stage = Stage::new();
    let location = stage.location();
    location.bind(
        Binding::new()
            .accessor(stage.accessor())
            .structure(StandardStructure::new()),
    );
    let version = stage.session.query("AssetVersion").unwrap();
    let version = version.first().unwrap().unwrap();
    let path = stage.file("plate.exr", 100);
    let made = version
        .create_component(&path, data! { "name": "plate" }, &location)
        .unwrap();
    let key = location.get_resource_identifier(&made).unwrap();
    assert!(
        key.ends_with("plate.exr") && key.matches('/').count() >= 3,
        "{key}"
    );
    assert!(read(&location, &made) == bytes(100));
    assert_eq!(
        location
            .get_url(&made)
            .unwrap()
            .matches("X-Amz-Signature")
            .count(),
        1
    );
}

#[test]
fn an_upload_that_was_cancelled_is_resumed() {
    let stage = Stage::new();
    let location = stage.location();
    let movie = stage.file("movie.mov", 15 * 8 * MIB);
    for connections in [1, 3] {
        let options = TransferOptions::new().connections(connections);
        let create = |options: TransferOptions| {
            let session = &stage.session;
            session.create_component_with(&movie, data! {}, &location, options)
        };
        let error = create(cancelled(&stage.gate, connections));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!((stage.moto.objects(), stage.moto.unfinished()), (0, 1));
        let journals = stage.folder.path().join("cache/ftrack_api_transfers");
        let journal = fs::read_dir(&journals).unwrap().next().unwrap().unwrap();
        let text = fs::read_to_string(journal.path()).unwrap();
        assert!(
            !text.contains(SECRET_KEY) && !text.contains("X-Amz"),
            "{text}"
        );
        let noted = text.matches("e_tag").count();
        assert!((1..15).contains(&noted), "{noted}");
        stage.meddler.take();
        let made = create(options).unwrap();
        let sent = stage.meddler.take();
        let parts = sent.iter().filter(|line| line.starts_with("PUT"));
        assert_eq!(parts.count(), 15 - noted);
        assert!(read(&location, &made) == bytes(15 * 8 * MIB));
        assert_eq!(stage.moto.unfinished(), 0);
        assert_eq!(fs::read_dir(&journals).unwrap().count(), 0);
        location.remove_component(&made).unwrap();
    }
}

#[test]
fn an_upload_that_the_storage_has_dropped_begins_anew() {
    let stage = Stage::new();
    let location = stage.location();
    let movie = stage.file("movie.mov", 15 * 8 * MIB);
    let create = |options: TransferOptions| {
        let session = &stage.session;
        session.create_component_with(&movie, data! {}, &location, options)
    };
    let error = create(cancelled(&stage.gate, 1));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
    let begun = stage.meddler.take();
    let part = begun
        .iter()
        .find(|line| line.contains("uploadId="))
        .unwrap();
    let (_, upload) = part.split_once("uploadId=").unwrap();
    let upload = upload.split('&').next().unwrap();
    let key = part.split('?').next().unwrap();
    let key = key.strip_prefix("PUT ").unwrap();
    ureq::delete(format!("{key}?uploadId={upload}"))
        .call()
        .unwrap();
    assert_eq!(stage.moto.unfinished(), 0);
    // Where storages say that there is no such upload, moto has a fault.
    let upload = upload.to_owned();
    stage.meddler.set(
        move |request| match request.url.as_str().contains(&upload) {
            true => Fate::Refused(404),
            false => Fate::Passes,
        },
    );
    let made = create(TransferOptions::new()).unwrap();
    stage.meddler.stop();
    assert!(read(&location, &made) == bytes(15 * 8 * MIB));
    assert_eq!(stage.moto.unfinished(), 0);
}

#[test]
fn responses_that_are_lost_are_asked_for_again() {
    let stage = Stage::new();
    let s3 = stage.accessor();
    // Each request once: what was done must not be taken for another's.
    for (size, needle) in [(100, "PUT"), (20 * MIB, "POST"), (20 * MIB, "PUT")] {
        let lost = Arc::new(AtomicUsize::new(0));
        let counter = lost.clone();
        stage.meddler.set(move |request| {
            let ends = request.method == needle
                && (needle == "PUT" || !request.body.is_empty())
                && counter.fetch_add(1, Ordering::SeqCst) == 0;
            if ends { Fate::Lost } else { Fate::Passes }
        });
        s3.write_bytes("lost", &bytes(size)).unwrap();
        stage.meddler.stop();
        assert!(lost.load(Ordering::SeqCst) > 1, "{size} {needle}");
        assert!(s3.read_bytes("lost").unwrap() == bytes(size));
        assert!(s3.remove("lost").unwrap());
        assert_eq!(stage.moto.unfinished(), 0);
    }
}

#[test]
fn a_storage_in_trouble_is_asked_again_and_one_that_refuses_is_an_error() {
    let stage = Stage::new();
    let location = stage.location();
    let movie = stage.file("movie.mov", 40 * MIB);
    let made = stage
        .session
        .create_component(&movie, data! {}, Target::Nowhere)
        .unwrap();
    let origin = stage.session.location("ftrack.origin").unwrap();
    for connections in [1, 4] {
        // 503 for each part once.
        let seen = Mutex::new(Vec::new());
        stage.meddler.set(move |request| {
            let mut seen = seen.lock().unwrap();
            let part = request.url.as_str().split("X-Amz-Date").next().unwrap();
            let part = format!("{} {part} {}", request.method, request.body.len());
            let is_new = request.method == "PUT" && !seen.contains(&part);
            seen.push(part);
            if is_new {
                Fate::Refused(503)
            } else {
                Fate::Passes
            }
        });
        let plan = location.plan_transfer(&made, &origin, true).unwrap();
        plan.connections(connections).run().unwrap();
        stage.meddler.stop();
        assert!(read(&location, &made) == bytes(40 * MIB));
        location.remove_component(&made).unwrap();

        // 403 for the third part, always.
        stage.meddler.set(
            |request| match request.url.as_str().contains("partNumber=3&") {
                true => Fate::Refused(403),
                false => Fate::Passes,
            },
        );
        let plan = location.plan_transfer(&made, &origin, true).unwrap();
        let error = plan.connections(connections).run().unwrap_err();
        stage.meddler.stop();
        assert_eq!(error.kind(), ErrorKind::Permission);
        let text = error.to_string();
        for expected in ["part 3 of 5", "main.mov", "Refused: not now"] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(!text.contains("confidential"), "{text}");
        // Nothing is left, registered or not, and the call can be repeated.
        assert_eq!(stage.registered(), 0);
        assert_eq!((stage.moto.objects(), stage.moto.unfinished()), (0, 0));
        location.add_component(&made, &origin).unwrap();
        assert!(read(&location, &made) == bytes(40 * MIB));
        location.remove_component(&made).unwrap();
    }
}

#[test]
fn a_read_only_session_only_reads() {
    let stage = Stage::new();
    stage.accessor().write_bytes("a", b"x").unwrap();
    let session = builder(&stage._server).read_only(true).open().unwrap();
    let s3 = S3Accessor::new(&session, stage.bucket()).unwrap();
    assert_eq!(s3.read_bytes("a").unwrap(), b"x");
    for size in [1, 17 * MIB] {
        let error = s3.write_bytes("b", &bytes(size)).unwrap_err();
        assert_eq!(kind(&error), ErrorKind::ReadOnly);
    }
    assert_eq!(kind(&s3.remove("a").unwrap_err()), ErrorKind::ReadOnly);
    assert_eq!((stage.moto.objects(), stage.moto.unfinished()), (1, 0));
    // Its requests are the session's.
    let asked = requests(&session, || assert!(s3.exists("a").unwrap()));
    assert_eq!(asked, 1);
    let _budget = session.request_budget(0);
    assert_eq!(kind(&s3.exists("a").unwrap_err()), ErrorKind::OverBudget);
}
