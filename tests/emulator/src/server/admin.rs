//! `/emulator/faults`: switches faults on and off from outside (`--faults`).
//!
//! There are no credentials: the server listens on loopback only, and pages of other origins are
//! kept out by the lack of CORS headers here and by the content type that `POST` asks for.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error;
use crate::events::Hub;
use crate::faults::Fault;
use crate::site::Site;

/// The endpoint.
pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/emulator/faults", get(show).post(add).delete(clear))
}

/// Faults of event connections. They are not queued: they happen at once.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum EventFault {
    /// Every event connection ends without a close frame.
    DropEvents {},
    /// Event connections stay open, but nothing is read from or written to them.
    FreezeEvents {
        #[serde(default = "yes")]
        on: bool,
    },
    /// No heartbeats are sent.
    SkipHeartbeats {
        #[serde(default = "yes")]
        on: bool,
    },
}

fn yes() -> bool {
    true
}

/// `GET`: what is pending.
async fn show(State(site): State<Arc<Site>>) -> Response {
    respond(StatusCode::OK, &state(&site))
}

/// `DELETE`: nothing goes wrong any more.
async fn clear(State(site): State<Arc<Site>>) -> Response {
    site.faults.clear();
    site.events.freeze(false);
    site.events.skip_heartbeats(false);
    respond(StatusCode::OK, &state(&site))
}

/// `POST`: one fault, or a list of them, of which either all are taken or none.
async fn add(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    match parse(&headers, &body) {
        Ok(faults) => {
            for fault in faults {
                match fault {
                    Parsed::Request(fault) => site.faults.push(fault),
                    Parsed::Events(fault) => disturb(&site.events, &fault),
                }
            }
            respond(StatusCode::OK, &state(&site))
        }
        Err(message) => respond(
            StatusCode::BAD_REQUEST,
            &error::Fault::request(message).to_json(),
        ),
    }
}

enum Parsed {
    Request(Fault),
    Events(EventFault),
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Parsed>, String> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err("The content type of a fault is application/json".to_owned());
    }
    let faults: Value =
        serde_json::from_slice(body).map_err(|error| format!("The body is no JSON: {error}"))?;
    let faults = match faults {
        Value::Array(list) => list,
        one => vec![one],
    };
    faults.into_iter().map(parse_one).collect()
}

fn parse_one(fault: Value) -> Result<Parsed, String> {
    match fault["kind"].as_str() {
        Some("drop_events" | "freeze_events" | "skip_heartbeats") => serde_json::from_value(fault)
            .map(Parsed::Events)
            .map_err(|error| error.to_string()),
        _ => Fault::from_json(fault).map(Parsed::Request),
    }
}

fn disturb(events: &Hub, fault: &EventFault) {
    match fault {
        EventFault::DropEvents {} => {
            events.drop_connections();
        }
        EventFault::FreezeEvents { on } => events.freeze(*on),
        EventFault::SkipHeartbeats { on } => events.skip_heartbeats(*on),
    }
}

fn state(site: &Site) -> Value {
    let pending: Vec<Value> = site.faults.pending().iter().map(Fault::to_json).collect();
    json!({
        "pending": pending,
        "events": {
            "connections": site.events.connections(),
            "frozen": site.events.is_frozen(),
            "heartbeats_skipped": site.events.heartbeats_skipped(),
        },
    })
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, body.to_string()).into_response()
}
