//! Responses to commits that do not confirm what was sent.

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ftrack_api::{
    Entity, Error, ErrorKind, Result, Session,
    config::Retry,
    data,
    transport::{Request, Response, Transport},
};
use serde_json::{Value as Json, json};

use crate::same;
use crate::support::{Studio, builder, post};

/// Delivers the responses that it is told to the next requests, and forwards all others, unless it is
/// offline: then they are lost.
#[derive(Clone, Default)]
struct Forger(Arc<Forgery>);

#[derive(Default)]
struct Forgery {
    responses: Mutex<VecDeque<Vec<u8>>>,
    /// The response to the last request that was forwarded.
    last: Mutex<Vec<u8>>,
    is_offline: AtomicU32,
}

impl Transport for Forger {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let response = |body: Vec<u8>| {
            Ok(Response {
                status: 200,
                headers: Vec::new(),
                body: Box::new(Cursor::new(body)),
            })
        };
        if let Some(body) = self.0.responses.lock().unwrap().pop_front() {
            return response(body);
        }
        if self.0.is_offline.load(Ordering::SeqCst) > 0 {
            return Err(Error::new(ErrorKind::Connection, "the connection broke"));
        }
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let url = request.url.origin().ascii_serialization();
        let (_, body) = post(&url, headers, request.body);
        self.0.last.lock().unwrap().clone_from(&body);
        response(body)
    }
}

impl Forger {
    fn forge(&self, response: &[u8]) {
        let mut responses = self.0.responses.lock().unwrap();
        responses.push_back(response.to_vec());
    }
}

/// A session that records the same batch again and again: two creations, an update, a deletion.
struct Stage {
    session: Session,
    forger: Forger,
    keys: [Entity; 3],
    round: u32,
}

const KEY: &str = "0f0f0f0f-0000-4000-8000-00000000000";

impl Stage {
    fn new(studio: &Studio) -> Self {
        let forger = Forger::default();
        let session = builder(&studio.server).retry(Retry::off());
        let session = session.transport(forger.clone()).open().unwrap();
        let find = |query: &str| session.query(query).unwrap().first().unwrap().unwrap();
        let project = find("Project where name is test");
        let note = session.create("Note", data! { "content": "x", "author": find("User") });
        session.commit().unwrap();
        let keys = [project, find("Task"), note.unwrap()];
        Self {
            session,
            forger,
            keys,
            round: 0,
        }
    }

    fn record(&mut self) {
        self.round += 1;
        let [project, task, note] = &self.keys;
        let name = format!("round {}", self.round);
        let folder = data! { "id": format!("{KEY}1"), "name": &name, "parent": project };
        let folder = self.session.create("Folder", folder).unwrap();
        let new = data! { "id": format!("{KEY}2"), "name": "anim", "parent": &folder };
        self.session.create("Task", new).unwrap();
        let task = self.session.entity(task.key()).unwrap();
        task.set("description", name.as_str()).unwrap();
        let note = self.session.entity(note.key()).unwrap();
        self.session.delete(&note).unwrap();
    }

    /// A commit of the batch whose response is `body` and which cannot be reconciled.
    fn commit(&mut self, body: &[u8]) -> Result<()> {
        self.session.reset();
        self.record();
        self.forger.forge(body);
        let outcome = self.session.commit();
        let left = self.session.recorded_operations().len();
        match &outcome {
            Ok(()) => assert_eq!(left, 0),
            Err(error) => {
                assert_eq!(left, 4, "{error}");
                assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
                assert!(error.to_string().contains("finds out first"), "{error}");
            }
        }
        outcome
    }
}

/// The response of the server to the batch, for a session that then loses everything else.
fn stage(studio: &Studio) -> (Stage, Vec<Json>) {
    let mut stage = Stage::new(studio);
    stage.record();
    stage.session.commit().unwrap();
    let genuine = stage.forger.0.last.lock().unwrap().clone();
    stage.forger.0.is_offline.store(1, Ordering::SeqCst);
    (stage, serde_json::from_slice(&genuine).unwrap())
}

