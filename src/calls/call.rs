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

/// How long a wait goes on before it is asked whether to interrupt it.
const BEFORE_ASKING: Duration = Duration::from_millis(100);

/// Asks whether to interrupt calls, and does.
type Ask = Arc<dyn Fn() + Send + Sync>;

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
    /// What asks, while it waits, whether to interrupt it.
    asking: Vec<Ask>,
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

    /// Calls `ask` ten times a second while it waits.
    pub(super) fn add_asking(&self, ask: Ask) {
        self.state.lock().asking.push(ask);
    }

    /// Asks whether to interrupt it. To be called without a lock: what asks is the user's.
    pub(crate) fn ask(&self) {
        let asking = self.state.lock().asking.clone();
        asking.iter().for_each(|ask| ask());
    }

    /// How much of `time` may pass before [`ask`](Self::ask) is due.
    pub(crate) fn before_asking(&self, time: Option<Duration>) -> Option<Duration> {
        match self.state.lock().asking.is_empty() {
            true => time,
            false => Some(time.map_or(BEFORE_ASKING, |time| time.min(BEFORE_ASKING))),
        }
    }

    /// Why it was interrupted, if it was.
    pub(crate) fn interrupted(&self) -> Option<ErrorKind> {
        self.state.lock().why
    }

    /// Waits until it was woken since its last wait, or was interrupted.
    pub(crate) fn wait(&self) {
        loop {
            let slice = self.before_asking(None);
            let mut state = self.state.lock();
            if state.why.is_none() && !state.is_woken {
                match slice {
                    Some(slice) => {
                        self.interruption
                            .wait_until(&mut state, Instant::now() + slice);
                    }
                    None => self.interruption.wait(&mut state),
                }
            }
            if state.why.is_some() || state.is_woken {
                state.is_woken = false;
                return;
            }
            drop(state);
            self.ask();
        }
    }

    fn wake(&self) {
        self.state.lock().is_woken = true;
        self.interruption.notify_all();
    }

    /// Waits for this long, or until it is interrupted.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time.min(MAX_WAIT);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let slice = self.before_asking(Some(left)).unwrap_or(left);
            let mut state = self.state.lock();
            if left.is_zero() || state.why.is_some() {
                return;
            }
            self.interruption
                .wait_until(&mut state, Instant::now() + slice);
            drop(state);
            self.ask();
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

/// [`Call::before_asking`] of the call that this thread is in.
pub(crate) fn before_asking(time: Option<Duration>) -> Option<Duration> {
    match Call::current() {
        Some(call) => call.before_asking(time),
        None => time,
    }
}

/// [`Call::ask`] of the call that this thread is in.
pub(crate) fn ask() {
    if let Some(call) = Call::current() {
        call.ask();
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
