//! Connections to a Redis server, for the cache and for streams of events.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Client, Connection, ConnectionInfo, RedisError, RedisResult, ServerErrorKind};

use crate::cache::Pool;
use crate::error::{Error, ErrorKind, Result};

pub(crate) struct Connections {
    client: Client,
    /// The time limit for connecting and for each reply.
    timeout: Duration,
    idle: Pool<Connection>,
}

impl Connections {
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Self> {
        let client = Client::open(url).map_err(|error| {
            // The message does not have the URL, which may contain a password.
            let message = format!("the URL of the Redis server is invalid: {error}");
            Error::new(ErrorKind::Configuration, message)
        })?;
        Ok(Self {
            client,
            timeout,
            idle: Pool::new(),
        })
    }

    pub(crate) fn info(&self) -> &ConnectionInfo {
        self.client.get_connection_info()
    }

    /// Does `work` with a connection, and more than once if need be: what it does twice must have the
    /// same effect as once.
    ///
    /// An idle connection may have broken since it was last used, or, after a failover, still lead to the
    /// server that is no longer the primary; then a new one is opened. The same is done when a process was stopped
    /// and continued, or a host program's signal arrived, while it waited for a reply: the system then ends a
    /// read that has a time limit.
    pub(crate) fn with<T>(
        &self,
        mut work: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.attempt(&mut work) {
                Err(error) if is_interrupted(&error) && Instant::now() < deadline => {}
                result => return result,
            }
        }
    }

    fn attempt<T>(
        &self,
        work: &mut impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        if let Some(mut connection) = self.idle.take() {
            match work(&mut connection) {
                Ok(done) => {
                    self.idle.give(connection);
                    return Ok(done);
                }
                Err(error) if error.is_timeout() || is_interrupted(&error) => return Err(error),
                Err(error) if is_broken(&error) || is_read_only(&error) => self.idle.drain(),
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.client.get_connection_with_timeout(self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        let done = work(&mut connection)?;
        self.idle.give(connection);
        Ok(done)
    }
}

/// Whether the connection was lost. If a reply ends in the middle, or is none, as when Redis is killed, it does not
/// parse.
pub(crate) fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.kind() == redis::ErrorKind::Parse
}

/// Whether the server is a replica, which nothing can be written to.
fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::ReadOnly.into()
}

/// Whether a signal ended a system call.
pub(crate) fn is_interrupted(error: &RedisError) -> bool {
    // `redis` shares the cause.
    let shared = error
        .source()
        .and_then(|cause| cause.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>());
    let cause = shared.and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_is_recognised() {
        let of = |kind: io::ErrorKind| RedisError::from(io::Error::from(kind));
        assert!(is_interrupted(&of(io::ErrorKind::Interrupted)));
        assert!(!is_interrupted(&of(io::ErrorKind::ConnectionReset)));
    }
}
