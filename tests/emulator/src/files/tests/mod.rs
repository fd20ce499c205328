//! The component endpoints over real sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

mod encode;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::events::tests::{Server, eventually, serve};

const ID: &str = "702b7e69-f6ef-4d13-8193-dcbb480f57f5";

struct ReadOnly;

impl Credentials for ReadOnly {
    fn authenticate(&self, user: &str, key: &str) -> bool {
        ["ada", "b+c@d"].contains(&user) && ["secret", "reader"].contains(&key)
    }

    fn may_write(&self, user: &str, key: &str) -> bool {
        self.authenticate(user, key) && key == "secret"
    }
}

struct Site {
    folder: TempDir,
    files: Files,
    server: Server,
    base: String,
}

fn site() -> Site {
    site_with(Settings::default())
}

fn site_with(settings: Settings) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(Some(folder.path()), settings).unwrap();
    let server = serve(router(files.clone(), Arc::new(ReadOnly)));
    let base = format!("http://{}", server.address);
    Site {
        folder,
        files,
        server,
        base,
    }
}

struct Received {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The error object, which every refusal has.
    fn exception(&self) -> String {
        let error: Value = serde_json::from_slice(&self.body).unwrap();
        assert!(!error["content"].as_str().unwrap().contains(['{', '}']));
        assert!(error.get("error_code").is_some());
        error["exception"].as_str().unwrap().to_owned()
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::config::Config::builder().http_status_as_error(false);
    ureq::Agent::new_with_config(config.build())
}

fn received(response: Result<axum::http::Response<ureq::Body>, ureq::Error>) -> Received {
    let mut response = response.unwrap();
    Received {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()
            .unwrap(),
    }
}

fn get(url: &str, headers: &[(&str, &str)]) -> Received {
    let mut request = agent().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    received(request.call())
}

fn put(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Received {
    let mut request = agent().put(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    received(request.send(body))
}

fn md5_hex(data: &[u8]) -> String {
    Md5::digest(data)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

impl Site {
    fn prepare(&self, request: &Value) -> Value {
        self.files.get_upload_metadata(request, &self.base).unwrap()
    }

    fn upload_url(&self) -> String {
        let prepared = self.prepare(&json!({"component_id": ID, "file_name": "x", "file_size": 1}));
        prepared["url"].as_str().unwrap().to_owned()
    }

    fn url(&self, what: &str) -> String {
        format!(
            "{}/component/{what}?id={ID}&username=ada&apiKey=secret",
            self.base
        )
    }

    /// All files in the storage.
    fn stored(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().to_path_buf()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }
}

#[test]
fn a_file_goes_up_and_comes_down_byte_for_byte() {
    let site = site();
    assert_eq!(get(&site.url("get"), &[]).status, 404);
    let data: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let checksum = BASE64_STANDARD.encode(Md5::digest(&data));
    let prepared = site.prepare(&json!({"action": "get_upload_metadata", "component_id": ID,
        "file_name": "../../evil.mov", "file_size": data.len(), "checksum": checksum,
        "parts": null}));
    assert_eq!(prepared["component_id"], ID);
    let headers: Vec<(&str, &str)> = prepared["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let response = put(prepared["url"].as_str().unwrap(), &headers, &data);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("etag"), format!("\"{}\"", md5_hex(&data)));

    let all = get(&site.url("get"), &[]);
    assert!(all.status == 200 && all.body == data);
    assert_eq!(all.header("content-type"), "application/octet-stream");
    assert_eq!(site.files.size(ID), Some(data.len() as u64));
    assert_eq!(site.stored().len(), 1);

    let removed = get(&site.url("remove"), &[]);
    assert_eq!((removed.status, &removed.body[..]), (200, &b"true"[..]));
    let gone = get(&site.url("get"), &[]);
    assert_eq!(
        (gone.status, gone.exception().as_str()),
        (404, "NotFoundError")
    );
    assert_eq!(get(&site.url("remove"), &[]).status, 200);
    assert!(site.stored().is_empty());
}

#[test]
fn zero_bytes_and_chunks() {
    let site = site();
    let url = site.upload_url();
    let chunked = [("transfer-encoding", "chunked")];
    for (headers, data) in [
        (&chunked[..], &b""[..]),
        (&[], b""),
        (&chunked, b"some text"),
    ] {
        assert_eq!(put(&url, headers, data).status, 200);
        let back = get(&site.url("get"), &[]);
        assert_eq!((back.status, &back.body[..]), (200, data));
    }
}

#[test]
fn ranges() {
    let site = site();
    site.files.write(ID, b"0123456789").unwrap();
    let url = site.url("get");
    for (range, body, content_range) in [
        ("bytes=2-4", &b"234"[..], "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ] {
        let part = get(&url, &[("range", range)]);
        assert_eq!((part.status, &part.body[..]), (206, body), "{range}");
        assert_eq!(part.header("content-range"), content_range);
    }
    assert_eq!(get(&url, &[("range", "bytes=10-")]).status, 416);
    let head = received(agent().head(&url).call());
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
}

#[test]
fn many_parts_in_any_order() {
    let site = site();
    let parts = [vec![1_u8; 70_000], vec![], vec![3; 50_000]];
    let prepared = site.prepare(&json!({"component_id": ID, "file_name": "x.exr",
        "file_size": 120_000, "parts": 3}));
    let mut named: Vec<Value> = Vec::new();
    for url in prepared["urls"].as_array().unwrap().iter().rev() {
        let number = url["part_number"].as_u64().unwrap();
        let data = &parts[usize::try_from(number).unwrap() - 1];
        let url = url["signed_url"].as_str().unwrap();
        // Somebody tries twice.
        assert_eq!(put(url, &[], b"broken").status, 200);
        let response = put(url, &[], data);
        let e_tag = response.header("etag").replace('"', "");
        assert_eq!(e_tag, md5_hex(data));
        named.insert(0, json!({"part_number": number, "e_tag": e_tag}));
    }
    let complete = |parts: &[Value], component: &str| {
        let request = json!({"component_id": component,
            "upload_id": prepared["upload_id"], "parts": parts});
        site.files.join_multipart_upload(&request)?.keep()?;
        site.files.complete_multipart_upload(&request)
    };
    let mut wrong_tag = named.clone();
    wrong_tag[1]["e_tag"] = md5_hex(b"broken").into();
    let reversed: Vec<Value> = named.iter().rev().cloned().collect();
    for wrong in [&named[..2], &[], &wrong_tag, &reversed] {
        let failure = complete(wrong, ID).unwrap_err();
        assert_eq!(failure.exception, "ValidationError");
    }
    assert!(complete(&named, "another").is_err());
    // What is joined and not kept, as in a batch that fails, can be completed again.
    let request = json!({"component_id": ID, "upload_id": prepared["upload_id"], "parts": named});
    drop(site.files.join_multipart_upload(&request).unwrap());
    assert_eq!(get(&site.url("get"), &[]).status, 404);

    let response = complete(&named, ID).unwrap();
    assert_eq!(response["action"], "complete_multipart_upload");
    assert_eq!(response["component_id"], ID);
    assert_eq!(get(&site.url("get"), &[]).body, parts.concat());
    assert_eq!(site.stored().len(), 1);
    assert!(complete(&named, ID).is_err());
    let late = prepared["urls"][0]["signed_url"].as_str().unwrap();
    assert_eq!(put(late, &[], b"x").status, 404);
}

#[test]
fn one_part_is_an_ordinary_upload() {
    let site = site();
    for parts in [json!(null), json!(0), json!(1)] {
        let prepared = site.prepare(&json!({"component_id": ID, "parts": parts}));
        assert!(prepared["url"].is_string());
    }
}

#[test]
fn damaged_oversized_and_forged_uploads_leave_nothing() {
    let settings = Settings {
        upload_size: 1000,
        ..Settings::default()
    };
    let site = site_with(settings);
    let url = site.upload_url();
    let wrong = BASE64_STANDARD.encode(Md5::digest(b"other"));
    for (headers, body, status) in [
        (&[("content-md5", wrong.as_str())][..], vec![0; 10], 422),
        (&[("content-md5", "nonsense")], vec![0; 10], 422),
        (&[], vec![0; 1001], 413),
        (&[], vec![0; 3_000_000], 413),
        (&[("transfer-encoding", "chunked")], vec![0; 3_000_000], 413),
    ] {
        let response = put(&url, headers, &body);
        assert_eq!(response.status, status);
        assert_eq!(response.exception(), "ValidationError");
    }
    let other = Blobs::name("another component");
    let path_end = url.find('?').unwrap();
    let name = &url[path_end - 64..path_end];
    for forged in [
        url.replace("expires=", "expires=9"),
        url.replace(name, &other),
        url.replace(name, "..%2f..%2fevil"),
        url.split("&signature").next().unwrap().to_owned(),
        url[..path_end].to_owned(),
    ] {
        let response = put(&forged, &[], b"x");
        assert_eq!(
            (response.status, response.exception().as_str()),
            (403, "PermissionError")
        );
    }
    assert!(site.stored().is_empty());
    let oversized = json!({"component_id": ID, "file_size": 1001});
    assert!(site.files.get_upload_metadata(&oversized, "").is_err());
}

/// Names of blobs, for tests that forge URLs.
struct Blobs;

impl Blobs {
    fn name(id: &str) -> String {
        store::Blob::of(id).name().to_owned()
    }
}

#[test]
fn an_interrupted_upload_leaves_nothing() {
    let site = site();
    let url = site.upload_url();
    let path = url.strip_prefix(&site.base).unwrap();
    for framing in ["content-length: 1000000", "transfer-encoding: chunked"] {
        let mut socket = TcpStream::connect(&site.server.address).unwrap();
        write!(
            socket,
            "PUT {path} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n"
        )
        .unwrap();
        socket.write_all(b"5\r\nhello\r\n").unwrap();
        eventually("the upload has begun", || site.stored().len() == 1);
        drop(socket);
        eventually("nothing is left", || site.stored().is_empty());
    }
    assert_eq!(get(&site.url("get"), &[]).status, 404);
}

#[test]
fn signed_urls_expire() {
    let settings = Settings {
        url_lifetime: Duration::ZERO,
        ..Settings::default()
    };
    let site = site_with(settings);
    site.files.write(ID, b"data").unwrap();
    let (up, down) = (site.upload_url(), signed_download(&site));
    std::thread::sleep(Duration::from_millis(2100));
    for response in [put(&up, &[], b"x"), get(&down, &[])] {
        assert_eq!(response.status, 403);
        assert!(
            String::from_utf8(response.body)
                .unwrap()
                .contains("expired")
        );
    }
}

fn signed_download(site: &Site) -> String {
    let request = json!({"action": "generate_signed_url", "component_id": ID});
    let response = site
        .files
        .generate_signed_url(&request, &site.base)
        .unwrap();
    response["signed_url"].as_str().unwrap().to_owned()
}

#[test]
fn signed_downloads_need_no_credentials() {
    let site = site();
    site.files.write(ID, b"data").unwrap();
    let url = signed_download(&site);
    assert_eq!(get(&url, &[]).body, b"data");
    assert_eq!(put(&url, &[], b"x").status, 405);
    assert_eq!(
        get(&url.replace("signature=", "signature=0"), &[]).status,
        403
    );
    let upload = url.replace("/signed/", "/upload/");
    assert_eq!(put(&upload, &[], b"x").status, 403);
    get(&site.url("remove"), &[]);
    assert_eq!(get(&url, &[]).status, 404);
    let request = json!({"component_id": ID});
    assert!(site.files.generate_signed_url(&request, "").is_err());
}

#[test]
fn credentials_are_asked_for() {
    let site = site();
    site.files.write(ID, b"data").unwrap();
    let fetch = |what: &str, query: &str| {
        let response = get(&format!("{}/component/{what}?{query}", site.base), &[]);
        let exception = if response.status >= 400 {
            response.exception()
        } else {
            String::new()
        };
        (response.status, exception)
    };
    let denied = (401, "InvalidCredentialsError".to_owned());
    for query in [
        "",
        "id=x",
        "id=x&username=ada",
        "id=x&username=ada&apiKey=guess",
    ] {
        for what in ["get", "thumbnail", "remove"] {
            assert_eq!(fetch(what, query), denied, "{query}");
        }
    }
    // JavaScript escapes names in URLs, Python does not.
    for name in ["b%2Bc%40d", "b+c@d"] {
        let query = format!("id={ID}&username={name}&apiKey=secret");
        assert_eq!(fetch("get", &query).0, 200);
    }
    let reader = format!("id={ID}&username=ada&apiKey=reader");
    assert_eq!(fetch("get", &reader).0, 200);
    assert_eq!(
        fetch("remove", &reader),
        (403, "PermissionError".to_owned())
    );
    assert_eq!(fetch("get", "username=ada&apiKey=secret").0, 422);
    assert_eq!(
        fetch(
            "get",
            "id=..%2f..%2fetc%2fpasswd&username=ada&apiKey=secret"
        )
        .0,
        404
    );
}

fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height)
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    file.into_inner()
}

#[test]
fn thumbnails() {
    let site = site();
    site.files.write(ID, &picture(1200, 600)).unwrap();
    for (size, sides) in [
        ("", (300, 150)),
        ("&size=100", (100, 50)),
        ("&size=2000", (1200, 600)),
    ] {
        let response = get(&format!("{}{size}", site.url("thumbnail")), &[]);
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, "image/jpeg")
        );
        let image = image::load_from_memory(&response.body).unwrap();
        assert_eq!((image.width(), image.height()), sides);
    }
    for bad in ["0", "-1", "x", "99999999999999999999", "5000"] {
        let response = get(&format!("{}&size={bad}", site.url("thumbnail")), &[]);
        assert_eq!(
            (response.status, response.exception().as_str()),
            (422, "ValidationError")
        );
    }
    site.files.write(ID, b"no image").unwrap();
    assert_eq!(
        get(&site.url("thumbnail"), &[]).exception(),
        "NotFoundError"
    );
    let default = get(&format!("{}/img/thumbnail2.png", site.base), &[]);
    assert_eq!(
        (default.status, default.header("content-type")),
        (200, "image/png")
    );
    assert!(image::load_from_memory(&default.body).is_ok());
}

