//! The event server over real sockets, spoken to in the words of the official clients.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use super::*;
use crate::line::Lines;
use steady::steadily;

#[path = "../../../support/steady.rs"]
mod steady;

/// A server that ends with the value.
pub(crate) struct Server {
    pub(crate) address: String,
    _runtime: tokio::runtime::Runtime,
}

pub(crate) fn serve(router: Router) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = router.into_make_service_with_connect_info::<Connection>();
    runtime.spawn(async move { axum::serve(Lines(listener), router).await });
    Server {
        address,
        _runtime: runtime,
    }
}

fn start(settings: Settings) -> (Server, Hub) {
    let hub = Hub::new(settings);
    let authenticate: Authenticate = Arc::new(|user, key| !user.is_empty() && key == "secret");
    (serve(router(hub.clone(), authenticate)), hub)
}

fn quick() -> Settings {
    Settings {
        heartbeat: Duration::from_millis(300),
        silence: Duration::from_secs(2),
        ..Settings::default()
    }
}

struct Client {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    packets: u64,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let mut client = Self::open(server, &session(server));
        assert_eq!(client.read(), "1::");
        client
    }

    fn open(server: &Server, session: &str) -> Self {
        let url = format!("ws://{}/socket.io/1/websocket/{session}", server.address);
        let (socket, _) = tungstenite::connect(url).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            let patience = Some(Duration::from_secs(60));
            stream.set_read_timeout(patience).unwrap();
        }
        Self { socket, packets: 0 }
    }

    fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).unwrap();
    }

    /// The next packet that is no heartbeat.
    fn read(&mut self) -> String {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) if text == "2::" => {}
                Message::Text(text) => return text.to_string(),
                other => unreachable!("{other}"),
            }
        }
    }

    /// Publishes as Python does; returns the acknowledgement, which must be the next packet but
    /// for `events`.
    fn publish(&mut self, event: &Value) -> (Value, Vec<Value>) {
        self.packets += 1;
        let payload = json!({"name": "ftrack.event", "args": [event]});
        self.send(format!("5:{}+::{payload}", self.packets));
        let (start, mut events) = (format!("6:::{}+", self.packets), Vec::new());
        loop {
            let packet = self.read();
            match packet.strip_prefix(&start) {
                Some(ack) => {
                    let ack: Vec<Value> = serde_json::from_str(ack).unwrap();
                    assert_eq!(ack.len(), 1);
                    return (ack[0].clone(), events);
                }
                None => events.push(event_in(&packet)),
            }
        }
    }

    fn subscribe(&mut self, id: &str, subscription: &str) -> Value {
        let data = json!({"subscriber": {"id": id}, "subscription": subscription});
        self.publish(&json!({"topic": "ftrack.meta.subscribe", "data": data}))
            .0
    }

    fn event(&mut self) -> Value {
        event_in(&self.read())
    }

    /// Nothing is waiting: the acknowledgement of a harmless event comes at once.
    fn assert_nothing_waits(&mut self) {
        let (_, events) = self.publish(&json!({"topic": "nobody.listens"}));
        assert!(events.is_empty(), "{events:?}");
    }

    fn leave(&mut self, how: Leave) {
        match how {
            Leave::Packet => self.send("0::"),
            Leave::Frame => self.socket.close(None).unwrap(),
            Leave::End => {
                self.socket.flush().unwrap();
                let MaybeTlsStream::Plain(stream) = self.socket.get_ref() else {
                    unreachable!()
                };
                stream.shutdown(Shutdown::Write).unwrap();
            }
        }
    }

    /// Reads to the end of the connection and counts them.
    fn acknowledgements(&mut self) -> usize {
        let mut count = 0;
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) if text.starts_with("6:::") => count += 1,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => {
                    unreachable!("the connection is still open")
                }
                Err(_) => return count,
            }
        }
    }

    /// Reads to the end of the connection and says whether there was a close frame.
    fn ends(&mut self) -> bool {
        let mut closed = false;
        loop {
            match self.socket.read() {
                Ok(Message::Close(_)) => closed = true,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => {
                    unreachable!("the connection is still open")
                }
                Err(_) => return closed,
            }
        }
    }
}

/// How a client leaves: by a packet, by a close frame, or by ending its side.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Packet,
    Frame,
    End,
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

fn event_in(packet: &str) -> Value {
    let payload: Value = serde_json::from_str(packet.strip_prefix("5:::").unwrap()).unwrap();
    assert_eq!(payload["name"], "ftrack.event");
    payload["args"][0].clone()
}

