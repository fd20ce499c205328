//! The lingering close: after this side has ended a connection, what the server still sends is
//! drained until the server has ended its side too.
//!
//! A socket that is closed while data is on its way to it replies with a reset. The socket.io
//! 0.9.19 server handles resets only until it has ended the connection itself, as it does after a
//! close frame: a later reset is an error without a handler, which ends the whole server process,
//! and with it everybody's connection (seen on npm's server with Node.js 20;
//! `leaving_in_a_burst_does_no_harm` in `tests/hub_peers.rs`).

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::hub::poller::Poller;

/// The maximum silence of the server before the socket is closed anyway.
const MAX_SILENCE: Duration = Duration::from_secs(1);
/// The longest time between two looks at the socket that counts as silence: this process, or the
/// whole machine, may have been suspended.
const MAX_STEP: Duration = Duration::from_millis(100);
/// The maximum duration, even if the server keeps sending.
const MAX_DURATION: Duration = Duration::from_secs(10);

/// A connection on which nothing more is sent.
pub(super) struct Linger {
    tcp: TcpStream,
    since: Instant,
    silence: Duration,
}

impl Linger {
    pub(super) fn new(tcp: TcpStream) -> Self {
        // If the connection is lost already, reading reports it.
        let _ = tcp.shutdown(Shutdown::Write);
        Self {
            tcp,
            since: Instant::now(),
            silence: Duration::ZERO,
        }
    }

    /// Drains what has arrived; returns whether the socket can be closed.
    pub(super) fn drain(&mut self) -> bool {
        // Large, because each read is slow under Wine.
        let mut discarded = [0; 64 * 1024];
        while self.since.elapsed() < MAX_DURATION {
            match self.tcp.read(&mut discarded) {
                Ok(0) => return true,
                Ok(_) => self.silence = Duration::ZERO,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.silence >= MAX_SILENCE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        true
    }

    /// Waits a moment, until something has arrived or the thread is woken.
    pub(super) fn wait(&mut self, poller: &mut Poller) -> std::io::Result<()> {
        let begun = Instant::now();
        poller.sleep(Some(MAX_STEP))?;
        self.silence += begun.elapsed().min(MAX_STEP);
        Ok(())
    }
}
