//! Sleeping until the socket or somebody else has something to do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use crate::calls::Call;
use crate::error::ErrorKind;
use crate::lock::Mutex;

const SOCKET: Token = Token(0);
const COMMAND: Token = Token(1);
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// What wakes a sleeper from elsewhere.
pub(super) struct Signals {
    waker: Waker,
    /// Set until the sleeper looks, so that a burst of commands wakes it once; and while there
    /// is nobody to wake.
    pending: AtomicBool,
    /// Set when opening a connection is to be broken off.
    cancel: AtomicBool,
    /// The latest attempt to open a connection.
    opening: Mutex<Option<Arc<Call>>>,
    /// Set while the thread does what cannot be broken off.
    stuck: AtomicBool,
}

impl Signals {
    pub(super) fn wake(&self) {
        fence(Ordering::SeqCst);
        if !self.pending.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            log::error!("event hub: who waits for events cannot be woken: {error}");
        }
    }

    /// Whether there was a `wake` since the last `clear`.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Breaks off what the thread waits for. The command that says why must be sent before.
    pub(super) fn cancel(&self) {
        self.cancel.store(true, Ordering::Release);
        if let Some(opening) = self.opening.lock().clone() {
            opening.interrupt(ErrorKind::Cancelled);
        }
        self.pending.store(false, Ordering::Release);
        self.wake();
    }

    /// The call as a part of which the thread opens a connection; `cancel` interrupts it.
    pub(super) fn begin_opening(&self) -> Arc<Call> {
        let call = Arc::new(Call::default());
        *self.opening.lock() = Some(Arc::clone(&call));
        // A `cancel` before that did not find the call.
        if self.cancel.load(Ordering::Acquire) {
            call.interrupt(ErrorKind::Cancelled);
        }
        call
    }

    /// To be called before commands are looked for.
    pub(super) fn clear(&self) {
        self.cancel.store(false, Ordering::Release);
        self.pending.store(false, Ordering::Release);
        // Either a command is seen from now on, or who sent it sees that it has to wake.
        fence(Ordering::SeqCst);
    }

    /// Does what cannot be broken off.
    pub(super) fn stuck_in<T>(&self, call: impl FnOnce() -> T) -> T {
        self.stuck.store(true, Ordering::Release);
        let answer = call();
        self.stuck.store(false, Ordering::Release);
        answer
    }

    /// Whether the thread does what cannot be broken off.
    pub(super) fn is_stuck(&self) -> bool {
        let opening = self.opening.lock().clone();
        self.stuck.load(Ordering::Acquire) || opening.is_some_and(|call| call.is_looking_up())
    }

    /// There is nobody to wake until the next `clear`.
    pub(super) fn mute(&self) {
        self.pending.store(true, Ordering::Release);
    }
}

/// Who is told when the socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watcher {
    Thread,
    /// The caller who leads; nobody is told while there is none.
    Caller,
}

impl Watcher {
    /// Who watches for a thread that rests, or does not.
    pub(super) fn of_thread(resting: bool) -> Self {
        if resting { Self::Caller } else { Self::Thread }
    }
}

/// The pollers between which a socket moves.
pub(super) struct Registries {
    thread: Registry,
    caller: Registry,
}

impl Registries {
    pub(super) fn of(thread: &Poller, caller: &Poller) -> io::Result<Self> {
        Ok(Self {
            thread: thread.poll.registry().try_clone()?,
            caller: caller.poll.registry().try_clone()?,
        })
    }

    /// Changes who watches a socket, or what for: to write only if something waits to be
    /// written, as every socket is ready for that most of the time.
    pub(super) fn transfer(
        &self,
        socket: &mut impl Source,
        from: Watcher,
        to: Watcher,
        writable: bool,
    ) -> io::Result<()> {
        let interest = if writable { BOTH } else { Interest::READABLE };
        if from == to {
            return self.get(to).reregister(socket, SOCKET, interest);
        }
        self.get(from).deregister(socket)?;
        self.get(to).register(socket, SOCKET, interest)
    }

    fn get(&self, watcher: Watcher) -> &Registry {
        match watcher {
            Watcher::Thread => &self.thread,
            Watcher::Caller => &self.caller,
        }
    }
}

/// The sleeper's side.
pub(super) struct Poller {
    poll: Poll,
    events: Events,
    signals: Arc<Signals>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), COMMAND)?;
        let signals = Arc::new(Signals {
            waker,
            pending: AtomicBool::new(false),
            cancel: AtomicBool::new(false),
            opening: Mutex::default(),
            stuck: AtomicBool::new(false),
        });
        Ok(Self {
            poll,
            events: Events::with_capacity(8),
            signals,
        })
    }

    pub(super) fn signals(&self) -> Arc<Signals> {
        Arc::clone(&self.signals)
    }

    /// Watches a connection that was just opened.
    pub(super) fn watch(&self, socket: &mut TcpStream) -> io::Result<()> {
        self.poll.registry().register(socket, SOCKET, BOTH)
    }

    /// Sleeps until something happens, or for so long; answers whether the socket may have
    /// something to read.
    pub(super) fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            // Something may have come while a signal, or a debugger, held this process up.
            Err(_) => return Ok(true),
            Ok(()) => {}
        }
        Ok(self.events.iter().any(|event| event.token() == SOCKET))
    }
}
