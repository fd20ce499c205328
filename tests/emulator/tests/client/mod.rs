//! An emulator and a plain HTTP client for it.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::net::TcpStream;
use std::time::Duration;

use ftrack_emulator::{Builder, Emulator};
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// A new event connection, past its first packet.
pub(crate) fn events(site: &Site) -> WebSocket<MaybeTlsStream<TcpStream>> {
    let (url, user, key) = (
        site.emulator.url(),
        site.emulator.api_user(),
        site.emulator.api_key(),
    );
    let handshake = format!("{url}/socket.io/1/?api_user={user}&api_key={key}");
    let response = ureq::get(handshake)
        .call()
        .unwrap()
        .body_mut()
        .read_to_string();
    let session = response.unwrap().split(':').next().unwrap().to_owned();
    let url = url.replacen("http", "ws", 1);
    let (mut socket, _) =
        tungstenite::connect(format!("{url}/socket.io/1/websocket/{session}")).unwrap();
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
    }
    assert_eq!(socket.read().unwrap().to_text().unwrap(), "1::");
    socket
}

/// A connection to the event server with one subscription.
pub(crate) struct Events(WebSocket<MaybeTlsStream<TcpStream>>);

impl Events {
    pub(crate) fn subscribe(site: &Site, subscription: &str) -> Self {
        let mut events = Self(events(site));
        let event = json!({"topic": "ftrack.meta.subscribe",
            "data": {"subscriber": {"id": "s"}, "subscription": subscription}});
        let packet = json!({"name": "ftrack.event", "args": [event]});
        events
            .0
            .send(Message::text(format!("5:1+::{packet}")))
            .unwrap();
        while events.0.read().unwrap().to_text().unwrap() != r#"6:::1+[{"success":true}]"# {}
        events
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            let message = self.0.read().unwrap();
            if let Some(payload) = message.to_text().unwrap().strip_prefix("5:::") {
                let mut payload: Value = serde_json::from_str(payload).unwrap();
                return payload["args"][0].take();
            }
        }
    }
}

/// An emulator and a client for it.
pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    agent: ureq::Agent,
}

impl Site {
    /// A small studio.
    pub(crate) fn start() -> Self {
        Self::with(Emulator::builder().tasks(200))
    }

    /// A studio of one's own.
    pub(crate) fn with(builder: Builder) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        Self {
            emulator: builder.start().unwrap(),
            agent: config.into(),
        }
    }

    /// One request with headers beside the usual ones, or instead of the key.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let mut request = self
            .agent
            .post(format!("{}/api", self.emulator.url()))
            .header("content-type", "application/json");
        for (name, value) in [
            ("ftrack-user", self.emulator.api_user()),
            ("ftrack-api-key", self.emulator.api_key()),
        ] {
            if !headers.iter().any(|(own, _)| *own == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).unwrap();
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(100 << 20);
        let body = body.read_to_vec().unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Several operations in one batch.
    pub(crate) fn call(&self, operations: &Value) -> Value {
        self.post(&[], &operations.to_string()).1
    }

    /// The data of one query.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let response = self.call(&json!([{"action": "query", "expression": expression}]));
        response[0]["data"]
            .as_array()
            .unwrap_or_else(|| panic!("{expression}: {response}"))
            .clone()
    }

    /// The data of one accepted operation.
    pub(crate) fn done(&self, operation: &Value) -> Value {
        let response = self.call(&json!([operation]));
        assert!(response.is_array(), "{operation}: {response}");
        response[0]["data"].clone()
    }

    /// Creates an entity and returns what the server says about it.
    pub(crate) fn create(&self, entity_type: &str, mut data: Value) -> Value {
        data["__entity_type__"] = json!(entity_type);
        self.done(&json!({"action": "create", "entity_type": entity_type, "entity_data": data}))
    }

    /// Changes an entity.
    pub(crate) fn update(&self, entity_type: &str, key: &Value, mut data: Value) -> Value {
        data["__entity_type__"] = json!(entity_type);
        self.done(&json!({
            "action": "update", "entity_type": entity_type, "entity_key": key, "entity_data": data
        }))
    }

    /// Deletes an entity.
    pub(crate) fn delete(&self, entity_type: &str, key: &Value) {
        self.done(&json!({"action": "delete", "entity_type": entity_type, "entity_key": key}));
    }

    /// The exception and the text of a refusal.
    pub(crate) fn refused(&self, operations: &Value) -> (String, String) {
        let response = self.call(operations);
        let text = |name: &str| {
            response[name]
                .as_str()
                .unwrap_or_else(|| panic!("not refused: {operations}: {response}"))
                .to_owned()
        };
        (text("exception"), text("content"))
    }
}
