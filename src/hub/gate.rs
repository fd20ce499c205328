//! The bounds of the queue of events that the server has not acknowledged.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::cancel::Cancellation;
use crate::hub::config::{MAX_EVENT_BYTES, MAX_OUTGOING_BYTES};
use crate::hub::status::not_connected;
use crate::lock::{Condvar, Mutex, MutexGuard};

/// Counts the events in the queue; publishers wait here for room.
pub(super) struct Gate {
    limit: usize,
    queued: Mutex<Queued>,
    changed: Condvar,
}

#[derive(Default)]
struct Queued {
    events: usize,
    bytes: usize,
    /// Counts calls of `close`, so that callers that wait notice one.
    closings: u64,
}

impl Gate {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            queued: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Reserves room for an event; waits for room if there is none.
    pub(super) fn enter(
        &self,
        bytes: usize,
        timeout: Duration,
        cancellation: &Cancellation,
    ) -> Result<()> {
        if bytes > MAX_EVENT_BYTES {
            let message = format!("an event has at most {MAX_EVENT_BYTES} bytes, not {bytes}");
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let deadline = after(timeout);
        let mut queued = self.queued.lock();
        let closings = queued.closings;
        while queued.events >= self.limit || queued.bytes + bytes > MAX_OUTGOING_BYTES {
            if queued.closings != closings {
                return Err(not_connected());
            }
            cancellation.check()?;
            let is_late;
            (queued, is_late) = self.wait(queued, deadline, cancellation);
            if is_late {
                let message = format!(
                    "the queue of events that the event server has not acknowledged is full, at {}; publish again \
                     later",
                    queued.events
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
        queued.events += 1;
        queued.bytes += bytes;
        Ok(())
    }

    pub(super) fn leave(&self, bytes: usize) {
        let mut queued = self.queued.lock();
        queued.events = queued.events.saturating_sub(1);
        queued.bytes = queued.bytes.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// Ends all waits, with an error for those who wait for room.
    pub(super) fn close(&self) {
        self.queued.lock().closings += 1;
        self.changed.notify_all();
    }

    /// Waits until the queue is empty; returns how many events are left.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if it is cancelled.
    pub(super) fn wait_empty(
        &self,
        deadline: Instant,
        cancellation: &Cancellation,
    ) -> Result<usize> {
        let mut queued = self.queued.lock();
        let closings = queued.closings;
        while queued.events > 0 && queued.closings == closings {
            cancellation.check()?;
            let is_late;
            (queued, is_late) = self.wait(queued, deadline, cancellation);
            if is_late {
                break;
            }
        }
        Ok(queued.events)
    }

    /// Waits for a change, or until tokens were asked; whether the deadline has passed.
    fn wait<'a>(
        &'a self,
        mut queued: MutexGuard<'a, Queued>,
        deadline: Instant,
        cancellation: &Cancellation,
    ) -> (MutexGuard<'a, Queued>, bool) {
        let Some(slice) = cancellation.before_asking() else {
            let is_late = self.changed.wait_until(&mut queued, deadline);
            return (queued, is_late);
        };
        let is_due = self
            .changed
            .wait_until(&mut queued, deadline.min(after(slice)));
        drop(queued);
        if is_due {
            cancellation.ask();
        }
        (self.queued.lock(), Instant::now() >= deadline)
    }

    /// Makes waiting callers check whether they were cancelled.
    pub(super) fn wake(&self) {
        // Under the lock, so that no caller is between checking and waiting.
        let _queued = self.queued.lock();
        self.changed.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.queued.lock().events
    }
}

/// A moment in the future. The clock cannot represent more than some decades.
pub(super) fn after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(Duration::from_secs(1_000_000_000))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn never() -> Cancellation {
        Cancellation::of_thread()
    }

    #[test]
    fn the_gate_bounds_and_releases() {
        let gate = Gate::new(2);
        gate.enter(10, Duration::ZERO, &never()).unwrap();
        gate.enter(10, Duration::ZERO, &never()).unwrap();
        let full = gate
            .enter(10, Duration::from_millis(5), &never())
            .unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Timeout);
        gate.leave(10);
        gate.enter(10, Duration::ZERO, &never()).unwrap();
        let large = gate
            .enter(MAX_EVENT_BYTES + 1, Duration::ZERO, &never())
            .unwrap_err();
        assert_eq!(large.kind(), ErrorKind::Validation);
        assert_eq!(gate.wait_empty(Instant::now(), &never()).unwrap(), 2);
    }

    #[test]
    fn closing_sends_publishers_away() {
        let gate = Arc::new(Gate::new(1));
        gate.enter(1, Duration::ZERO, &never()).unwrap();
        let other = Arc::clone(&gate);
        let waiting = std::thread::spawn(move || other.enter(1, Duration::from_secs(60), &never()));
        while !waiting.is_finished() {
            gate.close();
            std::thread::yield_now();
        }
        assert_eq!(
            waiting.join().unwrap().unwrap_err().kind(),
            ErrorKind::Connection
        );
    }
}
