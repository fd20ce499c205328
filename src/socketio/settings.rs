//! The limits of a machine, in numbers and in time.

use std::time::Duration;

/// The limits of a [`Machine`](super::Machine).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The packets in flight for each millisecond to the server, and the fewest.
    pub(crate) window: usize,
    pub(crate) window_bytes: usize,
    pub(crate) ack_timeout: Duration,
    /// Used if the handshake names none.
    pub(crate) heartbeat_timeout: Duration,
    /// How many connections may break over an event before it is handed back.
    pub(crate) strikes: u32,
    pub(crate) first_delay: Duration,
    pub(crate) longest_delay: Duration,
    /// How many attempts in a row may fail; no limit if `None`.
    pub(crate) attempts: Option<u32>,
    /// How long `stop` waits for acknowledgements.
    pub(crate) closing: Duration,
    /// How many ids of incoming events are remembered.
    pub(crate) seen: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 32,
            window_bytes: 256 * 1024,
            ack_timeout: Duration::from_secs(30),
            heartbeat_timeout: Duration::from_secs(60),
            strikes: 5,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(30),
            attempts: None,
            closing: Duration::from_millis(75),
            seen: 8192,
        }
    }
}
