//! Faults on demand, delays and the log of the whole server, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use client::Site;
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;
use serde_json::{Value, json};

const QUERY: &str = r#"[{"action":"query","expression":"select name from Task limit 5"}]"#;

fn small() -> Site {
    Site::with(Emulator::builder().tasks(0).faults(true))
}

/// Everything that arrives before the server closes the connection.
fn raw(site: &Site, body: &str) -> Vec<u8> {
    let address = site.emulator.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        stream,
        "POST /api HTTP/1.1\r\nhost: {address}\r\nftrack-user: {}\r\nftrack-api-key: {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        site.emulator.api_user(),
        site.emulator.api_key(),
        body.len()
    )
    .unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    response
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.build().into()
}

/// Status, `Retry-After`, content type, and body.
fn full(site: &Site) -> (u16, Option<String>, String, String) {
    let mut response = agent()
        .post(format!("{}/api", site.emulator.url()))
        .header("ftrack-user", site.emulator.api_user())
        .header("ftrack-api-key", site.emulator.api_key())
        .send(QUERY)
        .unwrap();
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (later, kind) = (
        header("retry-after"),
        header("content-type").unwrap_or_default(),
    );
    let body = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), later, kind, body)
}

fn endpoint(site: &Site, method: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/emulator/faults", site.emulator.url());
    let agent = agent();
    let response = match method {
        "GET" => agent.get(url).call(),
        "DELETE" => agent.delete(url).call(),
        _ => agent
            .post(url)
            .header("content-type", "application/json")
            .send(body.to_string()),
    };
    let mut response = response.unwrap();
    let body = response.body_mut().read_to_vec().unwrap();
    (
        response.status().as_u16(),
        serde_json::from_slice(&body).unwrap(),
    )
}

fn names(site: &Site, name: &str) -> usize {
    site.query(&format!("Task where name is \"{name}\"")).len()
}

fn create(site: &Site, name: &str) -> String {
    let project = &site.query("Project where name is \"test\"")[0]["id"];
    json!([{"action": "create", "entity_type": "Task", "entity_data":
        {"__entity_type__": "Task", "name": name, "parent_id": project}}])
    .to_string()
}

#[test]
fn refusals_have_the_status_and_the_headers_of_their_kind() {
    let site = small();
    site.emulator.faults().push(Fault::bad_gateway());
    site.emulator.faults().push(Fault::unavailable(7));
    site.emulator.faults().push(Fault::too_many_requests(3));
    site.emulator.faults().push(Fault::server_error());
    let (status, _, kind, body) = full(&site);
    assert_eq!((status, kind.as_str()), (502, "text/html"));
    assert!(body.starts_with("<html>"));
    let (status, later, ..) = full(&site);
    assert_eq!((status, later.as_deref()), (503, Some("7")));
    let (status, later, ..) = full(&site);
    assert_eq!((status, later.as_deref()), (429, Some("3")));
    let (status, _, _, body) = full(&site);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &body["exception"]),
        (500, &json!("InternalServerError"))
    );
    assert_eq!(full(&site).0, 200);
}

#[test]
fn responses_are_cut_and_truncated_where_asked() {
    let site = small();
    let whole = raw(&site, QUERY);
    for bytes in [0, 1, 10, 300] {
        site.emulator.faults().push(Fault::cut(bytes));
        let response = raw(&site, QUERY);
        assert_eq!(response.len() as u64, bytes);
        assert!(whole.starts_with(&response[..response.len().min(20)]));
    }
    site.emulator.faults().push(Fault::cut(1 << 30));
    assert_eq!(raw(&site, QUERY).len(), whole.len());

    let (.., body) = full(&site);
    site.emulator.faults().push(Fault::truncated());
    let (status, _, kind, half) = full(&site);
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    assert_eq!(half, body[..body.len() / 2]);
}

#[test]
fn what_gets_no_response_is_done_and_what_is_dropped_is_not() {
    let site = small();
    let (done, not_done) = (create(&site, "done"), create(&site, "not done"));
    site.emulator.faults().push(Fault::no_response());
    assert_eq!(raw(&site, &done), b"");
    site.emulator.faults().push(Fault::dropped());
    assert_eq!(raw(&site, &not_done), b"");
    assert_eq!((names(&site, "done"), names(&site, "not done")), (1, 0));
    // A connection that is used again is whole again.
    let count = site.emulator.requests();
    site.emulator.faults().push(Fault::cut(1 << 20));
    full(&site);
    assert_eq!(full(&site).0, 200);
    assert_eq!(site.emulator.requests(), count + 2);
}

