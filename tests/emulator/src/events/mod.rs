//! The event server: socket.io protocol 0.9 on the same port as the rest.
//!
//! [`router`] serves the handshake and the WebSocket; [`Hub`] is the handle by which the rest
//! of the emulator publishes events of its own and switches faults on.
//!
//! Slow readers: what waits for a connection is limited to [`Settings::backlog`] bytes. While
//! a recipient is over half of it, nothing more is read from clients that publish to it, so
//! that a burst slows its author down. A connection that stays there for longer than
//! [`Settings::patience`], or passes the whole limit, is closed: its client connects anew,
//! subscribes again and knows that it missed something, which it would not if single events
//! were dropped.

pub mod expression;
pub mod packet;
pub mod routing;
pub mod update;

mod hub;
mod sessions;
mod socket;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

pub use crate::events::hub::{Delivery, Hub};
use crate::line::Connection;

/// Times and limits of the event server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often the server sends a heartbeat. JavaScript gives up after 15 s without one.
    pub heartbeat: Duration,
    /// After how long without any packet a client is taken for dead.
    pub silence: Duration,
    /// How long a handshake waits for its WebSocket.
    pub handshake: Duration,
    /// The largest message that is read, in bytes; a larger one ends the connection.
    pub message_size: usize,
    /// How many bytes may wait for a connection before it is closed.
    pub backlog: usize,
    /// How long more than half of that may wait before the connection is closed; and so how
    /// long a slow client can hold publishers back.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            handshake: Duration::from_secs(60),
            message_size: 16 << 20,
            backlog: 64 << 20,
            patience: Duration::from_secs(5),
        }
    }
}

/// Whether a user name and an API key belong together.
pub type Authenticate = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

#[derive(Clone)]
struct Context {
    hub: Hub,
    authenticate: Authenticate,
}

/// The routes of the event server.
///
/// `authenticate` may block: it is called on a thread that may.
pub fn router(hub: Hub, authenticate: Authenticate) -> Router {
    Router::new()
        .route("/socket.io/1", get(handshake))
        .route("/socket.io/1/", get(handshake))
        .route("/socket.io/1/websocket/{session}", get(connect))
        .with_state(Context { hub, authenticate })
}

/// JavaScript's credentials; Python sends headers.
#[derive(Deserialize)]
struct Credentials {
    api_user: Option<String>,
    api_key: Option<String>,
}

/// `GET /socket.io/1/`: a session id for somebody with an API key.
async fn handshake(
    State(context): State<Context>,
    Query(query): Query<Credentials>,
    headers: HeaderMap,
) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let user = header("ftrack-user").or(query.api_user.as_deref());
    let key = header("ftrack-api-key").or(query.api_key.as_deref());
    let (Some(user), Some(key)) = (user, key) else {
        return refuse("Send ftrack-user and ftrack-api-key as headers, or api_user and api_key.");
    };
    let (user, key) = (user.to_owned(), key.to_owned());
    let known = tokio::task::spawn_blocking(move || {
        (context.authenticate)(&user, &key).then(|| context.hub.handshake(&user))
    });
    match known.await {
        Ok(Some(response)) => response.into_response(),
        Ok(None) => refuse("The supplied API key is not valid for this user."),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refuse(reason: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, reason).into_response()
}

/// `GET /socket.io/1/websocket/<session>`: the session id stands for the credentials. One that is unknown is told so on the open socket.
async fn connect(
    State(context): State<Context>,
    ConnectInfo(client): ConnectInfo<Connection>,
    Path(session): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let hub = context.hub;
    let upgrade = upgrade.max_message_size(hub.settings().message_size);
    match hub.take_session(&session) {
        Some(user) => upgrade.on_upgrade(move |socket| socket::serve(hub, user, socket, client)),
        None => upgrade.on_upgrade(socket::refuse),
    }
}
