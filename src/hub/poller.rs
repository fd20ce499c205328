//! Sleeping until the socket is ready or another thread has sent a command.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::calls::Call;
use crate::error::ErrorKind;
use crate::lock::Mutex;

const SOCKET: Token = Token(0);
const COMMAND: Token = Token(1);

/// How other threads reach the sleeping thread.
pub(super) struct Signals {
    waker: Waker,
    opening: Mutex<Opening>,
}

/// The attempt to open a connection, as other threads see it.
#[derive(Default)]
struct Opening {
    /// The latest attempt.
    call: Option<Arc<Call>>,
    /// Whether it is, or will be, interrupted.
    is_interrupted: bool,
}

impl Signals {
    /// Wakes the thread. What it is to look at must be sent before.
    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("event hub: its thread cannot be woken: {error}");
        }
    }

    /// Interrupts the attempt to open a connection, or the next one if none is under way, and
    /// wakes the thread. The command that says why must be sent before.
    pub(super) fn interrupt(&self) {
        let mut opening = self.opening.lock();
        opening.is_interrupted = true;
        if let Some(call) = &opening.call {
            call.interrupt(ErrorKind::Cancelled);
        }
        drop(opening);
        self.wake();
    }

    /// The call in which the thread opens a connection; [`interrupt`](Self::interrupt) ends it.
    pub(super) fn begin_opening(&self) -> Arc<Call> {
        let call = Arc::new(Call::default());
        let mut opening = self.opening.lock();
        opening.call = Some(Arc::clone(&call));
        if opening.is_interrupted {
            call.interrupt(ErrorKind::Cancelled);
        }
        call
    }

    /// Forgets an interruption. All commands must be taken afterwards, so that none is missed.
    pub(super) fn clear_interruption(&self) {
        self.opening.lock().is_interrupted = false;
    }

    /// Whether the thread waits for the system's name look-up, which nothing can interrupt.
    pub(super) fn is_looking_up(&self) -> bool {
        let opening = self.opening.lock();
        let call = opening.call.as_ref();
        call.is_some_and(|call| call.is_looking_up())
    }
}

/// The thread's side.
pub(super) struct Poller {
    poll: Poll,
    events: Events,
    signals: Arc<Signals>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), COMMAND)?;
        let opening = Mutex::default();
        Ok(Self {
            poll,
            events: Events::with_capacity(8),
            signals: Arc::new(Signals { waker, opening }),
        })
    }

    pub(super) fn signals(&self) -> Arc<Signals> {
        Arc::clone(&self.signals)
    }

    /// Watches a new connection.
    pub(super) fn watch(&self, socket: &mut TcpStream) -> io::Result<()> {
        let interest = Interest::READABLE;
        self.poll.registry().register(socket, SOCKET, interest)
    }

    /// Watches for being writable too, or no longer. Sockets are writable most of the time, so
    /// that is of interest only while something waits to be written.
    pub(super) fn watch_writable(&self, socket: &mut TcpStream, writable: bool) -> io::Result<()> {
        let interest = match writable {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        self.poll.registry().reregister(socket, SOCKET, interest)
    }

    /// Sleeps until the socket is ready, a wake-up or the timeout; returns whether the socket may
    /// be ready.
    pub(super) fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            // Something may have arrived while a signal or a debugger stopped this process.
            Err(_) => return Ok(true),
            Ok(()) => {}
        }
        Ok(self.events.iter().any(|event| event.token() == SOCKET))
    }
}
