//! Commits: sends recorded operations, then updates the store and the cache.

use std::borrow::Cow;
use std::sync::Arc;

use crate::api::{Intent, Pace};
use crate::calls::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Session, Shared};
use crate::lock::MutexGuard;
use crate::operation::{Operation, optimise, resolve};
use crate::schema::TypeId;
use crate::store::{CONFIGURATION, Store};
use crate::value::{EntityKey, Key};
use crate::wire::{EntityDelta, Rows, check_commit, decode, deltas_in, encode_commit};

use super::blame::blame;

impl Session {
    /// Sends everything that is recorded in one request. The request is one transaction: the server
    /// applies either all of it or nothing.
    ///
    /// Operations that other threads record during the commit wait for the next one. If nothing is
    /// recorded, nothing is sent.
    ///
    /// If the response is lost, this asks the server whether it applied the batch, and sends the
    /// batch again if not, as often as [`Retry`](crate::config::Retry) allows. While that cannot be
    /// found out, the next commit asks first, so that nothing is applied twice.
    ///
    /// # Errors
    ///
    /// After any error every operation is still recorded: commit again, change something, or
    /// [`rollback`](Self::rollback).
    ///
    /// - [`ErrorKind::Validation`], [`ErrorKind::Permission`], [`ErrorKind::Duplicate`] or
    ///   [`ErrorKind::Server`] if the server refuses a change: nothing was applied.
    /// - [`ErrorKind::Connection`], [`ErrorKind::Timeout`], [`ErrorKind::Unavailable`] or
    ///   [`ErrorKind::Cancelled`] if no response arrives: the message says whether the batch may
    ///   have been applied.
    /// - [`ErrorKind::BadResponse`] if the response does not confirm what was sent: the batch may
    ///   have been applied.
    /// - [`ErrorKind::ReadOnly`] or [`ErrorKind::Closed`] if the session cannot commit: nothing was
    ///   sent.
    pub fn commit(&self) -> Result<()> {
        self.check_writable()?;
        self.commit_all(usize::MAX, |_, _| {})
    }

    /// Sends what is recorded in several requests of at most `size` operations each, for batches
    /// that are too large for one. After each request `progress` gets the number of operations that
    /// are on the server and the number of all.
    ///
    /// Each request is a transaction of its own. If one fails, the earlier ones stay applied, and
    /// the rest stays recorded. Prefer [`commit`](Self::commit) where it works.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if `size` is zero: nothing was sent.
    /// - Any error of [`commit`](Self::commit), for the request that failed.
    pub fn commit_in_chunks(&self, size: usize, progress: impl FnMut(usize, usize)) -> Result<()> {
        if size == 0 {
            return Err(Error::new(
                ErrorKind::Validation,
                "a chunk needs room for at least one operation",
            ));
        }
        self.check_writable()?;
        self.commit_all(size, progress)
    }

    /// Commits what is recorded by now, at most `size` operations in a request.
    fn commit_all(&self, size: usize, mut progress: impl FnMut(usize, usize)) -> Result<()> {
        let all = self.shared.store.lock().operations().count();
        let mut sent = 0;
        while sent < all {
            sent += self.commit_first(size.min(all - sent))?;
            progress(sent, all);
        }
        Ok(())
    }

    /// Commits the first operations of the queue, at most `count`, and returns their number.
    ///
    /// A batch that was not applied although its response is lost is sent again. If the lost
    /// request arrives late, the server may refuse the second one as a duplicate; then the batch is
    /// reconciled once more.
    fn commit_first(&self, count: usize) -> Result<usize> {
        let mut pace = self.shared.api.pace();
        let mut in_doubt = match self.reconcile(&pace)? {
            Fate::Applied(operations) => return Ok(operations),
            Fate::NotApplied => true,
            Fate::NoDoubt => false,
        };
        loop {
            let failure = match self.commit_once(count, in_doubt, &pace) {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            let leaves_doubt = failure.leaves_doubt();
            if !leaves_doubt && !in_doubt {
                return Err(failure);
            }
            if may_still_be_applied(&failure) {
                return Err(left_in_doubt(failure));
            }
            match self.reconcile(&pace) {
                Ok(Fate::Applied(operations)) => return Ok(operations),
                Ok(_) if leaves_doubt => {}
                // The server refused the batch and does not have it, so it was no duplicate.
                Ok(_) => {
                    self.shared.store.lock().clear_doubt();
                    return Err(failure);
                }
                Err(_) => return Err(left_in_doubt(failure)),
            }
            if !pace.goes_on(&failure, "commit") {
                return Err(failure.with_note("It was not applied so far."));
            }
            in_doubt = true;
        }
    }

    /// Sends the first operations of the queue once. `in_doubt` says that an earlier request with
    /// them may have been applied; then they are in doubt after any failure.
    fn commit_once(&self, count: usize, in_doubt: bool, pace: &Pace<'_>) -> Result<usize> {
        let Some(operations) = self.shared.begin_commit(count, pace)? else {
            return Ok(count);
        };
        let mut ending = CommitEnding {
            shared: &self.shared,
            rows: None,
            in_doubt: true,
        };
        let sent = self.send_operations(&operations);
        ending.in_doubt = in_doubt || sent.as_ref().is_err_and(Error::leaves_doubt);
        ending.rows = Some(sent?);
        Ok(operations.len())
    }

    /// Finds out whether the first commit in doubt was applied, and ends it if so.
    ///
    /// # Errors
    ///
    /// - Any error of the request: the commit stays in doubt.
    fn reconcile(&self, pace: &Pace<'_>) -> Result<Fate> {
        let Some(operations) = self.shared.begin_reconciliation(pace)? else {
            return Ok(Fate::NoDoubt);
        };
        let mut ending = CommitEnding {
            shared: &self.shared,
            rows: None,
            in_doubt: true,
        };
        let is_applied = self.is_applied(&operations).map_err(|error| {
            let doing = "finding out whether a commit was applied whose response was lost";
            error.context(doing).with_remedy(IN_DOUBT).in_doubt()
        })?;
        // The lost request may still arrive: the doubt remains until the batch is sent again.
        if !is_applied {
            return Ok(Fate::NotApplied);
        }
        log::info!("the commit whose response was lost has been applied");
        ending.rows = Some(Rows::default());
        Ok(Fate::Applied(operations.len()))
    }

    /// Whether a commit is in doubt.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.shared.store.lock().in_doubt() > 0
    }

