//! The server's side of TCP connections. Faults on demand cut them in the middle of a response, and
//! the event server asks whether a client has ended its side while it does not read from it.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::FutureExt;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Accepts connections.
pub(crate) struct Lines(pub(crate) TcpListener);

/// One connection, as it is read and written.
pub(crate) struct Line(Connection);

/// A handle on a connection. Handlers find it among the request's extensions.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Inner>);

struct Inner {
    stream: TcpStream,
    /// How many more bytes go through before the connection closes.
    left: AtomicU64,
}

impl Connection {
    const UNLIMITED: u64 = u64::MAX;

    /// Lets so many more bytes through and then closes the connection.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.0.left.store(bytes, Ordering::Relaxed);
    }

    /// Takes back a cut that has not happened.
    pub(crate) fn mend(&self) {
        self.cut_after(Self::UNLIMITED);
    }

    /// Whether the client sends no more than what has arrived and was not read yet.
    pub(crate) fn has_ended(&self) -> bool {
        let ready = self.0.stream.ready(Interest::READABLE).now_or_never();
        matches!(ready, Some(Ok(ready)) if ready.is_read_closed())
    }

    /// Ends the server's side: the client reads to the end at once, and may still send.
    pub(crate) fn end(&self) -> io::Result<()> {
        SockRef::from(&self.0.stream).shutdown(Shutdown::Write)
    }

    fn left(&self) -> u64 {
        self.0.left.load(Ordering::Relaxed)
    }

    /// Carries `work` out as soon as the socket is ready for it.
    fn poll_when_ready<T>(
        &self,
        mut ready: impl FnMut(&TcpStream) -> Poll<io::Result<()>>,
        mut work: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(ready(&self.0.stream))?;
            match work(&self.0.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Otherwise the second of two small packets waits 40 ms for a confirmation of the first.
        let _ = stream.set_nodelay(true);
        let left = AtomicU64::new(Connection::UNLIMITED);
        (Line(Connection(Arc::new(Inner { stream, left }))), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().0.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.poll_when_ready(
            |stream| stream.poll_read_ready(context),
            |stream| stream.try_read_buf(buffer),
        );
        read.map_ok(|_| ())
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let left = self.0.left();
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let ready = |stream: &TcpStream| stream.poll_write_ready(context);
        if left == Connection::UNLIMITED {
            return self
                .0
                .poll_when_ready(ready, |stream| stream.try_write_vectored(buffers));
        }
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        let first: &[u8] = first.map_or(&[], |buffer| buffer);
        let most = usize::try_from(left).map_or(first.len(), |left| left.min(first.len()));
        let written = self
            .0
            .poll_when_ready(ready, |stream| stream.try_write(&first[..most]));
        if let Poll::Ready(Ok(count)) = written {
            self.0.cut_after(left - count as u64);
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.end())
    }
}
