//! The packets of socket.io protocol 0.9: text in, values out, and back.
//!
//! A packet is `code:id:endpoint:data`. Only the data may hold colons.

use std::fmt::Write;

use serde_json::{Value, json};

/// The name under which ftrack's clients send every event.
pub const EVENT_NAME: &str = "ftrack.event";

/// A packet that a client sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// `0::`: the client leaves.
    Disconnect,
    /// `2::` or `2:::`: the client lives.
    Heartbeat,
    /// `5:<id>+::{"name": …, "args": […]}`.
    Event {
        /// The number under which the client waits for an acknowledgement.
        id: Option<u64>,
        /// What was sent, or why it is no ftrack event.
        ///
        /// The number stays readable when the data is not, so that the client hears about it.
        event: Result<Value, String>,
    },
    /// A packet that is legal and means nothing to this server: connect, message, JSON, ack,
    /// error and no-operation packets of a client.
    Ignored,
}

/// Reads a packet.
///
/// # Errors
///
/// A sentence saying what is wrong with the text. It never holds a colon, so that it can be
/// sent back in an error packet.
pub fn parse(text: &str) -> Result<Packet, String> {
    let mut parts = text.splitn(4, ':');
    let code = parts.next().unwrap_or_default();
    let id = parts.next().unwrap_or_default();
    let data = parts.nth(1).unwrap_or_default();
    match code {
        "0" => Ok(Packet::Disconnect),
        "2" => Ok(Packet::Heartbeat),
        "5" => Ok(Packet::Event {
            id: parse_id(id)?,
            event: parse_event(data),
        }),
        "1" | "3" | "4" | "6" | "7" | "8" => Ok(Packet::Ignored),
        _ => Err("a packet starts with a code from 0 to 8".to_owned()),
    }
}

fn parse_id(text: &str) -> Result<Option<u64>, String> {
    let digits = text.strip_suffix('+').unwrap_or(text);
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse() {
        Ok(id) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(id)),
        _ => Err("the id of a packet is a whole number".to_owned()),
    }
}

/// Takes the only argument out of `{"name": "ftrack.event", "args": [<event>]}`.
fn parse_event(data: &str) -> Result<Value, String> {
    let mut payload: Value = serde_json::from_str(data)
        .map_err(|error| format!("the data of an event packet is no JSON. {error}"))?;
    if payload.get("name").and_then(Value::as_str) != Some(EVENT_NAME) {
        return Err(format!("the only event name here is {EVENT_NAME}"));
    }
    match payload.get_mut("args").and_then(Value::as_array_mut) {
        Some(args) if args.len() == 1 => Ok(args.remove(0)),
        _ => Err("an event packet has a list of exactly one argument".to_owned()),
    }
}

/// What the server sends first on a new connection.
pub const CONNECT: &str = "1::";
/// What the server sends while it lives.
pub const HEARTBEAT: &str = "2::";
/// What the server sends before it closes a connection for its own reasons.
pub const DISCONNECT: &str = "0::";
/// The response to a session id that is unknown or expired: "client not handshaken", and the
/// advice to connect anew.
pub const NOT_HANDSHAKEN: &str = "7:::1+0";

/// The packet that carries `event`.
pub fn event(event: &Value) -> String {
    // The JavaScript client finds the data behind exactly `5:::`.
    let mut text = String::from("5:::{\"name\":\"ftrack.event\",\"args\":[");
    write!(text, "{event}]}}").expect("writing to a string cannot fail");
    text
}

/// The acknowledgement of packet `id`.
///
/// It always carries exactly one object: the Python client's reader thread dies of one without.
pub fn ack(id: u64, outcome: &Result<(), String>) -> String {
    let reply = match outcome {
        Ok(()) => json!([{"success": true}]),
        Err(message) => json!([{"success": false, "message": message}]),
    };
    format!("6:::{id}+{reply}")
}

/// An error packet; clients write its text to their log.
pub fn error(message: &str) -> String {
    format!("7:::{message}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn event_of(text: &str) -> (Option<u64>, Result<Value, String>) {
        match parse(text).unwrap() {
            Packet::Event { id, event } => (id, event),
            other => unreachable!("{text} was read as {other:?}"),
        }
    }

    #[test]
    fn reads_what_the_official_clients_send() {
        let python = r#"5:12+::{"name": "ftrack.event", "args": [{"topic": "a:b:c"}]}"#;
        assert_eq!(event_of(python), (Some(12), Ok(json!({"topic": "a:b:c"}))));
        let javascript = r#"5:::{"name":"ftrack.event","args":[{"topic":"x"}]}"#;
        assert_eq!(event_of(javascript), (None, Ok(json!({"topic": "x"}))));
        for heartbeat in ["2", "2::", "2:::"] {
            assert_eq!(parse(heartbeat), Ok(Packet::Heartbeat));
        }
        assert_eq!(parse("0::"), Ok(Packet::Disconnect));
        for ignored in ["1::", "3:::hello", "4:::{}", "6:::1", "7:::bad", "8::"] {
            assert_eq!(parse(ignored), Ok(Packet::Ignored));
        }
    }

    #[test]
    fn an_unreadable_event_keeps_its_id() {
        let deep = format!("5:3+::{}", "[".repeat(100_000));
        for text in [
            "5:3+::",
            "5:3+",
            "5:3+::{",
            "5:3+::[]",
            "5:3+::{\"name\":\"other\",\"args\":[{}]}",
            "5:3+::{\"name\":\"ftrack.event\"}",
            "5:3+::{\"name\":\"ftrack.event\",\"args\":{}}",
            "5:3+::{\"name\":\"ftrack.event\",\"args\":[1,2]}",
            deep.as_str(),
        ] {
            let (id, event) = event_of(text);
            assert_eq!(id, Some(3), "{}", &text[..text.len().min(60)]);
            assert!(event.is_err());
        }
    }

    #[test]
    fn refuses_what_is_no_packet() {
        for text in [
            "",
            ":",
            "9::",
            "hello",
            "55::",
            "5:x+::{}",
            "5:-1::{}",
            "5:+1+::{}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_the_official_clients_read() {
        assert_eq!(
            event(&json!({"id": "1"})),
            r#"5:::{"name":"ftrack.event","args":[{"id":"1"}]}"#
        );
        assert_eq!(ack(4, &Ok(())), r#"6:::4+[{"success":true}]"#);
        assert_eq!(
            ack(4, &Err("no".to_owned())),
            r#"6:::4+[{"success":false,"message":"no"}]"#
        );
    }
}
