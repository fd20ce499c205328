//! Request budgets: how many requests a thread may still send.

use std::cell::RefCell;
use std::marker::PhantomData;

use super::Api;
use super::threads::Budgets;
use crate::error::{Error, ErrorKind, Result};

thread_local! {
    /// The budgets in force in this thread, the innermost last.
    static BUDGETS: RefCell<Vec<Spending>> = const { RefCell::new(Vec::new()) };
}

/// Calls with the budgets of the current thread.
pub(super) fn of_thread(call: &mut dyn FnMut(&mut Vec<Spending>)) {
    BUDGETS.with_borrow_mut(call);
}

pub(super) struct Spending {
    /// The server connection it is about, by address.
    api: usize,
    allowed: u64,
    spent: u64,
    /// Whether a request was refused.
    is_over: bool,
}

/// A budget in force until it is dropped, in the thread that made it.
pub(crate) struct Budget {
    /// Its place among the thread's budgets.
    depth: usize,
    budgets: Budgets,
    /// Not `Send`: the budget belongs to this thread.
    thread: PhantomData<*const ()>,
}

impl Api {
    /// Allows this thread `requests` requests until the budget is dropped. Budgets nest: each
    /// request counts in all of them.
    pub(crate) fn budget(&self, requests: u64) -> Budget {
        let mut depth = 0;
        (self.threads.budgets)(&mut |budgets| {
            depth = budgets.len();
            budgets.push(Spending {
                api: self.address(),
                allowed: requests,
                spent: 0,
                is_over: false,
            });
        });
        Budget {
            depth,
            budgets: self.threads.budgets,
            thread: PhantomData,
        }
    }

    /// Takes one request from every budget in force.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OverBudget`] if one is used up; then nothing is taken.
    pub(super) fn spend(&self, summary: &str) -> Result<()> {
        let address = self.address();
        let mut result = Ok(());
        (self.threads.budgets)(&mut |budgets| {
            let mut mine: Vec<_> = budgets
                .iter_mut()
                .filter(|budget| budget.api == address)
                .collect();
            if let Some(over) = mine.iter_mut().find(|one| one.spent >= one.allowed) {
                over.is_over = true;
                result = Err(too_many(over.allowed, summary));
                return;
            }
            for budget in mine {
                budget.spent += 1;
            }
        });
        result
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Budget {
    /// # Errors
    ///
    /// [`ErrorKind::OverBudget`] if a request was refused.
    pub(crate) fn check(&self) -> Result<()> {
        let mut over = None;
        (self.budgets)(&mut |budgets| {
            let mine = budgets.get(self.depth).filter(|budget| budget.is_over);
            over = mine.map(|budget| budget.allowed);
        });
        over.map_or(Ok(()), |allowed| Err(too_many(allowed, "a request")))
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        (self.budgets)(&mut |budgets| budgets.truncate(self.depth));
    }
}

fn too_many(allowed: u64, summary: &str) -> Error {
    Error::new(
        ErrorKind::OverBudget,
        format!(
            "{summary}: not sent, because the budget of {allowed} requests is used up; project \
             what is read in the query, or populate it before the loop"
        ),
    )
}
