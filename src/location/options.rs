//! How a transfer runs.

use std::fmt;
use std::sync::Arc;

use crate::accessor::{Observer, Progress};

/// How a transfer runs: on how many connections, observed by whom.
///
/// ```
/// use ftrack_api::location::TransferOptions;
///
/// let options = TransferOptions::new()
///     .connections(8)
///     .on_progress(|progress| println!("{} of {} bytes", progress.bytes(), progress.total_bytes()));
/// # let _ = options;
/// ```
#[derive(Clone, Default)]
#[must_use = "pass it to a transfer"]
#[non_exhaustive]
pub struct TransferOptions {
    pub(crate) connections: Option<usize>,
    pub(crate) observer: Option<Observer>,
    pub(crate) replace: bool,
    /// Whether copies stay after a failure: the call is repeated with the same identifiers, or
    /// another machine has stored the same.
    pub(crate) keep: bool,
}

impl TransferOptions {
    /// The session's number of connections, no observer, and no file is replaced.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of connections, from 1 to 64; by default that of
    /// [`SessionBuilder::transfer_connections`](crate::SessionBuilder::transfer_connections).
    ///
    /// With 1, no thread is started. With more, each has a thread that ends with the call. Files
    /// share the connections, and so do the parts of a large file. A connection has up to 16 MiB
    /// of a file in memory, or one part of a larger file: 8 MiB up to 128 MiB, 128 MiB over 64 GiB.
    ///
    /// Accessors of your own get one connection unless they
    /// [allow more](crate::accessor::Accessor::allows_connections).
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Sets an observer. It is called in the thread of the caller, at most ten times a second and
    /// once at the end.
    pub fn on_progress(mut self, observer: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets whether a [download](crate::Location::download) replaces existing files. Has no effect
    /// on other transfers.
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }
}

impl fmt::Debug for TransferOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferOptions")
            .field("connections", &self.connections)
            .field("on_progress", &self.observer.is_some())
            .field("replace", &self.replace)
            .finish()
    }
}
