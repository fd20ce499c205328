//! How the hub's thread is doing, as the handles see it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use crate::error::{Error, ErrorKind};
use crate::lock::Mutex;

/// The state of a hub's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HubState {
    /// Not connected, and not trying to.
    Disconnected,
    /// Opening the first connection.
    Connecting,
    /// The server has accepted the connection.
    Connected,
    /// The connection was lost; a new one is being opened.
    Reconnecting,
}

impl fmt::Display for HubState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
        })
    }
}

pub(super) struct Status {
    /// Disconnected when the thread has ended, or is not waited for any more.
    pub(super) ended: Receiver<()>,
    alive: Mutex<Option<Sender<()>>>,
    /// Whether commands are still taken.
    running: AtomicBool,
    /// Whether everything is reported, so that nothing but the lingering close is left.
    reported: AtomicBool,
    /// The process in which the thread runs: a forked process has inherited no thread.
    process: u32,
    state: Mutex<HubState>,
    /// Whether the server has confirmed all subscriptions on this connection.
    subscribed: AtomicBool,
    /// When the server was last heard from.
    heard: Mutex<Option<Instant>>,
    /// Why it ended, unless it was stopped.
    pub(super) failure: Mutex<Option<(ErrorKind, String)>>,
    /// Why there is no connection, until there is one.
    pub(super) trouble: Mutex<Option<(ErrorKind, String)>>,
}

impl Status {
    pub(super) fn new() -> Self {
        let (alive, ended) = crossbeam_channel::bounded(0);
        Self {
            ended,
            alive: Mutex::new(Some(alive)),
            running: AtomicBool::new(true),
            reported: AtomicBool::new(false),
            process: std::process::id(),
            state: Mutex::new(HubState::Connecting),
            subscribed: AtomicBool::new(false),
            heard: Mutex::new(None),
            failure: Mutex::new(None),
            trouble: Mutex::new(None),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) && self.process == std::process::id()
    }

    /// Takes no more commands. To be called while none can be sent.
    pub(super) fn stop_running(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub(super) fn set_reported(&self) {
        self.reported.store(true, Ordering::Release);
    }

    pub(super) fn has_reported(&self) -> bool {
        self.reported.load(Ordering::Acquire)
    }

    /// Wakes those who wait for the end.
    pub(super) fn finish(&self) {
        self.stop_running();
        drop(self.alive.lock().take());
    }

    /// Why it has ended.
    pub(super) fn why(&self) -> Error {
        self.failed().unwrap_or_else(|| {
            let message = "the event hub was disconnected meanwhile";
            Error::new(ErrorKind::Cancelled, message)
        })
    }

    /// What it failed with, if it has.
    pub(super) fn failed(&self) -> Option<Error> {
        copy(&self.failure)
    }

    /// Why there is no connection: what the thread ended with, or the latest failed attempt.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.failed().or_else(|| copy(&self.trouble))
    }

    pub(super) fn state(&self) -> HubState {
        *self.state.lock()
    }

    pub(super) fn set_subscribed(&self, is_subscribed: bool) {
        self.subscribed.store(is_subscribed, Ordering::Release);
    }

    #[cfg(any(feature = "redis", feature = "file-cache"))]
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Acquire) && self.is_running()
    }

    pub(super) fn set_heard(&self, at: Instant) {
        *self.heard.lock() = Some(at);
    }

    #[cfg(any(feature = "redis", feature = "file-cache"))]
    pub(super) fn heard(&self) -> Option<Instant> {
        *self.heard.lock()
    }

    pub(super) fn set_state(&self, state: HubState) {
        *self.state.lock() = state;
    }
}

/// Errors cannot be cloned; several callers want this one.
fn copy(error: &Mutex<Option<(ErrorKind, String)>>) -> Option<Error> {
    let error = error.lock();
    error
        .as_ref()
        .map(|(kind, message)| Error::new(*kind, message.clone()))
}

pub(super) fn not_connected() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the event hub is not connected: call connect first",
    )
}