#[test]
fn only_a_response_that_confirms_every_change_is_success() {
    let studio = Studio::new();
    let (mut stage, genuine) = stage(&studio);
    assert_eq!(genuine.len(), 4);
    stage
        .commit(&serde_json::to_vec(&genuine).unwrap())
        .unwrap();
    let with = |index: usize, value: Json| {
        let mut replies = genuine.clone();
        replies[index] = value;
        Json::Array(replies)
    };
    let member = |index: usize, name: &str, value: Json| {
        let mut reply = genuine[index].clone();
        reply["data"][name] = value;
        with(index, reply)
    };
    let without = |count: usize| Json::Array(genuine[..count].to_vec());
    let more = [genuine.as_slice(), &genuine[3..]].concat();
    let failure = json!({"exception": "ValidationError", "content": "no"});
    for forged in [
        json!([]),
        json!([{}]),
        json!([{}, {}, {}, {}]),
        json!([{"data": null}]),
        json!([{"data": false}]),
        json!([true, true, true, true]),
        json!([failure]),
        without(3),
        Json::Array(more),
        with(0, failure.clone()),
        with(3, failure),
        with(3, json!({"action": "delete", "data": false})),
        with(3, json!({"action": "delete", "data": null})),
        with(3, json!({"action": "delete"})),
        with(0, genuine[1].clone()),
        with(2, genuine[3].clone()),
        member(0, "id", json!("another")),
        member(2, "id", json!("another")),
        member(2, "__entity_type__", json!("Status")),
        with(1, json!({"action": "create", "data": [genuine[1]["data"]]})),
    ] {
        let error = stage.commit(&serde_json::to_vec(&forged).unwrap());
        assert!(error.is_err(), "taken for success: {forged}");
    }
    // Additional members, other orders and more concrete types are still success.
    for harmless in [
        member(0, "something_new", json!({"a": [1, {"b": null}]})),
        member(2, "name", json!("renamed by the server")),
        with(
            3,
            json!({"data": true, "action": "delete", "metadata": {"x": 1}}),
        ),
    ] {
        stage
            .commit(&serde_json::to_vec(&harmless).unwrap())
            .unwrap();
    }
}

/// Whether a response confirms the batch, judged without the code under test.
fn is_confirmation(body: &[u8], genuine: &[Json]) -> bool {
    let Ok(Json::Array(replies)) = serde_json::from_slice(body) else {
        return false;
    };
    replies.len() == genuine.len()
        && replies.iter().zip(genuine).all(|(reply, expected)| {
            let Some(reply) = reply.as_object() else {
                return false;
            };
            let action = reply.get("action");
            let is_failure = reply.get("exception").is_some_and(|one| !one.is_null());
            !is_failure
                && action.is_none_or(|action| action.is_null() || *action == expected["action"])
                && match &reply.get("data") {
                    Some(Json::Bool(true)) => expected["data"] == true,
                    Some(Json::Object(_)) => {
                        let contexts = ["Folder", "Task", "Context", "TypedContext", "Project"];
                        let contexts = contexts.map(Json::from);
                        let found = &reply["data"]["__entity_type__"];
                        let is_related = contexts.contains(found)
                            || ["Shot", "Sequence", "Episode", "AssetBuild", "Milestone"]
                                .map(Json::from)
                                .contains(found);
                        // Servers may write a key in capitals.
                        let id = |of: &Json| of["data"]["id"].as_str().map(str::to_lowercase);
                        let same_id = id(&Json::Object(reply.clone())) == id(expected);
                        same_id && is_related && expected["data"] != true
                    }
                    _ => false,
                }
        })
}

#[test]
fn a_reconciliation_that_does_not_show_a_value_confirms_nothing() {
    let studio = Studio::new();
    let stage = Stage::new(&studio);
    let task = &stage.keys[1];
    task.set("description", "in doubt").unwrap();
    stage.forger.forge(b"[]");
    let row = json!({"__entity_type__": "Task", "id": task.key().id()});
    let rows = json!([{"action": "query", "data": [row]}]);
    stage.forger.forge(rows.to_string().as_bytes());
    let error = stage.session.commit().unwrap_err();
    assert!(error.to_string().contains("was not applied"), "{error}");
    assert_eq!(stage.session.recorded_operations().len(), 1);
    stage.session.commit().unwrap();
    let seen = same(&studio.other(), task);
    assert_eq!(seen.get::<String>("description").unwrap(), "in doubt");
}

