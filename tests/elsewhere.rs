//! What reaches a host that is not the configured server: no credentials, whatever leads there.
//!
//! Proxies are looked at in `network.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use ftrack_api::{Entity, ErrorKind, Session};
use support::{Parrot, builder, emulator, read, secret, upload};

const REDIRECTS: [&str; 5] = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
];

const COOKIE: &str = "c00kie-value-to-keep";
const HEADER: &str = "h3ader-value-to-keep";

/// Every request that came in, whole.
type Requests = Arc<Mutex<Vec<String>>>;

/// A server that responds to each request by `respond`, on a connection of its own, and keeps what it
/// was sent.
fn serve(
    respond: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, respond) = (Requests::default(), Arc::new(respond));
    let kept = Arc::clone(&requests);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (kept, respond) = (Arc::clone(&kept), Arc::clone(&respond));
            thread::spawn(move || {
                let request = support::read_request(&mut stream);
                let text = String::from_utf8_lossy(&request).into_owned();
                kept.lock().unwrap().push(text.clone());
                if let Some(response) = respond(&text) {
                    let _ = stream.write_all(&response);
                }
            });
        }
    });
    (address, requests)
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    format!("{head}{headers}\r\n{body}").into_bytes()
}

/// Gives a request to the real server, and its response back.
fn pass_on(target: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(target).unwrap();
    let request = request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    response
}

/// A storage on another host, and a server in front of the emulator that redirects there
/// for files.
struct Stage {
    server: ftrack_emulator::Emulator,
    session: Session,
    storage: Requests,
    folder: tempfile::TempDir,
}

impl Stage {
    /// `status` is how the server sends downloads on.
    fn new(status: &'static str) -> Self {
        let server = emulator();
        let target: SocketAddr = server.url().trim_start_matches("http://").parse().unwrap();
        let (elsewhere, storage) = serve(|request| {
            let ranged = "ETag: \"1\"\r\nContent-Range: bytes 0-3/4\r\n";
            Some(match request.starts_with("GET ") {
                true => response("206 Partial Content", ranged, "data"),
                false => response("200 OK", "ETag: \"1\"\r\n", ""),
            })
        });
        let (front, _) = serve(move |request| {
            if request.starts_with("GET /component/get") {
                let there = format!("Location: http://{elsewhere}/bucket/file?signature=1\r\n");
                return Some(response(status, &there, ""));
            }
            if request.contains("get_upload_metadata") {
                let body = format!("[{{\"url\": \"http://{elsewhere}/put?signature=1\"}}]");
                return Some(response("200 OK", "", &body));
            }
            Some(pass_on(target, request))
        });
        let session = builder(&server)
            .server_url(format!("http://{front}"))
            .cookie("studio", secret(COOKIE))
            .header("x-studio", secret(HEADER))
            .open()
            .unwrap();
        Self {
            server,
            session,
            storage,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn upload(&self) -> Entity {
        let path = self.folder.path().join("file.bin");
        std::fs::write(&path, "data").unwrap();
        upload(&self.session, &path)
    }

    /// What the storage was sent holds nothing that identifies anybody.
    #[track_caller]
    fn check(&self, count: usize) {
        let requests = self.storage.lock().unwrap();
        assert_eq!(requests.len(), count, "{requests:?}");
        for request in requests.iter() {
            let request = request.to_lowercase();
            let user = self.server.api_user().to_lowercase();
            let key = self.server.api_key().to_lowercase();
            for secret in [
                &key,
                &user,
                COOKIE,
                HEADER,
                "apikey",
                "ftrack-user",
                "cookie:",
                "referer",
            ] {
                assert!(!request.contains(secret), "{secret} is in {request}");
            }
        }
    }
}

#[test]
fn storages_get_no_credentials() {
    for status in REDIRECTS {
        let stage = Stage::new(status);
        let component = stage.upload();
        stage.check(1);
        let server = stage.session.location("ftrack.server").unwrap();
        assert_eq!(read(&server, &component), b"data");
        stage.check(2);
    }
}

#[test]
fn storages_that_send_uploads_on_are_refused() {
    let (elsewhere, asked) = serve(|_| Some(response("200 OK", "", "")));
    for status in REDIRECTS {
        let there = format!("Location: http://{elsewhere}/\r\n");
        let (storage, _) = serve(move |_| Some(response(status, &there, "")));
        let server = emulator();
        let target: SocketAddr = server.url().trim_start_matches("http://").parse().unwrap();
        let (front, _) = serve(move |request| {
            if request.contains("get_upload_metadata") {
                let body = format!("[{{\"url\": \"http://{storage}/put\"}}]");
                return Some(response("200 OK", "", &body));
            }
            Some(pass_on(target, request))
        });
        let session = builder(&server)
            .server_url(format!("http://{front}"))
            .open()
            .unwrap();
        let stage = Stage {
            server,
            session,
            storage: Arc::clone(&asked),
            folder: tempfile::tempdir().unwrap(),
        };
        let uploaded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.upload()));
        assert!(uploaded.is_err(), "{status} was taken for success");
        stage.check(0);
    }
}

#[test]
fn redirects_of_the_api_and_of_events_are_not_followed() {
    let (elsewhere, asked) = serve(|_| None);
    for status in REDIRECTS {
        let there = format!("Location: http://{elsewhere}/api\r\n");
        let server = Parrot::new(status, &there, "");
        let error = server
            .builder()
            .cookie("studio", secret(COOKIE))
            .open()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");

        let config = ftrack_api::hub::HubConfig::new(server.address(), "ada", secret("s3cret-key"));
        ftrack_api::EventHub::new(config).connect().unwrap_err();
        // A server that shakes hands itself and sends the connection elsewhere.
        let moved = response(status, &there, "");
        let (half, _) = serve(move |request| {
            Some(match request.contains("/websocket/") {
                true => moved.clone(),
                false => response("200 OK", "", "id:15:60:websocket"),
            })
        });
        let url = format!("http://{half}");
        let config = ftrack_api::hub::HubConfig::new(&url, "ada", secret("s3cret-key"));
        ftrack_api::EventHub::new(config).connect().unwrap_err();
    }
    assert!(asked.lock().unwrap().is_empty(), "somebody went there");
}
