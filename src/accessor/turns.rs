//! The order of jobs that run at the same time.

use std::cell::Cell;

use crate::lock::{Condvar, Mutex};

/// Lets jobs that run at the same time do something in the order of their numbers.
pub(super) struct Turns {
    /// The next job; `None` when one has failed.
    next: Mutex<Option<usize>>,
    changed: Condvar,
}

/// The turn of one job. All after it are refused if it is dropped without its end.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    index: usize,
    is_over: Cell<bool>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            next: Mutex::new(Some(0)),
            changed: Condvar::new(),
        }
    }

    pub(super) fn enter(&self, index: usize) -> Turn<'_> {
        Turn {
            turns: self,
            index,
            is_over: Cell::new(false),
        }
    }
}

impl Turn<'_> {
    /// Waits for the ends of those before; false if one has failed.
    pub(super) fn wait(&self) -> bool {
        let mut next = self.turns.next.lock();
        while next.is_some_and(|next| next < self.index) {
            self.turns.changed.wait(&mut next);
        }
        next.is_some()
    }

    pub(super) fn end(&self) {
        self.is_over.set(true);
        let mut next = self.turns.next.lock();
        // A later job may have failed meanwhile.
        *next = next.map(|_| self.index + 1);
        drop(next);
        self.turns.changed.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over.get() {
            *self.turns.next.lock() = None;
            self.turns.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_after_a_failed_job_are_refused_though_an_earlier_one_ends() {
        let turns = Turns::new();
        let (first, second, third) = (turns.enter(0), turns.enter(1), turns.enter(2));
        assert!(first.wait());
        drop(second);
        first.end();
        assert!(!third.wait());
    }
}