#[test]
fn slow_responses_and_latency_take_their_time() {
    let latency = Duration::from_millis(120);
    let site = Site::with(Emulator::builder().tasks(0).latency(latency));
    let timed = |path: &str| {
        let began = Instant::now();
        let response = agent().get(format!("{}{path}", site.emulator.url())).call();
        (response.unwrap().status().as_u16(), began.elapsed())
    };
    for (path, expected) in [
        ("/img/thumbnail2.png", 200),
        ("/component/get?id=x", 401),
        ("/socket.io/1/", 401),
        ("/nowhere", 404),
    ] {
        let (status, took) = timed(path);
        assert_eq!(status, expected, "{path}");
        assert!(took >= latency, "{path}: {took:?}");
    }
    site.emulator.faults().push(Fault::slow(latency * 2));
    let began = Instant::now();
    assert_eq!(full(&site).0, 200);
    assert!(began.elapsed() >= latency * 3);
    // It was slow once.
    assert!(site.emulator.faults().pending().is_empty());
}

#[test]
fn the_endpoint_queues_shows_and_clears() {
    let site = small();
    let slow = json!({"kind": "slow", "milliseconds": 500, "requests": 2});
    let create_fault = json!({"kind": "server_error", "action": "create"});
    let (status, state) = endpoint(&site, "POST", &json!([slow, create_fault]));
    assert_eq!(status, 200);
    assert_eq!(state["pending"][0]["requests"], 2);
    assert_eq!(endpoint(&site, "GET", &Value::Null), (200, state));

    // One wrong fault, and none is taken.
    let bad = json!([{"kind": "dropped"}, {"kind": "fire"}]);
    let (status, error) = endpoint(&site, "POST", &bad);
    assert_eq!(status, 400);
    assert!(error["content"].as_str().unwrap().contains("fire"));
    let (_, state) = endpoint(&site, "GET", &Value::Null);
    assert_eq!(state["pending"].as_array().unwrap().len(), 2);

    let (_, state) = endpoint(&site, "DELETE", &Value::Null);
    assert_eq!(state["pending"], json!([]));
    endpoint(&site, "POST", &create_fault);
    assert_eq!(full(&site).0, 200);
    let (status, _) = site.post(&[], &create(&site, "x"));
    assert_eq!(status, 500);
    assert_eq!(names(&site, "x"), 0);
    assert!(site.emulator.faults().pending().is_empty());

    // Pages of other origins send no JSON without asking, and get no permission when they ask.
    let url = format!("{}/emulator/faults", site.emulator.url());
    let response = agent().post(&url).send(r#"{"kind": "dropped"}"#).unwrap();
    assert_eq!(response.status().as_u16(), 400);
    let response = agent().get(&url).header("host", "evil.example").call();
    assert_eq!(response.unwrap().status().as_u16(), 403);
    let response = agent().get(&url).header("origin", "https://evil.example");
    let response = response.call().unwrap();
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );

    let site = Site::with(Emulator::builder().tasks(0));
    let response = agent().get(format!("{}/emulator/faults", site.emulator.url()));
    assert_eq!(response.call().unwrap().status().as_u16(), 404);
}

#[test]
fn faults_of_files_and_of_event_connections() {
    let site = small();
    site.emulator
        .faults()
        .push(Fault::unavailable(1).at("/img/"));
    assert_eq!(full(&site).0, 200);
    let picture = format!("{}/img/thumbnail2.png", site.emulator.url());
    assert_eq!(agent().get(&picture).call().unwrap().status(), 503);
    assert_eq!(agent().get(&picture).call().unwrap().status(), 200);

    let mut socket = client::events(&site);
    assert_eq!(site.emulator.events().connections(), 1);
    let (_, state) = endpoint(
        &site,
        "POST",
        &json!([{"kind": "skip_heartbeats"}, {"kind": "freeze_events"}]),
    );
    let expected = json!({"connections": 1, "frozen": true, "heartbeats_skipped": true});
    assert_eq!(state["events"], expected);
    let (_, state) = endpoint(
        &site,
        "POST",
        &json!({"kind": "freeze_events", "on": false}),
    );
    assert_eq!(state["events"]["frozen"], false);
    let (_, state) = endpoint(&site, "DELETE", &Value::Null);
    assert_eq!(state["events"]["heartbeats_skipped"], false);
    endpoint(&site, "POST", &json!({"kind": "drop_events"}));
    assert_eq!(site.emulator.events().connections(), 0);
    let mut left = 0;
    while socket.read().is_ok() {
        left += 1;
    }
    assert!(left <= 1, "the connection was not dropped");
}

