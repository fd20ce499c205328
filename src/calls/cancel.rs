//! Cancelling what a thread waits for, from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::call::{Call, Calls};
use crate::error::ErrorKind;

/// Cancels the requests of a thread, from any other thread.
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// use ftrack_api::{CancelToken, ErrorKind};
///
/// let token = CancelToken::new();
/// let button = token.clone(); // goes to the thread with the window
/// let found = token.run(|| {
///     let tasks = session.query("Task limit 10")?.all()?;
///     button.cancel();
///     session.query("AssetVersion")?.all().map(|versions| (tasks, versions))
/// });
/// assert_eq!(found.unwrap_err().kind(), ErrorKind::Cancelled);
/// assert!(session.query("Task")?.first()?.is_some(), "the session goes on");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_cancelled: AtomicBool,
    calls: Calls,
    ask: Option<Ask>,
}

/// Whether to cancel.
type Ask = Box<dyn Fn() -> bool + Send + Sync>;

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that asks: while a thread waits in its scope, `ask` is called in that thread ten times a
    /// second, and cancels by returning `true`. It is for hosts that learn of an interruption only if
    /// they look, such as interpreters of Ctrl-C.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # fn interpreter_was_interrupted() -> bool { false }
    /// let token = ftrack_api::CancelToken::asking(interpreter_was_interrupted);
    /// token.run(|| session.query("Task")?.all())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn asking(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            ask: Some(Box::new(ask)),
            ..Inner::default()
        }))
    }

    /// Asks whether to cancel. To be called without a lock: what asks is the user's.
    pub(crate) fn ask(&self) {
        if self.0.ask.as_ref().is_some_and(|ask| ask()) {
            self.cancel();
        }
    }

    /// Cancels whatever a thread waits for in [`run`](Self::run) or [`enter`](Self::enter), promptly
    /// and with an error of kind [`Cancelled`](crate::ErrorKind::Cancelled): connections being
    /// opened, requests, responses being read (a streamed download as well), waits between
    /// attempts. The server completes what it has begun; a cancelled commit stays recorded, and the
    /// next one finds out whether the server applied it.
    ///
    /// The one wait that goes on is the system's name look-up, which nothing can interrupt: the
    /// call ends as soon as that has ended. Only new connections look names up, and only those of
    /// hosts that [`Network::resolve_to`](crate::config::Network::resolve_to) does not name.
    ///
    /// A token stays cancelled: every later request in its scope fails at once.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::SeqCst);
        self.0.calls.interrupt(ErrorKind::Cancelled);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::SeqCst)
    }

    /// Lets the token cancel a call.
    pub(crate) fn watch(&self, call: &Arc<Call>) {
        self.0.calls.add(call);
        if self.0.ask.is_some() {
            let token = self.clone();
            call.add_asking(Arc::new(move || token.ask()));
        }
        // If it was cancelled before, nobody interrupts the call any more.
        if self.is_cancelled() {
            call.interrupt(ErrorKind::Cancelled);
        }
    }
}

debug_fields!(CancelToken, |this| is_cancelled: this.is_cancelled());
