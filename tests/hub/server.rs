//! A small socket.io 0.9 server that routes events, and that misbehaves on request.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ftrack_api::Event;
use ftrack_api::event::Filter;
use serde_json::{Map, Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::relay::read_head;

/// What the server does wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The chance that a packet is the last one of its connection.
    pub(crate) cut: f64,
    /// Packets are read and ignored; nothing is sent.
    pub(crate) frozen: bool,
    /// Nothing is read.
    pub(crate) unread: bool,
    /// Events are neither acknowledged nor passed on.
    pub(crate) deaf: bool,
    /// The response to handshakes, as it stands on the wire.
    pub(crate) handshake: Option<Vec<u8>>,
    /// The response to upgrades, as it stands on the wire.
    pub(crate) upgrade: Option<Vec<u8>>,
    /// Sent instead of `1::`.
    pub(crate) greeting: Option<&'static str>,
    /// Handshakes get no response.
    pub(crate) stall_handshake: bool,
    /// Upgrades get no response.
    pub(crate) stall_upgrade: bool,
    /// Subscriptions are refused.
    pub(crate) refuse_subscriptions: bool,
    /// Events are refused.
    pub(crate) refuse_events: bool,
    /// Seconds of heartbeat timeout in the handshake.
    pub(crate) heartbeat: Option<u64>,
}

pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    running: Arc<AtomicBool>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    faults: Mutex<Faults>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    accepted: AtomicU64,
    handshakes: Mutex<Vec<String>>,
    upgrades: Mutex<Vec<String>>,
    packets: Mutex<Vec<String>>,
    controls: AtomicU64,
}

/// What is subscribed to, and the subscriber's metadata.
type Subscription = (Filter, Map<String, Value>);

