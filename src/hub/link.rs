//! An open websocket, how it is opened, and its frames.

use std::io::{self, Read, Write};
use std::time::Instant;

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use crate::config::Redactor;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::config::Endpoint;
use crate::hub::gate::after;
use crate::hub::linger::Linger;
use crate::hub::poller::Poller;
use crate::socketio::{self, Handshake};
use crate::transport::{
    Http, Request, Stream, Transport, USER_AGENT, body_error, connect_error, io_error, read_head,
};

/// The most bytes of one packet: a little more than servers accept from clients.
const MAX_PACKET_BYTES: usize = 100 * 1024 * 1024;
/// The most bytes that are read before commands get their turn, and before the thread looks whether
/// a packet grows without end.
const TURN_BYTES: usize = 1024 * 1024;
/// The size of one read; `tungstenite` zeroes as much before each.
const READ_BYTES: usize = 8 * 1024;

/// The most bytes of the response to the handshake.
const MAX_HANDSHAKE_BYTES: u64 = 64 * 1024;

/// An open websocket.
pub(super) struct Link {
    /// Knows the cookies that the handshake set, too.
    pub(super) redactor: Redactor,
    socket: WebSocket<Monitored>,
    /// Whether the socket did not take everything; the poller then watches it for being writable.
    is_blocked: bool,
}

impl Link {
    /// Opens a connection: the handshake, then the websocket, each on a connection of its own.
    /// Returns also until when the server is to accept it. The poller watches the websocket.
    ///
    /// # Errors
    ///
    /// - `Connection`, `Timeout`, `Tls`, `Authentication`, `BadResponse` or `Unsupported` if it
    ///   fails.
    /// - `Cancelled` if it was interrupted.
    pub(super) fn open(endpoint: &Endpoint, poller: &Poller) -> Result<(Self, Handshake, Instant)> {
        let deadline = after(endpoint.connect_timeout);
        let opening = Opening { endpoint, deadline };
        let call = poller.signals().begin_opening();
        let result = call.run(|| {
            let (handshake, cookies) = opening.shake_hands()?;
            let mut link = opening.upgrade(&handshake, &cookies)?;
            let tcp = link.socket.get_mut().stream.tcp();
            poller.watch(tcp).map_err(io_error)?;
            Ok((link, handshake, deadline))
        });
        let server = endpoint.authority(true);
        result.map_err(|error: Error| {
            let error = match call.interrupted() {
                Some(kind) => Error::new(kind, "connecting was cancelled").with_source(error),
                None => error,
            };
            error.context(format!("event server {server}"))
        })
    }

    /// Queues a packet; `flush` sends it.
    pub(super) fn send(&mut self, packet: String) -> Result<()> {
        transient(self.socket.write(Message::text(packet)))
    }

    /// Sends as much as the socket takes; the rest follows when it is writable again. Returns
    /// whether a part of such a rest was sent.
    pub(super) fn flush(&mut self, poller: &Poller) -> Result<bool> {
        let was_blocked = self.is_blocked;
        self.socket.get_mut().has_sent = false;
        let flushed = self.socket.flush();
        self.is_blocked = flushed.is_err();
        transient(flushed)?;
        if self.is_blocked != was_blocked {
            let tcp = self.socket.get_mut().stream.tcp();
            let watched = poller.watch_writable(tcp, self.is_blocked);
            watched.map_err(io_error)?;
        }
        Ok(was_blocked && self.socket.get_mut().has_sent)
    }

    /// The next packet that has arrived, if there is one.
    pub(super) fn read(&mut self) -> Result<Option<Utf8Bytes>> {
        let read = self.socket.read();
        let stream = self.socket.get_mut();
        if read.is_ok() {
            stream.since_packet = 0;
        } else if stream.since_packet > MAX_PACKET_BYTES {
            // Of frames that are empty, or nearly so, no packet would ever be too large.
            return Err(ended("the event server sends a packet without end"));
        }
        match read {
            Ok(Message::Text(text)) => Ok(Some(text)),
            Ok(Message::Close(_)) => Err(ended("the event server closed it")),
            // Unexpected frames only show that the server is alive. socket.io 0.9.19 never sends
            // a ping, and closes the connection on a pong; other servers get theirs.
            Ok(_) => Ok(Some(Utf8Bytes::from_static(socketio::NOTHING))),
            Err(tungstenite::Error::Io(error)) if is_transient(&error) => Ok(None),
            Err(error) => Err(frame_error(error)),
        }
    }

    /// Whether anything arrived since the last call, even if only a part of a packet.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.socket.get_mut().has_heard)
    }

    /// Begins another turn of reading; returns whether the last one ended before everything that
    /// had arrived was read.
    pub(super) fn begin_turn(&mut self) -> bool {
        let stream = self.socket.get_mut();
        std::mem::replace(&mut stream.left, TURN_BYTES) == 0
    }

    /// Sends a close frame, as far as that is possible without waiting.
    pub(super) fn send_close(&mut self) {
        // The connection may be lost already.
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    /// Gives the connection up; the poller goes on watching its socket.
    pub(super) fn linger(self) -> Linger {
        Linger::new(self.socket.into_inner().stream.into_tcp())
    }
}

/// The bytes below the frames: bounds what is read in one turn, as `tungstenite` reads frames until
/// a message is complete, and notes whether any bytes passed.
struct Monitored {
    stream: Stream,
    has_heard: bool,
    has_sent: bool,
    /// How much may still be read in this turn.
    left: usize,
    /// How much was read since the last packet was complete.
    since_packet: usize,
}

