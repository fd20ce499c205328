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

/// So long the server may be silent before it has ended its side.
const PATIENCE: Duration = Duration::from_secs(1);
/// At most so much of it passes between two looks at the socket, even if this process, or the
/// whole machine, stood still.
const STEP: Duration = Duration::from_millis(100);
/// However much it sends.
const LONGEST: Duration = Duration::from_secs(10);

/// A connection on which nothing more is sent.
pub(super) struct Farewell {
    tcp: TcpStream,
    since: Instant,
    silence: Duration,
}

impl Farewell {
    pub(super) fn new(tcp: TcpStream) -> Self {
        // If the connection is gone already, reading tells.
        let _ = tcp.shutdown(Shutdown::Write);
        Self {
            tcp,
            since: Instant::now(),
            silence: Duration::ZERO,
        }
    }

    /// Takes what has arrived; answers whether there is nothing more to wait for.
    pub(super) fn is_over(&mut self) -> bool {
        // Large: each read takes long under Wine, and what still comes must be through in time.
        let mut thrown_away = [0; 64 * 1024];
        while self.since.elapsed() < LONGEST {
            match self.tcp.read(&mut thrown_away) {
                Ok(0) => return true,
                Ok(_) => self.silence = Duration::ZERO,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.silence >= PATIENCE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        true
    }

    /// Waits a moment, until something has arrived or the sleeper is woken.
    pub(super) fn wait(&mut self, poller: &mut Poller) -> std::io::Result<()> {
        let begun = Instant::now();
        poller.sleep(Some(STEP))?;
        self.silence += begun.elapsed().min(STEP);
        Ok(())
    }
}
