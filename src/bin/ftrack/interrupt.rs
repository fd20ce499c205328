//! Ctrl-C: cancels what is under way, and ends a prompt at once.

use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ftrack_api::CancelToken;

use crate::failure::Code;

/// Whether a prompt waits for an answer: nothing is under way then.
static PROMPTING: AtomicBool = AtomicBool::new(false);
static TOKEN: OnceLock<CancelToken> = OnceLock::new();

/// Watches for Ctrl-C and for the request to terminate. The first one cancels the token, whose scope
/// then ends with an error that says what was not done; the second one ends the program.
pub(crate) fn watch() -> CancelToken {
    let token = TOKEN.get_or_init(CancelToken::new).clone();
    let cancelled = token.clone();
    let watching = ctrlc::set_handler(move || {
        if PROMPTING.load(Ordering::SeqCst) {
            let _ = writeln!(std::io::stderr(), "\ncancelled: nothing was changed");
            std::process::exit(Code::Cancelled as i32);
        }
        if cancelled.is_cancelled() {
            std::process::exit(Code::Cancelled as i32);
        }
        // The terminal shows ^C where the cursor is: what is said next begins a line.
        if std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr());
        }
        cancelled.cancel();
    });
    if let Err(error) = watching {
        ::log::debug!("Ctrl-C is not watched: {error}");
    }
    token
}

/// Whether Ctrl-C was pressed.
pub(crate) fn is_cancelled() -> bool {
    TOKEN.get().is_some_and(CancelToken::is_cancelled)
}

/// Runs a prompt that shows what is typed, which Ctrl-C ends together with the program.
pub(crate) fn prompting<T>(ask: impl FnOnce() -> T) -> T {
    PROMPTING.store(true, Ordering::SeqCst);
    let answer = ask();
    PROMPTING.store(false, Ordering::SeqCst);
    answer
}