struct Connection {
    socket: TcpStream,
    out: Mutex<WebSocket<TcpStream>>,
    subscriptions: Mutex<HashMap<String, Subscription>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::bind("127.0.0.1:0".parse().unwrap(), Arc::default())
    }

    fn bind(address: SocketAddr, state: Arc<State>) -> Self {
        let listener = crate::support::listen_again(address);
        let address = listener.local_addr().unwrap();
        let running = Arc::new(AtomicBool::new(true));
        let (state2, running2) = (Arc::clone(&state), Arc::clone(&running));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                if !running2.load(Ordering::SeqCst) {
                    break;
                }
                let state = Arc::clone(&state2);
                if let Ok(stream) = stream {
                    thread::spawn(move || state.serve(stream));
                }
            }
        });
        Self {
            address,
            state,
            running,
            acceptor: Mutex::new(Some(acceptor)),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.faults.lock().unwrap());
    }

    /// Breaks all connections without a word.
    pub(crate) fn cut_all(&self) {
        for (_, connection) in self.state.connections.lock().unwrap().drain() {
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
    }

    /// Sends bytes to every connection, framed by the caller; returns whether all took them.
    pub(crate) fn send_raw(&self, bytes: &[u8]) -> bool {
        let mut connections = self.connections().into_iter();
        connections.all(|connection| (&connection.socket).write_all(bytes).is_ok())
    }

    /// Sends a packet to every connection.
    pub(crate) fn send(&self, packet: &str) {
        for connection in self.connections() {
            connection.send(packet);
        }
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        let connections = self.state.connections.lock().unwrap();
        connections.values().cloned().collect()
    }

    /// How many websockets have been accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// The requests for handshakes and upgrades, with their headers.
    pub(crate) fn requests(&self) -> (Vec<String>, Vec<String>) {
        let state = &self.state;
        (
            state.handshakes.lock().unwrap().clone(),
            state.upgrades.lock().unwrap().clone(),
        )
    }

    /// Every packet that came in.
    pub(crate) fn packets(&self) -> Vec<String> {
        self.state.packets.lock().unwrap().clone()
    }

    /// How many pings and pongs came in: npm's server replies to the one with an illegal frame and
    /// closes on the other.
    pub(crate) fn controls(&self) -> u64 {
        self.state.controls.load(Ordering::SeqCst)
    }

    /// Stops listening and breaks all connections.
    pub(crate) fn stop(&self) {
        if self.running.swap(false, Ordering::SeqCst) {
            // Accepting waits for a last connection.
            let _ = TcpStream::connect(self.address);
        }
        // It closes the port.
        if let Some(acceptor) = self.acceptor.lock().unwrap().take() {
            acceptor.join().unwrap();
        }
        self.cut_all();
    }

    /// Listens again on the same port.
    pub(crate) fn restart(&mut self) {
        self.stop();
        *self = Self::bind(self.address, Arc::clone(&self.state));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    fn faults(&self) -> Faults {
        self.faults.lock().unwrap().clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(head) = read_head(&mut stream) else {
            return;
        };
        let faults = self.faults();
        if head.starts_with("GET /socket.io/1/ ") {
            self.handshakes.lock().unwrap().push(head);
            if faults.stall_handshake {
                return linger(&mut stream);
            }
            let body = format!("session:{}:60:websocket", faults.heartbeat.unwrap_or(15));
            let response = faults.handshake.unwrap_or_else(|| {
                let length = body.len();
                let head = "HTTP/1.1 200 OK\r\nSet-Cookie: route=7; Path=/\r\n";
                format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
            });
            let _ = stream.write_all(&response);
        } else if head.starts_with("GET /socket.io/1/websocket/session ") {
            self.upgrades.lock().unwrap().push(head.clone());
            if faults.stall_upgrade {
                return linger(&mut stream);
            }
            if let Some(response) = faults.upgrade {
                let _ = stream.write_all(&response);
                return linger(&mut stream);
            }
            let key = head
                .lines()
                .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
                .unwrap();
            let accept = derive_accept_key(key.trim().as_bytes());
            let _ = stream.write_all(
                format!(
                    "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Accept: {accept}\r\n\r\n"
                )
                .as_bytes(),
            );
            self.websocket(stream, faults.greeting.unwrap_or("1::"));
        }
    }

    fn websocket(&self, stream: TcpStream, greeting: &str) {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        let out = WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
        let connection = Arc::new(Connection {
            socket: stream.try_clone().unwrap(),
            out: Mutex::new(out),
            subscriptions: Mutex::default(),
        });
        self.connections
            .lock()
            .unwrap()
            .insert(number, Arc::clone(&connection));
        connection.send(greeting);
        while self.faults().unread {
            thread::sleep(Duration::from_millis(10));
        }
        let mut incoming = WebSocket::from_raw_socket(stream, Role::Server, None);
        while let Ok(message) = incoming.read() {
            match message {
                Message::Text(packet) => self.packet(&connection, &packet),
                Message::Ping(_) | Message::Pong(_) => {
                    self.controls.fetch_add(1, Ordering::SeqCst);
                }
                _ => {}
            }
        }
        self.connections.lock().unwrap().remove(&number);
        let _ = connection.socket.shutdown(Shutdown::Both);
    }

    fn packet(&self, connection: &Connection, packet: &str) {
        self.packets.lock().unwrap().push(packet.to_string());
        let faults = self.faults();
        if faults.frozen {
            return;
        }
        let cut = fastrand::f64() < faults.cut;
        // Before it is seen, after it is passed on, or after it is acknowledged.
        let when = fastrand::u8(0..3);
        if cut && when == 0 {
            let _ = connection.socket.shutdown(Shutdown::Both);
            return;
        }
        let Some(rest) = packet.strip_prefix("5:") else {
            return;
        };
        let mut parts = rest.splitn(3, ':');
        let number = parts.next().unwrap().trim_end_matches('+').to_string();
        let payload: Value = serde_json::from_str(parts.nth(1).unwrap()).unwrap();
        let event = payload["args"][0].clone();
        let topic = event["topic"].as_str().unwrap();
        if faults.deaf && !topic.starts_with("ftrack.meta.") {
            return;
        }
        let mut response = json!([{"success": true}]);
        let subscriber = &event["data"]["subscriber"];
        let id = subscriber["id"].as_str().unwrap_or_default().to_string();
        match topic {
            "ftrack.meta.subscribe" if faults.refuse_subscriptions => {
                // What a server says may repeat what it was sent.
                let message = format!("not today, {}", crate::KEY);
                response = json!([{"success": false, "message": message}]);
            }
            "ftrack.meta.subscribe" => {
                let text = event["data"]["subscription"].as_str().unwrap();
                let metadata = subscriber.as_object().cloned().unwrap();
                let entry = (text.parse().unwrap(), metadata);
                connection.subscriptions.lock().unwrap().insert(id, entry);
            }
            "ftrack.meta.unsubscribe" => {
                connection.subscriptions.lock().unwrap().remove(&id);
            }
            _ if faults.refuse_events => {
                response = json!([{"success": false, "message": "not today"}]);
            }
            _ => self.route(&event),
        }
        if cut && when == 1 {
            let _ = connection.socket.shutdown(Shutdown::Both);
            return;
        }
        connection.send(&format!("6:::{number}+{response}"));
        if cut {
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
    }

    /// Once per connection, the publisher's included.
    fn route(&self, event: &Value) {
        let packet = format!("5:::{}", json!({"name": "ftrack.event", "args": [event]}));
        let event: Event = serde_json::from_value(event.clone()).unwrap();
        let target: Option<Filter> = event.target().parse().ok();
        let connections: Vec<_> = self.connections.lock().unwrap().values().cloned().collect();
        for connection in connections {
            let subscriptions = connection.subscriptions.lock().unwrap();
            let wanted = subscriptions.values().any(|(expression, metadata)| {
                expression.matches(&event)
                    && target
                        .as_ref()
                        .is_none_or(|t| t.matches_subscriber(metadata))
            });
            drop(subscriptions);
            if wanted {
                connection.send(&packet);
            }
        }
    }
}

impl Connection {
    fn send(&self, packet: &str) {
        let _ = self.out.lock().unwrap().send(Message::text(packet));
    }
}

/// Keeps a connection open, silently, until the client closes it.
fn linger(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 64]);
}
