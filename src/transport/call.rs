//! A call to a server as other threads see it: something that can be broken off.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::ShutdownHandle;

use super::seal::Secrets;
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
    /// What is put into the next request as it leaves this process.
    secrets: Mutex<Option<Secrets>>,
}

#[derive(Default)]
struct State {
    /// Why it was broken off.
    why: Option<ErrorKind>,
    /// Whether what it waits for in [`wait`](Call::wait) has happened.
    is_woken: bool,
    /// The connection that it uses.
    socket: Option<Weak<dyn ShutdownHandle>>,
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
        self.state.lock().socket = None;
        done
    }

    /// Breaks it off: what it waits for ends at once.
    pub(crate) fn interrupt(&self, why: ErrorKind) {
        let mut state = self.state.lock();
        state.why.get_or_insert(why);
        let socket = state.socket.take();
        drop(state);
        self.interruption.notify_all();
        if let Some(socket) = socket.and_then(|socket| socket.upgrade()) {
            socket.shutdown();
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

    /// Notes the connection that is used from now on.
    pub(super) fn attach(&self, socket: &Weak<dyn ShutdownHandle>) -> Result<(), ureq::Error> {
        let mut state = self.state.lock();
        if state.why.is_some() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "broken off").into());
        }
        state.socket = Some(socket.clone());
        Ok(())
    }

    pub(super) fn socket(&self) -> Option<Weak<dyn ShutdownHandle>> {
        self.state.lock().socket.clone()
    }

    /// Notes whether a part of the request has left this process.
    pub(super) fn set_sent(&self, sent: bool) {
        self.sent.store(sent, Ordering::Relaxed);
    }

    pub(super) fn keep_secrets(&self, secrets: Secrets) {
        *self.secrets.lock() = Some(secrets);
    }

    pub(super) fn take_secrets(&self) -> Option<Secrets> {
        self.secrets.lock().take()
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