/// The program itself, with all of its options.
#[test]
fn the_program_logs_requests_without_secrets() {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/studio.json");
    let mut program = Command::new(env!("CARGO_BIN_EXE_ftrack-emulator"))
        .args(["--tasks", "0", "--log", "--faults", "--seed", seed])
        .args(["--api-key", "key-of-keys", "--read-only-key", "other-key"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let server = line.strip_prefix("FTRACK_SERVER=").unwrap();
    let server = server.split(' ').next().unwrap();
    let agent = agent();
    let post = |key: &str| {
        let request = agent.post(format!("{server}/api"));
        let request = request
            .header("ftrack-user", "jenkins")
            .header("ftrack-api-key", key);
        let mut response = request.send(QUERY).unwrap();
        response.body_mut().read_to_string().unwrap()
    };
    assert!(post("key-of-keys").starts_with("[{"));
    assert!(post("other-key").starts_with("[{"));
    assert!(post("wrong-key").contains("InvalidCredentialsError"));
    let secrets = "id=x&username=jenkins&apiKey=key-of-keys";
    let _ = agent
        .get(format!("{server}/component/get?{secrets}"))
        .call();
    let handshake = agent
        .get(format!(
            "{server}/socket.io/1/?api_user=jenkins&api_key=key-of-keys"
        ))
        .call();
    let session = handshake.unwrap().body_mut().read_to_string().unwrap();
    let session = session.split(':').next().unwrap();
    let _ = agent
        .get(format!("{server}/socket.io/1/websocket/{session}"))
        .call();
    program.kill().unwrap();
    let mut log = String::new();
    let mut errors = program.stderr.take().unwrap();
    errors.read_to_string(&mut log).unwrap();
    program.wait().unwrap();

    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 6, "{log}");
    assert!(lines[0].contains(" POST /api 200 "), "{log}");
    assert!(lines[0].ends_with(" ms jenkins query Task"), "{log}");
    assert!(
        lines[2].ends_with(" jenkins InvalidCredentialsError"),
        "{log}"
    );
    assert!(lines[3].contains(" GET /component/get 404 "), "{log}");
    for secret in ["key-of-keys", "other-key", "wrong-key", session] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn the_log_says_that_movies_are_handed_on_where_there_is_no_ffmpeg() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_ftrack-emulator"))
        .args(["--tasks", "0", "--log", "--api-key", "k"])
        .env("PATH", nowhere.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let server = line.strip_prefix("FTRACK_SERVER=").unwrap();
    let server = server.split(' ').next().unwrap();
    let agent = agent();
    let call = |operation: Value| -> Value {
        let request = agent
            .post(format!("{server}/api"))
            .header("ftrack-user", "jenkins")
            .header("ftrack-api-key", "k");
        let mut response = request.send(json!([operation]).to_string()).unwrap();
        let response = response.body_mut().read_to_vec().unwrap();
        serde_json::from_slice::<Value>(&response).unwrap()[0].take()
    };
    call(
        json!({"action": "create", "entity_type": "FileComponent", "entity_data": {
        "__entity_type__": "FileComponent", "id": "movie", "name": "main", "file_type": ".mov"}}),
    );
    let upload = call(
        json!({"action": "get_upload_metadata", "component_id": "movie", "file_name": "a.mov",
        "file_size": 6}),
    );
    let mut request = agent.put(upload["url"].as_str().unwrap());
    for (name, value) in upload["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    assert_eq!(request.send("frames").unwrap().status().as_u16(), 200);
    let job = call(json!({"action": "encode_media", "component_id": "movie", "version_id": null}));
    let expression = format!("select status from Job where id is {}", job["job_id"]);
    let start = Instant::now();
    while call(json!({"action": "query", "expression": expression}))["data"][0]["status"] != "done"
    {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    program.kill().unwrap();
    let mut log = String::new();
    program
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    program.wait().unwrap();
    assert!(
        log.contains("a movie is handed on as it is: ffmpeg is missing"),
        "{log}"
    );
}
