//! How a session reaches its server.

use super::SessionBuilder;
use crate::config::Network;

impl SessionBuilder {
    /// Proxies, certificates and the limits of connections; what is not set in it comes from the
    /// environment. Requests and the event hub use the same.
    pub fn network(mut self, network: Network) -> Self {
        self.settings.network = network;
        self
    }
}
