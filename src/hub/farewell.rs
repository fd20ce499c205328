//! The end of a connection: what the server still sends is received, until it ends its side too.
//!
//! A socket that is closed while something is on its way to it answers with a reset. The
//! socket.io 0.9.19 server handles resets only until it has ended the connection itself, as it
//! does when it is told goodbye: a later one is an error without a handler, which ends the whole
//! program, with the connections of everybody (seen on npm's server with Node.js 20;
//! `leaving_in_a_burst_does_no_harm` in `tests/hub_peers.rs`).

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::hub::poller::Poller;

/// So long the server has to end its side.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection on which nothing more is sent.
pub(super) struct Farewell {
    tcp: TcpStream,
    until: Instant,
}

impl Farewell {
    pub(super) fn new(tcp: TcpStream) -> Self {
        // If the connection is gone already, reading tells.
        let _ = tcp.shutdown(Shutdown::Write);
        let until = Instant::now() + PATIENCE;
        Self { tcp, until }
    }

    /// Takes what has arrived; answers whether there is nothing more to wait for.
    pub(super) fn is_over(&mut self) -> bool {
        // Large: each read takes long under Wine, and what still comes must be through in time.
        let mut thrown_away = [0; 64 * 1024];
        while Instant::now() < self.until {
            match self.tcp.read(&mut thrown_away) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        true
    }

    /// Waits until something has arrived, the time is over, or the sleeper is woken.
    pub(super) fn wait(&self, poller: &mut Poller) -> std::io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        poller.sleep(Some(left)).map(drop)
    }
}
