//! Two sessions that send the same components at the same time: what one has registered, the other
//! must not have removed.
//!
//! A session that fails removes what it has stored, unless it is registered. In the moment between the
//! question and the removal another session can register it, having found the file complete. So both
//! look once more after they have acted: whichever is the later one sees what the other has done, and
//! stores the data again from the source.

use super::plan::{Transfer, TransferStep};
use super::stored::Stored;
use crate::accessor::{Accessor, Work};
use crate::error::{Error, ErrorKind, Result};

impl Transfer {
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if what an interrupted transfer had left, and was used, is gone:
    ///   it was not interrupted, and has failed and cleaned up.
    pub(super) fn check_left_over(&self, accessor: &dyn Accessor) -> Result<()> {
        for step in self.files().filter(|step| step.is_stored) {
            let exists = accessor.exists(&step.resource_identifier);
            if !exists.map_err(|error| step.failure(&self.target, error))? {
                let message = format!(
                    "{} has vanished from {}: another transfer of {} has failed; repeat this one",
                    step.resource_identifier, self.target, step.component
                );
                return Err(Error::new(ErrorKind::Duplicate, message));
            }
        }
        Ok(())
    }

    /// Stores what was used and registered, and has vanished since.
    pub(super) fn restore_left_over(&mut self, work: &Work) -> Result<()> {
        let accessor = self.target.require_accessor()?;
        let is_gone = |step: &TransferStep| {
            step.is_stored && !accessor.exists(&step.resource_identifier).unwrap_or(true)
        };
        self.restore(work, is_gone)
    }

    /// Stores what was removed after `error`, and another session has registered meanwhile.
    pub(super) fn restore_registered(&mut self, work: &Work, error: Error) -> Error {
        let Ok(registered) = self.registered() else {
            return error;
        };
        if registered.is_empty() {
            return error;
        }
        let is_theirs = |step: &TransferStep| registered.contains(&step.resource_identifier);
        match self.restore(work, is_theirs) {
            Ok(()) => self.target.duplicate(&self.components()),
            Err(error) => error,
        }
    }

    fn restore(&mut self, work: &Work, is_lost: impl Fn(&TransferStep) -> bool) -> Result<()> {
        for step in &mut self.steps {
            step.is_stored = !is_lost(step);
        }
        if self.steps.iter().all(|step| step.is_stored) {
            return Ok(());
        }
        log::warn!(
            "another transfer to {} has failed; storing its data again",
            self.target
        );
        // What it says is no longer so.
        self.journal = None;
        let mut stored = Stored::new(self.target.require_accessor()?);
        let restored = self.copy(&mut stored, work);
        restored.map_err(|error| {
            let target = &self.target;
            error.context(format!(
                "data that is registered in {target} was removed, and is lost"
            ))
        })
    }
}
