//! Request budgets: how many requests a thread may still send.

use std::sync::Arc;

use super::Api;
use crate::calls::{Budget, Scope, ThreadScope, budgets_of};
use crate::error::{Error, ErrorKind, Result};

/// Limits the requests that a thread sends through a session, until it is dropped; see
/// [`Session::request_budget`](crate::Session::request_budget).
#[must_use = "bind it: `let _budget = …`; `let _ = …` would drop it at once"]
pub struct RequestBudget {
    budget: Arc<Budget>,
    _scope: ThreadScope,
}

impl Api {
    /// Allows this thread, and the threads of its transfers, `requests` requests until the budget
    /// is dropped. Budgets nest: each request counts in all of them.
    pub(crate) fn budget(&self, requests: u64) -> RequestBudget {
        let budget = Arc::new(Budget::new(requests));
        let scope = Scope::Budget(self.number, budget.clone());
        RequestBudget {
            budget,
            _scope: ThreadScope::enter(self.scopes, scope),
        }
    }

    /// Takes one request from every budget in force.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OverBudget`] if one is used up; then nothing is taken.
    pub(super) fn spend(&self, summary: &str) -> Result<()> {
        let budgets = budgets_of(self.scopes, self.number);
        let Some(full) = budgets.iter().position(|budget| !budget.take()) else {
            return Ok(());
        };
        budgets[..full].iter().for_each(|budget| budget.give_back());
        Err(exceeded(budgets[full].allowed, summary))
    }
}

impl RequestBudget {
    /// How many requests were sent so far.
    pub fn spent(&self) -> u64 {
        self.budget.spent()
    }

    /// Whether the budget was enough so far.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OverBudget`] if a request was refused, even if its error was ignored.
    pub fn check(&self) -> Result<()> {
        match self.budget.is_exceeded() {
            true => Err(exceeded(self.budget.allowed, "a request")),
            false => Ok(()),
        }
    }
}

debug_fields!(RequestBudget, |this| allowed: this.budget.allowed, spent: this.spent());

fn exceeded(allowed: u64, summary: &str) -> Error {
    Error::new(
        ErrorKind::OverBudget,
        format!(
            "{summary}: not sent, because the request budget ({allowed}) is used up; select \
             what is read in the query, or populate it before the loop"
        ),
    )
}
