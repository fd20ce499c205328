//! What servers send is checked: kinds of replies, memory, the user's name, and a session that closes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stderr, reason = "figures for the documentation")]

mod support;

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::config::{Network, Retry, SchemaCache};
use ftrack_api::query::field;
use ftrack_api::session::WidgetOptions;
use ftrack_api::transport::{Request, Response, ScriptedTransport, Transport};
use ftrack_api::{CancelToken, EntityKey, Error, ErrorKind, Result, Session, SessionBuilder, data};
use ftrack_emulator::Emulator;
use jiff::civil::{DateTime, date};
use peak_alloc::PeakAlloc;
use serde_json::json;
use support::patiently;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Held by tests that measure memory, which would measure one another.
static MEASURING: Mutex<()> = Mutex::new(());

fn scripted(script: &ScriptedTransport) -> SessionBuilder {
    script.respond(200, r#"[{"version": "4.13.8"}, []]"#);
    Session::builder()
        .server_url("https://studio.example")
        .api_key("key")
        .api_user("ada")
        .schema_cache(SchemaCache::Off)
        .transport(script.clone())
}

#[test]
fn single_replies_are_objects_with_what_was_asked_for() {
    let script = ScriptedTransport::new();
    let session = scripted(&script).open().unwrap();
    for reply in [
        "[true]",
        "[null]",
        "[[]]",
        "[\"x\"]",
        "[{}]",
        "[{\"widget_url\": 7}]",
        "[{\"data\": 1}]",
    ] {
        script.respond(200, reply).respond(200, reply);
        let widget = session
            .get_widget_url("tasks", WidgetOptions::new())
            .unwrap_err();
        assert_eq!(widget.kind(), ErrorKind::BadResponse, "{reply}: {widget}");
        let job = session.delayed_job("x").unwrap_err();
        assert_eq!(job.kind(), ErrorKind::BadResponse, "{reply}: {job}");
    }
}

#[test]
fn replies_take_at_most_twice_the_memory_of_a_response() {
    const MAX_RESPONSE: u64 = 8 << 20;
    let _alone = MEASURING.lock().unwrap();
    let script = ScriptedTransport::new();
    let session = scripted(&script).network(Network::new().max_response(MAX_RESPONSE));
    let session = session.open().unwrap();
    for unit in ["{\"\":0},", "0,", "[],", "\"\","] {
        let count = (MAX_RESPONSE as usize - 100) / unit.len();
        script.respond(200, format!("[{}0]", unit.repeat(count)));
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let error = session
            .call(&[json!({ "action": "permissions" })])
            .unwrap_err();
        let peak = ALLOCATOR.peak_usage() - before;
        assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
        // The response itself is in a buffer, which grows by doubling.
        assert!(peak < 5 * MAX_RESPONSE as usize, "{unit}: {peak} bytes");
    }
}

/// It was 2.1 GB for 3.2 MB, and a long chain of base types took seconds.
#[test]
fn a_schema_takes_a_multiple_of_its_size() {
    let _alone = MEASURING.lock().unwrap();
    let open = |types: Vec<serde_json::Value>| {
        let script = ScriptedTransport::new();
        let response = json!([{ "version": "4.13.8" }, types]).to_string();
        script.respond(200, response.clone());
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let start = Instant::now();
        let opened = Session::builder()
            .server_url("https://studio.example")
            .api_key("key")
            .api_user("ada")
            .schema_cache(SchemaCache::Off)
            .transport(script)
            .open();
        let peak = ALLOCATOR.peak_usage() - before;
        eprintln!(
            "{} bytes of schema: peak {peak} bytes, {:?}",
            response.len(),
            start.elapsed()
        );
        (opened, peak / response.len(), start.elapsed())
    };
    let entity_type = |number: usize, base: Option<usize>| {
        let mut one = json!({
            "id": format!("T{number}"), "type": "object", "primary_key": ["id"],
            "properties": { "id": { "type": "string" }, "a": { "type": "string" } },
        });
        if let Some(base) = base {
            one["$mixin"] = json!({ "$ref": format!("T{base}") });
        }
        one
    };
    let (opened, times, _) = open(
        (0..30_000)
            .map(|number| entity_type(number, None))
            .collect(),
    );
    assert_eq!(opened.unwrap().schema().entity_types().len(), 30_000);
    assert!(times < 40, "{times} times its size");
    let chain = (0..20_000).map(|number| entity_type(number, Some(number + 1)));
    let (opened, times, took) = open(chain.collect());
    drop(opened);
    assert!(times < 40, "{times} times its size");
    // It would be minutes if it were not linear.
    assert!(took < Duration::from_secs(120), "{took:?}");
}

#[test]
fn the_user_is_spelled_as_the_server_does() {
    let script = ScriptedTransport::new();
    let information = r#"{"version": "4.13.8", "user_information": {"username": "Ada"}}"#;
    script.respond(200, format!("[{information}, []]"));
    let session = Session::builder()
        .server_url("https://studio.example")
        .api_key("key")
        .api_user(" ada\t")
        .schema_cache(SchemaCache::Off)
        .transport(script)
        .open()
        .unwrap();
    assert_eq!(session.api_user(), "Ada");
    // With a real server: white space does not count, and its spelling is asked for.
    let server = support::emulator();
    let session = support::builder(&server).api_user(format!(" {} ", server.api_user()));
    let session = session.open().unwrap();
    assert_eq!(session.api_user(), server.api_user());
    session.event_hub().connect().unwrap();
}

/// A transport whose connections break when the session closes, as those of HTTP do.
struct Closing {
    under_way: mpsc::Sender<()>,
    closed: std::sync::Mutex<mpsc::Receiver<()>>,
    close: mpsc::Sender<()>,
    inner: ScriptedTransport,
}

impl Transport for Closing {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        if String::from_utf8_lossy(request.body).contains("permissions") {
            self.under_way.send(()).unwrap();
            self.closed.lock().unwrap().recv().unwrap();
            return Err(Error::new(
                ErrorKind::Connection,
                "the connection was closed",
            ));
        }
        self.inner.send(request)
    }

    fn close(&self) {
        self.close.send(()).unwrap();
    }
}

