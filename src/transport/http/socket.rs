//! The connections of `ureq`: opened by a [`Dialer`], and interrupted with the call that uses them.

use std::io::{self, Read, Write};
use std::time::Instant;

use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use url::Url;

use crate::calls::Call;
use crate::error::ErrorKind;
use crate::transport::connection::Connection;
use crate::transport::dial::Dialer;
use crate::transport::redact::{self, RedactedResponse};

/// Leaves name look-up to the [`Dialer`]: `ureq` would look up names for every request, those on an
/// open connection included, and start a thread for each.
#[derive(Debug)]
pub(super) struct NoLookUp;

impl Resolver for NoLookUp {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

impl Connector for Dialer {
    type Out = Socket;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Socket>, ureq::Error> {
        let url = Url::parse(&details.uri.to_string());
        let url = url.map_err(|error| ureq::Error::BadUri(error.to_string()))?;
        let limit = Limit::new(details.timeout);
        let opened = self.open(&url, limit.deadline);
        let connection = opened.map_err(|error| match error.kind() {
            // The whole request may be late, or the connection only.
            ErrorKind::Timeout => ureq::Error::Timeout(limit.reason),
            _ => ureq::Error::Other(Box::new(error)),
        })?;
        (details.register_shutdown)(connection.interrupt())?;
        let sizes = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Socket {
            connection,
            buffers: LazyBuffers::new(sizes.0, sizes.1),
            sizes,
            redacted: None,
        }))
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    connection: Connection,
    buffers: LazyBuffers,
    /// Of the buffers for input and output.
    sizes: (usize, usize),
    /// Stands between the connection and `ureq` while `ureq` logs what it is given.
    redacted: Option<Box<RedactedResponse>>,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.redacted {
            Some(redacted) => redacted.buffers(),
            None => &mut self.buffers,
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let limit = Limit::checked(timeout.for_write())?;
        let output = &mut self.buffers.output()[..amount];
        if let Some(redacted) = &mut self.redacted {
            output.copy_from_slice(&redacted.buffers().output()[..amount]);
        }
        if let Some(call) = Call::current() {
            call.attach(&self.connection.interrupt())?;
            let is_head = !call.set_sent(true);
            if is_head {
                let original = redact::take();
                self.redacted = original.map(|mut original| {
                    original.restore(output);
                    Box::new(RedactedResponse::new(original.into_response(), self.sizes))
                });
            }
        }
        self.connection.set_deadline(limit.deadline);
        let sent = self.connection.write_all(output);
        let sent = sent.and_then(|()| self.connection.flush());
        sent.map_err(|error| limit.explain(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let limit = Limit::checked(timeout.for_read())?;
        self.connection.set_deadline(limit.deadline);
        let buffer = self.buffers.input_append_buf();
        let count = self.connection.read(buffer);
        let count = count.map_err(|error| limit.explain(not_an_end(error)))?;
        match &mut self.redacted {
            Some(redacted) => redacted.receive(&buffer[..count])?,
            None => self.buffers.input_appended(count),
        }
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_reusable()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

/// `ureq` takes these errors for the end of a response without a length. They are not: a peer that
/// closes the connection ends the response, one that resets it does not, and TLS announces the end
/// so that nobody can cut a response short (RFC 8446, section 6.1).
fn not_an_end(error: io::Error) -> io::Error {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    match error.kind() {
        ConnectionReset | ConnectionAborted => io::Error::new(BrokenPipe, error.to_string()),
        UnexpectedEof => io::Error::new(BrokenPipe, "the connection ended without notice"),
        _ => error,
    }
}

/// Until when something has to be done, and which of the limits that is.
struct Limit {
    deadline: Option<Instant>,
    reason: Timeout,
}

impl Limit {
    fn new(timeout: NextTimeout) -> Self {
        let left = timeout.not_zero().map(|left| *left);
        Self {
            // A limit beyond what an `Instant` can express is none.
            deadline: left.and_then(|left| Instant::now().checked_add(left)),
            reason: timeout.reason,
        }
    }

    /// # Errors
    ///
    /// - [`ureq::Error::Timeout`] if no time is left.
    fn checked(timeout: NextTimeout) -> Result<Self, ureq::Error> {
        match timeout.after.is_zero() {
            true => Err(ureq::Error::Timeout(timeout.reason)),
            false => Ok(Self::new(timeout)),
        }
    }

    fn explain(&self, error: io::Error) -> ureq::Error {
        match error.kind() {
            io::ErrorKind::TimedOut => ureq::Error::Timeout(self.reason),
            _ => error.into(),
        }
    }
}