impl Read for Monitored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.stream.read(buffer)?;
        self.has_heard |= count > 0;
        self.left = self.left.saturating_sub(count);
        self.since_packet += count;
        Ok(count)
    }
}

impl Write for Monitored {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.has_sent |= count > 0;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// An attempt to open a connection.
struct Opening<'a> {
    endpoint: &'a Endpoint,
    deadline: Instant,
}

impl Opening<'_> {
    /// `GET /socket.io/1/`; the cookies are those of the response, which keep
    /// the websocket on the same server behind a load balancer.
    fn shake_hands(&self) -> Result<(Handshake, Vec<String>)> {
        let mut url = self.endpoint.url.clone();
        url.set_path("/socket.io/1/");
        let mut headers = self.headers(&[]);
        headers.extend(
            [
                ("connection", "close"),
                ("ftrack-user", &self.endpoint.api_user),
                ("ftrack-api-key", self.endpoint.api_key.reveal()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let response = Http::new(self.endpoint.dialer.clone()).send(&Request {
            method: "GET",
            url: &url,
            headers: &headers,
            body: &[],
            timeout: self.deadline.saturating_duration_since(Instant::now()),
        })?;
        let cookies: Vec<String> = response
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
        let redactor = self.endpoint.redactor.clone().with_cookies(&cookies);
        let outcome = (response.status, response.header("location"));
        Self::check_status(&redactor, outcome, 200, "the handshake")?;
        let mut body = Vec::new();
        let mut reader = response.body.take(MAX_HANDSHAKE_BYTES + 1);
        reader.read_to_end(&mut body).map_err(body_error)?;
        if body.len() as u64 > MAX_HANDSHAKE_BYTES {
            let message = "the response to the handshake is larger than 64 KiB";
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        let text = String::from_utf8_lossy(&body);
        let handshake = socketio::parse_handshake(&text).map_err(|error| {
            let (why, excerpt) = (redactor.redact(&error.to_string()), redactor.excerpt(&body));
            Error::new(error.kind(), format!("{why}: it sent {excerpt:?}"))
        })?;
        Ok((handshake, cookies))
    }

    /// The upgrade carries no credentials, as the session id stands for them.
    fn upgrade(&self, handshake: &Handshake, cookies: &[String]) -> Result<Link> {
        let endpoint = self.endpoint;
        let mut connection = endpoint.dialer.dial(&endpoint.url, Some(self.deadline))?;
        let (path, host) = (&handshake.session_id, endpoint.authority(false));
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
        let location = head.header("location");
        let redactor = endpoint.redactor.clone().with_cookies(cookies);
        Self::check_status(&redactor, (head.status, location), 101, "the websocket")?;
        if head.header("sec-websocket-accept") != Some(&derive_accept_key(key.as_bytes())) {
            let message = "the response is not that of a websocket server; a proxy in between may have sent it";
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_PACKET_BYTES))
            .max_frame_size(Some(MAX_PACKET_BYTES))
            .read_buffer_size(READ_BYTES);
        let stream = Monitored {
            stream: connection.into_stream().map_err(io_error)?,
            has_heard: true,
            has_sent: false,
            left: TURN_BYTES,
            since_packet: 0,
        };
        let socket = WebSocket::from_partially_read(stream, rest, Role::Client, Some(config));
        Ok(Link {
            redactor,
            socket,
            is_blocked: false,
        })
    }

    /// Fails if the response has another status than the expected one.
    fn check_status(
        redactor: &Redactor,
        (status, location): (u16, Option<&str>),
        expected: u16,
        what: &str,
    ) -> Result<()> {
        let kind = match status {
            status if status == expected => return Ok(()),
            401 | 403 | 407 => ErrorKind::Authentication,
            _ => ErrorKind::Connection,
        };
        let mut message = format!("{what} was rejected with status {status}");
        match status {
            401 | 403 => message += "; check the API user and the API key",
            407 => message += "; check the user and the password of the proxy",
            _ => {}
        }
        if let Some(location) = location {
            // The query of a login page is a secret as well.
            let location = location.split(['?', '#']).next().unwrap_or_default();
            let location = redactor.excerpt(location.as_bytes());
            message += &format!(", a redirect to {location}; use that server URL");
        }
        Err(Error::new(kind, message))
    }

    /// The configured headers, and one with all cookies.
    fn headers(&self, cookies: &[String]) -> Vec<(String, String)> {
        let is_cookie = |name: &str| name.eq_ignore_ascii_case("cookie");
        let (given, mut headers): (Vec<_>, Vec<_>) = self
            .endpoint
            .headers
            .iter()
            .cloned()
            .partition(|(name, _)| is_cookie(name));
        let own = self.endpoint.cookies.iter();
        let own = own.map(|(name, value)| format!("{name}={value}"));
        let given = given.into_iter().map(|(_, value)| value);
        let all: Vec<String> = given.chain(own).chain(cookies.iter().cloned()).collect();
        if !all.is_empty() {
            headers.push(("cookie".to_owned(), all.join("; ")));
        }
        headers
    }
}

/// Whatever cannot be written now stays in the websocket's buffer.
fn transient(result: tungstenite::Result<()>) -> Result<()> {
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
        other => ended(&format!("the connection broke: {other}")).with_source(other),
    }
}

fn ended(message: &str) -> Error {
    Error::new(ErrorKind::Connection, message)
}