    /// Commits if a commit is in doubt. To be called before a search for something that the commit
    /// may have created: otherwise it might be created a second time.
    pub(crate) fn resolve_doubt(&self) -> Result<()> {
        match self.is_in_doubt() {
            true => self.commit(),
            false => Ok(()),
        }
    }

    fn send_operations(&self, operations: &[Operation]) -> Result<Rows> {
        // Nothing is sent before the members of extended collections are known.
        let whole = self.with_whole_collections(operations);
        let whole = whole.map_err(|error| failed_commit(error.unsent(), operations.len()))?;
        let payloads = optimise(&whole);
        if payloads.is_empty() {
            return Ok(Rows::default());
        }
        let summary = format!("commit of {}", changes(payloads.len()));
        let failed = |error| failed_commit(error, payloads.len());
        let body = encode_commit(self.schema(), &payloads).map_err(failed)?;
        let response = self.shared.api.send(Intent::Change, &body, &summary);
        let response =
            response.map_err(|error| failed(blame(error, self, operations, &payloads)))?;
        let decoded = self.shared.api.decode(response, &summary, |response| {
            let batch = decode(self.schema(), response)?;
            check_commit(self.schema(), &payloads, &batch)?;
            Ok(batch.rows)
        });
        decoded.map_err(failed)
    }

    /// Replaces extensions of collections by whole collections, which is what the server takes.
    /// Fetches their present members first.
    fn with_whole_collections<'a>(
        &self,
        operations: &'a [Operation],
    ) -> Result<Cow<'a, [Operation]>> {
        let extends = |one: &Operation| matches!(one, Operation::Extend { .. });
        if !operations.iter().any(extends) {
            return Ok(Cow::Borrowed(operations));
        }
        let extended = self.shared.store.lock().extended_collections(operations);
        self.fetch_by_type(extended)?;
        let store = self.shared.store.lock();
        let members = |entity: &EntityKey, name: &str| store.remote_members(entity, name);
        Ok(Cow::Owned(resolve(operations, members)))
    }
}

/// What reconciliation found out.
enum Fate {
    /// No commit is in doubt.
    NoDoubt,
    /// The commit, of this number of operations, was applied.
    Applied(usize),
    /// The commit was not applied, or can safely be applied again.
    NotApplied,
}

const STILL_RECORDED: &str =
    "Everything stays recorded: commit again, change something, or roll it back.";
const IN_DOUBT: &str = "Everything stays recorded, and the next commit finds out first.";

fn left_in_doubt(failure: Error) -> Error {
    let noted = failure.with_note("It may have been applied all the same.");
    noted.with_remedy(IN_DOUBT).in_doubt()
}

fn changes(count: usize) -> String {
    match count {
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    }
}

/// The error of a failed commit of `count` changes.
fn failed_commit(error: Error, count: usize) -> Error {
    let failed = error.context(format_args!("commit of {}", changes(count)));
    failed.with_remedy(STILL_RECORDED)
}

/// Whether the server may still be working on the request, so that asking now proves nothing.
fn may_still_be_applied(failure: &Error) -> bool {
    let is_gateway_timeout = failure.status() == Some(504);
    let kinds = [ErrorKind::Timeout, ErrorKind::Cancelled, ErrorKind::Closed];
    failure.leaves_doubt() && (is_gateway_timeout || kinds.contains(&failure.kind()))
}

/// Whether an operation changes which custom attributes exist.
fn configures(operation: &Operation) -> bool {
    operation.entity().entity_type() == CONFIGURATION
}

impl Shared {
    /// Begins the first commit in doubt as a commit, so that no other thread touches it.
    fn begin_reconciliation(&self, pace: &Pace<'_>) -> Result<Option<Arc<Vec<Operation>>>> {
        let mut store = self.wait_for_commits(pace)?;
        let count = store.in_doubt();
        Ok((count > 0).then(|| store.begin_commit(count)).flatten())
    }

