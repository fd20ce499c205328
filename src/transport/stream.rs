//! A non-blocking byte stream: plain TCP, or TLS over it, possibly inside the TLS of a proxy.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use rustls::{ClientConnection, StreamOwned};

/// A connection to a server, with the TCP socket at the bottom.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, Stream>>),
}

impl Stream {
    /// Encrypts what follows; the handshake is done by [`handshake`](Self::handshake).
    pub(super) fn encrypted(self, client: ClientConnection) -> Self {
        Self::Tls(Box::new(StreamOwned::new(client, self)))
    }

    /// Goes on with the TLS handshake, until it is complete.
    ///
    /// # Errors
    ///
    /// - [`io::ErrorKind::WouldBlock`] while it has to wait for the peer.
    pub(super) fn handshake(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
        }
        Ok(())
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The socket, to register it with a poller.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.sock.tcp(),
        }
    }

    pub(crate) fn into_tcp(self) -> TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.sock.into_tcp(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream
                .write(bytes)
                .map_err(|error| with_alert(error, stream)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush().map_err(|error| with_alert(error, stream)),
        }
    }
}

/// The reason why the peer hung up, if it sent one before: a server that refuses a client
/// certificate does so when the client has already begun to send (RFC 8446, section 4.4.2.4).
fn with_alert(error: io::Error, stream: &mut StreamOwned<ClientConnection, Stream>) -> io::Error {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData};

    let is_hung_up = [BrokenPipe, ConnectionAborted, ConnectionReset].contains(&error.kind());
    if is_hung_up
        && stream
            .conn
            .read_tls(&mut stream.sock)
            .is_ok_and(|count| count > 0)
        && let Err(alert) = stream.conn.process_new_packets()
    {
        return io::Error::new(InvalidData, alert);
    }
    error
}