#[test]
fn a_request_under_way_while_the_session_closes_ends_as_closed() {
    let script = ScriptedTransport::new();
    let (under_way, is_under_way) = mpsc::channel();
    let (close, closed) = mpsc::channel();
    let session = scripted(&script).transport(Closing {
        under_way,
        closed: closed.into(),
        close,
        inner: script,
    });
    let session = session.open().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| session.call(&[json!({ "action": "permissions" })]));
        is_under_way.recv().unwrap();
        session.close();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    });
}

/// What happens to a response, which is there, before it is decoded.
type Before = fn(&Request<'_>, &CancelToken);

/// Responds with many entities, and lets something happen before they are decoded.
struct Late {
    inner: Box<dyn Transport>,
    before: Arc<Mutex<Option<(Before, CancelToken)>>>,
}

impl Transport for Late {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        // On a busy machine the server itself may be late; that is another error.
        let (method, url) = (request.method, request.url);
        let patience = Duration::from_secs(120);
        let patient = Request::new(method, url, request.headers, request.body, patience);
        let mut response = self.inner.send(&patient)?;
        if let Some((before, token)) = &*self.before.lock().unwrap() {
            let entity = |number: u32| json!({"__entity_type__": "Task", "id": number.to_string()});
            let entities: Vec<_> = (0..5000).map(entity).collect();
            let reply = json!([{ "action": "query", "data": entities, "metadata": {"next": {}} }]);
            response.body = Box::new(Cursor::new(reply.to_string()));
            before(request, token);
        }
        Ok(response)
    }
}

/// The errors of every way to read such a response.
fn errors_of_late_responses(timeout: Duration, before: Before) -> Vec<Error> {
    #[derive(Debug, serde::Deserialize)]
    struct Row {
        #[allow(dead_code, reason = "read by serde")]
        id: String,
    }
    let server = support::emulator();
    let armed = Arc::new(Mutex::new(None));
    let open = || {
        let before = armed.clone();
        let builder = support::builder(&server)
            .timeout(timeout)
            .retry(Retry::off());
        builder
            .wrap_transport(move |inner| Late { inner, before })
            .open()
    };
    let session = patiently(open);
    session
        .create("User", data! { "username": "late" })
        .unwrap();
    let reads: [fn(&Session) -> Result<()>; 6] = [
        |session| session.query("Task")?.first().map(drop),
        |session| {
            let rows = session.query("select id from Task")?.rows::<Row>().next();
            rows.unwrap().map(drop)
        },
        |session| {
            let query = json!({ "action": "query", "expression": "Task" });
            session.call(&[query]).map(drop)
        },
        |session| session.watch("select id from Task")?.poll().map(drop),
        Session::commit,
        // It asks first whether the one before was applied.
        Session::commit,
    ];
    let errors = reads.map(|read| {
        let token = CancelToken::new();
        *armed.lock().unwrap() = Some((before, token.clone()));
        token.run(|| read(&session)).unwrap_err()
    });
    *armed.lock().unwrap() = None;
    // The response of the commit was not decoded: the next one finds out that it was applied.
    patiently(|| session.commit());
    let made = session.query("User where username is late").unwrap();
    assert_eq!(patiently(|| made.all()).len(), 1);
    errors.into()
}

