//! Values of a thread, of the library that made the connection.
//!
//! The copy of this crate that a plugin's library brings has other statics, and so other
//! thread-local values; it calls these functions of the one that opened the session.

use std::sync::Arc;

use super::budget::{self, Spending};
use super::cancel;
use crate::lock;
use crate::transport::Call;

pub(super) type Budgets = fn(&mut dyn FnMut(&mut Vec<Spending>));

pub(super) struct Threads {
    home: lock::Home,
    /// Calls with the budgets of the current thread.
    pub(super) budgets: Budgets,
    run: fn(&Arc<Call>, &mut dyn FnMut()),
    watch: fn(&Arc<Call>),
}

impl Threads {
    pub(super) fn here() -> Self {
        Self {
            home: lock::here(),
            budgets: budget::of_thread,
            run: |call, work| call.run(work),
            watch: cancel::watch,
        }
    }

    /// Does `work` as a part of the call.
    pub(super) fn run<T>(&self, call: &Arc<Call>, work: impl FnOnce() -> T) -> T {
        let (mut work, mut done) = (Some(work), None);
        (self.run)(call, &mut || done = work.take().map(|work| work()));
        done.expect("the work was done once")
    }

    /// Lets this thread's tokens break off a call, those of either library.
    pub(super) fn watch(&self, call: &Arc<Call>) {
        (self.watch)(call);
        if !lock::is_here(self.home) {
            cancel::watch(call);
        }
    }
}
