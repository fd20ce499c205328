//! What a storage may send: data of another size than the component's, endless or short, or other
//! bytes than those that were stored. And what it may say that it has got.

use std::collections::HashMap;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use ftrack_api::config::Retry;
use ftrack_api::transport::{Request, Response, Transport};
use md5::{Digest, Md5};

use super::storage::{Client, Storage, send_range};
use super::*;

/// No response is longer, so that the test ends.
const ENDLESS: usize = 200 * MIB;

/// A stage whose server has its data in a storage of the test.
fn with_storage() -> (Stage, Storage) {
    let storage = Storage::start();
    let transport = storage.transport();
    let stage = Stage::with(0, move |builder| {
        let retry = Retry::new().first_wait(Duration::from_millis(1));
        builder.retry(retry).wrap_transport(transport)
    });
    (stage, storage)
}

fn endless(client: &mut Client, head: &str) -> io::Result<()> {
    write!(client, "HTTP/1.1 {head}\r\n\r\n")?;
    for _ in 0..ENDLESS / MIB {
        client.write_all(&vec![7; MIB])?;
    }
    Err(io::ErrorKind::BrokenPipe.into())
}

/// A store of a user's that has a header before the data, which it leaves in.
struct Wrapping(Mutex<HashMap<String, Vec<u8>>>);

impl Accessor for Wrapping {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        let data = self.0.lock().unwrap()[resource_identifier].clone();
        Ok(Box::new(Cursor::new(data)))
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let mut data = b"header".to_vec();
        content.read_to_end(&mut data)?;
        let mut files = self.0.lock().unwrap();
        files.insert(resource_identifier.to_owned(), data);
        Ok(())
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        Ok(self.0.lock().unwrap().contains_key(resource_identifier))
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        Ok(self.0.lock().unwrap().remove(resource_identifier).is_some())
    }
}

fn wrapping(stage: &Stage) -> Location {
    let binding = Binding::new().accessor(Wrapping(Mutex::default()));
    stage.bound("test.wrapping", binding.structure(EntityIdStructure))
}

#[test]
fn data_that_is_larger_or_smaller_than_its_component_is_refused() {
    let _alone = COUNTING.lock();
    let (stage, storage) = with_storage();
    let path = stage.file("ten.mov", 10);
    let server = stage.at_server();
    let made = stage
        .create(&path, &server, TransferOptions::new())
        .unwrap();
    let targets = [stage.disk(stage.disk_accessor()), wrapping(&stage)];
    let folder = stage.folder.path().join("out");
    fs::create_dir(&folder).unwrap();
    let target = folder.join("copy.mov");
    let before = stage.registered();
    type Respond = fn(&mut Client, u64, u64) -> io::Result<()>;
    let all: [(&str, Respond, &str); 5] = [
        (
            "more is announced, in a range",
            |client, first, last| {
                let range = format!("bytes {first}-{last}/999999999999");
                let head = format!("206 Partial\r\nContent-Range: {range}");
                endless(client, &head)
            },
            "999999999999",
        ),
        (
            "more is announced, as a whole",
            |client, _, _| endless(client, "200 OK\r\nContent-Length: 999999999999"),
            "999999999999",
        ),
        (
            "one byte more",
            |client, first, last| send_range(client, "", &[7; 11], first, last),
            "11",
        ),
        (
            "one byte less",
            |client, first, last| send_range(client, "", &[7; 9], first, last),
            "9",
        ),
        (
            "nothing",
            |client, first, last| send_range(client, "", &[], first, last),
            "0",
        ),
    ];
    for (what, respond, found) in all {
        for connections in [1, 4] {
            fs::write(&target, b"precious").unwrap();
            storage.set(respond);
            let options = TransferOptions::new()
                .connections(connections)
                .replace(true);
            let error = server.download(&made, |_| Ok(target.clone()), options);
            let error = error.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{what}: {error}");
            let text = error.to_string();
            let path = target.display().to_string();
            let sizes = format!("the size of the data is {found}, and that of the component is 10");
            assert!(
                text.contains(&path) && text.contains(&sizes),
                "{what}: {text}"
            );
            assert!(error.remedy().is_some());
            assert_eq!(fs::read(&target).unwrap(), b"precious", "{what}");
            assert_eq!(files(&folder), 1, "{what}");
            for target in &targets {
                let plan = target.plan_transfer(&made, &server, true).unwrap();
                let error = plan.connections(connections).run().expect_err(what);
                assert_eq!(error.kind(), ErrorKind::BadResponse, "{what}: {error}");
            }
            assert_eq!(
                (files(&stage.store()), stage.registered()),
                (0, before),
                "{what}"
            );
            assert!(
                storage.sent() < ENDLESS as u64 / 4,
                "{what}: {}",
                storage.sent()
            );
            no_thread_is_left();
        }
    }
    storage.hold(bytes(10), "");
    let options = TransferOptions::new().replace(true);
    server
        .download(&made, |_| Ok(target.clone()), options)
        .unwrap();
    assert!(fs::read(&target).unwrap() == bytes(10));
}