#[test]
fn responses_are_decoded_until_the_deadline() {
    let until_late = |request: &Request<'_>, _: &CancelToken| thread::sleep(request.timeout);
    for error in errors_of_late_responses(Duration::from_secs(2), until_late) {
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{text}");
        assert!(text.contains("was not decoded in time"), "{text}");
    }
}

#[test]
fn responses_are_decoded_until_the_call_is_cancelled() {
    let cancel = |_: &Request<'_>, token: &CancelToken| token.cancel();
    for error in errors_of_late_responses(Duration::from_secs(60), cancel) {
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    }
}

/// Responds to every query with as many entities as it asks for, always the same, or with none, and
/// says that there are more.
struct Endless {
    inner: Box<dyn Transport>,
    is_empty: bool,
    requests: AtomicUsize,
}

impl Transport for Endless {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let actions: Vec<serde_json::Value> = serde_json::from_slice(request.body).unwrap();
        let number_after = |action: &serde_json::Value, word: &str| -> Option<u64> {
            let (_, rest) = action["expression"].as_str()?.split_once(word)?;
            rest.split(' ').next()?.parse().ok()
        };
        let page_of = |action: &serde_json::Value| {
            Some((
                number_after(action, " offset ")?,
                number_after(action, " limit ")?,
            ))
        };
        let Some(pages) = actions.iter().map(page_of).collect::<Option<Vec<_>>>() else {
            return self.inner.send(request);
        };
        if self.requests.fetch_add(1, Ordering::SeqCst) > 1000 {
            return Err(Error::new(ErrorKind::Unsupported, "there is no end"));
        }
        let replies = pages.iter().map(|(offset, limit)| {
            // Signed URLs differ each time.
            let url = self.requests.load(Ordering::SeqCst).to_string();
            let task = |id: u64| {
                json!({ "__entity_type__": "Task", "id": id.to_string(), "thumbnail_url": url })
            };
            let count = if self.is_empty { 0 } else { *limit };
            let tasks: Vec<_> = (0..count).map(task).collect();
            let next = json!({ "next": { "offset": offset + limit } });
            json!({ "action": "query", "data": tasks, "metadata": next })
        });
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: Box::new(Cursor::new(json!(replies.collect::<Vec<_>>()).to_string())),
        })
    }
}

#[test]
fn pages_that_bring_nothing_new_end_a_query() {
    let server = support::emulator();
    for (is_empty, says) in [
        (false, "the same entities again"),
        (true, "no rows at offset 0, but announces more"),
    ] {
        let session = support::builder(&server).wrap_transport(move |inner| Endless {
            inner,
            is_empty,
            requests: AtomicUsize::new(0),
        });
        let session = session.open().unwrap();
        for pages in [1, 8] {
            let query = session.query("select id from Task").unwrap();
            let query = query.page_size(2).pages_per_request(pages);
            let before = session.statistics().requests;
            query.all().unwrap_err();
            let sent = session.statistics().requests - before;
            assert_eq!(sent, if is_empty { 1 } else { 32 });
            let rows = query.rows::<serde_json::Value>();
            let watched = "select id from Task";
            let errors = [
                query.all().unwrap_err(),
                rows.collect::<Result<Vec<_>>>().unwrap_err(),
                session.query_many([&query, &query]).unwrap_err(),
                session.watch(watched).map(drop).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
                assert!(error.to_string().contains(says), "{error}");
            }
        }
    }
}

/// Responds to queries for tasks by name with parts of sixteen responses each. All parts have the same
/// entities.
struct Alike {
    inner: Box<dyn Transport>,
    responses: AtomicUsize,
}

