//! Cancelling, from another thread, what a thread waits for.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ErrorKind;
use crate::transport::{Call, Calls};

thread_local! {
    /// The tokens in force in this thread.
    static TOKENS: RefCell<Vec<CancelToken>> = const { RefCell::new(Vec::new()) };
}

/// Cancels what a thread asks of servers, from any other thread.
///
/// ```
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let session = ftrack_api::Session::builder()
/// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends what is under way in [`run`](Self::run), promptly and with an error of kind
    /// [`Cancelled`](crate::ErrorKind::Cancelled): connections being made, requests, answers that
    /// are being read (a streamed download as well, while it is read in `run`), waits between
    /// attempts. What the server does already, it does to the end; a commit that is cancelled
    /// stays recorded, and the next one asks what became of it.
    ///
    /// The one wait that goes on is the system's for a host name, which no thread can call back:
    /// the call ends as soon as that has ended. Only new connections look names up, and only
    /// those to hosts that [`Network::resolve_to`](crate::Network::resolve_to) does not name.
    ///
    /// A token stays cancelled; every later request in its `run` fails at once.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::SeqCst);
        self.0.calls.interrupt(ErrorKind::Cancelled);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::SeqCst)
    }

    /// Does `work`; all requests of this thread in it, of whatever session, can be cancelled by
    /// the token. Tokens nest.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                TOKENS.with_borrow_mut(|tokens| drop(tokens.pop()));
            }
        }
        TOKENS.with_borrow_mut(|tokens| tokens.push(self.clone()));
        let _leave = Leave;
        work()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Lets this thread's tokens break off a call.
pub(super) fn watch(call: &Arc<Call>) {
    let tokens = TOKENS.with_borrow(Clone::clone);
    for token in tokens {
        token.0.calls.add(call);
        // One that was cancelled before it was added would not be told.
        if token.is_cancelled() {
            call.interrupt(ErrorKind::Cancelled);
        }
    }
}
