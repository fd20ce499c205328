//! What a transfer has stored so far, so that it can be removed.

use std::collections::HashSet;
use std::sync::Arc;

use crate::accessor::Accessor;
use crate::error::Error;
use crate::lock::Mutex;

pub(super) struct Stored {
    accessor: Arc<dyn Accessor>,
    files: Mutex<Vec<String>>,
    containers: Vec<String>,
}

impl Stored {
    pub(super) fn new(accessor: Arc<dyn Accessor>) -> Self {
        Self {
            accessor,
            files: Mutex::new(Vec::new()),
            containers: Vec::new(),
        }
    }

    pub(super) fn accessor(&self) -> &dyn Accessor {
        &*self.accessor
    }

    pub(super) fn add(&self, identifier: &str) {
        self.files.lock().push(identifier.to_owned());
    }

    pub(super) fn make_container(&mut self, identifier: &str) -> anyhow::Result<()> {
        // One that may have existed before is never removed.
        let existed = self.accessor.is_container(identifier).unwrap_or(true);
        self.accessor.make_container(identifier)?;
        if !existed {
            self.containers.push(identifier.to_owned());
        }
        Ok(())
    }

    /// Leaves files alone that are no longer the transfer's own.
    pub(super) fn forget(&self, identifiers: &HashSet<String>) {
        self.files.lock().retain(|one| !identifiers.contains(one));
    }

    /// Removes what was stored, so that the transfer can be repeated.
    pub(super) fn remove(&self, error: Error) -> Error {
        let files = std::mem::take(&mut *self.files.lock());
        let identifiers = files.iter().chain(&self.containers);
        let stuck = identifiers.filter(|identifier| match self.accessor.remove(identifier) {
            Ok(_) => false,
            Err(why) => {
                log::warn!("cannot remove {identifier}, left by a failed transfer: {why:#}");
                true
            }
        });
        match stuck.count() {
            0 => error,
            count => error.with_note(&format!(
                "{count} of the copied files could not be removed; the log names them"
            )),
        }
    }
}