impl Transport for Alike {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let actions: Vec<serde_json::Value> = serde_json::from_slice(request.body).unwrap();
        let is_page =
            |action: &serde_json::Value| action["expression"].to_string().contains(" in (");
        if !actions.iter().all(is_page) {
            return self.inner.send(request);
        }
        let number = self.responses.fetch_add(1, Ordering::SeqCst) % 16;
        let replies = actions.iter().enumerate().map(|(index, action)| {
            let text = action["expression"].as_str().unwrap();
            let (_, paging) = text.split_once(" offset ").unwrap();
            let offset: u64 = paging.split(' ').next().unwrap().parse().unwrap();
            let task = json!({ "__entity_type__": "Task", "id": format!("{number}-{index}") });
            let next = (number < 15).then(|| json!({ "offset": offset + 2 }));
            json!({ "action": "query", "data": [task], "metadata": { "next": next } })
        });
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: Box::new(Cursor::new(json!(replies.collect::<Vec<_>>()).to_string())),
        })
    }
}

#[test]
fn parts_of_a_long_list_may_have_the_same_entities() {
    let server = support::emulator();
    for (pages, count) in [(1, 2 * 16), (2, 2 * 30 + 1)] {
        let session = support::builder(&server).wrap_transport(|inner| Alike {
            inner,
            responses: AtomicUsize::new(0),
        });
        let session = session.open().unwrap();
        let names = (0..600).map(|number| format!("n{number}"));
        let query = session.select("Task").fields(["id"]);
        let query = query.filter(field("name").is_in(names));
        let query = query.page_size(2).pages_per_request(pages);
        assert_eq!(query.all().unwrap().len(), count);
    }
}

/// Passes queries on with other limits.
struct Relimited {
    inner: Box<dyn Transport>,
    limit: fn(u64) -> u64,
}

impl Transport for Relimited {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        let mut passed = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(" limit ") {
            let end = after.find(|c: char| !c.is_ascii_digit());
            let (limit, after) = after.split_at(end.unwrap());
            let limit = (self.limit)(limit.parse().unwrap());
            passed.push_str(&format!("{before} limit {limit}"));
            rest = after;
        }
        passed.push_str(rest);
        let (method, url, headers) = (request.method, request.url, request.headers);
        let request = Request::new(method, url, headers, passed.as_bytes(), request.timeout);
        self.inner.send(&request)
    }
}

#[test]
fn pages_that_a_server_cuts_short_are_followed() {
    let server = support::emulator();
    let whole = support::open(&server);
    let count = whole.select("Task").count().unwrap() as usize;
    assert!(count > 4, "{count} tasks");
    // As a server with a maximum of its own does.
    let session = support::builder(&server).wrap_transport(|inner| Relimited {
        inner,
        limit: |rows| rows.min(2),
    });
    let session = session.open().unwrap();
    let text = "select id from Task";
    let query = session.query(text).unwrap();
    assert_eq!(query.all().unwrap().len(), count);
    assert_eq!(query.rows::<serde_json::Value>().count(), count);
    assert_eq!(session.query_many([text]).unwrap()[0].len(), count);
    let watched = session.watch(text).unwrap();
    assert_eq!(watched.entities().unwrap().len(), count);
    let some = session
        .watch("select id from Task offset 1 limit 3")
        .unwrap();
    assert_eq!(some.entities().unwrap().len(), 3);
}

#[test]
fn rows_beyond_the_limit_are_dropped() {
    let server = support::emulator();
    let session = support::builder(&server).wrap_transport(|inner| Relimited {
        inner,
        limit: |rows| rows + 2,
    });
    let session = session.open().unwrap();
    let text = "select id from Task limit 3";
    let query = session.query(text).unwrap();
    assert_eq!(query.all().unwrap().len(), 3);
    assert_eq!(query.rows::<serde_json::Value>().count(), 3);
    assert_eq!(session.statistics().rows, 3);
    assert_eq!(session.query_many([text]).unwrap()[0].len(), 3);
}

/// Responds with a text that is at hand.
struct Canned {
    inner: Box<dyn Transport>,
    body: Arc<Mutex<Option<String>>>,
}

impl Transport for Canned {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let Some(body) = self.body.lock().unwrap().clone() else {
            return self.inner.send(request);
        };
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    }
}

/// A session, and the text that it is given for each response; `None` for the server's own.
fn canned(server: &Emulator) -> (Session, Arc<Mutex<Option<String>>>) {
    let body = Arc::new(Mutex::new(None));
    let given = body.clone();
    let builder = support::builder(server);
    let session = builder.wrap_transport(|inner| Canned { inner, body: given });
    (session.open().unwrap(), body)
}

