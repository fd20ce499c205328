//! Connecting to a host that may have several addresses: the first that accepts wins.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::calls;

/// How long to wait for an address before the next one is tried as well (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The lowest of the tokens that are used here; those below belong to the caller.
const FIRST_TOKEN: usize = 16;

/// Tries the addresses in order, each a moment after the one before or as soon as that has failed,
/// and returns the first connection that is open. `is_interrupted` is called on an event at one of
/// the caller's own tokens.
///
/// # Errors
///
/// - The error of the last address to fail.
/// - [`io::ErrorKind::TimedOut`] at the deadline.
/// - [`io::ErrorKind::ConnectionAborted`] if it was interrupted.
pub(super) fn connect(
    poll: &mut Poll,
    events: &mut Events,
    addresses: &[SocketAddr],
    deadline: Option<Instant>,
    is_interrupted: &dyn Fn() -> bool,
) -> io::Result<TcpStream> {
    let mut race = Race {
        waiting: addresses,
        started: Vec::new(),
        next: Instant::now(),
        last_error: io::Error::new(io::ErrorKind::NotFound, "the host has no address"),
    };
    loop {
        if is_interrupted() {
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
        match poll.poll(events, calls::before_asking(time)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => calls::ask(),
        }
        for event in events.iter() {
            if let Some(mut connected) = race.outcome(event.token()) {
                poll.registry().deregister(&mut connected)?;
                return Ok(connected);
            }
        }
    }
}

/// Attempts under way, and addresses that were not tried yet.
struct Race<'a> {
    waiting: &'a [SocketAddr],
    started: Vec<(Token, TcpStream)>,
    /// When the next attempt starts, even if no other has failed.
    next: Instant,
    last_error: io::Error,
}

impl Race<'_> {
    /// Starts the next attempt if it is time, and those after it if it fails at once.
    fn start(&mut self, poll: &Poll) {
        while let [address, waiting @ ..] = self.waiting
            && (self.started.is_empty() || self.next <= Instant::now())
        {
            let token = Token(FIRST_TOKEN + waiting.len());
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

    /// The connection of `token`, if it is open now.
    fn outcome(&mut self, token: Token) -> Option<TcpStream> {
        let index = self.started.iter().position(|(of, _)| *of == token)?;
        let (_, stream) = &self.started[index];
        match stream.take_error() {
            Ok(None) => match stream.peer_addr() {
                Ok(_) => return Some(self.started.swap_remove(index).1),
                // Not connected yet: some systems report events while they still try.
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
