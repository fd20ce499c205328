//! Request budgets: how many requests a thread may still send.

use std::fmt;

use super::Api;
use crate::calls::{Budget, Scope, ThreadScope, WithScopes};
use crate::error::{Error, ErrorKind, Result};

/// Limits the requests that a thread sends through a session, until it is dropped; see
/// [`Session::request_budget`](crate::Session::request_budget).
#[must_use = "bind it: `let _budget = …`; `let _ = …` would drop it at once"]
pub struct RequestBudget {
    scope: ThreadScope,
    scopes: WithScopes,
}

impl Api {
    /// Allows this thread `requests` requests until the budget is dropped. Budgets nest: each
    /// request counts in all of them.
    pub(crate) fn budget(&self, requests: u64) -> RequestBudget {
        let budget = Budget {
            allowed: requests,
            spent: 0,
            is_exceeded: false,
        };
        RequestBudget {
            scope: ThreadScope::enter(self.scopes, Scope::Budget(self.number, budget)),
            scopes: self.scopes,
        }
    }

    /// Takes one request from every budget in force.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OverBudget`] if one is used up; then nothing is taken.
    pub(super) fn spend(&self, summary: &str) -> Result<()> {
        let mut result = Ok(());
        (self.scopes)(&mut |scopes| {
            let mut budgets: Vec<&mut Budget> = scopes
                .iter_mut()
                .filter_map(|(_, scope)| match scope {
                    Scope::Budget(session, budget) if *session == self.number => Some(budget),
                    _ => None,
                })
                .collect();
            if let Some(full) = budgets.iter_mut().find(|one| one.spent >= one.allowed) {
                full.is_exceeded = true;
                result = Err(exceeded(full.allowed, summary));
                return;
            }
            budgets.iter_mut().for_each(|budget| budget.spent += 1);
        });
        result
    }
}

impl RequestBudget {
    /// How many requests were sent so far.
    pub fn spent(&self) -> u64 {
        self.read().spent
    }

    /// Whether the budget was enough so far.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OverBudget`] if a request was refused, even if its error was ignored
    pub fn check(&self) -> Result<()> {
        let budget = self.read();
        match budget.is_exceeded {
            true => Err(exceeded(budget.allowed, "a request")),
            false => Ok(()),
        }
    }

    fn read(&self) -> Budget {
        let mut found = None;
        (self.scopes)(&mut |scopes| {
            found = scopes.iter_mut().find_map(|(number, scope)| match scope {
                Scope::Budget(_, budget) if number == self.scope.number() => Some(*budget),
                _ => None,
            });
        });
        found.expect("it is in force until it is dropped")
    }
}

impl fmt::Debug for RequestBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = self.read();
        f.debug_struct("RequestBudget")
            .field("allowed", &budget.allowed)
            .field("spent", &budget.spent)
            .finish()
    }
}

fn exceeded(allowed: u64, summary: &str) -> Error {
    Error::new(
        ErrorKind::OverBudget,
        format!(
            "{summary}: not sent, because the budget of {allowed} requests is used up; select \
             what is read in the query, or populate it before the loop"
        ),
    )
}
