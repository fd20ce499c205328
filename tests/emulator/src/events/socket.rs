//! The life of one event connection.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::events::hub::{Hub, Inbox};
use crate::events::packet::{self, Packet};
use crate::events::routing::ConnectionId;

/// How many packets are written between two flushes.
const BATCH: usize = 64;
/// How long a client may take to answer the server's close frame.
const FAREWELL: Duration = Duration::from_secs(1);
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
    let _ = timeout(FAREWELL, async {
        while let Some(Ok(_)) = socket.recv().await {}
    })
    .await;
}

/// Serves a connection until either side ends it.
///
/// Reading and writing go on independently: a client that sends much before it reads, or the
/// other way round, cannot block itself.
pub(super) async fn serve(hub: Hub, user: String, socket: WebSocket) {
    let inbox = hub.connect();
    let connection = inbox.connection;
    // Also when this task is cancelled.
    let _leave = Leave {
        hub: &hub,
        connection,
    };
    let (mut sink, stream) = socket.split();
    hub.send(connection, packet::CONNECT);
    let reader = Reader {
        hub: &hub,
        user: &user,
        connection,
        stream,
    };
    let said_goodbye = tokio::select! {
        said_goodbye = reader.run() => said_goodbye,
        () = write(&hub, inbox, &mut sink) => false,
    };
    if said_goodbye {
        let _ = timeout(FAREWELL, sink.send(Message::Close(None))).await;
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

struct Reader<'a> {
    hub: &'a Hub,
    user: &'a str,
    connection: ConnectionId,
    stream: SplitStream<WebSocket>,
}

impl Reader<'_> {
    /// Ends when the client leaves (`true` if by a packet, which the server answers by closing
    /// the socket), breaks the protocol of the WebSocket, or is silent.
    async fn run(mut self) -> bool {
        let mut frozen = self.hub.frozen();
        let silence = self.hub.settings().silence;
        loop {
            let message = match timeout(silence, self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Err(_) if *frozen.borrow() => continue,
                _ => return false,
            };
            thaw(&mut frozen).await;
            match message {
                Message::Text(text) => {
                    if !self.handle(&text).await {
                        return true;
                    }
                }
                Message::Binary(_) => self.send(packet::error("packets are text")),
                // The WebSocket layer answers pings by itself.
                Message::Ping(_) | Message::Pong(_) => {}
                // It has also prepared the answer to a close frame; reading on sends it. Python
                // waits three seconds for that answer.
                Message::Close(_) => {
                    let _ = timeout(FAREWELL, self.stream.next()).await;
                    return false;
                }
            }
        }
    }

    /// `false` if the client wants to leave.
    async fn handle(&self, text: &str) -> bool {
        match packet::parse(text) {
            Ok(Packet::Disconnect) => return false,
            Ok(Packet::Heartbeat | Packet::Ignored) => {}
            Ok(Packet::Event { id, event }) => self.handle_event(id, event).await,
            Err(message) => self.send(packet::error(&message)),
        }
        true
    }

    async fn handle_event(&self, id: Option<u64>, event: Result<serde_json::Value, String>) {
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
        if congested {
            self.wait_for_slow_recipients().await;
        }
    }

    /// Not reading on is how a publisher learns, through its own socket, that it is too fast.
    async fn wait_for_slow_recipients(&self) {
        while self.hub.congested() {
            sleep(PAUSE).await;
        }
    }

    fn send(&self, packet: String) {
        self.hub.send(self.connection, packet);
    }
}

/// Writes packets and heartbeats. Ends when the hub ends the connection or the socket breaks.
async fn write(hub: &Hub, mut inbox: Inbox, sink: &mut SplitSink<WebSocket, Message>) {
    let period = hub.settings().heartbeat;
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frozen = hub.frozen();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            open = inbox.receive(&mut batch, BATCH) => if !open { return },
            _ = heartbeat.tick() => {
                if !hub.heartbeats_skipped() {
                    hub.send(inbox.connection, packet::HEARTBEAT);
                }
            }
        }
        thaw(&mut frozen).await;
        if flush(&inbox, &mut batch, sink).await.is_err() {
            return;
        }
    }
}

async fn flush(
    inbox: &Inbox,
    batch: &mut Vec<Utf8Bytes>,
    sink: &mut SplitSink<WebSocket, Message>,
) -> Result<(), axum::Error> {
    for packet in batch.drain(..) {
        sink.feed(Message::Text(packet.clone())).await?;
        inbox.written(&packet);
    }
    sink.flush().await
}

/// Waits until the hub is not frozen.
async fn thaw(frozen: &mut watch::Receiver<bool>) {
    // An error means that the hub is gone, and with it the fault.
    let _ = frozen.wait_for(|frozen| !frozen).await;
}