/// The session is still in doubt after `answer` to the question whether a batch was applied, and its next
/// commit, which the server answers itself, ends the doubt.
fn leaves_the_doubt(stage: &Stage, record: &dyn Fn(&Session), answer: &Json) {
    let session = &stage.session;
    session.reset();
    record(session);
    let recorded = session.recorded_operations().len();
    // The response is lost, and the question is answered with something else.
    stage.forger.forge(b"[]");
    stage.forger.forge(answer.to_string().as_bytes());
    let error = session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{answer}: {error}");
    assert!(error.is_in_doubt(), "{answer}: {error}");
    assert_eq!(session.recorded_operations().len(), recorded, "{answer}");
    session.commit().unwrap();
    assert_eq!(session.recorded_operations().len(), 0, "{answer}");
}

#[test]
fn an_answer_about_something_else_does_not_end_a_doubt() {
    let studio = Studio::new();
    let stage = Stage::new(&studio);
    let id = |number: u32| format!("{KEY}{number}");
    let new_task = |number: u32| {
        let data = data! { "id": id(number), "name": id(number), "parent": &stage.keys[0] };
        stage.session.create("Task", data).unwrap();
    };
    let foreign = stage.keys[1].id();
    let query = |rows: Json| json!([{"action": "query", "data": rows}]);
    let failed = json!([{"exception": "E", "data": []}]);
    let task = |row: Json| json!({"__entity_type__": "Task", "id": row});
    for (number, answer) in [
        query(json!([{}])),
        query(json!([task(json!(foreign))])),
        query(json!([task(json!(null))])),
        query(json!([task(json!([]))])),
        query(json!([{"id": {"id": id(0)}}])),
        failed.clone(),
    ]
    .iter()
    .enumerate()
    {
        let number = u32::try_from(number).unwrap() + 1;
        leaves_the_doubt(&stage, &|_| new_task(number), answer);
        let made = studio.other().get("Task", id(number)).unwrap();
        assert!(made.is_some(), "lost: {answer}");
    }
    let notes: Vec<Entity> = (0..4)
        .map(|_| {
            let user = stage.session.query("User").unwrap().first().unwrap();
            let note = data! { "content": "x", "author": user.unwrap() };
            stage.session.create("Note", note).unwrap()
        })
        .collect();
    stage.session.commit().unwrap();
    let answers = [
        query(json!([{}])),
        query(json!([{"__entity_type__": "Note", "id": foreign}])),
        query(json!([{"__entity_type__": "Note", "id": null}])),
        failed.clone(),
    ];
    for (note, answer) in notes.iter().zip(&answers) {
        let delete = |session: &Session| session.delete_by_key("Note", note.id()).unwrap();
        leaves_the_doubt(&stage, &delete, answer);
        let left = studio.other().get("Note", note.id()).unwrap();
        assert!(left.is_none(), "not deleted: {answer}");
    }
    for answer in [query(json!([{}])), failed] {
        let set = |session: &Session| {
            let task = session.entity(stage.keys[1].key()).unwrap();
            task.set("description", answer.to_string()).unwrap();
        };
        leaves_the_doubt(&stage, &set, &answer);
    }
}

#[test]
fn keys_in_capitals_end_a_doubt() {
    let studio = Studio::new();
    let stage = Stage::new(&studio);
    let note = stage.keys[2].id();
    stage.session.delete_by_key("Note", note.as_str()).unwrap();
    stage.forger.forge(b"[]");
    let row = json!({"__entity_type__": "Note", "id": note.to_uppercase()});
    let rows = json!([{"action": "query", "data": [row]}]);
    stage.forger.forge(rows.to_string().as_bytes());
    let error = stage.session.commit().unwrap_err();
    assert!(error.to_string().contains("was not applied"), "{error}");
    assert_eq!(stage.session.recorded_operations().len(), 1);
}

