//! The logger of the tests.
//!
//! With `FTRACK_TRACE_TESTS` set it reads every line of every crate's log, and ends the test process
//! when a secret stands in one. The variable names a file that gets all secrets, so that what the
//! tests print can be searched as well; `.ci/run` does that. The bytes that `ureq` would log are left
//! out, because a session that must redact them takes a path that no user takes; with
//! `FTRACK_TRACE_BYTES` set as well they are not.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread::ThreadId;

use log::{Level, LevelFilter, Metadata, Record};

/// How many lines were read.
pub(crate) static LINES: AtomicUsize = AtomicUsize::new(0);

/// Whether the bytes that `ureq` logs are read, too.
static BYTES: AtomicBool = AtomicBool::new(false);

static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// What was logged since a test began to listen.
static HEARD: Mutex<Option<Vec<(ThreadId, Level, String)>>> = Mutex::new(None);

/// Half of a secret is too much as well, unless that is a few letters.
const HALVED: usize = 10;

/// How many letters are kept to find what is spread over several lines.
const KEPT: usize = 200;

/// `ureq` dumps all bytes, 16 on each line, from here.
const DUMP: &str = "ureq_proto::util";

/// Whole URLs come from here.
const URLS: &str = "ureq::util";

/// How many bytes of a line are formatted and searched: a thread that formats a frame of many
/// megabytes looks like one that hangs.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// `tungstenite` logs each step of reading a frame from here, and whole frames in hexadecimal, which
/// takes seconds. It logs them in plain from elsewhere.
const FRAMES: &str = "tungstenite::protocol::frame";

/// So many letters of a dump are searched at once, and so many lines of one are searched: heads,
/// and the beginnings of large bodies, which are files in these tests.
const SEARCHED: (usize, usize) = (4096, 10_000);

/// What stands before the signature in the emulator's signed addresses.
const SIGNATURE: &str = "&signature=";

thread_local! {
    static LETTERS: RefCell<Letters> = RefCell::default();
}

/// The last letters that a thread has logged.
#[derive(Default)]
struct Letters {
    text: String,
    /// How many lines of a dump came without a break.
    dumped: usize,
}

impl Letters {
    fn add(&mut self, record: &Record<'_>) {
        if record.target().starts_with(FRAMES) || is_sent_by_a_server(record) {
            return;
        }
        if record.target() != DUMP {
            self.dumped = 0;
            self.text += &beginning(record);
            return self.search(record.target());
        }
        self.dumped += 1;
        if self.dumped < SEARCHED.1 {
            let line = record.args().to_string();
            // The bytes' numbers come first.
            self.text += &line[line.len() - 16..];
        }
        if self.text.len() > SEARCHED.0 {
            self.search(DUMP);
        }
    }

    fn search(&mut self, target: &str) {
        if is_open(&self.text) {
            // A panic in somebody else's thread might go unnoticed.
            let text = std::mem::take(&mut self.text);
            let _ = writeln!(std::io::stderr(), "a secret is logged by {target}: {text}");
            std::process::exit(101);
        }
        let mut start = self.text.len().saturating_sub(KEPT);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        self.text.drain(..start);
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        self.search("a thread that ends");
    }
}

struct Trace;

/// From now on nobody may print this. The first call switches tracing on, if the environment asks
/// for it.
pub(crate) fn secret(secret: &str) -> &str {
    if let Some(file) = std::env::var_os("FTRACK_TRACE_TESTS") {
        BYTES.fetch_or(
            std::env::var_os("FTRACK_TRACE_BYTES").is_some(),
            Ordering::Relaxed,
        );
        let parts = add(secret);
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

/// From now on nobody may log this, whatever the environment says, and not as bytes either.
pub(crate) fn keep(secret: &str) {
    BYTES.store(true, Ordering::Relaxed);
    add(secret);
}

fn add(secret: &str) -> [&str; 2] {
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
    heard(part, |_| true)
}

/// What this thread has logged with `part` in it: the tests of a program share its log.
pub(crate) fn logged_here(part: &str) -> Vec<(Level, String)> {
    heard(part, |by| by == std::thread::current().id())
}

fn heard(part: &str, is_by: impl Fn(ThreadId) -> bool) -> Vec<(Level, String)> {
    let heard = HEARD.lock().unwrap();
    let lines = heard.iter().flatten();
    let found = lines.filter(|(by, _, text)| is_by(*by) && text.contains(part));
    found
        .map(|(_, level, text)| (*level, text.clone()))
        .collect()
}

fn log_from(level: LevelFilter) {
    let _ = log::set_logger(&Trace);
    log::set_max_level(log::max_level().max(level));
}

/// The first bytes of a line, without formatting the rest.
fn beginning(record: &Record<'_>) -> String {
    struct Bounded(String);

    impl std::fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 += text;
            match self.0.len() {
                ..MAX_LINE_BYTES => Ok(()),
                _ => Err(std::fmt::Error),
            }
        }
    }

    let mut text = Bounded(String::new());
    // The error only ends the formatting.
    let _ = std::fmt::write(&mut text, *record.args());
    text.0
}

/// Whether a secret, or the signature of an address, stands in this.
fn is_open(text: &str) -> bool {
    let secrets = SECRETS.read().unwrap();
    let mut signatures = text.split(SIGNATURE).skip(1);
    secrets.iter().any(|secret| text.contains(secret))
        || signatures.any(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()))
}

/// Whether this is a packet of an event server, which `tungstenite` logs as it is. Servers of these
/// tests echo the key; a client's frames, which are masked, must not hold it.
fn is_sent_by_a_server(record: &Record<'_>) -> bool {
    if !record.target().starts_with("tungstenite::protocol") {
        return false;
    }
    let text = beginning(record);
    text.starts_with("Received message") || text.contains("mask: None")
}

impl log::Log for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_bytes =
            metadata.level() == Level::Trace && [DUMP, URLS].contains(&metadata.target());
        !is_bytes || BYTES.load(Ordering::Relaxed)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        LINES.fetch_add(1, Ordering::Relaxed);
        // While a thread ends it has none any more.
        let _ = LETTERS.try_with(|letters| letters.borrow_mut().add(record));
        let is_ours = record.target().starts_with("ftrack_api") && record.level() <= Level::Debug;
        if is_ours && let Some(heard) = &mut *HEARD.lock().unwrap() {
            let by = std::thread::current().id();
            heard.push((by, record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}
