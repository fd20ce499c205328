//! `POST /api`: credentials, the list of operations, and errors as objects.
//!
//! Lax responses have status 200 whatever happened; strict ones (`ftrack-strict-api: true`) have the
//! status of their fault: 400 for unreadable requests and queries, 401 for credentials, 403 for
//! permissions, 409 for rows that collide, 413 for too large bodies, 422 for data that is not
//! acceptable, 500 for faults of the emulator. No source says which a real server sends [?].

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde_json::Value;

use crate::actions;
use crate::error::{Fault, Result};
use crate::rules::Caller;
use crate::server::history::Summary;
use crate::site::Site;

/// The largest body that is read. Ten thousand operations take a tenth of it.
pub const BODY_LIMIT: usize = 64 << 20;

/// The route of the API.
pub fn router() -> Router<Arc<Site>> {
    Router::new().route("/api", post(serve))
}

async fn serve(State(site): State<Arc<Site>>, request: Request) -> Response {
    site.count_request();
    let is_strict = header(request.headers(), "ftrack-strict-api").eq_ignore_ascii_case("true");
    let (summary, response) = respond(site, request).await;
    let (status, text) = match response {
        Ok(text) => (200, text),
        Err(fault) => (
            if is_strict { fault.status } else { 200 },
            fault.to_json().to_string(),
        ),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        Extension(summary),
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(text),
    )
        .into_response()
}

async fn respond(site: Arc<Site>, request: Request) -> (Summary, Result<String>) {
    let (parts, body) = request.into_parts();
    // The body is read first: an early response would break the connection under a large upload.
    let body = to_bytes(body, BODY_LIMIT).await;
    let work = move |summary: &mut Summary| {
        let caller = caller(&site, &parts.headers)?;
        let body = body.map_err(|_| {
            Fault::request(format!(
                "The body is larger than {BODY_LIMIT} bytes or broke off"
            ))
            .with_status(413)
        })?;
        let operations: Value = serde_json::from_slice(&body)
            .map_err(|error| Fault::request(format!("The body is no JSON: {error}")))?;
        let operations = operations
            .as_array()
            .ok_or_else(|| Fault::request("The body must be a JSON list of operations"))?;
        *summary = Summary::of(operations);
        actions::run(&site, &caller, operations)
    };
    // The database blocks, so it is kept off the threads that serve connections.
    let work = move || {
        let mut summary = Summary::default();
        let response = work(&mut summary);
        if let Err(fault) = &response {
            // Lax responses do not show it by their status.
            summary.refuse(fault.exception);
        }
        (summary, response)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let message = "The emulator failed on this request; nothing of it was kept";
        (Summary::default(), Err(Fault::internal(message)))
    })
}

fn caller(site: &Site, headers: &HeaderMap) -> Result<Caller> {
    let user = site.authenticate(
        header(headers, "ftrack-user"),
        header(headers, "ftrack-api-key"),
    );
    let options = header(headers, "ftrack-api-options");
    let has = |name: &str| {
        options
            .split(';')
            .any(|option| option.trim() == format!("{name}:1"))
    };
    let is_strict = has("strict");
    let push_token = header(headers, "ftrack-pushtoken");
    Ok(Caller {
        user: user.ok_or_else(Fault::credentials)?,
        client_token: header(headers, "ftrack-clienttoken").to_owned(),
        // JavaScript sends the word when it has no token.
        push_token: if push_token == "undefined" {
            String::new()
        } else {
            push_token.to_owned()
        },
        is_strict,
        is_denormalized: is_strict && has("denormalize"),
    })
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
