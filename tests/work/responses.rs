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
