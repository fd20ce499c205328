//! The socket: from a host name to an open websocket, and its frames.

use std::io::{self, Read, Write};
use std::time::Instant;

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::config::HubConfig;
use crate::hub::farewell::Farewell;
use crate::hub::poller::{Poller, Registries, Watcher};
use crate::hub::shared::after;
use crate::hub::stream::Heard;
use crate::socketio::{self, Handshake};
use crate::transport::{
    Http, Request, Transport, USER_AGENT, body_error, connect_error, io_error, read_head,
};

/// The most bytes of one packet that is read: a little more than servers take from anybody.
const MESSAGE_BYTES: usize = 100 * 1024 * 1024;
/// So much is read at once; `tungstenite` overwrites as much before each read.
const READ_BYTES: usize = 8 * 1024;

/// The most bytes of the response to the handshake.
const MAX_HANDSHAKE_BYTES: u64 = 64 * 1024;

/// An open websocket.
pub(super) struct Link {
    socket: WebSocket<Heard>,
    /// Whether the socket did not take everything.
    blocked: bool,
    /// Who watches it, and whether for being writable too.
    watched: (Watcher, bool),
}

impl Link {
    /// Opens a connection: handshake, then websocket, each on a connection of its own. The thread's
    /// poller watches it from then on.
    ///
    /// # Errors
    ///
    /// By kind: `Connection`, `Timeout`, `Tls`, `Authentication`, `BadResponse`,
    /// `Unsupported`, or `Cancelled` if it was broken off.
    pub(super) fn open(config: &HubConfig, poller: &Poller) -> Result<(Self, Handshake)> {
        let deadline = after(config.connect_timeout);
        let opening = Opening { config, deadline };
        let call = poller.signals().begin_opening();
        let result = call.run(|| {
            let (handshake, cookies) = opening.shake_hands()?;
            let mut link = opening.upgrade(&handshake, &cookies)?;
            let tcp = link.socket.get_mut().stream.tcp();
            poller.watch(tcp).map_err(io_error)?;
            Ok((link, handshake))
        });
        let server = config.authority(true);
        result.map_err(|error: Error| {
            let error = match call.interrupted() {
                Some(kind) => Error::new(kind, "connecting was cancelled").because(error),
                None => error,
            };
            error.context(format!("event server {server}"))
        })
    }

    /// Queues a packet; `flush` sends it.
    pub(super) fn send(&mut self, packet: String) -> Result<()> {
        pass(self.socket.write(Message::text(packet)))
    }

    /// Sends as much as the socket takes; the rest goes when it is writable again. Answers whether
    /// that was something of such a rest.
    pub(super) fn flush(&mut self) -> Result<bool> {
        let was_blocked = self.blocked;
        self.socket.get_mut().told = false;
        let flushed = self.socket.flush();
        self.blocked = flushed.is_err();
        pass(flushed)?;
        Ok(was_blocked && self.socket.get_mut().told)
    }

    /// Whether something waits for the socket to be writable.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Who has it watched.
    pub(super) fn watcher(&self) -> Watcher {
        self.watched.0
    }

    /// Has the socket watched by this one and nobody else.
    pub(super) fn watch(&mut self, registries: &Registries, watcher: Watcher) -> Result<()> {
        let (before, wanted) = (self.watched, (watcher, self.blocked));
        if before != wanted {
            let tcp = self.socket.get_mut().stream.tcp();
            let moved = registries.transfer(tcp, before.0, watcher, self.blocked);
            moved.map_err(io_error)?;
            self.watched = wanted;
        }
        Ok(())
    }

    /// The next packet that has arrived, if there is one.
    pub(super) fn read(&mut self) -> Result<Option<Utf8Bytes>> {
        match self.socket.read() {
            Ok(Message::Text(text)) => Ok(Some(text)),
            Ok(Message::Close(_)) => Err(ended("the event server closed it")),
            // What should not be there shows that the server lives, and no more. Whoever pings is
            // no socket.io 0.9.19, which never does and closes on a pong, and is answered.
            Ok(_) => Ok(Some(Utf8Bytes::from_static(socketio::NOTHING))),
            Err(tungstenite::Error::Io(error)) if is_transient(&error) => Ok(None),
            Err(error) => Err(frame_error(error)),
        }
    }

    /// Whether anything arrived since this was asked last, be it a part of a packet only.
    pub(super) fn has_heard(&mut self) -> bool {
        std::mem::take(&mut self.socket.get_mut().heard)
    }

    /// Says goodbye, as far as that goes without waiting.
    pub(super) fn say_goodbye(&mut self) {
        // The connection may be gone already; then there is nobody to say it to.
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    /// Gives the connection up; the socket that is left is watched by the thread.
    pub(super) fn leave(mut self, registries: &Registries) -> Result<Farewell> {
        self.watch(registries, Watcher::Thread)?;
        Ok(Farewell::new(self.socket.into_inner().stream.into_tcp()))
    }
}

/// What it takes to open a connection.
struct Opening<'a> {
    config: &'a HubConfig,
    deadline: Instant,
}