    /// Waits until no commit is under way, then begins one of at most `count` operations.
    fn begin_commit(&self, count: usize, pace: &Pace<'_>) -> Result<Option<Arc<Vec<Operation>>>> {
        Ok(self.wait_for_commits(pace)?.begin_commit(count))
    }

    /// The store, once no other thread is committing.
    fn wait_for_commits(&self, pace: &Pace<'_>) -> Result<MutexGuard<'_, Store>> {
        loop {
            if let Some(store) = self.idle_store(pace.call()) {
                return Ok(store);
            }
            pace.check("commit, while waiting for another thread's commit")?;
        }
    }

    /// The store, or `None` after waiting for a commit that is under way.
    pub(super) fn idle_store(&self, call: &Arc<Call>) -> Option<MutexGuard<'_, Store>> {
        // Registered before the check, so that a commit that ends in between wakes the call.
        self.committers.add(call);
        let store = self.store.lock();
        if !store.is_committing() {
            return Some(store);
        }
        drop(store);
        call.wait();
        None
    }

    /// Ends a commit in the store; without rows it failed. Returns what the cache must learn.
    fn end_commit(&self, rows: Option<Rows>, in_doubt: bool) -> CommitNews {
        let has_cache = self.backing.get().is_some();
        let responded = match &rows {
            Some(rows) if has_cache => deltas_in(&self.schema, rows, std::iter::empty()),
            _ => Vec::new(),
        };
        let mut store = self.store.lock();
        let operations = store.operations_in_flight();
        let is_configured = rows.is_some() && operations.iter().any(configures);
        let news = match rows {
            Some(rows) if has_cache => {
                let effects = store.effects(&operations);
                drop(operations);
                let stale = store.commit_succeeded(rows);
                let (stale, deleted) = store.deltas_of(&stale);
                let known = [stale, store.known_after(&effects), responded];
                let deleted = deleted.into_iter().chain(effects.deleted).collect();
                CommitNews::Committed { known, deleted }
            }
            Some(rows) => {
                store.commit_succeeded(rows);
                CommitNews::Nothing
            }
            None if has_cache && in_doubt => {
                let effects = store.effects(&operations).on_collections();
                store.commit_failed(in_doubt);
                CommitNews::InDoubt(operations, store.known_after(&effects))
            }
            None => {
                store.commit_failed(in_doubt);
                CommitNews::Nothing
            }
        };
        drop(store);
        if is_configured {
            *self.custom_attributes.lock() = None;
        }
        news
    }

    /// Updates the cache after a commit. Called without the store's lock.
    fn update_cache(&self, news: &CommitNews) {
        match news {
            CommitNews::Nothing => {}
            CommitNews::Committed { known, deleted } => {
                known.iter().for_each(|known| self.write_to_cache(known));
                self.remove_from_cache(deleted);
            }
            CommitNews::InDoubt(operations, moved) => {
                self.write_to_cache(moved);
                let entities = operations.iter().filter_map(|operation| {
                    let entity = operation.entity();
                    let entity_type = self.schema.find(entity.entity_type())?;
                    Some((entity_type.id(), entity.key().clone()))
                });
                self.remove_from_cache(&entities.collect::<Vec<_>>());
            }
        }
    }
}

/// What the cache must learn after a commit.
enum CommitNews {
    Nothing,
    Committed {
        /// What became stale, then what the commit set, then what the server responded.
        known: [Vec<EntityDelta>; 3],
        deleted: Vec<(TypeId, Key)>,
    },
    /// These operations may have been applied, and these collections may have changed.
    InDoubt(Arc<Vec<Operation>>, Vec<EntityDelta>),
}

/// Ends a commit when it is dropped, so that a panic while sending cannot make later commits wait
/// for ever.
struct CommitEnding<'a> {
    shared: &'a Shared,
    rows: Option<Rows>,
    /// Whether the operations may have been applied although no response confirms it.
    in_doubt: bool,
}

impl Drop for CommitEnding<'_> {
    fn drop(&mut self) {
        let news = self.shared.end_commit(self.rows.take(), self.in_doubt);
        self.shared.committers.wake();
        // After waking the others: a cache may be slow.
        self.shared.update_cache(&news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_these_failures_the_server_may_still_be_at_work() {
        for (kind, status, expected) in [
            (ErrorKind::Timeout, None, true),
            (ErrorKind::Cancelled, None, true),
            (ErrorKind::Closed, None, true),
            (ErrorKind::Unavailable, Some(504), true),
            (ErrorKind::Unavailable, Some(502), false),
            (ErrorKind::Connection, None, false),
            (ErrorKind::BadResponse, None, false),
        ] {
            let failure = || match status {
                Some(status) => Error::new(kind, "").with_status(status),
                None => Error::new(kind, ""),
            };
            assert_eq!(
                may_still_be_applied(&failure()),
                expected,
                "{kind:?} {status:?}"
            );
            assert!(
                !may_still_be_applied(&failure().unsent()),
                "{kind:?} {status:?}"
            );
        }
    }
}
