//! Ctrl-C: cancels what is under way, and ends a prompt at once.

use std::io::Write as _;
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
            show_input();
            let _ = writeln!(std::io::stderr(), "\ncancelled: nothing was changed");
            std::process::exit(Code::Cancelled as i32);
        }
        if cancelled.is_cancelled() {
            std::process::exit(Code::Cancelled as i32);
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

/// Runs a prompt, which Ctrl-C ends together with the program.
pub(crate) fn prompting<T>(ask: impl FnOnce() -> T) -> T {
    remember_input();
    PROMPTING.store(true, Ordering::SeqCst);
    let answer = ask();
    PROMPTING.store(false, Ordering::SeqCst);
    answer
}

#[cfg(unix)]
mod input {
    use std::sync::Mutex;

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

    /// How the terminal treats input outside of prompts.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    pub(super) fn remember_input() {
        if let Ok(mut before) = BEFORE.lock() {
            *before = tcgetattr(std::io::stdin()).ok();
        }
    }

    /// Shows what is typed again: a prompt without echo was interrupted.
    pub(super) fn show_input() {
        let before = BEFORE.lock().ok().and_then(|before| before.clone());
        if let Some(before) = before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        }
    }
}

/// Shells of Windows show what is typed by themselves once a program has ended.
#[cfg(not(unix))]
mod input {
    pub(super) fn remember_input() {}
    pub(super) fn show_input() {}
}

use input::{remember_input, show_input};
