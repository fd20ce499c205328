//! What the benchmarks share: a studio's tasks as responses, a transport that replays responses from
//! memory, and the floors to compare with.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each benchmark uses a part; none is public"
)]

mod attributes;

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cpu_time::ProcessTime;
use ftrack_api::entity::FromAttribute;
use ftrack_api::{
    Data, Entity, Session, SessionBuilder,
    config::SchemaCache,
    data,
    transport::{Request, Response, Transport},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

pub use attributes::*;

/// How many tasks a page holds: what the clients ask for.
pub const PAGE: usize = 500;

/// The bytes of a response, shared by its readers.
pub type Bytes = Arc<Vec<u8>>;

/// A key, the same in every run.
pub fn id(kind: u32, number: usize) -> String {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let node = mixed & 0xffff_ffff_ffff;
    format!("{kind:08x}-{:04x}-11e2-8df2-{node:012x}", number & 0xffff)
}

/// One task as a server writes it: members in no particular order, the type among them, and
/// references as whole objects. 20 of them share a parent, and all the rest of what they refer to.
fn task(out: &mut String, number: usize) {
    let (status, kind, priority) = (number % 7, number % 11, number % 5);
    let (parent, project) = (number / 20, number / 2500);
    write!(
        out,
        r##"{{"sort": {number}.0, "status": {{"color": "#{status}5a4b9", "name": "Status {status}", "__entity_type__": "Status", "id": "{status_id}"}}, "name": "task_{number:05}", "description": "Match plate {number}.", "bid": {bid}, "created_at": {{"__type__": "datetime", "value": "2024-0{month}-1{day}T10:12:09"}}, "context_type": "task", "__entity_type__": "Task", "end_date": {{"__type__": "datetime", "value": "2025-0{month}-1{day}T00:00:00"}}, "start_date": {{"__type__": "datetime", "value": "2024-1{ten}-1{day}T00:00:00"}}, "priority": {{"name": "Priority {priority}", "__entity_type__": "Priority", "id": "{priority_id}"}}, "type": {{"name": "Type {kind}", "__entity_type__": "Type", "id": "{type_id}"}}, "object_type_id": "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c", "project": {{"full_name": "The project with number {project}", "__entity_type__": "Project", "id": "{project_id}"}}, "project_id": "{project_id}", "parent": {{"name": "sh{parent:04}", "context_type": "task", "__entity_type__": "Shot", "object_type_id": "bad911de-3bd6-47b9-8b46-3476e237cb36", "project_id": "{project_id}", "id": "{parent_id}"}}, "id": "{task_id}"}}"##,
        month = 1 + number % 9,
        day = number % 10,
        ten = number % 3,
        bid = 3600 * (1 + number % 40),
        status_id = id(1, status),
        priority_id = id(2, priority),
        type_id = id(3, kind),
        project_id = id(4, project),
        parent_id = id(5, parent),
        task_id = id(6, number),
    )
    .expect("a string takes all");
}

/// What users have besides: a path of parents, a long description that is not ASCII and has quotes,
/// a custom attribute, a null, a collection of two.
fn users_data(out: &mut String, number: usize) {
    let (parent, project) = (number / 20, number / 2500);
    let (project_id, parent_id, task_id) = (id(4, project), id(5, parent), id(6, number));
    let sequence_id = id(7, parent / 10);
    out.truncate(out.len() - 1);
    write!(
        out,
        r#", "link": [{{"type": "Project", "id": "{project_id}", "name": "The project with number {project}"}}, {{"type": "TypedContext", "id": "{sequence_id}", "name": "sq{sequence:03}"}}, {{"type": "TypedContext", "id": "{parent_id}", "name": "sh{parent:04}"}}, {{"type": "TypedContext", "id": "{task_id}", "name": "task_{number:05}"}}], "thumbnail_id": null, "custom_attributes": [{{"__entity_type__": "ContextCustomAttributeValue", "configuration_id": "{configuration_id}", "entity_id": "{task_id}", "value": {frame}.0}}], "assignments": [{{"__entity_type__": "Appointment", "id": "{first_id}", "resource_id": "{ada_id}"}}, {{"__entity_type__": "Appointment", "id": "{second_id}", "resource_id": "{bob_id}"}}]}}"#,
        sequence = parent / 10,
        frame = 1001 + number % 100,
        configuration_id = id(8, 0),
        first_id = id(9, 2 * number),
        second_id = id(9, 2 * number + 1),
        ada_id = id(10, number % 30),
        bob_id = id(10, 30 + number % 30),
    )
    .expect("a string takes all");
    let plain = format!("\"Match plate {number}.\"");
    let long = format!(
        r#""Größe der \"Straße\" prüfen, Übergänge glätten, Äste & Büsche in Bild {number} setzen.""#
    );
    if let Some(at) = out.rfind(&plain) {
        out.replace_range(at..at + plain.len(), &long);
    }
}

/// The responses to a query for `count` tasks with [`USERS_PATHS`], in pages of 500.
pub fn full_pages(count: usize) -> Vec<Bytes> {
    paged(count, |out, number| {
        task(out, number);
        users_data(out, number);
    })
}

/// The response with the tasks from `first` on; `last` if no page follows.
pub fn page(first: usize, count: usize, last: bool) -> Bytes {
    page_of(first, count, last, task)
}

fn page_of(first: usize, count: usize, last: bool, task: impl Fn(&mut String, usize)) -> Bytes {
    let mut out = String::from(r#"[{"action": "query", "data": ["#);
    for number in first..first + count {
        if number > first {
            out.push_str(", ");
        }
        task(&mut out, number);
    }
    let next = if last {
        "null".to_owned()
    } else {
        (first + count).to_string()
    };
    write!(out, r#"], "metadata": {{"next": {{"offset": {next}}}}}}}]"#).expect("as above");
    Arc::new(out.into_bytes())
}

/// The responses to a query for `count` tasks, in pages of 500.
pub fn pages(count: usize) -> Vec<Bytes> {
    paged(count, task)
}

fn paged(count: usize, task: impl Fn(&mut String, usize)) -> Vec<Bytes> {
    let page = |first| page_of(first, PAGE.min(count - first), first + PAGE >= count, &task);
    (0..count).step_by(PAGE).map(page).collect()
}

/// The response to a commit that updated the `bid` of these tasks.
pub fn updated(numbers: std::ops::Range<usize>, bid: usize) -> Bytes {
    let task = |number| {
        json!({"action": "update", "data": {"bid": bid, "context_type": "task",
            "__entity_type__": "Task", "object_type_id": "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c",
            "project_id": id(4, number / 2500), "id": id(6, number)}})
    };
    Arc::new(serde_json::to_vec(&numbers.map(task).collect::<Vec<_>>()).expect("JSON prints"))
}

/// The response to a commit that created these tasks with [`new_task`].
pub fn created(numbers: std::ops::Range<usize>) -> Bytes {
    let task = |number| {
        json!({"action": "create", "data": {"name": format!("task_{number}"), "bid": 3600,
            "description": "made by a benchmark", "status_id": id(1, number % 7),
            "type_id": id(3, number % 11), "parent_id": id(5, number / 20), "sort": 0,
            "context_type": "task", "__entity_type__": "Task", "project_id": id(4, 0),
            "object_type_id": "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c", "id": id(6, number)}})
    };
    Arc::new(serde_json::to_vec(&numbers.map(task).collect::<Vec<_>>()).expect("JSON prints"))
}

/// The response to a commit that deleted this many entities.
pub fn deleted(count: usize) -> Bytes {
    let one = json!({"action": "delete", "data": true});
    Arc::new(serde_json::to_vec(&vec![one; count]).expect("JSON prints"))
}

/// What a new task is made from.
pub fn new_task(number: usize) -> Data {
    data! {
        "id": id(6, number),
        "name": format!("task_{number}"),
        "description": "made by a benchmark",
        "bid": 3600,
        "status_id": id(1, number % 7),
        "type_id": id(3, number % 11),
        "parent_id": id(5, number / 20),
    }
}

/// The request that creates them, built the plain way: for the floor.
pub fn create_request(numbers: std::ops::Range<usize>) -> Json {
    let action = |number: usize| {
        json!({"action": "create", "entity_type": "Task", "entity_key": [id(6, number)],
            "entity_data": {"__entity_type__": "Task", "id": id(6, number),
                "name": format!("task_{number}"), "description": "made by a benchmark",
                "bid": 3600, "status_id": id(1, number % 7), "type_id": id(3, number % 11),
                "parent_id": id(5, number / 20)}})
    };
    numbers.map(action).collect()
}

/// The request that updates them.
pub fn update_request(numbers: std::ops::Range<usize>, bid: usize) -> Json {
    let action = |number: usize| {
        json!({"action": "update", "entity_type": "Task", "entity_key": [id(6, number)],
            "entity_data": {"__entity_type__": "Task", "bid": bid}})
    };
    numbers.map(action).collect()
}

/// A transport whose responses are given before they are needed.
#[derive(Clone, Default)]
pub struct Replay(Arc<Mutex<VecDeque<Bytes>>>);

impl Replay {
    pub fn then(&self, responses: impl IntoIterator<Item = Bytes>) {
        self.0.lock().expect("no panics").extend(responses);
    }
}

impl Transport for Replay {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        const QUERY: &[u8] = br#""action":"query","#;
        let mut responses = self.0.lock().expect("no panics");
        let queries = memchr::memmem::find_iter(request.body, QUERY).count();
        let body: Box<dyn Read + Send> = if queries > 1 {
            // Pages beyond the last are empty.
            let empty = || Arc::new(br#"[{"action": "query", "data": []}]"#.to_vec());
            let pages = (0..queries).map(|_| responses.pop_front().unwrap_or_else(empty));
            joined(pages.collect())
        } else {
            Box::new(body(
                &responses
                    .pop_front()
                    .expect("the benchmark handed a response in"),
            ))
        };
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body,
        })
    }
}

/// The replies of several responses in one list.
fn joined(responses: Vec<Bytes>) -> Box<dyn Read + Send> {
    let mut all: Box<dyn Read + Send> = Box::new(Cursor::new("["));
    for (number, bytes) in responses.into_iter().enumerate() {
        let inner = 1..bytes.len() - 1;
        let comma = if number > 0 { "," } else { "" };
        let piece = Piece { bytes, inner };
        all = Box::new(all.chain(Cursor::new(comma)).chain(Cursor::new(piece)));
    }
    Box::new(all.chain(Cursor::new("]")))
}

/// Reads the bytes as a socket's would be read.
fn body(bytes: &Bytes) -> impl Read + Send + use<> {
    Cursor::new(Piece {
        bytes: bytes.clone(),
        inner: 0..bytes.len(),
    })
}

/// A part of shared bytes.
struct Piece {
    bytes: Bytes,
    inner: std::ops::Range<usize>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.inner.clone()]
    }
}