#[test]
fn single_calls_queries_and_counts_are_checked() {
    let studio = Studio::new();
    let stage = Stage::new(&studio);
    let (session, forger) = (&stage.session, &stage.forger);
    let user = session.query("User").unwrap().first().unwrap().unwrap();
    let refused = |what: &str, reply: &Json, work: &dyn Fn() -> Result<()>| {
        forger.forge(reply.to_string().as_bytes());
        let error = work().expect_err(&format!("{what}: {reply}"));
        assert_eq!(error.kind(), ErrorKind::BadResponse, "{what}: {error}");
    };
    let exception = json!([{"exception": "PermissionError", "data": []}]);
    for reply in [
        exception.clone(),
        json!([{}]),
        json!([true]),
        json!([{"action": "query", "data": []}]),
    ] {
        refused("invite", &reply, &|| session.send_user_invite(&user));
    }
    forger.forge(br#"[{"action": "send_user_invite", "exception": null, "data": true}]"#);
    session.send_user_invite(&user).unwrap();
    let query = session.query("select name from Task").unwrap();
    let action = json!({"action": "query", "expression": "select name from Task"});
    refused("rows", &exception, &|| {
        let rows = query.rows::<Json>().collect::<Result<Vec<_>>>();
        rows.map(drop)
    });
    refused("all", &exception, &|| query.all().map(drop));
    refused("call", &exception, &|| {
        session.call(std::slice::from_ref(&action)).map(drop)
    });
    for reply in [
        exception,
        json!([{"data": []}]),
        json!([{"data": [{}]}]),
        json!([{"data": [7]}]),
        json!([{"data": [{"id": 1}, {"id": 2}]}]),
        json!([{"data": [{"id": u64::MAX, "x": 1}]}]),
        json!([{"data": [{"id": -1}]}]),
        json!([{"data": [{"id": 1.5}]}]),
        json!([{"data": [{"id": "1"}]}]),
        json!([{"data": [{"id": null}]}]),
    ] {
        refused("count", &reply, &|| query.count().map(drop));
    }
    forger.forge(br#"[{"action": "query", "data": [{"id": 18446744073709551615}]}]"#);
    assert_eq!(query.count().unwrap(), u64::MAX);
    session.reset();
    let task = session.entity(stage.keys[1].key()).unwrap();
    task.set("description", "before unknown").unwrap();
    let plan = session.plan();
    for row in [json!({}), json!({"__entity_type__": "Task", "id": null})] {
        let reply = json!([{"data": [row]}]);
        refused("inverse", &reply, &|| plan.inverse(session).map(drop));
    }
}

#[test]
fn errors_show_little_of_a_response_and_no_secret() {
    let studio = Studio::new();
    let forger = Forger::default();
    let session = builder(&studio.server).retry(Retry::off());
    // In the middle of what is left of a long message, too.
    let secret = "a-secret-of-the-studio";
    let session = session.header("x-studio", secret);
    let session = session.transport(forger.clone()).open().unwrap();
    let query = session.query("select name from Task").unwrap();
    let escaped: String = secret
        .bytes()
        .map(|byte| format!("\\u{byte:04x}"))
        .collect();
    for text in [
        format!("no access for {secret}"),
        format!("no access for {escaped}"),
        secret.repeat(50_000),
        format!("{}{secret}{}", "x".repeat(990), "x".repeat(1 << 20)),
    ] {
        for response in [
            format!(r#"[{{"exception": "{text}"}}]"#),
            format!(r#"[{{"exception": {{"because": "{text}"}}}}]"#),
            format!(r#"[{{"data": [{{"__entity_type__": "{text}", "id": "x"}}]}}]"#),
            format!(r#"[{{"data": [{{"name": {{"__type__": "{text}", "value": "x"}}}}]}}]"#),
            format!(r#"[{{"data": "{text}"}}]"#),
            format!(r#"[{{"action": "{text}", "data": true}}]"#),
            format!(r#"{{"exception": "{text}", "content": {{"because": "{text}"}}}}"#),
        ] {
            let check = |what: &str, error: Error| {
                let shown = format!("{error}\n{error:?}");
                let start: String = response.chars().take(60).collect();
                assert!(!shown.contains("a-secret"), "{what} {start}: {shown:.3000}");
                assert!(!shown.contains("u0061"), "{what} {start}: {shown:.3000}");
                assert!(shown.len() < 12_000, "{what} {start}: {}", shown.len());
            };
            forger.forge(response.as_bytes());
            check("query", query.all().unwrap_err());
            forger.forge(response.as_bytes());
            let rows = query.rows::<u8>().collect::<Result<Vec<_>>>();
            check("rows", rows.unwrap_err());
            forger.forge(response.as_bytes());
            check("count", query.count().unwrap_err());
            session
                .create("User", data! { "username": "hostile" })
                .unwrap();
            forger.forge(response.as_bytes());
            forger.0.is_offline.store(1, Ordering::SeqCst);
            check("commit", session.commit().unwrap_err());
            forger.0.is_offline.store(0, Ordering::SeqCst);
            session.reset();
        }
    }
}

#[test]
fn mutated_responses_are_never_taken_for_success() {
    let count = std::env::var("FTRACK_MUTATIONS").map_or(10_000, |text| text.parse().unwrap());
    let seed = std::env::var("FTRACK_SEED")
        .map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    let studio = Studio::new();
    let (mut stage, genuine) = stage(&studio);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..count {
        let mut replies = Json::Array(genuine.clone());
        for _ in 0..random.usize(1..4) {
            mutate(&mut replies, &mut random);
        }
        let mut body = serde_json::to_vec(&replies).unwrap();
        match random.u8(0..8) {
            0 => body.truncate(random.usize(0..body.len())),
            1 => {
                let at = random.usize(0..body.len());
                body[at] = random.u8(32..127);
            }
            _ => {}
        }
        // Failures of the server and pages that are not JSON have tests of their own.
        if body.first() != Some(&b'[') {
            continue;
        }
        let is_success = stage.commit(&body).is_ok();
        let text = String::from_utf8_lossy(&body);
        assert!(
            !is_success || is_confirmation(&body, &genuine),
            "seed {seed}: taken for success: {text}"
        );
        *(if is_success {
            &mut accepted
        } else {
            &mut refused
        }) += 1;
    }
    assert!(
        refused > count / 4 && accepted > count / 100,
        "{accepted} {refused}"
    );
}

/// Changes one place of a JSON value.
fn mutate(json: &mut Json, random: &mut fastrand::Rng) {
    let descend = random.u8(0..4) > 0;
    match json {
        Json::Array(list) if descend && !list.is_empty() => {
            let index = random.usize(0..list.len());
            return mutate(&mut list[index], random);
        }
        Json::Object(map) if descend && !map.is_empty() => {
            let index = random.usize(0..map.len());
            let value = map.values_mut().nth(index).unwrap();
            return mutate(value, random);
        }
        _ => {}
    }
    match (json, random.u8(0..4)) {
        (Json::Array(list), 0) if !list.is_empty() => {
            list.remove(random.usize(0..list.len()));
        }
        (Json::Array(list), 1) if !list.is_empty() => {
            let copy = list[random.usize(0..list.len())].clone();
            list.insert(random.usize(0..=list.len()), copy);
        }
        (Json::Array(list), 2) if !list.is_empty() => {
            let (one, other) = (random.usize(0..list.len()), random.usize(0..list.len()));
            list.swap(one, other);
        }
        (Json::Object(map), 0) if !map.is_empty() => {
            let name = map.keys().nth(random.usize(0..map.len())).unwrap().clone();
            map.remove(&name);
        }
        (Json::Object(map), 1) => {
            map.insert("exception".into(), random_value(random));
        }
        (Json::Object(map), 2) => {
            map.insert("additional".into(), random_value(random));
        }
        (Json::String(text), 0 | 1) => {
            text.push('x');
        }
        (json, _) => *json = random_value(random),
    }
}

fn random_value(random: &mut fastrand::Rng) -> Json {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1.5),
        json!(""),
        json!("Task"),
        json!([]),
        json!([true]),
        json!({}),
        json!({"__entity_type__": "Task", "id": "x"}),
        json!({"data": true}),
    ];
    values[random.usize(0..values.len())].clone()
}