/// The size of a component says nothing if nobody has measured it, if it is a share of a sequence's, or
/// if data is stored in another form.
#[test]
fn a_size_that_says_nothing_is_not_compared() {
    let (stage, storage) = with_storage();
    let server = stage.at_server();
    let path = stage.file("movie.mov", 1000);
    let target = stage.folder.path().join("copy.mov");
    let download = |location: &Location, component: &Entity| {
        let options = TransferOptions::new().replace(true);
        location.download(component, |_| Ok(target.clone()), options)
    };
    storage.hold(bytes(1000), "");
    for size in [
        data! { "size": 0 },
        data! { "size": ftrack_api::Value::Null },
    ] {
        let made = stage
            .session
            .create_component(&path, size, &server)
            .unwrap();
        // Of another session, which only knows what the server says.
        let other = open(&stage.server);
        let same = other.get("FileComponent", &made).unwrap().unwrap();
        download(&server, &made).unwrap();
        let there = other.location("ftrack.server").unwrap();
        download(&there, &same).unwrap();
        assert!(fs::read(&target).unwrap() == bytes(1000));
    }
    // The members have 20 bytes each by their sizes.
    let frames = stage.frames(5, 90);
    let data = data! { "size": 100 };
    let made = stage
        .session
        .create_component(&frames, data, &server)
        .unwrap();
    let member = made.get::<Vec<Entity>>("members").unwrap().swap_remove(2);
    for (size, is_fine) in [(90, true), (7, true), (100, true), (101, false)] {
        storage.hold(bytes(size), "");
        assert_eq!(download(&server, &member).is_ok(), is_fine, "{size}");
    }
    let wrapping = wrapping(&stage);
    let made = stage
        .create(&path, &wrapping, TransferOptions::new())
        .unwrap();
    download(&wrapping, &made).unwrap();
    assert_eq!(fs::read(&target).unwrap().len(), 1006);
    let disk = stage.disk(stage.disk_accessor());
    disk.add_component(&made, &wrapping).unwrap();
    assert_eq!(read(&disk, &made).len(), 1006);
}

/// The lines by which a storage of the kind of S3 says what it has.
fn tagged(bytes: &[u8]) -> String {
    let sum: String = Md5::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("ETag: \"{sum}\"\r\nx-amz-request-id: 1\r\n")
}

#[test]
fn other_bytes_than_those_of_the_checksum_are_refused() {
    let _alone = COUNTING.lock();
    let (stage, storage) = with_storage();
    let server = stage.at_server();
    let folder = stage.folder.path().join("out");
    let target = folder.join("copy.mov");
    for size in [1000, 20 * MIB] {
        let path = stage.file("movie.mov", size);
        let made = stage
            .create(&path, &server, TransferOptions::new())
            .unwrap();
        let mut spoilt = bytes(size);
        spoilt[size - 7] ^= 1;
        for connections in [1, 4] {
            let download = || {
                let options = TransferOptions::new()
                    .connections(connections)
                    .replace(true);
                server.download(&made, |_| Ok(target.clone()), options)
            };
            storage.hold(bytes(size), &tagged(&bytes(size)));
            download().unwrap();
            assert!(fs::read(&target).unwrap() == bytes(size));
            storage.hold(spoilt.clone(), &tagged(&bytes(size)));
            let error = download().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
            let text = error.to_string();
            assert!(text.contains("copy.mov has the MD5"), "{text}");
            assert!(fs::read(&target).unwrap() == bytes(size));
            assert_eq!(files(&folder), 1);
            // Read by a program, too: it never gets the last bytes.
            let mut opened = server.open(&made).unwrap();
            let error = opened.read_to_end(&mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("MD5"), "{error}");
            // What is no checksum says nothing.
            let tag = tagged(&bytes(size)).replace("\"\r\n", "-2\"\r\n");
            storage.hold(spoilt.clone(), &tag);
            download().unwrap();
            assert!(fs::read(&target).unwrap() == spoilt);
        }
    }
}