/// The floor below all others: the bytes of a response, read to the end.
pub fn read(bytes: &Bytes) -> Vec<u8> {
    let mut all = Vec::new();
    body(bytes).read_to_end(&mut all).expect("memory reads");
    all
}

/// The emulator's schema, with its hash, and the response to an opening session.
pub struct Server {
    schema: ftrack_emulator::schema::Schema,
}

impl Server {
    pub fn new() -> Self {
        let wire = ftrack_emulator::schema::compact::wire();
        let schema = ftrack_emulator::schema::Schema::from_json(wire).expect("its own schema");
        Self { schema }
    }

    /// The response to an opening session, with the schema or without.
    pub fn greeting(&self, with_schema: bool) -> Bytes {
        let information = json!({"version": "4.13.8", "schema_hash": self.schema.hash(),
            "is_timezone_support_enabled": true});
        let mut replies = vec![information];
        if with_schema {
            replies.push(self.schema.wire().clone());
        }
        Arc::new(serde_json::to_vec(&replies).expect("JSON prints"))
    }

    pub fn open(&self) -> (Session, Replay) {
        let replay = Replay::default();
        replay.then([self.greeting(true)]);
        (open(&replay, SchemaCache::Off), replay)
    }

    /// A session that has loaded `count` tasks.
    pub fn loaded(&self, count: usize) -> (Session, Replay, Vec<Entity>) {
        let (session, replay) = self.open();
        replay.then(pages(count));
        let tasks = query(&session);
        assert_eq!(tasks.len(), count);
        (session, replay, tasks)
    }
}

