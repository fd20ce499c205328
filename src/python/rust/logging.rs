//! The crate's log as records of Python's `logging`.
//!
//! A line is queued where it is written, which may be a thread of the hub or under a lock of the
//! crate: waiting for the interpreter there could wait for ever. The next call that comes back to
//! Python hands the queue over, on its own thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::intern;
use pyo3::marker::Ungil;
use pyo3::prelude::*;

use crate::signals;

/// Lines beyond these are dropped, and counted.
const CAPACITY: usize = 10_000;

/// How long a change of Python's levels may go unseen.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// Loggers of the official client.
const SESSION: &str = "ftrack_api.session.Session";
const HUB: &str = "ftrack_api.event.hub.EventHub";

struct Line {
    level: Level,
    target: String,
    text: String,
    file: Option<&'static str>,
    number: u32,
    at: SystemTime,
}

struct Queue {
    sender: SyncSender<Line>,
    receiver: Mutex<Receiver<Line>>,
    waiting: AtomicUsize,
    dropped: AtomicUsize,
    /// When Python's levels were looked at.
    looked: Mutex<Option<Instant>>,
}

fn queue() -> &'static Queue {
    static QUEUE: OnceLock<Queue> = OnceLock::new();
    QUEUE.get_or_init(|| {
        let (sender, receiver) = sync_channel(CAPACITY);
        Queue {
            sender,
            receiver: Mutex::new(receiver),
            waiting: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            looked: Mutex::new(None),
        }
    })
}

struct Logger;

impl Log for Logger {
    /// Other crates log what goes over the wire: keys.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ftrack_api")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = Line {
            level: record.level(),
            target: record.target().to_owned(),
            text: record.args().to_string(),
            file: record.file_static(),
            number: record.line().unwrap_or_default(),
            at: SystemTime::now(),
        };
        let queue = queue();
        let sent = queue.sender.try_send(line);
        let count = match sent {
            Ok(()) => &queue.waiting,
            Err(_) => &queue.dropped,
        };
        count.fetch_add(1, Ordering::Release);
    }

    fn flush(&self) {}
}

/// Called when the module is made.
pub(crate) fn start() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// `call` without the interpreter's lock; what it logged is handed over before this returns.
pub(crate) fn released<T: Ungil>(py: Python<'_>, call: impl Ungil + FnOnce() -> T) -> T {
    look(py);
    let scope = signals::heed();
    let result = py.detach(call);
    drop(scope);
    if queue().waiting.load(Ordering::Acquire) > 0 {
        deliver(py);
    }
    result
}

/// Takes over Python's levels.
fn look(py: Python<'_>) {
    let now = Instant::now();
    // Another thread holds it, and looks.
    match queue().looked.try_lock() {
        Ok(mut looked) => {
            if looked.is_some_and(|at| now.duration_since(at) < REFRESH_INTERVAL) {
                return;
            }
            *looked = Some(now);
        }
        Err(TryLockError::WouldBlock) => return,
        Err(TryLockError::Poisoned(mut poisoned)) => **poisoned.get_mut() = Some(now),
    }
    log::set_max_level(level_of(py).unwrap_or(LevelFilter::Warn));
}

/// The lowest level that any of the loggers takes.
fn level_of(py: Python<'_>) -> PyResult<LevelFilter> {
    let modules = py.import(intern!(py, "sys"))?.getattr("modules")?;
    if !modules.contains("logging")? {
        // No level was set, and programs that do not log need not load it.
        return Ok(LevelFilter::Warn);
    }
    let get = py.import("logging")?.getattr("getLogger")?;
    let mut lowest = i64::MAX;
    for name in ["ftrack_api", SESSION, HUB] {
        let level = get.call1((name,))?.call_method0("getEffectiveLevel")?;
        lowest = lowest.min(level.extract()?);
    }
    Ok(match lowest {
        ..10 => LevelFilter::Trace,
        10..20 => LevelFilter::Debug,
        20..30 => LevelFilter::Info,
        30..40 => LevelFilter::Warn,
        40..=50 => LevelFilter::Error,
        _ => LevelFilter::Off,
    })
}

/// Hands the queue over. Handlers are Python code: they may call the session, which does not come
/// here again.
fn deliver(py: Python<'_>) {
    thread_local! {
        static IS_DELIVERING: Cell<bool> = const { Cell::new(false) };
    }
    if IS_DELIVERING.replace(true) {
        return;
    }
    // Not what handlers add: one that logs each time would never end.
    for _ in 0..queue().waiting.load(Ordering::Acquire) {
        let Some(line) = next() else { break };
        if let Err(raised) = hand_over(py, &line) {
            raised.write_unraisable(py, None);
        }
    }
    let dropped = queue().dropped.swap(0, Ordering::AcqRel);
    if dropped > 0 {
        log::warn!(target: SESSION, "lines of the log that came too fast and were dropped: {dropped}");
    }
    IS_DELIVERING.set(false);
}

fn next() -> Option<Line> {
    let queue = queue();
    let receiver = match queue.receiver.try_lock() {
        Ok(receiver) => receiver,
        // Another thread does it.
        Err(TryLockError::WouldBlock) => return None,
        Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
    };
    let line = receiver.try_recv().ok()?;
    queue.waiting.fetch_sub(1, Ordering::AcqRel);
    Some(line)
}

fn hand_over(py: Python<'_>, line: &Line) -> PyResult<()> {
    let level = match line.level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    };
    let logger = py
        .import("logging")?
        .call_method1("getLogger", (name_of(&line.target),))?;
    if !logger.call_method1("isEnabledFor", (level,))?.is_truthy()? {
        return Ok(());
    }
    let given = (
        logger.getattr("name")?,
        level,
        line.file.unwrap_or_default(),
        line.number,
        &line.text,
        (),
        py.None(),
    );
    let record = logger.call_method1("makeRecord", given)?;
    let at = line.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    record.setattr("created", at.as_secs_f64())?;
    record.setattr("msecs", f64::from(at.subsec_millis()))?;
    logger.call_method1("handle", (record,)).map(drop)
}

/// The name that the logger has in the official client, where there is one.
fn name_of(target: &str) -> String {
    match target.split("::").nth(1) {
        Some("hub" | "event") => HUB.to_owned(),
        Some("session") => SESSION.to_owned(),
        _ => target.replace("::", "."),
    }
}