impl Opening<'_> {
    /// `GET /socket.io/1/` (SERVER.md E1); the cookies are those of the response, which keep
    /// the websocket on the same server behind a load balancer.
    fn shake_hands(&self) -> Result<(Handshake, Vec<String>)> {
        let mut url = self.config.server_url.clone();
        url.set_path("/socket.io/1/");
        let mut headers = self.headers(&[]);
        headers.extend(
            [
                ("connection", "close"),
                ("ftrack-user", &self.config.api_user),
                ("ftrack-api-key", self.config.api_key.reveal()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let response = Http::new(self.config.dialer.clone()).send(&Request {
            method: "GET",
            url: &url,
            headers: &headers,
            body: &[],
            timeout: self.deadline.saturating_duration_since(Instant::now()),
        })?;
        check_status(
            (response.status, response.header("location")),
            200,
            "the handshake",
        )?;
        let cookies = response
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .map(|(_, value)| {
                value
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            })
            .collect();
        let mut body = Vec::new();
        let mut reader = response.body.take(MAX_HANDSHAKE_BYTES + 1);
        reader.read_to_end(&mut body).map_err(body_error)?;
        if body.len() as u64 > MAX_HANDSHAKE_BYTES {
            let message = "the response to the handshake is larger than 64 KiB";
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        let handshake = socketio::parse_handshake(&String::from_utf8_lossy(&body))?;
        Ok((handshake, cookies))
    }

    /// The upgrade carries no credentials, as the session id stands for them (SERVER.md E2).
    fn upgrade(&self, handshake: &Handshake, cookies: &[String]) -> Result<Link> {
        let config = self.config;
        let mut connection = config
            .dialer
            .dial(&config.server_url, Some(self.deadline))?;
        let (path, host) = (&handshake.session_id, config.authority(false));
        let key = generate_key();
        let mut request = format!(
            "GET /socket.io/1/websocket/{path} HTTP/1.1\r\nHost: {host}\r\n\
             User-Agent: {USER_AGENT}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        );
        for (name, value) in self.headers(cookies) {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        // Nothing may be sent before the response: the server would drop it.
        let sent = connection.write_all(request.as_bytes());
        sent.and_then(|()| connection.flush())
            .map_err(connect_error)?;
        let (head, rest) = read_head(&mut connection)?;
        check_status((head.status, head.header("location")), 101, "the websocket")?;
        if head.header("sec-websocket-accept") != Some(&derive_accept_key(key.as_bytes())) {
            let message = "what answers is not a websocket server, maybe a proxy in between";
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES))
            .read_buffer_size(READ_BYTES);
        let (heard, told) = (true, false);
        let stream = Heard {
            stream: connection.into_stream().map_err(io_error)?,
            heard,
            told,
        };
        let socket = WebSocket::from_partially_read(stream, rest, Role::Client, Some(config));
        Ok(Link {
            socket,
            blocked: false,
            watched: (Watcher::Thread, true),
        })
    }

    /// The configured headers, and one with all cookies.
    fn headers(&self, cookies: &[String]) -> Vec<(String, String)> {
        let mut headers = self.config.headers.clone();
        let own = self
            .config
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let all: Vec<String> = own.chain(cookies.iter().cloned()).collect();
        if !all.is_empty() {
            headers.push(("cookie".to_owned(), all.join("; ")));
        }
        headers
    }
}

fn check_status((status, location): (u16, Option<&str>), expected: u16, what: &str) -> Result<()> {
    let kind = match status {
        status if status == expected => return Ok(()),
        401 | 403 | 407 => ErrorKind::Authentication,
        _ => ErrorKind::Connection,
    };
    let mut message = format!("{what} was refused with status {status}");
    match status {
        401 | 403 => message += "; check the API user and the API key",
        407 => message += "; check user and password of the proxy",
        _ => {}
    }
    if let Some(location) = location {
        message += &format!(" and a redirection; use the server URL it leads to: {location}");
    }
    Err(Error::new(kind, message))
}

/// What cannot be written now stays in the websocket's buffer.
fn pass(result: tungstenite::Result<()>) -> Result<()> {
    match result {
        Err(tungstenite::Error::Io(error)) if is_transient(&error) => Ok(()),
        Err(error) => Err(frame_error(error)),
        Ok(()) => Ok(()),
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn frame_error(error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Io(error) => io_error(error),
        // The server closes without a close frame as a matter of course.
        other => ended(&format!("the connection broke: {other}")).because(other),
    }
}

fn ended(message: &str) -> Error {
    Error::new(ErrorKind::Connection, message)
}
