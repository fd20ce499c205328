//! TCP connections that the call which uses them can be told to break off, from the first packet
//! on.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};
use ureq::{Proxy, Timeout};
use url::Url;

use super::call::Call;
use super::connect::connect;
use super::resolve::look_up;
use super::socks;
use crate::config::{NetworkConfig, is_socks};

/// Opens TCP connections, through a SOCKS proxy where that is configured.
pub(super) struct Sockets(NetworkConfig);

impl Sockets {
    pub(super) fn new(network: &NetworkConfig) -> Self {
        Self(network.clone())
    }

    /// The host and port that `details` are about, and the SOCKS proxy before them.
    fn target(
        &self,
        details: &ConnectionDetails<'_>,
    ) -> Result<(String, u16, Option<&Proxy>), ureq::Error> {
        let refuse = |error: url::ParseError| ureq::Error::BadUri(error.to_string());
        let url = Url::parse(&details.uri.to_string()).map_err(refuse)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let proxy = self.0.proxy_for(&url).filter(|proxy| is_socks(proxy));
        Ok((host, port, proxy))
    }

    /// A connection to a host, however it gets there in this time.
    fn open(&self, host: &str, port: u16, limit: &Limit) -> Result<Arc<TcpStream>, ureq::Error> {
        let addresses = look_up(&self.0, host, port).map_err(|_| ureq::Error::HostNotFound)?;
        let mut poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Token(0))?;
        // What is broken off wakes the poll.
        let wake: Arc<dyn ShutdownHandle> = Arc::new(Wake(waker));
        let call = Call::current();
        if let Some(call) = &call {
            call.attach(&Arc::downgrade(&wake))?;
        }
        let is_broken_off = || {
            call.as_ref()
                .is_some_and(|call| call.interrupted().is_some())
        };
        let mut events = Events::with_capacity(8);
        let until = limit.until;
        let connected = connect(&mut poll, &mut events, &addresses, until, &is_broken_off);
        let stream = TcpStream::from(connected.map_err(|error| limit.explain(error))?);
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let stream = Arc::new(stream);
        if let Some(call) = &call {
            call.attach(&handle(&stream))?;
        }
        Ok(stream)
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sockets")
    }
}

struct Wake(Waker);

impl ShutdownHandle for Wake {
    fn shutdown(&self) {
        if let Err(error) = self.0.wake() {
            log::error!("who waits for a connection cannot be woken: {error}");
        }
    }
}

fn handle(stream: &Arc<TcpStream>) -> Weak<dyn ShutdownHandle> {
    let weak: Weak<TcpStream> = Arc::downgrade(stream);
    weak
}

/// Until when something has to be done, and what it is called.
struct Limit {
    until: Option<Instant>,
    reason: Timeout,
}

impl Limit {
    fn new(timeout: NextTimeout) -> Self {
        let left = timeout.not_zero().map(|left| *left);
        Self {
            // Nobody waits for longer than an `Instant` can say.
            until: left.and_then(|left| Instant::now().checked_add(left)),
            reason: timeout.reason,
        }
    }

    /// # Errors
    ///
    /// That it is too late.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }

    /// Sockets say that they would block when their time is over.
    fn explain(&self, error: io::Error) -> ureq::Error {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                ureq::Error::Timeout(self.reason)
            }
            _ => error.into(),
        }
    }
}

impl<In: Transport> Connector<In> for Sockets {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        // Looking the name up is a part of it.
        let limit = Limit::new(details.timeout);
        let (host, port, proxy) = self.target(details)?;
        let stream = match proxy {
            None => self.open(&host, port, &limit)?,
            Some(proxy) => {
                let stream = self.open(proxy.host(), proxy.port(), &limit)?;
                let mut exchange = |sent: &[u8], answer: &mut [u8]| {
                    write_all(&stream, sent, &limit)?;
                    read_exact(&stream, answer, &limit)
                };
                let tunnel = socks::open_tunnel(proxy, &host, port, &mut exchange);
                tunnel.map_err(|failure| match failure {
                    socks::Failure::Broken(error) => limit.explain(error),
                    socks::Failure::Refused(error) => ureq::Error::Other(Box::new(error)),
                })?;
                stream
            }
        };
        (details.register_shutdown)(handle(&stream))?;
        let config = details.config;
        Ok(Some(Either::B(Socket {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        })))
    }
}

/// A TCP connection.
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let limit = checked(timeout.for_write())?;
        let output = &self.buffers.output()[..amount];
        write_all(&self.stream, output, &limit).map_err(|error| limit.explain(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let limit = checked(timeout.for_read())?;
        let input = self.buffers.input_append_buf();
        let count = read(&self.stream, input, &limit);
        let count = count.map_err(|error| limit.explain(no_end(error)))?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Whether nothing has come that nobody asked for, the end least of all.
    fn is_open(&mut self) -> bool {
        let is_silent = |stream: &TcpStream| {
            stream.set_nonblocking(true)?;
            let seen = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            match seen {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
                other => other.map(|_| false),
            }
        };
        is_silent(&self.stream).unwrap_or(false)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.stream.peer_addr().ok();
        f.debug_tuple("Socket").field(&address).finish()
    }
}

/// `ureq` takes a connection that breaks for the end of an answer without a length.
fn no_end(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            io::Error::new(io::ErrorKind::BrokenPipe, error.to_string())
        }
        _ => error,
    }
}

/// # Errors
///
/// That there is no time left.
fn checked(timeout: NextTimeout) -> Result<Limit, ureq::Error> {
    match timeout.after.is_zero() {
        true => Err(ureq::Error::Timeout(timeout.reason)),
        false => Ok(Limit::new(timeout)),
    }
}

/// Reads what is there. The signals of a host program do not end it.
fn read(mut stream: &TcpStream, input: &mut [u8], limit: &Limit) -> io::Result<usize> {
    loop {
        tolerant(stream.set_read_timeout(limit.left()?))?;
        match stream.read(input) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn read_exact(stream: &TcpStream, mut input: &mut [u8], limit: &Limit) -> io::Result<()> {
    while !input.is_empty() {
        match read(stream, input, limit)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input = &mut input[count..],
        }
    }
    Ok(())
}

fn write_all(mut stream: &TcpStream, mut output: &[u8], limit: &Limit) -> io::Result<()> {
    while !output.is_empty() {
        tolerant(stream.set_write_timeout(limit.left()?))?;
        match stream.write(output) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            other => output = &output[other?..],
        }
    }
    Ok(())
}

/// macOS refuses time-outs for a connection that the other side has closed; what it sent before
/// can be read all the same.
fn tolerant(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if cfg!(target_os = "macos") && error.kind() == io::ErrorKind::InvalidInput => {
            Ok(())
        }
        other => other,
    }
}
