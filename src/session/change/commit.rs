//! Sending recorded operations, or forgetting them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::api::{Intent, Pace};
use crate::calls::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Session, Shared};
use crate::lock::MutexGuard;
use crate::operation::{Operation, Plan, optimise, resolve};
use crate::store::Store;
use crate::value::EntityKey;
use crate::wire::{Rows, decode, encode_commit};

use super::blame::blame;

impl Session {
    /// Sends everything that was recorded, in one request and one transaction: either all of it
    /// is on the server afterwards, or nothing.
    ///
    /// What other threads record meanwhile waits for the next commit. When nothing is recorded,
    /// nothing is sent.
    ///
    /// # Errors
    ///
    /// The server's failure under its kind, or what kept its answer from arriving; then every
    /// operation is still recorded: commit again, change something, or
    /// [`rollback`](Self::rollback). When the answer of the server is lost, this asks whether it
    /// took the batch, and if it did not sends it again, as [`Retry`](crate::Retry) allows; while
    /// that cannot be told, the next commit asks first, so that nothing is applied twice.
    pub fn commit(&self) -> Result<()> {
        self.check_writable()?;
        self.commit_all(usize::MAX, |_, _| {})
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

    /// Commits the first operations of the queue, and says how many: not more than `count`.
    ///
    /// What is not on the server although its answer was lost is sent again. While the lost
    /// request is still under way that may make the server refuse the second one, as a duplicate:
    /// then it is asked about once more.
    fn commit_first(&self, count: usize) -> Result<usize> {
        let mut pace = self.shared.api.pace();
        let mut in_doubt = match self.settle(&pace)? {
            Fate::Applied(settled) => return Ok(settled),
            Fate::NotApplied => true,
            Fate::Known => false,
        };
        loop {
            let failure = match self.commit_once(count, in_doubt, &pace) {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            let unclear = failure.leaves_doubt();
            if !unclear && !in_doubt {
                return Err(failure);
            }
            if may_be_at_work(&failure) {
                return Err(failure.and(UNSETTLED));
            }
            match self.settle(&pace) {
                Ok(Fate::Applied(settled)) => return Ok(settled),
                Ok(_) if unclear => {}
                // The server has refused what it does not have: that was no duplicate.
                Ok(_) => {
                    self.shared.store.lock().is_settled();
                    return Err(failure);
                }
                Err(_) => return Err(failure.and(UNSETTLED)),
            }
            if !pace.goes_on(&failure, "commit") {
                return Err(failure.and("It is not on the server, or may safely be sent again."));
            }
            in_doubt = true;
        }
    }

    /// Sends the first operations of the queue once. With `in_doubt`, an earlier request with
    /// them may have arrived, so that whatever goes wrong now leaves them so.
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

    /// Finds out about a commit whose answer was lost.
    ///
    /// # Errors
    ///
    /// What kept the server from telling; the commit is in doubt as before.
    fn settle(&self, pace: &Pace<'_>) -> Result<Fate> {
        let Some(operations) = self.shared.begin_settling(pace)? else {
            return Ok(Fate::Known);
        };
        let mut ending = CommitEnding {
            shared: &self.shared,
            rows: None,
            in_doubt: true,
        };
        let is_applied = self.is_applied(&operations).map_err(|error| {
            error.context("a commit whose answer was lost, and which stays recorded")
        })?;
        // What is not there may still be under way: until it is sent again the doubt remains.
        if !is_applied {
            return Ok(Fate::NotApplied);
        }
        log::info!("a commit whose answer was lost is on the server");
        ending.rows = Some(Rows::default());
        Ok(Fate::Applied(operations.len()))
    }

    /// Whether the answer to a commit was lost, and nobody knows what became of it.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.shared.store.lock().in_doubt() > 0
    }

    /// Finds out what became of a commit whose answer was lost, by committing: who looks for what it
    /// may have made before that, and does not find it, would make it a second time.
    pub(crate) fn settle_doubt(&self) -> Result<()> {
        match self.is_in_doubt() {
            true => self.commit(),
            false => Ok(()),
        }
    }

    fn send_operations(&self, operations: &[Operation]) -> Result<Rows> {
        // Nothing is sent before it is known who is in them.
        let whole = self.with_whole_collections(operations);
        let whole = whole.map_err(|error| stays(error.unsent(), operations.len()))?;
        let payloads = optimise(&whole);
        if payloads.is_empty() {
            return Ok(Rows::default());
        }
        let summary = format!("commit of {}", changes(payloads.len()));
        let doing = |error| stays(error, payloads.len());
        let body = encode_commit(self.schema(), &payloads).map_err(doing)?;
        let answer = self.shared.api.send(Intent::Change, &body, &summary);
        let answer =
            answer.map_err(|error| doing(blame(error, self.schema(), operations, &payloads)))?;
        let rows = decode(self.schema(), &answer).map_err(doing)?.rows;
        self.shared.api.done_with(answer);
        Ok(rows)
    }

    /// Sends what is recorded in several requests of at most `size` operations each, for batches
    /// that are too large for one. `progress` is told how many operations are on the server, and
    /// how many there are, after each request.
    ///
    /// Each request is a transaction of its own: when one fails, those before it stay on the
    /// server, and what is not on it stays recorded. Prefer [`commit`](Self::commit) where it
    /// works.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Validation`] for a size of zero, else as for [`commit`](Self::commit).
    pub fn commit_in_chunks(&self, size: usize, progress: impl FnMut(usize, usize)) -> Result<()> {
        if size == 0 {
            return Err(Error::new(
                ErrorKind::Validation,
                "a chunk holds at least one operation",
            ));
        }
        self.check_writable()?;
        self.commit_all(size, progress)
    }

    /// The server takes only whole collections: asks it who is in those that are extended.
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

    /// Forgets everything that was recorded and every value that was set. Entities that were
    /// created and not committed are gone afterwards; deleted ones are there again.
    ///
    /// Waits for a commit that another thread has begun.
    pub fn rollback(&self) {
        let call = Arc::new(Call::default());
        loop {
            if let Some(mut store) = self.shared.idle_store(&call) {
                return store.rollback();
            }
        }
    }

    /// What a commit would send now: each change with the value before and after, as data and,
    /// printed, as text for people.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let task = session.query("select description from Task")?.first()?.expect("a task");
    /// task.set("description", "two")?;
    /// task.set("description", "three")?;
    /// assert!(session.plan().to_string().ends_with("-> \"three\"\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plan(&self) -> Plan {
        Plan::new(&self.recorded_operations())
    }