fn handshake(server: &Server, query: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let url = format!("http://{}/socket.io/1/{query}", server.address);
    let config = ureq::config::Config::builder().http_status_as_error(false);
    let mut request = ureq::Agent::new_with_config(config.build()).get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), text)
}

fn session(server: &Server) -> String {
    let (_, text) = handshake(server, "?api_user=ada&api_key=secret", &[]);
    text.split(':').next().unwrap().to_owned()
}

pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn handshakes_of_both_clients_and_of_strangers() {
    let (server, _) = start(Settings::default());
    let python = [("ftrack-user", "ada"), ("ftrack-api-key", "secret")];
    let (status, text) = handshake(&server, "", &python);
    let parts: Vec<_> = text.split(':').collect();
    assert_eq!((status, &parts[1..]), (200, &["15", "60", "websocket"][..]));
    let (status, _) = handshake(&server, "?api_user=a%2Bb&api_key=secret&t=1", &[]);
    assert_eq!(status, 200);
    let wrong = [("ftrack-user", "ada"), ("ftrack-api-key", "guess")];
    for (query, headers) in [
        ("", &wrong[..]),
        ("?api_user=ada&api_key=x", &[]),
        ("", &[]),
    ] {
        let (status, text) = handshake(&server, query, headers);
        assert_eq!(status, 401);
        assert!(!text.is_empty() && !text.contains("guess"));
    }
}

#[test]
fn a_session_id_that_is_unknown_used_or_late_is_told_so() {
    steadily(|| {
        let settings = Settings {
            handshake: Duration::from_secs(2),
            ..Settings::default()
        };
        let (server, hub) = start(settings.clone());
        let used = session(&server);
        let mut first = Client::open(&server, &used);
        assert_eq!(first.read(), "1::");
        let late = session(&server);
        std::thread::sleep(settings.handshake + Duration::from_millis(10));
        for id in ["unknown", &used, &late] {
            let mut client = Client::open(&server, id);
            assert_eq!(client.read(), "7:::1+0");
            assert!(client.ends());
        }
        assert_eq!(hub.connections(), 1);
    });
}

#[test]
fn events_go_to_subscribers_their_author_included() {
    let (server, _) = start(Settings::default());
    let (mut one, mut two) = (Client::connect(&server), Client::connect(&server));
    for client in [&mut one, &mut two] {
        let reply = client.subscribe("same", "topic=greeting and data.n=1");
        assert_eq!(reply, json!({"success": true}));
        client.subscribe("again", "topic=greet*");
    }
    let event = json!({"id": "e1", "topic": "greeting", "data": {"n": "1"}, "sent": null,
        "source": {"id": "hub-1", "user": {"username": "ada"}}, "target": "", "surplus": 1,
        "inReplyToEvent": null});
    let (reply, echo) = one.publish(&event);
    assert_eq!(reply, json!({"success": true}));
    let mut expected = event;
    expected.as_object_mut().unwrap().remove("surplus");
    assert_eq!(echo, [expected.clone()]);
    assert_eq!(two.event(), expected);
    one.assert_nothing_waits();
    two.assert_nothing_waits();
}

#[test]
fn replies_reach_the_hub_that_asked_and_no_other() {
    let (server, _) = start(Settings::default());
    let [mut asker, mut replier, mut other] = [(); 3].map(|()| Client::connect(&server));
    for (client, id) in [(&mut asker, "h1"), (&mut replier, "h2"), (&mut other, "h3")] {
        client.subscribe(id, "topic=ftrack.meta.reply");
    }
    replier.subscribe("s", "topic=question");
    asker.publish(&json!({"id": "q", "topic": "question", "source": {"id": "h1"}}));
    let question = replier.event();
    let target = format!("id={}", question["source"]["id"].as_str().unwrap());
    replier.publish(
        &json!({"topic": "ftrack.meta.reply", "target": target, "data": [1],
        "source": {"id": "s"}, "inReplyToEvent": question["id"]}),
    );
    let reply = asker.event();
    assert_eq!(reply["inReplyToEvent"], "q");
    assert_eq!(reply["data"], json!([1]));
    // The server knows who is behind a connection.
    assert_eq!(
        reply["source"],
        json!({"id": "s", "user": {"username": "ada"}})
    );
    other.assert_nothing_waits();
    replier.assert_nothing_waits();
}

