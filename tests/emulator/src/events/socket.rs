//! The life of one event connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::events::hub::{Hub, Inbox, Waiting};
use crate::events::packet::{self, Packet};
use crate::events::routing::ConnectionId;
use crate::line::Connection;

/// How many packets are written between two flushes.
const BATCH: usize = 64;
/// How long a client may take to end its side after the server has ended its own.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// How often a publisher that has to wait looks whether it still has to.
const PAUSE: Duration = Duration::from_millis(2);

/// Tells a client that its session id is not known, as a site does.
pub(super) async fn refuse(mut socket: WebSocket) {
    for message in [
        Message::Text(packet::NOT_HANDSHAKEN.into()),
        Message::Close(None),
    ] {
        if socket.send(message).await.is_err() {
            return;
        }
    }
    let _ = timeout(CLOSE_WAIT, async {
        while let Some(Ok(_)) = socket.recv().await {}
    })
    .await;
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(hub: Hub, user: String, socket: WebSocket, client: Connection) {
    let mut inbox = hub.connect();
    // Also when this task is cancelled.
    let leave = Leave {
        hub: &hub,
        connection: inbox.connection,
    };
    hub.send(inbox.connection, packet::CONNECT);
    let mut wire = Wire::new(socket, inbox.waiting());
    let service = Service {
        hub: &hub,
        user: &user,
        connection: inbox.connection,
        client: &client,
    };
    let end = service.run(&mut wire, &mut inbox).await;
    drop(leave);
    if end != End::Broken {
        // What was published to it so far is still written, acknowledgements included.
        inbox.take(&mut wire.queue);
        let _ = timeout(hub.settings().patience, wire.drain()).await;
    }
    if end == End::Goodbye {
        let _ = timeout(CLOSE_WAIT, wire.close(&client)).await;
    }
}

struct Leave<'a> {
    hub: &'a Hub,
    connection: ConnectionId,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.hub.disconnect(self.connection);
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client said goodbye by a packet, upon which the server closes the socket.
    Goodbye,
    /// The client has ended its side; it may still be reading.
    HalfClosed,
    /// The hub has cut it, or the client is silent.
    Broken,
}

struct Service<'a> {
    hub: &'a Hub,
    user: &'a str,
    connection: ConnectionId,
    client: &'a Connection,
}

impl Service<'_> {
    async fn run(self, wire: &mut Wire, inbox: &mut Inbox) -> End {
        let settings = self.hub.settings();
        let mut heartbeat = interval_at(Instant::now() + settings.heartbeat, settings.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut frozen = self.hub.frozen();
        let mut heard = Instant::now();
        let mut waits = false;
        loop {
            let is_frozen = *frozen.borrow_and_update();
            inbox.take(&mut wire.queue);
            tokio::select! {
                biased;
                _ = heartbeat.tick(), if !is_frozen => {
                    if !waits && heard.elapsed() > settings.silence {
                        return End::Broken;
                    }
                    if !self.hub.heartbeats_skipped() {
                        self.send(packet::HEARTBEAT);
                    }
                }
                // An error means that the hub is gone, and with it the fault.
                Ok(()) = frozen.changed() => heard = Instant::now(),
                // Not reading on is how a publisher learns, through its own socket, that it is
                // too fast. One that has ended its side publishes no more than what is here.
                () = sleep(PAUSE), if waits => {
                    let has_ended = self.client.has_ended();
                    waits = !has_ended && self.hub.congested();
                    heard = Instant::now();
                }
                turn = poll_fn(|context| wire.poll(context, !waits)), if !is_frozen => {
                    match turn {
                        Turn::Written => {}
                        Turn::Read(Some(Ok(message))) => {
                            heard = Instant::now();
                            match self.handle(message) {
                                Next::Read => {}
                                Next::Wait => waits = true,
                                Next::End(end) => return end,
                            }
                        }
                        Turn::Read(_) => return End::HalfClosed,
                        Turn::Broken => return End::Broken,
                    }
                }
                packet = inbox.next() => match packet {
                    Some(packet) => wire.queue.push_back(packet),
                    None => return End::Broken,
                },
            }
        }
    }

    fn handle(&self, message: Message) -> Next {
        match message {
            Message::Text(text) => match packet::parse(&text) {
                Ok(Packet::Disconnect) => return Next::End(End::Goodbye),
                Ok(Packet::Heartbeat | Packet::Ignored) => {}
                Ok(Packet::Event { id, event }) => {
                    if self.handle_event(id, event) {
                        return Next::Wait;
                    }
                }
                Err(message) => self.send(packet::error(&message)),
            },
            Message::Binary(_) => self.send(packet::error("packets are text")),
            // The WebSocket layer replies to pings by itself.
            Message::Ping(_) | Message::Pong(_) => {}
            // It has also prepared the reply to a close frame, which draining writes. Python
            // waits three seconds for that reply.
            Message::Close(_) => return Next::End(End::HalfClosed),
        }
        Next::Read
    }

    /// Whether a recipient is slow in reading.
    fn handle_event(&self, id: Option<u64>, event: Result<serde_json::Value, String>) -> bool {
        let readable = event.is_ok();
        let accepted = event.and_then(|event| self.hub.accept(self.connection, self.user, event));
        let congested = accepted.as_ref().is_ok_and(|delivery| delivery.congested);
        let outcome = accepted.map(|_| ());
        match (id, &outcome) {
            (Some(id), _) => self.send(packet::ack(id, &outcome)),
            // JavaScript asks for no acknowledgements and takes an error packet for the end of
            // the connection, although it subscribes its reply subscriber twice as a habit.
            (None, Err(message)) if !readable => self.send(packet::error(message)),
            (None, _) => {}
        }
        congested
    }

    fn send(&self, packet: impl Into<Utf8Bytes>) {
        self.hub.send(self.connection, packet);
    }
}

