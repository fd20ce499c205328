//! A connection that blocks, until a deadline or until another thread interrupts it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rustls::ClientConnection;

use super::race;
use super::stream::Stream;
use crate::calls::{self, Call, Interrupt};

const INTERRUPT: Token = Token(0);
const SOCKET: Token = Token(1);

/// A connection to a server. Reads and writes block until [the deadline](Self::set_deadline), or
/// until the [`Call`] that opened or attached it is interrupted.
pub(crate) struct Connection {
    stream: Stream,
    poll: Poll,
    events: Events,
    interrupt: Arc<Interrupt>,
    deadline: Option<Instant>,
}

impl Connection {
    /// Connects to the first of `addresses` that accepts, as a part of the current call.
    pub(super) fn open(addresses: &[SocketAddr], deadline: Option<Instant>) -> io::Result<Self> {
        let mut poll = Poll::new()?;
        let interrupt = Arc::new(Interrupt::new(poll.registry(), INTERRUPT)?);
        if let Some(call) = Call::current() {
            call.attach(&Arc::downgrade(&interrupt))?;
        }
        let mut events = Events::with_capacity(8);
        let mut tcp = race::connect(&mut poll, &mut events, addresses, deadline, &|| {
            interrupt.check().is_err()
        })?;
        tcp.set_nodelay(true)?;
        // Both at once: `mio` reports changes only, so that a socket that stays writable costs nothing.
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut tcp, SOCKET, both)?;
        Ok(Self {
            stream: Stream::Plain(tcp),
            poll,
            events,
            interrupt,
            deadline,
        })
    }

    /// The same connection, encrypted.
    pub(super) fn encrypt(self, client: ClientConnection) -> io::Result<Self> {
        let mut encrypted = Self {
            stream: self.stream.encrypted(client),
            ..self
        };
        encrypted.wait_for(Stream::handshake)?;
        Ok(encrypted)
    }

    /// Reads and writes fail with [`io::ErrorKind::TimedOut`] from then on.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    pub(super) fn interrupt(&self) -> Weak<Interrupt> {
        Arc::downgrade(&self.interrupt)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Whether it can carry another request: nothing was received that no request asked for, such
    /// as the end of the connection.
    pub(super) fn is_reusable(&mut self) -> bool {
        let peeked = self.stream.tcp().peek(&mut [0]);
        let is_silent = peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        is_silent && self.interrupt.check().is_ok()
    }

    /// Gives up blocking: what remains is a stream that no poller watches.
    ///
    /// # Errors
    ///
    /// - The error of the system, which keeps watching the socket.
    pub(crate) fn into_stream(mut self) -> io::Result<Stream> {
        self.poll.registry().deregister(self.stream.tcp())?;
        Ok(self.stream)
    }

    /// Repeats `operation` until it need not wait. The signals of a host program do not end it.
    fn wait_for<T>(
        &mut self,
        mut operation: impl FnMut(&mut Stream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            self.interrupt.check()?;
            match operation(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => return other,
            }
            let left = self.time_left()?;
            match self.poll.poll(&mut self.events, calls::before_asking(left)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => calls::ask(),
            }
        }
    }

    fn time_left(&self) -> io::Result<Option<Duration>> {
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.read(buffer))
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait_for(Stream::flush)
    }
}

debug_fields!(Connection, |this| is_tls: this.is_tls());
