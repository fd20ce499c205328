//! The logger of the tests.
//!
//! With `FTRACK_TRACE_TESTS` set it reads every line of every crate's log, and ends the test process
//! when a secret stands in one. The variable names a file that gets all secrets, so that what the
//! tests print can be searched as well; `.ci/run` does that.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use log::{Level, LevelFilter, Metadata, Record};

/// How many lines were read.
pub(crate) static LINES: AtomicUsize = AtomicUsize::new(0);

static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// What was logged since a test began to listen.
static HEARD: Mutex<Option<Vec<(Level, String)>>> = Mutex::new(None);

/// Half of a secret is too much as well, unless that is a few letters.
const HALVED: usize = 10;

/// How many letters are kept to find what is spread over several lines: `ureq` prints 16 bytes
/// on each.
const KEPT: usize = 200;

/// What stands before the signature in the emulator's signed addresses.
const SIGNATURE: &str = "&signature=";

thread_local! {
    /// The last letters that this thread has logged.
    static LETTERS: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Trace;

/// From now on nobody may print this. The first call switches tracing on, if the environment asks
/// for it.
pub(crate) fn secret(secret: &str) -> &str {
    if let Some(file) = std::env::var_os("FTRACK_TRACE_TESTS") {
        let parts = keep(secret);
        match OpenOptions::new().create(true).append(true).open(file) {
            Ok(mut file) => {
                let lines = parts.map(|part| format!("{part}\n")).concat();
                file.write_all(lines.as_bytes()).unwrap();
            }
            // A test that goes on as another user: the file has had it from the first.
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
    }
    secret
}

/// From now on nobody may log this, whatever the environment says.
pub(crate) fn keep(secret: &str) -> [&str; 2] {
    let parts = match secret.len() {
        HALVED.. => secret.split_at(secret.len() / 2).into(),
        _ => [secret, secret],
    };
    let mut secrets = SECRETS.write().unwrap();
    if !secrets.iter().any(|known| known == parts[0]) {
        secrets.extend(parts.map(str::to_owned));
    }
    drop(secrets);
    log_from(LevelFilter::Trace);
    parts
}

/// Begins to remember what this crate logs, from debug up.
pub(crate) fn listen() {
    HEARD.lock().unwrap().get_or_insert_default();
    log_from(LevelFilter::Debug);
}

/// What was heard with `part` in it.
pub(crate) fn logged(part: &str) -> Vec<(Level, String)> {
    let heard = HEARD.lock().unwrap();
    let lines = heard.iter().flatten();
    let found = lines.filter(|(_, text)| text.contains(part));
    found.cloned().collect()
}

fn log_from(level: LevelFilter) {
    let _ = log::set_logger(&Trace);
    log::set_max_level(log::max_level().max(level));
}

/// What a line says: of a row of `ureq`'s dump, which begins with the bytes' numbers, the letters.
fn content<'a>(line: &'a str, target: &str) -> &'a str {
    match line.len().checked_sub(16) {
        Some(start) if target == "ureq_proto::util" => &line[start..],
        _ => line,
    }
}

/// Whether a secret, or the signature of an address, stands in this.
fn is_open(text: &str) -> bool {
    let secrets = SECRETS.read().unwrap();
    let mut signatures = text.split(SIGNATURE).skip(1);
    secrets.iter().any(|secret| text.contains(secret))
        || signatures.any(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()))
}

impl log::Log for Trace {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let (line, target) = (record.args().to_string(), record.target());
        LINES.fetch_add(1, Ordering::Relaxed);
        LETTERS.with_borrow_mut(|letters| {
            letters.push_str(content(&line, target));
            if is_open(&line) || is_open(letters) {
                // A panic in somebody else's thread might go unnoticed.
                let _ = writeln!(std::io::stderr(), "a secret is logged by {target}: {line}");
                std::process::exit(101);
            }
            let mut start = letters.len().saturating_sub(KEPT);
            while !letters.is_char_boundary(start) {
                start += 1;
            }
            letters.drain(..start);
        });
        let is_ours = target.starts_with("ftrack_api") && record.level() <= Level::Debug;
        if is_ours && let Some(heard) = &mut *HEARD.lock().unwrap() {
            heard.push((record.level(), line));
        }
    }

    fn flush(&self) {}
}
