//! What the integration tests share: sessions on an emulator, and servers that misbehave.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

pub(crate) mod end;
pub(crate) mod proxy;
pub(crate) mod steady;
pub(crate) mod trace;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::{Entity, ErrorKind, Location, Session, SessionBuilder, config::SchemaCache, data};
use ftrack_emulator::Emulator;
pub(crate) use trace::secret;

/// A server with the demo studio.
pub(crate) fn emulator() -> Emulator {
    Emulator::builder().tasks(60).start().unwrap()
}

/// A builder with everything that the server needs, and no schema cache.
pub(crate) fn builder(server: &Emulator) -> SessionBuilder {
    Session::builder()
        .server_url(server.url())
        .api_key(secret(server.api_key()))
        .api_user(server.api_user())
        .schema_cache(SchemaCache::Off)
}

pub(crate) fn open(server: &Emulator) -> Session {
    builder(server).open().unwrap()
}

/// A server and a session on it; test files add what they need.
pub(crate) struct Studio {
    pub(crate) server: Emulator,
    pub(crate) session: Session,
}

impl Studio {
    pub(crate) fn new() -> Self {
        let server = emulator();
        let session = open(&server);
        Self { server, session }
    }

    /// The first entity that a query finds.
    #[track_caller]
    pub(crate) fn first(&self, query: &str) -> Entity {
        self.session.query(query).unwrap().first().unwrap().unwrap()
    }
}

/// Waits for what must happen in the end: a test that waits this long has a fault, not just a busy machine.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Repeats what only a timeout on a busy machine can make fail.
pub(crate) fn patiently<T>(mut work: impl FnMut() -> ftrack_api::Result<T>) -> T {
    for _ in 0..50 {
        match work() {
            Ok(done) => return done,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}"),
        }
    }
    panic!("the server does not respond");
}

/// Listens again where it was listened before: for a moment the system may have given the port away.
pub(crate) fn listen_again(address: SocketAddr) -> TcpListener {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// How many requests `work` sends.
pub(crate) fn requests(session: &Session, work: impl FnOnce()) -> u64 {
    let before = session.statistics().requests;
    work();
    session.statistics().requests - before
}

/// Uses a new cache, and sees that it counts what it does, bytes too.
pub(crate) fn check_counts(cache: &dyn ftrack_api::cache::Cache) {
    let text = |value: &str| value.to_owned();
    cache.set("a", text("four")).unwrap();
    let entries = vec![(text("b"), text("seven b")), (text("c"), text("é"))];
    cache.set_many(entries).unwrap();
    cache.get("a").unwrap();
    cache.get("x").unwrap();
    let keys = [text("b"), text("y"), text("c")];
    cache.get_many(&keys).unwrap();
    let counted = &cache.statistics()[0];
    let calls = (counted.hits, counted.misses, counted.writes);
    assert_eq!(calls, (3, 2, 3), "{counted:?}");
    let bytes = (counted.bytes_read, counted.bytes_written);
    assert_eq!(bytes, (13, 13), "{counted:?}");
    assert_eq!((counted.errors, counted.evictions), (0, 0), "{counted:?}");
}

/// Lets threads, each with a cache of its own in the same place, add to the same values: nothing
/// is lost, and nothing is added twice.
pub(crate) fn check_updates<C: ftrack_api::cache::Cache>(make: impl Fn() -> C + Sync) {
    // A cache on a server gives up what takes the server too long, and promises nothing then.
    let sure = (0..20).any(|round| add_at_once(round, &make));
    assert!(sure, "the cache gave something up in every round");
}

/// False if a cache gave up a call without an error, and only its statistics say so.
fn add_at_once<C: ftrack_api::cache::Cache>(round: usize, make: &(impl Fn() -> C + Sync)) -> bool {
    let keys: Vec<String> = (0..5).map(|key| format!("sum {round} {key}")).collect();
    let given_up = |cache: &C| -> u64 { cache.statistics().iter().map(|one| one.errors).sum() };
    let (failed, unsure) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let cache = make();
                let mut done = 0;
                let end = Instant::now() + Duration::from_secs(120);
                while done < 50 {
                    assert!(Instant::now() < end, "only {done} updates succeed");
                    let mut add = |_, before: Option<String>| {
                        let sum: usize = before.map_or(0, |sum| sum.parse().unwrap());
                        thread::yield_now();
                        Some((sum + 1).to_string())
                    };
                    let before = given_up(&cache);
                    match cache.update_many(&keys, &mut add) {
                        Ok(()) if given_up(&cache) > before => {
                            unsure.fetch_add(1, Ordering::Relaxed);
                            return;
                        }
                        Ok(()) => done += 1,
                        // It is busy: some values may have been set.
                        Err(_) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    if unsure.into_inner() > 0 {
        return false;
    }
    let expected = 200..=200 + failed.into_inner();
    let reader = make();
    let sums = reader.get_many(&keys).unwrap();
    if given_up(&reader) > 0 {
        return false;
    }
    for sum in &sums {
        let sum = sum.as_ref().map(|sum| sum.parse().unwrap());
        assert!(
            sum.is_some_and(|sum: usize| expected.contains(&sum)),
            "{sums:?}, not {expected:?}"
        );
    }
    true
}

/// A server that gives the same response to every request, and counts them.
pub(crate) struct Parrot {
    address: String,
    count: Arc<AtomicUsize>,
}

impl Parrot {
    /// Responds with `status`, `headers` (whole lines) and `body`.
    pub(crate) fn new(status: &str, headers: &str, body: &str) -> Self {
        Self::raw(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        ))
    }

    /// Responds with these very bytes and hangs up.
    pub(crate) fn raw(response: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let (response, counted) = (response.into(), count.clone());
        // Ends with the test process; a blocked `accept` costs nothing until then.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                read_request(&mut stream);
                let _ = stream.write_all(&response);
            }
        });
        Self { address, count }
    }

    pub(crate) fn builder(&self) -> SessionBuilder {
        Session::builder()
            .server_url(&self.address)
            .api_key(secret("s3cret-key"))
            .api_user("ada")
            .schema_cache(SchemaCache::Off)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// A file as a component in the server's storage.
pub(crate) fn upload(session: &Session, path: &Path) -> Entity {
    let size = std::fs::metadata(path).unwrap().len() as i64;
    let path = path.to_str().unwrap();
    let file_type = session.file_type_from_string(path);
    let data = data! { "name": "file", "file_type": file_type, "size": size };
    let component = session.create("FileComponent", data).unwrap();
    let origin = session.location("ftrack.origin").unwrap();
    origin.register_component(&component, path).unwrap();
    let server = session.location("ftrack.server").unwrap();
    server.add_component(&component, &origin).unwrap();
    component
}

/// The text of a file that lies here.
pub(crate) const LICENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");

/// What a location has of a component.
pub(crate) fn read(location: &Location, component: &Entity) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = location.open(component).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Sends `body` to the API of the server at `url`, and returns status and body: without
/// `ureq`, which would log the key.
pub(crate) fn post<'a>(
    url: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut head = format!("POST /api HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|four| four == b"\r\n\r\n");
    let body = response.split_off(end.unwrap() + 4);
    let status = String::from_utf8_lossy(&response[9..12]).parse().unwrap();
    (status, body)
}

/// Reads the head and as much body as it announces, and returns both.
pub(crate) fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if seen.len() >= head.len() + 4 + length {
                return seen;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return seen,
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
        }
    }
}
