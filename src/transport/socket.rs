//! TCP connections that the call which uses them can be told to break off, from the first packet
//! on.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
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

const SIGNAL: Token = Token(0);
const SOCKET: Token = Token(1);

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
    fn open(&self, host: &str, port: u16, limit: &Limit) -> Result<Line, ureq::Error> {
        let addresses = look_up(&self.0, host, port).map_err(|_| ureq::Error::HostNotFound)?;
        let mut poll = Poll::new()?;
        let signal = Arc::new(Signal {
            waker: Waker::new(poll.registry(), SIGNAL)?,
            is_set: AtomicBool::new(false),
        });
        if let Some(call) = Call::current() {
            call.attach(&handle(&signal))?;
        }
        let mut events = Events::with_capacity(8);
        let is_broken_off = || signal.check().is_err();
        let connected = connect(
            &mut poll,
            &mut events,
            &addresses,
            limit.until,
            &is_broken_off,
        );
        let mut stream = connected.map_err(|error| limit.explain(error))?;
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE;
        poll.registry().register(&mut stream, SOCKET, interest)?;
        Ok(Line {
            stream,
            poll,
            events,
            interest,
            signal,
        })
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sockets")
    }
}

/// Breaks off what a connection is used for. Shutting its socket down would not do: on Windows
/// that does not end a read that waits (rust-lang/rust#121594).
struct Signal {
    waker: Waker,
    is_set: AtomicBool,
}

impl Signal {
    fn check(&self) -> io::Result<()> {
        match self.is_set.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }
}

impl ShutdownHandle for Signal {
    fn shutdown(&self) {
        self.is_set.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            log::error!("who waits for a connection cannot be woken: {error}");
        }
    }
}

fn handle(signal: &Arc<Signal>) -> Weak<dyn ShutdownHandle> {
    let weak: Weak<Signal> = Arc::downgrade(signal);
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

    fn explain(&self, error: io::Error) -> ureq::Error {
        match error.kind() {
            io::ErrorKind::TimedOut => ureq::Error::Timeout(self.reason),
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
        let line = match proxy {
            None => self.open(&host, port, &limit)?,
            Some(proxy) => {
                let mut line = self.open(proxy.host(), proxy.port(), &limit)?;
                let mut exchange = |sent: &[u8], answer: &mut [u8]| {
                    line.write_all(sent, &limit)?;
                    line.read_exact(answer, &limit)
                };
                let tunnel = socks::open_tunnel(proxy, &host, port, &mut exchange);
                tunnel.map_err(|failure| match failure {
                    socks::Failure::Broken(error) => limit.explain(error),
                    socks::Failure::Refused(error) => ureq::Error::Other(Box::new(error)),
                })?;
                line
            }
        };
        (details.register_shutdown)(handle(&line.signal))?;
        let config = details.config;
        Ok(Some(Either::B(Socket {
            line,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        })))
    }
}

/// A TCP connection.
pub(super) struct Socket {
    line: Line,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let limit = checked(timeout.for_write())?;
        let output = &self.buffers.output()[..amount];
        let sent = self.line.write_all(output, &limit);
        sent.map_err(|error| limit.explain(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let limit = checked(timeout.for_read())?;
        let input = self.buffers.input_append_buf();
        let count = self.line.read(input, &limit);
        let count = count.map_err(|error| limit.explain(no_end(error)))?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Whether nothing has come that nobody asked for, the end least of all.
    fn is_open(&mut self) -> bool {
        let seen = self.line.stream.peek(&mut [0]);
        let is_silent = seen.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        is_silent && self.line.signal.check().is_ok()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.line.stream.peer_addr().ok();
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

/// A connection that does not block, and what waits for it.
struct Line {
    stream: TcpStream,
    poll: Poll,
    events: Events,
    /// What it is waited for.
    interest: Interest,
    signal: Arc<Signal>,
}

impl Line {
    /// Reads what is there.
    fn read(&mut self, input: &mut [u8], limit: &Limit) -> io::Result<usize> {
        self.until(Interest::READABLE, limit, |mut stream| stream.read(input))
    }

    fn read_exact(&mut self, mut input: &mut [u8], limit: &Limit) -> io::Result<()> {
        while !input.is_empty() {
            match self.read(input, limit)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => input = &mut input[count..],
            }
        }
        Ok(())
    }

    fn write_all(&mut self, mut output: &[u8], limit: &Limit) -> io::Result<()> {
        while !output.is_empty() {
            match self.until(Interest::WRITABLE, limit, |mut stream| stream.write(output))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => output = &output[count..],
            }
        }
        Ok(())
    }

    /// Does something with the stream, as soon as that need not wait. The signals of a host
    /// program do not end it.
    fn until<T>(
        &mut self,
        interest: Interest,
        limit: &Limit,
        mut operation: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            self.signal.check()?;
            match operation(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(interest, limit)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn wait(&mut self, interest: Interest, limit: &Limit) -> io::Result<()> {
        if self.interest != interest {
            let registry = self.poll.registry();
            registry.reregister(&mut self.stream, SOCKET, interest)?;
            self.interest = interest;
        }
        match self.poll.poll(&mut self.events, limit.left()?) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}