/// A part that an earlier attempt left is not mixed with other data: what the storage says of all of
/// it shows that.
#[test]
fn a_part_of_other_data_is_downloaded_anew() {
    let _alone = COUNTING.lock();
    let (stage, storage) = with_storage();
    let server = stage.at_server();
    let size = 20 * MIB;
    let folder = stage.folder.path().join("out");
    let target = folder.join("copy.mov");
    let path = stage.file("movie.mov", size);
    let data = data! { "size": 0 };
    let made = stage
        .session
        .create_component(&path, data, &server)
        .unwrap();
    let other: Vec<u8> = bytes(size).iter().map(|byte| byte ^ 0xff).collect();
    let spoil = |part: &Path| fs::write(part, vec![7; 10 * MIB]).unwrap();
    let keep = |_: &Path| ();
    type Change<'a> = &'a dyn Fn(&Path);
    let changes: [(&str, Vec<u8>, Change<'_>); 4] = [
        ("a byte of the part", bytes(size), &spoil),
        ("all bytes", other, &keep),
        ("fewer bytes", bytes(MIB), &keep),
        ("no bytes", Vec::new(), &keep),
    ];
    for (what, now, change) in changes {
        for connections in [1, 4] {
            let options = || {
                TransferOptions::new()
                    .connections(connections)
                    .replace(true)
            };
            let download = |options| server.download(&made, |_| Ok(target.clone()), options);
            // It breaks off behind the first range.
            let held = bytes(size);
            storage.set(move |client, first, last| match first > 0 {
                true => Err(io::ErrorKind::BrokenPipe.into()),
                false => send_range(client, "ETag: \"first\"\r\n", &held, first, last),
            });
            let error = download(options()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
            let left = fs::read_dir(&folder).unwrap().flatten();
            let mut parts = left.filter(|entry| entry.path() != target);
            change(&parts.next().unwrap().path());
            storage.hold(now.clone(), &tagged(&now));
            let last = Arc::new(Mutex::new((0, 0)));
            let seen = last.clone();
            let options = options().on_progress(move |progress| {
                *seen.lock().unwrap() = (progress.bytes(), progress.total_bytes());
            });
            download(options).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(fs::read(&target).unwrap() == now, "{what}");
            assert_eq!(files(&folder), 1, "{what}");
            let size = now.len() as u64;
            assert_eq!(*last.lock().unwrap(), (size, size), "{what}");
        }
    }
}

#[test]
fn one_connection_is_opened_once_for_all_frames_and_ranges() {
    let (stage, storage) = with_storage();
    let server = stage.at_server();
    let frames = stage.create(&stage.frames(20, 100), &server, TransferOptions::new());
    let movie = stage.file("movie.mov", 20 * MIB);
    let movie = stage.create(&movie, &server, TransferOptions::new());
    for (made, size) in [(frames.unwrap(), 100), (movie.unwrap(), 20 * MIB)] {
        storage.hold(bytes(size), "");
        let before = storage.connections();
        let path = |one: &Entity| Ok(stage.folder.path().join(one.id()));
        server
            .download(&made, path, TransferOptions::new())
            .unwrap();
        // That of the frames, unless a busy machine has left it idle for too long.
        assert!(storage.connections() - before <= 1, "{size}");
    }
}

#[test]
fn a_file_that_arrives_as_other_bytes_is_an_error() {
    type Lines = &'static [(&'static str, &'static str)];

    /// Acknowledges uploads with these lines.
    struct Saying(Box<dyn Transport>, Arc<Mutex<Lines>>);

    impl Transport for Saying {
        fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
            let mut response = self.0.send(request)?;
            if request.method == "PUT" {
                let lines = self.1.lock().unwrap().iter();
                let lines = lines.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                response.headers = lines.collect();
            }
            Ok(response)
        }
    }

    const OTHER: (&str, &str) = ("etag", "\"0123456789abcdef0123456789abcdef\"");
    const S3: (&str, &str) = ("x-amz-request-id", "1");
    let lines: Arc<Mutex<Lines>> = Arc::new(Mutex::new(&[]));
    let ours = lines.clone();
    let stage = Stage::with(0, move |builder| {
        builder.wrap_transport(move |inner| Saying(inner, ours))
    });
    let path = stage.file("small.mov", 1000);
    let server = stage.at_server();
    let before = stage.registered();
    *lines.lock().unwrap() = &[OTHER, S3];
    let error = stage.create(&path, &server, TransferOptions::new());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
    assert!(error.to_string().contains("upload of main.mov"), "{error}");
    assert_eq!(stage.registered(), before);
    // These are no checksums.
    const KMS: (&str, &str) = ("x-amz-server-side-encryption", "aws:kms");
    let honest: [Lines; 2] = [&[OTHER], &[OTHER, S3, KMS]];
    for honest in honest {
        *lines.lock().unwrap() = honest;
        stage
            .create(&path, &server, TransferOptions::new())
            .unwrap();
    }
}
