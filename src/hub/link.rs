//! The socket: from a host name to an open websocket, and its frames.

use std::io::{self, Read, Write};
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mio::net::TcpStream;
use rustls::StreamOwned;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use crate::config::is_socks;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::config::HubConfig;
use crate::hub::farewell::Farewell;
use crate::hub::http::{self, Request, Response};
use crate::hub::poller::{Poller, Registries, Watcher, io_error};
use crate::hub::shared::after;
use crate::hub::stream::{Heard, Stream};
use crate::socketio::{self, Handshake};
use crate::transport::{SocksFailure, look_up, open_tunnel};

/// The most bytes of one packet that is read: a little more than servers take from anybody.
const MESSAGE_BYTES: usize = 100 * 1024 * 1024;
/// So much is read at once; `tungstenite` overwrites as much before each read.
const READ_BYTES: usize = 8 * 1024;

/// An open websocket.
pub(super) struct Link {
    socket: WebSocket<Heard>,
    /// Whether the socket did not take everything.
    blocked: bool,
    /// Who watches it, and whether for being writable too.
    watched: (Watcher, bool),
}

impl Link {
    /// Opens a connection: handshake, then websocket, each on a connection of its own.
    ///
    /// # Errors
    ///
    /// By kind: `Connection`, `Timeout`, `Tls`, `Authentication`, `BadResponse`,
    /// `Unsupported`, or `Cancelled` if it was broken off.
    pub(super) fn open(config: &HubConfig, poller: &mut Poller) -> Result<(Self, Handshake)> {
        let deadline = after(config.connect_timeout);
        let mut opening = Opening {
            config,
            poller,
            deadline,
        };
        let result = opening.shake_hands().and_then(|(handshake, cookies)| {
            Ok((opening.upgrade(&handshake, &cookies)?, handshake))
        });
        let server = config.authority(true);
        result.map_err(|error| error.context(format!("event server {server}")))
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
    poller: &'a mut Poller,
    deadline: Instant,
}

impl Opening<'_> {
    /// `GET /socket.io/1/` (SERVER.md E1); the cookies are those of the answer, which keep
    /// the websocket on the same server behind a load balancer.
    fn shake_hands(&mut self) -> Result<(Handshake, Vec<String>)> {
        let mut stream = self.stream()?;
        let mut request = Request::new("GET", "/socket.io/1/", &self.config.authority(false));
        request.header("Connection", "close");
        request.header("ftrack-user", &self.config.api_user);
        request.header("ftrack-api-key", self.config.api_key.reveal());
        self.add_headers(&mut request, &[]);
        let response = http::exchange(&mut stream, self.poller, self.deadline, &request, true)?;
        check_status(&response, 200, "the handshake")?;
        let handshake = socketio::parse_handshake(&String::from_utf8_lossy(&response.rest))?;
        let cookie = |value: &str| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_string()
        };
        Ok((handshake, response.all("set-cookie").map(cookie).collect()))
    }

    /// The upgrade carries no credentials, as the session id stands for them (SERVER.md E2).
    fn upgrade(&mut self, handshake: &Handshake, cookies: &[String]) -> Result<Link> {
        let mut stream = self.stream()?;
        let path = format!("/socket.io/1/websocket/{}", handshake.session_id);
        let key = generate_key();
        let mut request = Request::new("GET", &path, &self.config.authority(false));
        request.header("Connection", "Upgrade");
        request.header("Upgrade", "websocket");
        request.header("Sec-WebSocket-Version", "13");
        request.header("Sec-WebSocket-Key", &key);
        self.add_headers(&mut request, cookies);
        // Nothing may be sent before the answer: the server would drop it.
        let response = http::exchange(&mut stream, self.poller, self.deadline, &request, false)?;
        check_status(&response, 101, "the websocket")?;
        if response.all("sec-websocket-accept").next() != Some(&derive_accept_key(key.as_bytes())) {
            let message = "what answers is not a websocket server, maybe a proxy in between";
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES))
            .read_buffer_size(READ_BYTES);
        let (rest, heard, told) = (response.rest, true, false);
        let stream = Heard {
            stream,
            heard,
            told,
        };
        let socket = WebSocket::from_partially_read(stream, rest, Role::Client, Some(config));
        Ok(Link {
            socket,
            blocked: false,
            // See `Poller::connect`.
            watched: (Watcher::Thread, true),
        })
    }

    fn add_headers(&self, request: &mut Request, cookies: &[String]) {
        for (name, value) in &self.config.headers {
            request.header(name, value);
        }
        let own = self
            .config
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let all: Vec<String> = own.chain(cookies.iter().cloned()).collect();
        if !all.is_empty() {
            request.header("Cookie", &all.join("; "));
        }
    }

    /// A connection to the server, through the proxy and with TLS where asked for.
    fn stream(&mut self) -> Result<Stream> {
        let config = self.config;
        let stream = match config.network.proxy_for(&config.server_url) {
            Some(proxy) => {
                let doing = format!("proxy {}:{}", proxy.host(), proxy.port());
                let through = self.pass_proxy(proxy);
                through.map_err(|error| error.context(doing))?
            }
            None => {
                let host = config.server_url.host_str().unwrap_or_default();
                Stream::Plain(self.connect(host, config.port())?)
            }
        };
        match config.is_secure() {
            true => self.encrypt(config.server_url.host_str().unwrap_or_default(), stream),
            false => Ok(stream),
        }
    }

    /// A tunnel to the server.
    fn pass_proxy(&mut self, proxy: &ureq::Proxy) -> Result<Stream> {
        let mut stream = Stream::Plain(self.connect(proxy.host(), proxy.port())?);
        if is_socks(proxy) {
            self.pass_socks(proxy, &mut stream)?;
            return Ok(stream);
        }
        if proxy.protocol() == ureq::ProxyProtocol::Https {
            stream = self.encrypt(proxy.host(), stream)?;
        }
        let target = self.config.authority(true);
        let mut request = Request::new("CONNECT", &target, &target);
        if let Some(user) = proxy.username() {
            let pair = format!("{user}:{}", proxy.password().unwrap_or_default());
            let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
            request.header("Proxy-Authorization", &basic);
        }
        let response = http::exchange(&mut stream, self.poller, self.deadline, &request, false)?;
        check_status(&response, 200, "the connection to the event server")?;
        Ok(stream)
    }

    fn pass_socks(&mut self, proxy: &ureq::Proxy, stream: &mut Stream) -> Result<()> {
        let host = self.config.server_url.host_str().unwrap_or_default();
        let (poller, deadline) = (&mut *self.poller, self.deadline);
        let mut exchange = |mut sent: &[u8], answer: &mut [u8]| {
            while !sent.is_empty() {
                let count = poller.until(deadline, || stream.write(sent))?;
                sent = &sent[count..];
            }
            let mut got = 0;
            while got < answer.len() {
                match poller.until(deadline, || stream.read(&mut answer[got..]))? {
                    0 => return Err(ended("the proxy closed the connection")),
                    count => got += count,
                }
            }
            Ok(())
        };
        let opened = open_tunnel(proxy, host, self.config.port(), &mut exchange);
        opened.map_err(|failure| match failure {
            SocksFailure::Broken(error) | SocksFailure::Refused(error) => error,
        })
    }

    /// Looking the name up is the one step that cannot be broken off.
    fn connect(&mut self, host: &str, port: u16) -> Result<TcpStream> {
        let network = &self.config.network;
        let found = self
            .poller
            .signals()
            .stuck_in(|| look_up(network, host, port));
        self.poller.check_cancelled()?;
        let addresses =
            found.map_err(|error| io_error(error).context("its name cannot be resolved"))?;
        let tcp = self.poller.connect(&addresses, self.deadline)?;
        tcp.set_nodelay(true).map_err(io_error)?;
        Ok(tcp)
    }

    fn encrypt(&mut self, host: &str, inner: Stream) -> Result<Stream> {
        let connection = self.config.tls.client(host)?;
        let mut stream = Box::new(StreamOwned::new(connection, inner));
        self.poller.until(self.deadline, || {
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
            Ok(())
        })?;
        Ok(Stream::Tls(stream))
    }
}

fn check_status(response: &Response, expected: u16, what: &str) -> Result<()> {
    let kind = match response.status {
        status if status == expected => return Ok(()),
        401 | 403 | 407 => ErrorKind::Authentication,
        _ => ErrorKind::Connection,
    };
    let mut message = format!("{what} was refused with status {}", response.status);
    match response.status {
        401 | 403 => message += "; check the API user and the API key",
        407 => message += "; check user and password of the proxy",
        _ => {}
    }
    if let Some(location) = response.all("location").next() {
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
