//! Connecting to a host that may have several addresses: the first that answers is taken.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// How long an address is waited for before the next one is tried as well (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The first of the tokens that are used here; those below are the caller's.
const FIRST: usize = 16;

/// Tries the addresses in their order, each a moment after the one before or as soon as that has
/// failed, and takes the connection that is there first. What arrives at the caller's own tokens
/// makes it look at `is_broken_off`.
///
/// # Errors
///
/// That of the last address to fail; [`io::ErrorKind::TimedOut`] at the deadline;
/// [`io::ErrorKind::ConnectionAborted`] if it was broken off.
pub(crate) fn connect(
    poll: &mut Poll,
    events: &mut Events,
    addresses: &[SocketAddr],
    deadline: Option<Instant>,
    is_broken_off: &dyn Fn() -> bool,
) -> io::Result<TcpStream> {
    let mut race = Race {
        waiting: addresses,
        started: Vec::new(),
        next: Instant::now(),
        last_error: io::Error::new(io::ErrorKind::NotFound, "the host has no address"),
    };
    loop {
        if is_broken_off() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        race.start(poll);
        if race.started.is_empty() {
            return Err(race.last_error);
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let next = (!race.waiting.is_empty()).then_some(race.next);
        let until = deadline.into_iter().chain(next).min();
        let time = until.map(|until| until.saturating_duration_since(now));
        match poll.poll(events, time) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            if let Some(mut connected) = race.outcome(event.token()) {
                poll.registry().deregister(&mut connected)?;
                return Ok(connected);
            }
        }
    }
}

/// Who was started, and who waits for it.
struct Race<'a> {
    waiting: &'a [SocketAddr],
    started: Vec<(Token, TcpStream)>,
    /// When the next one starts whatever the others do.
    next: Instant,
    last_error: io::Error,
}

impl Race<'_> {
    /// Starts the next one if it is time, and those behind it if it fails at once.
    fn start(&mut self, poll: &Poll) {
        while let [address, waiting @ ..] = self.waiting
            && (self.started.is_empty() || self.next <= Instant::now())
        {
            let token = Token(FIRST + waiting.len());
            self.waiting = waiting;
            let opened = TcpStream::connect(*address).and_then(|mut stream| {
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, token, both)?;
                Ok(stream)
            });
            match opened {
                Ok(stream) => {
                    self.started.push((token, stream));
                    self.next = Instant::now() + HEAD_START;
                }
                Err(error) => self.last_error = error,
            }
        }
    }

    /// What became of the one that something happened to, if it is connected.
    fn outcome(&mut self, token: Token) -> Option<TcpStream> {
        let index = self.started.iter().position(|(of, _)| *of == token)?;
        let (_, stream) = &self.started[index];
        match stream.take_error() {
            Ok(None) => match stream.peer_addr() {
                Ok(_) => return Some(self.started.swap_remove(index).1),
                // Not connected yet, whatever the system calls it while it still tries.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return None,
                Err(error) => self.last_error = error,
            },
            Ok(Some(error)) | Err(error) => self.last_error = error,
        }
        self.started.swap_remove(index);
        self.next = Instant::now();
        None
    }
}