#[test]
fn malformed_actions() {
    let site = site();
    for bad in [
        json!({}),
        json!({"component_id": 5}),
        json!({"component_id": ""}),
        json!({"component_id": ID, "file_size": -1}),
        json!({"component_id": ID, "file_size": "big"}),
        json!({"component_id": ID, "checksum": "@@"}),
        json!({"component_id": ID, "checksum": "YWJj"}),
        json!({"component_id": ID, "parts": 10_001}),
        json!({"component_id": ID, "parts": {"a": "{}"}}),
        json!(null),
    ] {
        let failure = site.files.get_upload_metadata(&bad, "").unwrap_err();
        assert_eq!(failure.exception, "ValidationError", "{bad}");
        assert!(!failure.content.contains(['{', '}']));
        assert!(site.files.complete_multipart_upload(&bad).is_err());
        assert!(site.files.join_multipart_upload(&bad).is_err());
        assert!(site.files.generate_signed_url(&bad, "").is_err());
    }
}

#[test]
fn a_temporary_storage_goes_with_its_last_user() {
    let files = Files::new(None, Settings::default()).unwrap();
    files.write(ID, b"x").unwrap();
    let path = files.inner.store.path(&store::Blob::of(ID));
    assert!(path.exists());
    drop(files);
    assert!(!path.exists());
}

#[test]
fn uploads_at_the_same_time_do_not_mix() {
    let site = site();
    let url = site.upload_url();
    let threads: Vec<_> = (0..8_u8)
        .map(|n| {
            let url = url.clone();
            std::thread::spawn(move || put(&url, &[], &vec![n; 300_000]).status)
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 200);
    }
    let body = get(&site.url("get"), &[]).body;
    assert!(body.len() == 300_000 && body.iter().all(|byte| *byte == body[0]));
    assert_eq!(site.stored().len(), 1);
}

#[test]
fn a_stalled_reader_does_not_hold_others_up() {
    let site = site();
    site.files.write(ID, &vec![7; 50_000_000]).unwrap();
    let url = site.url("get");
    let path = url.strip_prefix(&site.base).unwrap();
    let mut stalled = TcpStream::connect(&site.server.address).unwrap();
    write!(stalled, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut first = [0; 100];
    stalled.read_exact(&mut first).unwrap();
    assert_eq!(get(&url, &[("range", "bytes=0-9")]).body.len(), 10);
}
