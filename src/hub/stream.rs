//! The bytes below the frames: plain or encrypted, maybe inside of a proxy's encryption.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use rustls::{ClientConnection, StreamOwned};

use crate::transport::alert_behind;

/// A stream, and whether anything arrived on it.
pub(super) struct Heard {
    pub(super) stream: Stream,
    pub(super) heard: bool,
    /// Whether anything was sent.
    pub(super) told: bool,
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.heard |= count > 0;
        Ok(count)
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.told |= count > 0;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A connection to the server; the socket is at the bottom.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, Stream>>),
}

impl Stream {
    pub(super) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.sock.tcp(),
        }
    }

    pub(super) fn into_tcp(self) -> TcpStream {
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
            Self::Tls(stream) => told(stream.write(bytes), stream),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => told(stream.flush(), stream),
        }
    }
}

/// With the reason that the server gave.
fn told<T>(
    outcome: io::Result<T>,
    stream: &mut StreamOwned<ClientConnection, Stream>,
) -> io::Result<T> {
    outcome.map_err(|error| alert_behind(error, &mut stream.conn, &mut stream.sock))
}