    /// The operations that no commit has brought to the server yet, oldest first.
    pub fn recorded_operations(&self) -> Vec<Operation> {
        self.shared.store.lock().operations().cloned().collect()
    }
}

/// What became of a commit whose answer was lost.
enum Fate {
    /// There is none.
    Known,
    /// So many operations are on the server.
    Applied(usize),
    /// Nothing of it is on the server, or doing it again does no harm.
    NotApplied,
}

const UNSETTLED: &str = "It may be on the server all the same; the next commit asks first.";

fn changes(count: usize) -> String {
    match count {
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    }
}

/// The error of a commit that failed, with what becomes of its changes.
fn stays(error: Error, count: usize) -> Error {
    let stay = if count == 1 { "stays" } else { "stay" };
    error.context(format_args!(
        "commit of {}, which {stay} recorded",
        changes(count)
    ))
}

/// Whether the server may go on with what it was sent, so that asking it now tells nothing.
fn may_be_at_work(failure: &Error) -> bool {
    let is_late = failure.status() == Some(504);
    let kinds = [ErrorKind::Timeout, ErrorKind::Cancelled, ErrorKind::Closed];
    failure.leaves_doubt() && (is_late || kinds.contains(&failure.kind()))
}

impl Shared {
    /// Takes what is in doubt as a commit of its own, so that no other thread touches it.
    fn begin_settling(&self, pace: &Pace<'_>) -> Result<Option<Arc<Vec<Operation>>>> {
        let mut store = self.without_commit(pace)?;
        let count = store.in_doubt();
        Ok((count > 0).then(|| store.begin_commit(count)).flatten())
    }

    /// Waits until no commit is under way, then begins one of at most `count` operations.
    fn begin_commit(&self, count: usize, pace: &Pace<'_>) -> Result<Option<Arc<Vec<Operation>>>> {
        Ok(self.without_commit(pace)?.begin_commit(count))
    }

    /// The store, once no commit of another thread is under way.
    fn without_commit(&self, pace: &Pace<'_>) -> Result<MutexGuard<'_, Store>> {
        loop {
            if let Some(store) = self.idle_store(pace.call()) {
                return Ok(store);
            }
            pace.check("commit, which waited for another one")?;
        }
    }

    /// The store, or nothing after waiting for the end of a commit that is under way.
    fn idle_store(&self, call: &Arc<Call>) -> Option<MutexGuard<'_, Store>> {
        // Before the look, so that the end of a commit cannot pass it by.
        self.committers.add(call);
        let store = self.store.lock();
        if !store.is_committing() {
            return Some(store);
        }
        drop(store);
        call.wait();
        None
    }
}

/// Ends a commit however the sending ended, a panic included: otherwise every later commit would
/// wait for ever.
struct CommitEnding<'a> {
    shared: &'a Shared,
    rows: Option<Rows>,
    /// Whether the operations may be on the server although no answer says so.
    in_doubt: bool,
}

impl Drop for CommitEnding<'_> {
    fn drop(&mut self) {
        let news = self.shared.end_commit(self.rows.take(), self.in_doubt);
        self.shared.committers.wake();
        // A cache may take its time: nobody waits for it.
        self.shared.tell_cache(&news);
    }
}
