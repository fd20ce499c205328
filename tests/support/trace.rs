//! With `FTRACK_TRACE_TESTS` set: reads every line of every log while the tests run, and ends the
//! test process when a secret stands in one. Tests take four times as long with it.

use std::cell::RefCell;
use std::io::Write;
use std::sync::RwLock;

static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// How many letters are kept to find what is spread over several lines: `ureq` prints 16 bytes
/// on each.
const KEPT: usize = 200;

thread_local! {
    /// The last letters that this thread has logged.
    static LETTERS: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Trace;

/// From now on nobody may print this, nor half of it. The first call switches tracing on, unless
/// the test has a logger of its own.
pub(crate) fn keep_secret(secret: &str) {
    if std::env::var_os("FTRACK_TRACE_TESTS").is_none() {
        return;
    }
    let (first, second) = secret.split_at(secret.len() / 2);
    let mut secrets = SECRETS.write().unwrap();
    if !secrets.iter().any(|known| known == first) {
        secrets.extend([first.to_owned(), second.to_owned()]);
    }
    drop(secrets);
    if log::set_logger(&Trace).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

impl log::Log for Trace {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        LETTERS.with_borrow_mut(|letters| {
            let is_letter = |c: &char| !matches!(c, '\n' | ' ' | '|' | '"');
            letters.extend(line.chars().filter(is_letter));
            let secrets = SECRETS.read().unwrap();
            let found = |secret: &&String| line.contains(*secret) || letters.contains(*secret);
            if secrets.iter().any(|secret| found(&secret)) {
                // A panic in somebody else's thread might go unnoticed.
                let target = record.target();
                let _ = writeln!(std::io::stderr(), "a secret is logged by {target}: {line}");
                std::process::exit(101);
            }
            let mut start = letters.len().saturating_sub(KEPT);
            while !letters.is_char_boundary(start) {
                start += 1;
            }
            letters.drain(..start);
        });
    }

    fn flush(&self) {}
}
