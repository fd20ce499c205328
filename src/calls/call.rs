//! A call to a server as other threads see it: something that they can interrupt.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::ShutdownHandle;

use super::interrupt::Interrupt;
use crate::config::MAX_WAIT;
use crate::error::ErrorKind;
use crate::lock::{Condvar, Mutex};

/// A call under way, with all its attempts.
#[derive(Default)]
pub(crate) struct Call {
    state: Mutex<State>,
    interruption: Condvar,
    /// Whether a part of the request has left this process.
    sent: AtomicBool,
    /// Whether it waits for the system to look a name up, which nothing can interrupt.
    looking_up: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Why it was interrupted.
    why: Option<ErrorKind>,
    /// Whether what it waits for in [`wait`](Call::wait) has happened.
    is_woken: bool,
    /// The connection that it uses.
    connection: Option<Weak<Interrupt>>,
    /// What else ends its waits.
    hooks: Vec<Box<dyn FnOnce() + Send>>,
}

impl Call {
    /// Ends at once whatever it waits for, now and later.
    pub(crate) fn interrupt(&self, why: ErrorKind) {
        let mut state = self.state.lock();
        state.why.get_or_insert(why);
        let connection = state.connection.take();
        let hooks = std::mem::take(&mut state.hooks);
        drop(state);
        self.interruption.notify_all();
        hooks.into_iter().for_each(|hook| hook());
        if let Some(connection) = connection.and_then(|connection| connection.upgrade()) {
            connection.shutdown();
        }
    }

    /// Calls `hook` when it is interrupted; at once if it was.
    pub(crate) fn on_interrupt(&self, hook: Box<dyn FnOnce() + Send>) {
        let mut state = self.state.lock();
        if state.why.is_none() {
            return state.hooks.push(hook);
        }
        drop(state);
        hook();
    }

    /// Why it was interrupted, if it was.
    pub(crate) fn interrupted(&self) -> Option<ErrorKind> {
        self.state.lock().why
    }

    /// Waits until it was woken since its last wait, or was interrupted.
    pub(crate) fn wait(&self) {
        let mut state = self.state.lock();
        while state.why.is_none() && !state.is_woken {
            self.interruption.wait(&mut state);
        }
        state.is_woken = false;
    }

    fn wake(&self) {
        self.state.lock().is_woken = true;
        self.interruption.notify_all();
    }

    /// Waits for this long, or until it is interrupted.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time.min(MAX_WAIT);
        let mut state = self.state.lock();
        while state.why.is_none() {
            if self.interruption.wait_until(&mut state, until) {
                return;
            }
        }
    }

    /// Does `look_up`, during which [`interrupt`](Self::interrupt) has no effect.
    pub(crate) fn while_looking_up<T>(&self, look_up: impl FnOnce() -> T) -> T {
        self.looking_up.store(true, Ordering::Release);
        let found = look_up();
        self.looking_up.store(false, Ordering::Release);
        found
    }

    /// Whether the call waits for the system's name look-up, which goes on when it is interrupted.
    pub(crate) fn is_looking_up(&self) -> bool {
        self.looking_up.load(Ordering::Acquire)
    }

    /// Lets [`interrupt`](Self::interrupt) end what the call waits for on this connection.
    ///
    /// # Errors
    ///
    /// - [`io::ErrorKind::ConnectionAborted`] if the call was interrupted before.
    pub(crate) fn attach(&self, connection: &Weak<Interrupt>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.why.is_some() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.connection = Some(connection.clone());
        Ok(())
    }

    /// Forgets the connection, which another call may use soon.
    pub(super) fn detach(&self) {
        self.state.lock().connection = None;
    }

    /// The connection that it uses.
    pub(crate) fn connection(&self) -> Option<Weak<Interrupt>> {
        self.state.lock().connection.clone()
    }

    /// Notes whether a part of the request has left this process; returns what was noted before.
    pub(crate) fn set_sent(&self, sent: bool) -> bool {
        self.sent.swap(sent, Ordering::Relaxed)
    }

    pub(crate) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Calls that can be interrupted, or woken, together.
#[derive(Default)]
pub(crate) struct Calls(Mutex<Vec<Weak<Call>>>);

impl Calls {
    pub(crate) fn add(&self, call: &Arc<Call>) {
        let mut calls = self.0.lock();
        calls.retain(|call| call.strong_count() > 0);
        calls.push(Arc::downgrade(call));
    }

    pub(crate) fn interrupt(&self, why: ErrorKind) {
        self.take().for_each(|call| call.interrupt(why));
    }

    pub(crate) fn wake(&self) {
        self.take().for_each(|call| call.wake());
    }

    fn take(&self) -> impl Iterator<Item = Arc<Call>> {
        let calls = std::mem::take(&mut *self.0.lock());
        calls.into_iter().filter_map(|call| call.upgrade())
    }
}