#[test]
fn duplicate_subscribers_are_refused_and_unsubscribing_frees_the_id() {
    let (server, hub) = start(Settings::default());
    let mut client = Client::connect(&server);
    client.subscribe("a", "topic=x");
    let reply = client.subscribe("a", "topic=y");
    assert_eq!(reply["success"], false);
    assert!(reply["message"].as_str().unwrap().contains("duplicate"));
    let unsubscribe = json!({"topic": "ftrack.meta.unsubscribe",
        "data": {"subscriber": {"id": "a"}}});
    assert_eq!(client.publish(&unsubscribe).0["success"], true);
    assert_eq!(client.publish(&unsubscribe).0["success"], false);
    assert_eq!(client.subscribe("a", "topic=y")["success"], true);
    assert_eq!(hub.subscriptions(), 1);
    drop(client);
    eventually("a closed connection leaves nothing", || {
        hub.subscriptions() == 0 && hub.connections() == 0
    });
}

#[test]
fn malformed_packets_get_a_reply_and_harm_nobody() {
    let (server, _) = start(Settings::default());
    let mut client = Client::connect(&server);
    let deep = format!("5:::{}", "[".repeat(200_000));
    for bad in [
        "",
        ":::",
        "hello",
        "9::",
        "5",
        "5:::{",
        "5:x+::{}",
        "5:::null",
        deep.as_str(),
    ] {
        client.send(bad);
        assert!(
            client.read().starts_with("7:::"),
            "{}",
            &bad[..bad.len().min(20)]
        );
    }
    for ignored in [
        "1::", "3:::x", "4:::{}", "6:::77", "6:::x", "7:::x", "8::", "2:::", "2::",
    ] {
        client.send(ignored);
    }
    client
        .socket
        .send(Message::binary(vec![255_u8, 0]))
        .unwrap();
    assert!(client.read().starts_with("7:::"));
    for bad in [
        json!(null),
        json!({"topic": null}),
        json!({"topic": "x", "target": "id="}),
        json!({"topic": "ftrack.meta.subscribe", "data": null}),
        json!({"topic": "ftrack.meta.subscribe",
            "data": {"subscriber": {"id": "a"}, "subscription": "(".repeat(60_000)}}),
    ] {
        let (reply, _) = client.publish(&bad);
        assert_eq!(reply["success"], false);
        assert!(reply["message"].is_string());
    }
    assert_eq!(client.subscribe("a", "topic=x")["success"], true);
}

#[test]
fn an_oversized_message_ends_only_its_own_connection() {
    let settings = Settings {
        message_size: 10_000,
        ..Settings::default()
    };
    let (server, hub) = start(settings);
    let (mut loud, mut quiet) = (Client::connect(&server), Client::connect(&server));
    let _ = loud.socket.send(Message::text("5".repeat(20_000)));
    loud.ends();
    eventually("only the loud one is gone", || hub.connections() == 1);
    quiet.assert_nothing_waits();
}

#[test]
fn heartbeats_are_sent_and_silent_clients_dropped() {
    steadily(|| {
        let (server, hub) = start(quick());
        let mut client = Client::connect(&server);
        let start = Instant::now();
        for _ in 0..9 {
            assert_eq!(client.socket.read().unwrap().to_text().unwrap(), "2::");
            client.send("2:::");
        }
        // A client that replies outlives the limit on silence.
        assert!(start.elapsed() > Duration::from_secs(2));
        hub.skip_heartbeats(true);
        client.ends();
        eventually("the silent one is gone", || hub.connections() == 0);
    });
}

#[test]
fn a_close_frame_gets_a_reply_at_once() {
    let (server, hub) = start(Settings::default());
    let mut took = Vec::new();
    for _ in 0..15 {
        let mut client = Client::connect(&server);
        client.subscribe("a", "topic=x");
        let start = Instant::now();
        client.socket.close(None).unwrap();
        assert!(client.ends());
        took.push(start.elapsed());
    }
    // The server waits a second for clients that do not end their side.
    took.sort_unstable();
    assert!(took[7] < Duration::from_millis(900), "{took:?}");
    let mut polite = Client::connect(&server);
    polite.send("0::");
    assert!(polite.ends());
    eventually("nobody is left", || hub.connections() == 0);
}

#[test]
fn what_a_client_published_is_acknowledged_although_it_leaves() {
    let (server, _) = start(Settings::default());
    let packet = json!({"name": "ftrack.event", "args": [{"topic": "x"}]});
    for leave in [Leave::Packet, Leave::Frame, Leave::End] {
        let mut client = Client::connect(&server);
        for n in 0..500 {
            let packet = Message::text(format!("5:{n}+::{packet}"));
            client.socket.write(packet).unwrap();
        }
        client.leave(leave);
        assert_eq!(client.acknowledgements(), 500, "{leave:?}");
    }
}