/// A tree of `{"":0}` takes a hundred times the bytes of its text.
#[test]
fn what_is_no_entity_takes_no_more_memory_than_its_text() {
    const BYTES: usize = 2 << 20;
    let _alone = MEASURING.lock().unwrap();
    let server = support::emulator();
    let (session, body) = canned(&server);
    let entity = |member: &str| {
        format!(r#"[{{"data":[{{"__entity_type__":"Task","id":"t",{member}}}],"metadata":{{}}}}]"#)
    };
    for unit in [r#"{"":0},"#, "0,"] {
        let list = format!("[{}0]", unit.repeat(BYTES / unit.len()));
        let in_typed = format!(r#""start_date":{{"__type__":"date","other":{list}}}"#);
        for (what, text, is_read) in [
            ("unknown", entity(&format!(r#""other":{list}"#)), true),
            ("known", entity(&format!(r#""name":{list}"#)), true),
            ("free form", entity(&format!(r#""link":{list}"#)), true),
            ("typed", entity(&in_typed), false),
            (
                "typed, free form",
                entity(&in_typed.replace("start_date", "link")),
                false,
            ),
            ("no entity", format!(r#"[{{"data":{list}}}]"#), false),
            ("exception", format!(r#"[{{"exception":{list}}}]"#), false),
            (
                "failure",
                format!(r#"{{"exception":"E","content":{list}}}"#),
                false,
            ),
        ] {
            let size = text.len();
            *body.lock().unwrap() = Some(text);
            let before = ALLOCATOR.current_usage();
            ALLOCATOR.reset_peak_usage();
            let query = session.query("Task").unwrap();
            let read = query.first();
            let peak = ALLOCATOR.peak_usage() - before;
            assert_eq!(read.is_ok(), is_read, "{what}: {:?}", read.err());
            // The response is copied once here, and buffers grow by doubling. Other tests take a little.
            let most = 9 * size + (8 << 20);
            assert!(peak < most, "{what} of {unit} {peak} bytes for {size}");
            eprintln!(
                "{what} of {unit}: {:.1} times its size",
                peak as f64 / size as f64
            );
            drop(read);
            session.reset();
            *body.lock().unwrap() = None;
        }
    }
}

#[test]
fn a_date_that_cannot_be_read_hides_nothing_else() {
    let server = support::emulator();
    let (session, body) = canned(&server);
    let task = |id: &str, end: &str| {
        json!({ "__entity_type__": "Task", "id": id, "name": id,
                "end_date": { "__type__": "datetime", "value": end } })
    };
    let tasks = [
        task("a", "2026-01-02T12:00:00"),
        task("b", "0000-00-00 00:00:00"),
    ];
    let respond = |reply: serde_json::Value| {
        *body.lock().unwrap() = Some(json!([reply]).to_string());
    };
    respond(json!({ "action": "query", "data": tasks }));
    let query = session.query("select name, end_date from Task").unwrap();
    let found = query.all().unwrap();
    let ends = found.iter().map(|task| task.get::<DateTime>("end_date"));
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends[0].as_ref().unwrap(), &date(2026, 1, 2).at(12, 0, 0, 0));
    let error = ends[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    for says in ["Task(b)", "end_date", "0000-00-00"] {
        assert!(error.to_string().contains(says), "{error}");
    }
    let text: String = found[1].get("end_date").unwrap();
    assert_eq!(text, "0000-00-00 00:00:00");
    // Typed rows have it as the same text.
    let rows: Result<Vec<serde_json::Value>> = query.rows().collect();
    assert_eq!(rows.unwrap()[1]["end_date"], text);
    // Nor does it leave a commit in doubt.
    found[1].set("name", "c").unwrap();
    respond(json!({ "action": "update", "data": task("b", &text) }));
    session.commit().unwrap();
    *body.lock().unwrap() = None;
}

#[test]
fn what_a_server_leaves_out_is_asked_for_once() {
    let server = support::emulator();
    let (session, body) = canned(&server);
    let task = session.entity(EntityKey::new("Task", "a")).unwrap();
    let row = json!({ "__entity_type__": "Task", "id": "a", "name": "anim" });
    *body.lock().unwrap() = Some(json!([{ "action": "query", "data": [row] }]).to_string());
    let asked = support::requests(&session, || {
        let error = task.get::<f64>("bid").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().contains("no \"bid\" for Task(a)"),
            "{error}"
        );
    });
    assert_eq!(asked, 1);
    // The entity is there nevertheless.
    assert_eq!(task.get::<String>("name").unwrap(), "anim");
    *body.lock().unwrap() = Some(json!([{ "action": "query", "data": [] }]).to_string());
    let error = session.user().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    *body.lock().unwrap() = None;
}