/// What follows a message.
enum Next {
    Read,
    /// A recipient is slow.
    Wait,
    End(End),
}

/// The socket, and the packets on their way to it.
///
/// Nothing can be written once the close frame of a client was read. So a message is read only when
/// all packets are in the socket's buffer, from where they reach the client before the end does. But
/// a socket that takes no more is read on: a client that sends much before it reads must not block
/// itself.
struct Wire {
    socket: WebSocket,
    queue: VecDeque<Utf8Bytes>,
    waiting: Waiting,
    unflushed: usize,
}

/// What a socket did.
enum Turn {
    Written,
    Read(Option<Result<Message, axum::Error>>),
    Broken,
}

impl Wire {
    fn new(socket: WebSocket, waiting: Waiting) -> Self {
        Self {
            socket,
            queue: VecDeque::new(),
            waiting,
            unflushed: 0,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, reads: bool) -> Poll<Turn> {
        match self.feed(context) {
            Err(_) => return Poll::Ready(Turn::Broken),
            Ok(0) => {}
            Ok(_) if self.unflushed < BATCH => return Poll::Ready(Turn::Written),
            Ok(_) => {
                return Poll::Ready(match self.flush(context) {
                    Poll::Ready(Err(_)) => Turn::Broken,
                    _ => Turn::Written,
                });
            }
        }
        if reads && let Poll::Ready(message) = self.socket.poll_next_unpin(context) {
            return Poll::Ready(Turn::Read(message));
        }
        match self.flush(context) {
            Poll::Ready(Err(_)) => Poll::Ready(Turn::Broken),
            _ => Poll::Pending,
        }
    }

    /// Moves packets to the socket's buffer, as many as it takes now, and says how many.
    fn feed(&mut self, context: &mut Context<'_>) -> Result<usize, axum::Error> {
        let mut fed = 0;
        while !self.queue.is_empty() {
            let Poll::Ready(room) = self.socket.poll_ready_unpin(context) else {
                break;
            };
            room?;
            if let Some(packet) = self.queue.pop_front() {
                self.waiting.written(&packet);
                self.socket.start_send_unpin(Message::Text(packet))?;
                fed += 1;
            }
        }
        self.unflushed += fed;
        Ok(fed)
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        if self.unflushed > 0 {
            ready!(self.socket.poll_flush_unpin(context))?;
            self.unflushed = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is left. After the client's close frame only what the socket has already.
    async fn drain(&mut self) {
        poll_fn(|context| {
            loop {
                let is_blocked = self.feed(context).is_ok() && !self.queue.is_empty();
                let flushed = ready!(self.socket.poll_flush_unpin(context));
                if !is_blocked || flushed.is_err() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    /// Closing with input unread would reset the connection, and take away from the client what it
    /// has not read yet.
    async fn close(&mut self, client: &Connection) {
        if self.socket.send(Message::Close(None)).await.is_ok() && client.end().is_ok() {
            while let Some(Ok(_)) = self.socket.next().await {}
        }
    }
}
