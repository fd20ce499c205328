//! How a session reaches its server.

use super::SessionBuilder;
use crate::config::{Network, Retry};

impl SessionBuilder {
    /// Proxies, certificates and the limits of connections; what is not set in it comes from the
    /// environment. Requests and the event hub use the same.
    pub fn network(mut self, network: Network) -> Self {
        self.settings.network = network;
        self
    }

    /// Whether the session refuses to change anything: what would is an error of kind
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly), before anything is sent. Raw actions that are
    /// not known to read only are refused as well; events can be published.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.settings.read_only = read_only;
        self
    }

    /// When requests that failed are sent again; [`Retry::new`] unless set.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }
}