#[test]
fn a_publisher_that_must_wait_for_others_may_leave() {
    // Nobody is cut off, so that nothing else lets the publisher go on.
    let settings = Settings {
        backlog: 1 << 20,
        patience: Duration::from_secs(600),
        ..Settings::default()
    };
    for leave in [Leave::Packet, Leave::Frame, Leave::End] {
        let (server, hub) = start(settings.clone());
        let (mut stuck, mut busy) = (Client::connect(&server), Client::connect(&server));
        stuck.subscribe("a", "topic=big");
        let event = json!({"topic": "big", "data": "x".repeat(50_000)});
        // The buffers of the operating system grow for a while.
        eventually("a client that does not read is slow", || {
            while !hub.congested() {
                hub.publish(event.clone()).unwrap();
            }
            std::thread::sleep(Duration::from_millis(100));
            hub.congested()
        });
        assert_eq!(busy.publish(&event).0["success"], true);
        busy.send(r#"5:999+::{"name":"ftrack.event","args":[{"topic":"x"}]}"#);
        busy.leave(leave);
        busy.socket.flush().unwrap();
        if let MaybeTlsStream::Plain(stream) = busy.socket.get_ref() {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(busy.acknowledgements(), 1, "{leave:?}");
        eventually("only the slow one is left", || hub.connections() == 1);
        assert!(hub.congested());
    }
}

#[test]
fn events_of_the_server_and_their_order() {
    let (server, hub) = start(Settings::default());
    let mut clients = [(); 3].map(|()| Client::connect(&server));
    for client in &mut clients {
        client.subscribe("a", "topic=count");
    }
    for n in 0..2000 {
        let delivery = hub.publish(json!({"topic": "count", "data": n})).unwrap();
        assert_eq!(delivery.connections, 3);
    }
    for client in &mut clients {
        for n in 0..2000 {
            assert_eq!(client.event()["data"], n);
        }
    }
    assert!(hub.publish(json!({"topic": 1})).is_err());
}

#[test]
fn a_client_that_only_sends_does_not_block_itself() {
    let (server, _) = start(Settings::default());
    let mut client = Client::connect(&server);
    client.subscribe("a", "topic=big");
    let text = "x".repeat(10_000);
    let packet = json!({"name": "ftrack.event", "args": [{"topic": "big", "data": text}]});
    // Ten megabytes: more than the buffers of both sockets hold.
    for _ in 0..1000 {
        client.send(format!("5:::{packet}"));
    }
    for _ in 0..1000 {
        assert_eq!(client.event()["topic"], "big");
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_its_publisher_is_not() {
    let settings = Settings {
        backlog: 1 << 20,
        patience: Duration::from_millis(200),
        ..Settings::default()
    };
    let (server, hub) = start(settings);
    let (mut stuck, mut busy) = (Client::connect(&server), Client::connect(&server));
    stuck.subscribe("a", "topic=big");
    let event = json!({"topic": "big", "data": "x".repeat(100_000)});
    // What the operating system buffers comes on top of the backlog.
    for _ in 0..300 {
        assert_eq!(busy.publish(&event).0["success"], true);
        if hub.connections() == 1 {
            return;
        }
    }
    eventually("30 MB do not wait for a client that does not read", || {
        hub.connections() == 1
    });
}

#[test]
fn faults_drop_and_freeze() {
    steadily(|| {
        let (server, hub) = start(quick());
        let (mut one, mut two) = (Client::connect(&server), Client::connect(&server));
        one.subscribe("a", "topic=x");
        hub.freeze(true);
        one.send("2::");
        hub.publish(json!({"topic": "x"})).unwrap();
        if let MaybeTlsStream::Plain(stream) = one.socket.get_ref() {
            let patience = Some(Duration::from_millis(2600));
            stream.set_read_timeout(patience).unwrap();
        }
        // The socket is open beyond the limit on silence, and nothing arrives. One packet may have
        // been on its way.
        let frozen = (0..3).any(|_| {
            let read = one.socket.read();
            matches!(read, Err(tungstenite::Error::Io(error)) if is_timeout(&error))
        });
        assert!(frozen);
        assert_eq!(hub.connections(), 2);
        hub.freeze(false);
        assert_eq!(one.event()["topic"], "x");

        assert_eq!(hub.drop_connections(), 2);
        assert!(!one.ends() && !two.ends());
        eventually("nothing is left of them", || hub.subscriptions() == 0);
        Client::connect(&server).assert_nothing_waits();
    });
}
