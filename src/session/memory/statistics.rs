//! Counters of a session, and budgets of requests.

use crate::api::{RequestBudget, Statistics};
use crate::error::Result;
use crate::handle::Session;

impl Session {
    /// Counters of this session's requests so far.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// for task in session.query("select name from Task limit 20")?.all()? {
    ///     task.get::<Option<String>>("status.name")?;
    /// }
    /// let statistics = session.statistics();
    /// // One request brought the statuses of all twenty tasks.
    /// assert_eq!(statistics.loads_on_access["Task.status.name"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.shared.api.counters().read()
    }

    /// Limits the requests that this thread may send through the session until the budget is
    /// dropped. In a test, it keeps a loop from becoming slow unnoticed.
    ///
    /// Budgets nest. The session's other threads are not counted, but those of a transfer of this
    /// thread are. A request beyond the budget is an
    /// error of kind [`OverBudget`](crate::ErrorKind::OverBudget) and is not sent.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::ErrorKind;
    ///
    /// let budget = session.request_budget(2);
    /// for task in session.query("select name from Task limit 20")?.all()? {
    ///     task.get::<String>("status.name")?;
    /// }
    /// assert_eq!(budget.spent(), 2);
    /// let error = session.query("Project")?.all().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::OverBudget);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_budget(&self, requests: u64) -> RequestBudget {
        self.shared.api.budget(requests)
    }

    /// Does `work` with a [budget](Self::request_budget).
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let names = session.with_request_budget(2, || {
    ///     let tasks = session.query("select name from Task limit 20")?.all()?;
    ///     tasks.iter().map(|task| task.get::<String>("status.name")).collect::<Result<Vec<_>, _>>()
    /// })?;
    /// assert_eq!(names.len(), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OverBudget`](crate::ErrorKind::OverBudget) if `work` needed more requests,
    ///   even if it ignored the error.
    /// - That of `work`.
    pub fn with_request_budget<T>(
        &self,
        requests: u64,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let budget = self.request_budget(requests);
        let done = work()?;
        budget.check().map(|()| done)
    }
}
