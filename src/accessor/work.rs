//! The connections of a transfer, its progress, and how it is cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Scope as Threads, ThreadId};
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::calls::{Budget, CancelToken, Scope, ThreadScope, WithScopes, budgets_of};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Condvar, Mutex};

/// The minimum time between two calls of an observer.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// The most connections of one transfer.
const MAX_CONNECTIONS: usize = 64;

/// The progress of a transfer. Observers of
/// [`TransferOptions::on_progress`](crate::location::TransferOptions::on_progress) get it.
#[derive(Clone, Debug)]
pub struct Progress {
    bytes: u64,
    resumed: u64,
    total_bytes: u64,
    files: u64,
    total_files: u64,
    elapsed: Duration,
    cancel: CancelToken,
}

impl Progress {
    /// The bytes that are stored, including those of an earlier attempt that is resumed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes of all files. Files of unknown size count from when they are stored.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.max(self.bytes)
    }

    /// The files that are stored.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// The number of all files.
    pub fn total_files(&self) -> u64 {
        self.total_files
    }

    /// The time since the transfer began.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The bytes per second on average; 0 at the start.
    pub fn rate(&self) -> f64 {
        let sent = self.bytes.saturating_sub(self.resumed) as f64;
        match self.elapsed.as_secs_f64() {
            seconds if seconds > 0.0 => sent / seconds,
            _ => 0.0,
        }
    }

    /// The time that the rest takes at the average rate, if that is known.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.total_bytes().saturating_sub(self.bytes) as f64;
        let seconds = match self.rate() {
            rate if rate > 0.0 => left / rate,
            _ => return None,
        };
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Cancels the transfer. It ends with [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// What is called with the progress of a transfer.
pub(crate) type Observer = Arc<dyn Fn(&Progress) + Send + Sync>;

/// What a transfer shares with its connections.
pub(crate) struct Work {
    connections: usize,
    /// Connections that could be used now.
    idle: AtomicUsize,
    cancel: CancelToken,
    /// Tokens of the caller's thread, and how a worker enters them.
    tokens: Vec<CancelToken>,
    /// Request budgets of the caller's thread.
    budgets: Vec<Arc<Budget>>,
    session: u64,
    scopes: WithScopes,
    caller: ThreadId,
    observer: Option<Observer>,
    started: Instant,
    /// Milliseconds after the start at which the observer is due.
    due: AtomicU64,
    bytes: AtomicU64,
    resumed: AtomicU64,
    total_bytes: AtomicU64,
    files: AtomicU64,
    total_files: AtomicU64,
}

impl Work {
    pub(crate) fn new(api: &Api, connections: usize, observer: Option<Observer>) -> Self {
        let connections = connections.clamp(1, MAX_CONNECTIONS);
        let cancel = CancelToken::new();
        let mut tokens = api.tokens_of_thread();
        tokens.push(cancel.clone());
        Self {
            connections,
            idle: AtomicUsize::new(connections),
            cancel,
            tokens,
            budgets: budgets_of(api.scopes(), api.number()),
            session: api.number(),
            scopes: api.scopes(),
            caller: thread::current().id(),
            observer,
            started: Instant::now(),
            due: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            total_files: AtomicU64::new(0),
        }
    }

    /// Whether there is more than one.
    pub(crate) fn has_connections(&self) -> bool {
        self.connections > 1
    }

    /// Sets what is to be done in all.
    pub(crate) fn expect(&self, files: u64, bytes: u64) {
        self.total_files.store(files, Ordering::Relaxed);
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that are stored now.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if the transfer was cancelled.
    pub(crate) fn advance(&self, bytes: u64) -> Result<()> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.report_if_due();
        self.check()
    }

    /// Counts bytes that an earlier attempt stored.
    pub(crate) fn resume(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.resumed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back bytes that are of no use.
    pub(crate) fn take_back(&self, bytes: u64) {
        let less = |counter: u64| Some(counter.saturating_sub(bytes));
        for counter in [&self.bytes, &self.resumed] {
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    pub(crate) fn finish_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.report_if_due();
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if the transfer was cancelled.
    pub(crate) fn check(&self) -> Result<()> {
        match self.tokens.iter().any(CancelToken::is_cancelled) {
            true => Err(Error::new(
                ErrorKind::Cancelled,
                "the transfer was cancelled",
            )),
            false => Ok(()),
        }
    }

    /// Puts the transfer's own token in force in this thread.
    pub(crate) fn enter(&self) -> ThreadScope {
        ThreadScope::enter(self.scopes, Scope::Cancel(self.cancel.clone()))
    }

    /// Applies to this thread what is in force in the caller's.
    fn enter_all(&self) -> Vec<ThreadScope> {
        let tokens = self.tokens.iter().map(|token| Scope::Cancel(token.clone()));
        let budget = |budget: &Arc<Budget>| Scope::Budget(self.session, budget.clone());
        let scopes = tokens.chain(self.budgets.iter().map(budget));
        scopes
            .map(|scope| ThreadScope::enter(self.scopes, scope))
            .collect()
    }

    fn report_if_due(&self) {
        if thread::current().id() != self.caller || self.observer.is_none() {
            return;
        }
        let elapsed = self.started.elapsed();
        if elapsed.as_millis() >= u128::from(self.due.load(Ordering::Relaxed)) {
            self.report();
        }
    }

    /// Calls the observer.
    pub(crate) fn report(&self) {
        let Some(observer) = &self.observer else {
            return;
        };
        let elapsed = self.started.elapsed();
        let due = (elapsed + REPORT_INTERVAL).as_millis();
        self.due
            .store(u64::try_from(due).unwrap_or(u64::MAX), Ordering::Relaxed);
        observer(&Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            total_files: self.total_files.load(Ordering::Relaxed),
            elapsed,
            cancel: self.cancel.clone(),
        });
    }

    /// Does `count` jobs on the transfer's connections. No job starts after one has failed.
    ///
    /// With one connection, the calling thread does the jobs in order. With more, the thread that
    /// made this only calls the observer, and a job may itself call this for its parts: they get
    /// the connections that are idle.
    ///
    /// # Errors
    ///
    /// - The error of the first job that failed.
    pub(crate) fn run<E: Send>(
        &self,
        count: usize,
        job: impl Fn(usize) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        if self.connections == 1 {
            return (0..count).try_for_each(job);
        }
        let queue = Queue::new(count);
        thread::scope(|threads| {
            if thread::current().id() == self.caller {
                self.staff(threads, &queue, &job);
                while !queue.wait(REPORT_INTERVAL) {
                    // A token may be told of an interruption in the caller's thread only.
                    self.tokens.iter().for_each(CancelToken::ask);
                    self.report_if_due();
                    self.staff(threads, &queue, &job);
                    if queue.is_stuck() {
                        // The system refuses threads.
                        self.work_off(threads, &queue, &job);
                    }
                }
            } else {
                self.work_off(threads, &queue, &job);
            }
        });
        queue.outcome()
    }

    /// Starts a worker for each idle connection, as long as there are jobs.
    fn staff<'scope, 'env, E: Send>(
        &'env self,
        threads: &'scope Threads<'scope, 'env>,
        queue: &'env Queue<E>,
        job: &'env (impl Fn(usize) -> Result<(), E> + Sync),
    ) {
        while queue.has_jobs() && self.take_connection() {
            let worker = Worker::new(self, queue);
            let spawned = thread::Builder::new()
                .name("ftrack-transfer".to_owned())
                .spawn_scoped(threads, move || {
                    let _worker = worker;
                    let _scopes = self.enter_all();
                    self.work_off(threads, queue, job);
                });
            if let Err(error) = spawned {
                // The closure is dropped, and the worker with it.
                log::warn!("cannot start a thread for a transfer: {error}");
                return;
            }
        }
    }

    fn work_off<'scope, 'env, E: Send>(
        &'env self,
        threads: &'scope Threads<'scope, 'env>,
        queue: &'env Queue<E>,
        job: &'env (impl Fn(usize) -> Result<(), E> + Sync),
    ) {
        while let Some(index) = queue.take() {
            self.staff(threads, queue, job);
            if let Err(error) = job(index) {
                queue.fail(error);
            }
        }
    }

    fn take_connection(&self) -> bool {
        let take = |idle: usize| idle.checked_sub(1);
        let taken = self
            .idle
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        taken.is_ok()
    }
}

/// A thread of a transfer: it counts in its queue and has a connection until it is dropped.
struct Worker<'a, E> {
    work: &'a Work,
    queue: &'a Queue<E>,
}

impl<'a, E> Worker<'a, E> {
    fn new(work: &'a Work, queue: &'a Queue<E>) -> Self {
        queue.state.lock().workers += 1;
        Self { work, queue }
    }
}

impl<E> Drop for Worker<'_, E> {
    fn drop(&mut self) {
        self.work.idle.fetch_add(1, Ordering::AcqRel);
        self.queue.state.lock().workers -= 1;
        self.queue.changed.notify_all();
    }
}

/// Jobs by number, and the first error.
struct Queue<E> {
    count: usize,
    state: Mutex<QueueState<E>>,
    changed: Condvar,
}

struct QueueState<E> {
    next: usize,
    workers: usize,
    error: Option<E>,
}

impl<E> Queue<E> {
    fn new(count: usize) -> Self {
        Self {
            count,
            state: Mutex::new(QueueState {
                next: 0,
                workers: 0,
                error: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn has_jobs(&self) -> bool {
        let state = self.state.lock();
        state.error.is_none() && state.next < self.count
    }

    fn take(&self) -> Option<usize> {
        let mut state = self.state.lock();
        if state.error.is_some() || state.next == self.count {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    fn fail(&self, error: E) {
        self.state.lock().error.get_or_insert(error);
    }

    /// Waits until no worker is left and no job can start, or for `time`; whether it is over.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while state.workers > 0 {
            if self.changed.wait_until(&mut state, until) {
                return false;
            }
        }
        state.error.is_some() || state.next == self.count
    }

    /// Whether jobs are left and no worker does them.
    fn is_stuck(&self) -> bool {
        let state = self.state.lock();
        state.workers == 0 && state.error.is_none() && state.next < self.count
    }

    fn outcome(self) -> Result<(), E> {
        self.state.lock().error.take().map_or(Ok(()), Err)
    }
}

/// Whether the same transfer can succeed later, so that what it has stored is worth keeping.
pub(crate) fn may_resume(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Cancelled
            | ErrorKind::Closed
            | ErrorKind::Connection
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_knows_its_rate() {
        let progress = Progress {
            bytes: 600,
            resumed: 100,
            total_bytes: 1600,
            files: 1,
            total_files: 3,
            elapsed: Duration::from_secs(5),
            cancel: CancelToken::new(),
        };
        assert_eq!(progress.rate(), 100.0);
        assert_eq!(progress.time_left(), Some(Duration::from_secs(10)));
        let start = Progress {
            bytes: 100,
            elapsed: Duration::ZERO,
            ..progress
        };
        assert_eq!((start.rate(), start.time_left()), (0.0, None));
    }
}