pub fn open(replay: &Replay, cache: SchemaCache) -> Session {
    let none: [&str; 0] = [];
    let builder = builder(replay, cache).plugin_paths(none);
    builder.open().expect("the greeting is good")
}

pub fn builder(replay: &Replay, cache: SchemaCache) -> SessionBuilder {
    let builder = Session::builder()
        .server_url("https://studio.example")
        .api_key("not a key")
        .api_user("ada");
    builder.schema_cache(cache).transport(replay.clone())
}

pub fn query(session: &Session) -> Vec<Entity> {
    let query = session.query(format!("select {} from Task", PATHS.join(", ")));
    query
        .and_then(|query| query.all())
        .expect("the pages are good")
}

/// The same query with what users have besides.
pub fn query_full(session: &Session) -> Vec<Entity> {
    let paths = [&PATHS[..], &USERS_PATHS].concat();
    let query = session.query(format!("select {} from Task", paths.join(", ")));
    query
        .and_then(|query| query.all())
        .expect("the pages are good")
}

/// A part of `link`.
#[derive(Deserialize)]
pub struct Link {
    pub id: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// All thirteen attributes of a task in one call.
pub fn touch_all<T: FromAttribute>(task: &Entity) -> ftrack_api::Result<()> {
    type Date = jiff::civil::DateTime;
    // In the order of the paths: texts are `T`.
    type Values<T> = (T, T, f64, f64, Date, Date, Date, T, T, T, T, T, T);

    let values: Values<T> = task.get_many(PATHS)?;
    black_box(&values);
    Ok(())
}

/// Tasks that are not committed.
pub fn make(session: &Session, count: usize) -> Vec<Entity> {
    let task = |number| session.create("Task", new_task(number));
    (0..count)
        .map(|number| task(number).expect("a good task"))
        .collect()
}

/// The same query as typed rows.
pub fn rows(session: &Session) -> Vec<Row> {
    let query = session.query("Task").expect("a good query");
    let rows = query.rows().collect::<ftrack_api::Result<_>>();
    rows.expect("the pages are good")
}

/// A task as a program reads it that wants neither entities nor the protocol's own structs.
#[derive(Deserialize)]
pub struct Row {
    pub id: String,
    pub name: String,
    pub description: String,
    pub bid: f64,
    pub sort: f64,
    pub start_date: String,
    pub end_date: String,
    pub created_at: String,
    pub status: Named,
    #[serde(rename = "type")]
    pub kind: Named,
    pub priority: Named,
    pub project: Project,
    pub parent: Named,
}

/// A page as plain structs, with the texts that repeat kept once.
#[derive(Deserialize)]
pub struct Reply {
    pub data: Vec<Task>,
}

#[derive(Deserialize)]
pub struct Task {
    pub id: String,
    pub name: String,
    pub description: String,
    pub bid: f64,
    pub sort: f64,
    pub start_date: Date,
    pub end_date: Date,
    pub created_at: Date,
    pub status: Named,
    #[serde(rename = "type")]
    pub kind: Named,
    pub priority: Named,
    pub project: Project,
    pub parent: Named,
}

#[derive(Deserialize)]
pub struct Date {
    pub value: String,
}

#[derive(Deserialize)]
pub struct Named {
    #[serde(deserialize_with = "interned")]
    pub id: Arc<str>,
    #[serde(deserialize_with = "interned")]
    pub name: Arc<str>,
}

#[derive(Deserialize)]
pub struct Project {
    #[serde(deserialize_with = "interned")]
    pub id: Arc<str>,
    #[serde(deserialize_with = "interned")]
    pub full_name: Arc<str>,
}

thread_local! {
    static TEXTS_SEEN: std::cell::RefCell<HashSet<Arc<str>>> = std::cell::RefCell::default();
}

/// One copy of each text.
fn interned<'de, D: Deserializer<'de>>(json: D) -> Result<Arc<str>, D::Error> {
    let text = <&str>::deserialize(json)?;
    Ok(TEXTS_SEEN.with_borrow_mut(|seen| {
        seen.get(text).cloned().unwrap_or_else(|| {
            let kept: Arc<str> = text.into();
            seen.insert(kept.clone());
            kept
        })
    }))
}

/// How often a figure is taken.
const RUNS: usize = 9;

/// The median CPU time of `run`; neither `prepare` nor dropping the results counts.
pub fn median<I, O>(mut prepare: impl FnMut() -> I, mut run: impl FnMut(I) -> O) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let input = prepare();
            let started = ProcessTime::now();
            let output = black_box(run(input));
            let time = started.elapsed();
            drop(output);
            time
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}
