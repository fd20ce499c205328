//! What surrounds every request: its delay, its fault on demand, and the note of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::Value;

use crate::error;
use crate::faults::Kind;
use crate::line::Connection;
use crate::server::api::BODY_LIMIT;
use crate::server::history::{Entry, Summary, word};
use crate::site::Site;

/// Serves one request, late and faulty if that is wanted, and notes it.
pub(super) async fn watch(
    State(site): State<Arc<Site>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    connection.mend();
    let began = Instant::now();
    let mut entry = entry(&request);
    let (request, actions) = if site.faults.asks_for_actions() && request.uri().path() == "/api" {
        match look_into(request).await {
            Ok(looked) => looked,
            Err(response) => return response,
        }
    } else {
        (request, Vec::new())
    };
    let fault = site.faults.take(request.uri().path(), &actions);
    let mut response = match fault {
        None => next.run(request).await,
        Some(fault) => go_wrong(fault, &connection, request, next).await,
    };
    if !site.latency.is_zero() {
        tokio::time::sleep(site.latency).await;
    }
    let summary = response.extensions_mut().remove::<Summary>();
    entry.summary = summary.unwrap_or_default().0;
    entry.fault = fault.map(name);
    let is_silent = matches!(fault, Some(Kind::NoResponse {} | Kind::Dropped {}));
    entry.status = (!is_silent).then(|| response.status().as_u16());
    entry.took = began.elapsed();
    site.history.add(entry);
    response
}

fn entry(request: &Request) -> Entry {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| request.uri().path(), MatchedPath::as_str);
    let user = request.headers().get("ftrack-user");
    let user = user.and_then(|user| user.to_str().ok()).map(word);
    Entry {
        at: Timestamp::now(),
        method: word(request.method().as_str()),
        route: word(route),
        user: user.unwrap_or_default(),
        summary: String::new(),
        status: None,
        fault: None,
        took: Duration::ZERO,
    }
}

/// The actions of a request. Its body is read for that and put back.
async fn look_into(request: Request) -> Result<(Request, Vec<String>), Response> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        let message = format!("The body is larger than {BODY_LIMIT} bytes or broke off");
        refuse(413, &error::Fault::request(message))
    })?;
    let operations: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
    let action = |operation: &Value| operation["action"].as_str().map(str::to_owned);
    let actions = operations.iter().filter_map(action).collect();
    Ok((Request::from_parts(parts, Body::from(body)), actions))
}

async fn go_wrong(fault: Kind, connection: &Connection, request: Request, next: Next) -> Response {
    match fault {
        Kind::Slow { milliseconds } => {
            let response = next.run(request).await;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            response
        }
        Kind::Cut { bytes } => {
            let response = next.run(request).await;
            connection.cut_after(bytes);
            response
        }
        Kind::NoResponse {} => {
            let response = next.run(request).await;
            connection.cut_after(0);
            response
        }
        Kind::Truncated {} => halve(next.run(request).await).await,
        Kind::Dropped {} => {
            read(request).await;
            connection.cut_after(0);
            StatusCode::OK.into_response()
        }
        Kind::BadGateway {} => {
            read(request).await;
            let headers = [(header::CONTENT_TYPE, "text/html")];
            (StatusCode::BAD_GATEWAY, headers, BAD_GATEWAY).into_response()
        }
        Kind::Unavailable { retry_after } => {
            read(request).await;
            later(StatusCode::SERVICE_UNAVAILABLE, retry_after)
        }
        Kind::TooManyRequests { retry_after } => {
            read(request).await;
            later(StatusCode::TOO_MANY_REQUESTS, retry_after)
        }
        Kind::ServerError {} => {
            read(request).await;
            let message = "A fault on demand: nothing was done";
            refuse(500, &error::Fault::internal(message))
        }
    }
}

/// What proxies show in front of a server that is away.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";

/// Takes in the body of a request that is not served: its sender would otherwise see a broken
/// connection rather than the response.
async fn read(request: Request) {
    let _ = to_bytes(request.into_body(), BODY_LIMIT).await;
}

fn later(status: StatusCode, retry_after: u32) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (header::RETRY_AFTER, HeaderValue::from(retry_after)),
    ];
    (status, headers, "Try again later").into_response()
}

fn refuse(status: u16, fault: &error::Fault) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, fault.to_json().to_string()).into_response()
}

/// The same response with the first half of its body, and a head that fits it.
async fn halve(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body.slice(..body.len() / 2)))
}

fn name(fault: Kind) -> &'static str {
    match fault {
        Kind::Slow { .. } => "slow",
        Kind::Cut { .. } => "cut",
        Kind::Truncated {} => "truncated",
        Kind::BadGateway {} => "bad_gateway",
        Kind::Unavailable { .. } => "unavailable",
        Kind::TooManyRequests { .. } => "too_many_requests",
        Kind::ServerError {} => "server_error",
        Kind::NoResponse {} => "no_response",
        Kind::Dropped {} => "dropped",
    }
}
