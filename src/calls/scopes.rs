//! What is in force in a thread for a while: the call it is in, tokens, budgets, settings.
//!
//! The copy of this crate that a plugin's library brings has thread-local values of its own. So
//! whoever keeps a scope remembers the function by which the library that opened the session
//! reaches its own.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::call::Call;
use super::cancel::CancelToken;
use crate::config::Populate;

thread_local! {
    static SCOPES: RefCell<ThreadScopes> = const { RefCell::new(ThreadScopes { scopes: Vec::new() }) };
}

/// One thing that is in force. The numbers of sessions are those of [`Api`](crate::api::Api).
pub(crate) enum Scope {
    /// The thread is in this call.
    Call(Arc<Call>),
    /// The token cancels the thread's calls.
    Cancel(CancelToken),
    /// The requests of a session are limited.
    Budget(u64, Arc<Budget>),
    /// What a session does when an attribute is read that is not loaded.
    Populate(u64, Populate),
    /// Whether a session records changes.
    Record(u64, bool),
}

/// How many requests are allowed, and how many were sent. The threads of a transfer share it.
pub(crate) struct Budget {
    pub(crate) allowed: u64,
    spent: AtomicU64,
    /// Whether a request was refused.
    is_exceeded: AtomicBool,
}

impl Budget {
    pub(crate) fn new(allowed: u64) -> Self {
        Self {
            allowed,
            spent: AtomicU64::new(0),
            is_exceeded: AtomicBool::new(false),
        }
    }

    /// Takes a request; false if all are used up.
    pub(crate) fn take(&self) -> bool {
        let more = |spent: u64| (spent < self.allowed).then_some(spent + 1);
        let (set, read) = (Ordering::AcqRel, Ordering::Acquire);
        let taken = self.spent.fetch_update(set, read, more).is_ok();
        if !taken {
            self.is_exceeded.store(true, Ordering::Release);
        }
        taken
    }

    /// Gives a request back that was not sent.
    pub(crate) fn give_back(&self) {
        self.spent.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn spent(&self) -> u64 {
        self.spent.load(Ordering::Acquire)
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Acquire)
    }
}

/// The scopes of one thread, the innermost last, with their numbers.
pub(crate) struct ThreadScopes {
    scopes: Vec<(u64, Scope)>,
}

impl ThreadScopes {
    fn push(&mut self, scope: Scope) -> u64 {
        let number = self.scopes.last().map_or(0, |(number, _)| number + 1);
        self.scopes.push((number, scope));
        number
    }

    fn remove(&mut self, number: u64) -> Option<Scope> {
        let place = self.scopes.iter().position(|(own, _)| *own == number)?;
        Some(self.scopes.remove(place).1)
    }

    /// What `read` returns for the innermost scope that it knows.
    pub(crate) fn find<T>(&self, read: impl FnMut(&Scope) -> Option<T>) -> Option<T> {
        self.scopes
            .iter()
            .rev()
            .map(|(_, scope)| scope)
            .find_map(read)
    }
}

/// Calls with the scopes of the current thread, in the library that this function belongs to.
pub(crate) type WithScopes = fn(&mut dyn FnMut(&mut ThreadScopes));

/// The scopes of this library.
pub(crate) fn with_scopes(call: &mut dyn FnMut(&mut ThreadScopes)) {
    SCOPES.with_borrow_mut(call);
}

/// The tokens in force in this thread.
pub(crate) fn tokens_of(scopes: WithScopes) -> Vec<CancelToken> {
    let mut tokens = Vec::new();
    scopes(&mut |scopes| {
        tokens.extend(scopes.scopes.iter().filter_map(|(_, scope)| match scope {
            Scope::Cancel(token) => Some(token.clone()),
            _ => None,
        }));
    });
    tokens
}

/// The budgets of a session in force in this thread, the outermost first.
pub(crate) fn budgets_of(scopes: WithScopes, session: u64) -> Vec<Arc<Budget>> {
    let mut budgets = Vec::new();
    scopes(&mut |scopes| {
        budgets.extend(scopes.scopes.iter().filter_map(|(_, scope)| match scope {
            Scope::Budget(own, budget) if *own == session => Some(budget.clone()),
            _ => None,
        }));
    });
    budgets
}

/// Keeps something in force in the thread that made it, until it is dropped: a
/// [setting](crate::Session::auto_populating) or a [token](CancelToken::enter).
#[must_use = "bind it: `let _scope = …`; `let _ = …` would drop it at once"]
pub struct ThreadScope {
    number: u64,
    scopes: WithScopes,
    /// Not `Send`: it belongs to this thread.
    thread: PhantomData<*const ()>,
}

impl ThreadScope {
    pub(crate) fn enter(scopes: WithScopes, scope: Scope) -> Self {
        let (mut scope, mut number) = (Some(scope), 0);
        scopes(&mut |scopes| {
            if let Some(scope) = scope.take() {
                number = scopes.push(scope);
            }
        });
        Self {
            number,
            scopes,
            thread: PhantomData,
        }
    }
}

impl Drop for ThreadScope {
    fn drop(&mut self) {
        let mut removed = None;
        (self.scopes)(&mut |scopes| removed = scopes.remove(self.number));
    }
}

debug_fields!(ThreadScope);

impl Call {
    /// The call that this thread is in.
    pub(crate) fn current() -> Option<Arc<Self>> {
        let mut current = None;
        with_scopes(&mut |scopes| {
            current = scopes.find(|scope| match scope {
                Scope::Call(call) => Some(call.clone()),
                _ => None,
            });
        });
        current
    }

    /// Does `work` as a part of this call.
    pub(crate) fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        self.run_in(with_scopes, work)
    }

    /// Does `work` as a part of this call, for the library of `scopes`.
    pub(crate) fn run_in<T>(self: &Arc<Self>, scopes: WithScopes, work: impl FnOnce() -> T) -> T {
        let _scope = ThreadScope::enter(scopes, Scope::Call(self.clone()));
        let done = work();
        self.detach();
        done
    }
}

impl CancelToken {
    /// Lets this token cancel the requests of this thread, of whatever session, until the scope is
    /// dropped. Tokens nest: each of them cancels.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::{CancelToken, ErrorKind};
    ///
    /// let token = CancelToken::new();
    /// let _scope = token.enter();
    /// session.query("Task limit 10")?.all()?;
    /// token.cancel();
    /// assert_eq!(session.query("Task")?.all().unwrap_err().kind(), ErrorKind::Cancelled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enter(&self) -> ThreadScope {
        ThreadScope::enter(with_scopes, Scope::Cancel(self.clone()))
    }

    /// Does `work` in the scope of [`enter`](Self::enter).
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _scope = self.enter();
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_may_end_in_any_order() {
        let innermost = || {
            let mut found = None;
            with_scopes(&mut |scopes| {
                found = scopes.find(|scope| match scope {
                    Scope::Record(1, record) => Some(*record),
                    _ => None,
                });
            });
            found
        };
        let enter = |scope| ThreadScope::enter(with_scopes, scope);
        assert_eq!(innermost(), None);
        let outer = enter(Scope::Record(1, true));
        let other = enter(Scope::Record(2, false));
        let inner = enter(Scope::Record(1, false));
        assert_eq!(innermost(), Some(false));
        drop(outer);
        drop(other);
        assert_eq!(innermost(), Some(false));
        drop(inner);
        assert_eq!(innermost(), None);
    }
}
