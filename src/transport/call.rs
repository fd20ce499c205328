//! A call to a server as other threads see it: something that can be broken off.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::ShutdownHandle;

use super::interrupt::Interrupt;
use crate::config::LONGEST;
use crate::error::ErrorKind;
use crate::lock::{Condvar, Mutex};

thread_local! {
    /// The calls under way in this thread, the innermost last.
    static CURRENT: RefCell<Vec<Arc<Call>>> = const { RefCell::new(Vec::new()) };
}

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
    /// Why it was broken off.
    why: Option<ErrorKind>,
    /// Whether what it waits for in [`wait`](Call::wait) has happened.
    is_woken: bool,
    /// The connection that it uses.
    connection: Option<Weak<Interrupt>>,
}

impl Call {
    /// The call that this thread is in.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(|calls| calls.last().cloned())
    }

    /// Does `work` as a part of this call.
    pub(crate) fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(|calls| drop(calls.pop()));
            }
        }
        CURRENT.with_borrow_mut(|calls| calls.push(self.clone()));
        let _leave = Leave;
        let done = work();
        // What was the call's connection may soon be another's.
        self.state.lock().connection = None;
        done
    }

    /// Breaks it off: what it waits for ends at once.
    pub(crate) fn interrupt(&self, why: ErrorKind) {
        let mut state = self.state.lock();
        state.why.get_or_insert(why);
        let connection = state.connection.take();
        drop(state);
        self.interruption.notify_all();
        if let Some(connection) = connection.and_then(|connection| connection.upgrade()) {
            connection.shutdown();
        }
    }

    /// Why it was broken off, if it was.
    pub(crate) fn interrupted(&self) -> Option<ErrorKind> {
        self.state.lock().why
    }

    /// Waits until it is woken, since the last time that it waited, or broken off.
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

    /// Waits so long, or until it is broken off.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time.min(LONGEST);
        let mut state = self.state.lock();
        while state.why.is_none() {
            if self.interruption.wait_until(&mut state, until) {
                return;
            }
        }
    }

    /// Does `look_up`, during which [`interrupt`](Self::interrupt) has no effect.
    pub(super) fn while_looking_up<T>(&self, look_up: impl FnOnce() -> T) -> T {
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
    /// [`io::ErrorKind::ConnectionAborted`] if the call was interrupted before.
    pub(super) fn attach(&self, connection: &Weak<Interrupt>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.why.is_some() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.connection = Some(connection.clone());
        Ok(())
    }

    /// The connection that it uses.
    pub(super) fn connection(&self) -> Option<Weak<Interrupt>> {
        self.state.lock().connection.clone()
    }

    /// Notes whether a part of the request has left this process; returns what was noted before.
    pub(super) fn set_sent(&self, sent: bool) -> bool {
        self.sent.swap(sent, Ordering::Relaxed)
    }

    pub(super) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Calls that can be broken off, or woken, together.
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
