//! The packets of socket.io 0.9 and the response to its handshake, as text.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

/// The name under which the server sends and takes events.
const EVENT_NAME: &str = "ftrack.event";

/// What surrounds an event in a packet, in both directions.
const EVENT_START: &str = r#"{"name":"ftrack.event","args":["#;
const EVENT_END: &str = "]}";

/// One packet, borrowed from its text.
#[derive(Debug, PartialEq)]
pub(crate) enum Packet<'a> {
    Disconnect,
    Connect,
    Heartbeat,
    /// An event, and the number under which the server expects an acknowledgement.
    Event {
        acknowledge: Option<&'a str>,
        data: &'a str,
    },
    /// The server has received our packet of this number.
    Ack {
        number: u64,
        data: &'a str,
    },
    Error(&'a str),
    /// Messages, other namespaces and anything else that ftrack does not use.
    Other,
}

impl<'a> Packet<'a> {
    /// Parses `code:id:endpoint:data`. The data contains colons, so the text is split at most three
    /// times; codes may stand alone.
    ///
    /// # Errors
    ///
    /// - What is wrong with the text.
    pub(crate) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let mut parts = text.splitn(4, ':');
        let code = parts.next().unwrap_or_default();
        let id = parts.next().unwrap_or_default();
        let endpoint = parts.next().unwrap_or_default();
        let data = parts.next().unwrap_or_default();
        if !endpoint.is_empty() {
            return Ok(Self::Other);
        }
        match code {
            "0" => Ok(Self::Disconnect),
            "1" => Ok(Self::Connect),
            "2" => Ok(Self::Heartbeat),
            "3" | "4" | "8" => Ok(Self::Other),
            "5" => {
                let number = id.strip_suffix('+').unwrap_or(id);
                Ok(Self::Event {
                    acknowledge: Some(number).filter(|n| !n.is_empty()),
                    data,
                })
            }
            "6" => {
                let (number, data) = data.split_once('+').unwrap_or((data, ""));
                let number = number
                    .parse()
                    .map_err(|_| "ignored an acknowledgement without a number")?;
                Ok(Self::Ack { number, data })
            }
            "7" => Ok(Self::Error(data)),
            _ => Err("ignored a packet with an unknown code"),
        }
    }
}

/// The packet that carries an event, with a number to be acknowledged.
pub(crate) fn event_packet(number: u64, event: &str) -> String {
    let number = number.to_string();
    ["5:", &number, "+::", EVENT_START, event, EVENT_END].concat()
}

/// The packet that acknowledges one of the server's.
pub(crate) fn ack_packet(number: &str) -> String {
    format!("6:::{number}")
}

/// The reply to a heartbeat, and a heartbeat of our own.
pub(crate) const HEARTBEAT: &str = "2::";

/// A packet without content.
pub(crate) const NOTHING: &str = "8::";

/// An event that arrived: what the protocol needs of it, and its JSON, which is parsed when the
/// event is handled.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Empty if it has none.
    pub(crate) id: String,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) text: String,
}

impl Arrival {
    fn read(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Head<'a> {
            id: Option<String>,
            /// Without a topic it is not an event.
            #[serde(borrow, rename = "topic")]
            _topic: Cow<'a, str>,
            #[serde(rename = "inReplyToEvent")]
            in_reply_to: Option<String>,
        }
        let head: Head<'_> = serde_json::from_str(text)?;
        Ok(Self {
            id: head.id.unwrap_or_default(),
            in_reply_to: head.in_reply_to,
            text: text.to_string(),
        })
    }
}

/// The events in an event packet's data; none if it is another kind of event.
pub(crate) fn read_events(data: &str) -> serde_json::Result<Vec<Arrival>> {
    // The form that servers write; any other form of the same is read below, in two passes.
    let usual = data.strip_prefix(EVENT_START);
    if let Some(event) = usual.and_then(|rest| rest.strip_suffix(EVENT_END))
        && let Ok(arrival) = Arrival::read(event)
    {
        return Ok(vec![arrival]);
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        name: String,
        #[serde(borrow)]
        args: Option<&'a RawValue>,
    }
    let named: Named<'_> = serde_json::from_str(data)?;
    match named.args {
        Some(args) if named.name == EVENT_NAME => {
            let events: Vec<&RawValue> = serde_json::from_str(args.get())?;
            events
                .into_iter()
                .map(|event| Arrival::read(event.get()))
                .collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// The server's reason if an acknowledgement is a rejection.
///
/// Only `"success": false` is one; the plain acknowledgement of socket.io has no data.
pub(crate) fn read_ack(data: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Acknowledgement {
        success: Option<bool>,
        message: Option<String>,
    }
    match serde_json::from_str::<[Acknowledgement; 1]>(data) {
        Ok([reply]) if reply.success == Some(false) => {
            let message = reply.message;
            Err(message.unwrap_or_else(|| "the server gave no reason".to_string()))
        }
        _ => Ok(()),
    }
}

/// The response to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// A part of the websocket's URL.
    pub(crate) session_id: String,
    /// The connection is lost after this long without any data from the server.
    pub(crate) heartbeat_timeout: Option<Duration>,
}

/// Parses `id:heartbeat:close:transports`, such as `abc:15:60:websocket,xhr-polling`.
pub(crate) fn parse_handshake(body: &str) -> Result<Handshake> {
    let mut parts = body.trim().split(':');
    let session_id = parts.next().unwrap_or_default();
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!*'()".contains(&byte);
    let readable =
        !session_id.is_empty() && session_id.len() <= 256 && session_id.bytes().all(safe);
    let (Some(heartbeat), Some(_), Some(transports), true) =
        (parts.next(), parts.next(), parts.next(), readable)
    else {
        let message = "the event server's response is not a handshake";
        return Err(Error::new(ErrorKind::BadResponse, message));
    };
    if !transports
        .split(',')
        .any(|transport| transport.trim() == "websocket")
    {
        let message = "the event server does not offer websockets";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let seconds = heartbeat
        .trim()
        .parse()
        .ok()
        .filter(|seconds: &u64| (1..=3600).contains(seconds));
    Ok(Handshake {
        session_id: session_id.to_string(),
        heartbeat_timeout: seconds.map(Duration::from_secs),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    #[test]
    fn packets() {
        for (text, expected) in [
            ("0", Ok(Packet::Disconnect)),
            ("0::", Ok(Packet::Disconnect)),
            ("1::", Ok(Packet::Connect)),
            ("1::/chat", Ok(Packet::Other)),
            ("2::", Ok(Packet::Heartbeat)),
            ("2:::", Ok(Packet::Heartbeat)),
            ("3:::text", Ok(Packet::Other)),
            ("8::", Ok(Packet::Other)),
            (
                "5:::{\"a\":1}",
                Ok(Packet::Event {
                    acknowledge: None,
                    data: "{\"a\":1}",
                }),
            ),
            (
                "5:7+::{}",
                Ok(Packet::Event {
                    acknowledge: Some("7"),
                    data: "{}",
                }),
            ),
            (
                "5:7::{}",
                Ok(Packet::Event {
                    acknowledge: Some("7"),
                    data: "{}",
                }),
            ),
            (
                "6:::3",
                Ok(Packet::Ack {
                    number: 3,
                    data: "",
                }),
            ),
            (
                "6:::3+[{\"a\":1}]",
                Ok(Packet::Ack {
                    number: 3,
                    data: "[{\"a\":1}]",
                }),
            ),
            ("7:::1+0", Ok(Packet::Error("1+0"))),
            ("6:::x", Err("ignored an acknowledgement without a number")),
            ("6", Err("ignored an acknowledgement without a number")),
            ("9::", Err("ignored a packet with an unknown code")),
            ("", Err("ignored a packet with an unknown code")),
            ("<html>", Err("ignored a packet with an unknown code")),
        ] {
            assert_eq!(Packet::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn acknowledgements() {
        for (data, expected) in [
            ("", Ok(())),
            ("[]", Ok(())),
            ("[{\"success\":true}]", Ok(())),
            ("not json", Ok(())),
            (
                "[{\"success\":false,\"message\":\"no\"}]",
                Err("no".to_string()),
            ),
            (
                "[{\"success\":false}]",
                Err("the server gave no reason".to_string()),
            ),
        ] {
            assert_eq!(read_ack(data), expected, "{data}");
        }
    }

    #[test]
    fn handshakes() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (body, heartbeat) in [
            ("abc:15:60:websocket,xhr-polling", seconds(15)),
            ("abc::60:websocket\n", None),
            ("abc:0:60:xhr-polling, websocket", None),
        ] {
            let handshake = parse_handshake(body).unwrap();
            assert_eq!(handshake.session_id, "abc", "{body}");
            assert_eq!(handshake.heartbeat_timeout, heartbeat, "{body}");
        }
        for (body, kind) in [
            ("", ErrorKind::BadResponse),
            ("<html>a:b:c:websocket", ErrorKind::BadResponse),
            ("abc:15", ErrorKind::BadResponse),
            ("a/../b:15:60:websocket", ErrorKind::BadResponse),
            ("abc:15:60:xhr-polling", ErrorKind::Unsupported),
        ] {
            assert_eq!(parse_handshake(body).unwrap_err().kind(), kind, "{body}");
        }
    }

    #[test]
    fn events() {
        let one = r#"{"args":[{"topic":"t:1","id":"x"}],"name":"ftrack.event"}"#;
        let read = read_events(one).unwrap();
        assert_eq!((read[0].id.as_str(), read.len()), ("x", 1));
        let event: Event = serde_json::from_str(&read[0].text).unwrap();
        assert_eq!(event.topic(), "t:1");
        assert!(
            read_events(r#"{"name":"other","args":[5]}"#)
                .unwrap()
                .is_empty()
        );
        assert!(
            read_events(r#"{"name":"ftrack.event"}"#)
                .unwrap()
                .is_empty()
        );
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"name":"ftrack.event","args":[5]}"#,
            &"[".repeat(100_000),
        ] {
            assert!(read_events(bad).is_err());
        }
    }

    proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn what_is_sent_reads_back(topic in "\\PC{0,20}", number in 0_u64..) {
                let event = Event::new(topic.clone());
                let text = event_packet(number, &serde_json::to_string(&event).unwrap());
                let number = number.to_string();
                match Packet::parse(&text) {
                    Ok(Packet::Event { acknowledge, data }) => {
                        prop_assert_eq!(acknowledge, Some(number.as_str()));
                        let events = read_events(data).unwrap();
                        let read: Event = serde_json::from_str(&events[0].text).unwrap();
                        prop_assert_eq!(read.topic(), topic);
                        prop_assert_eq!(events[0].id.as_str(), event.id());
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }

            #[test]
            fn no_text_makes_the_reader_panic(text in "[0-9:+{}\\[\\]\"a-z]{0,30}") {
                if let Ok(Packet::Event { data, .. }) = Packet::parse(&text) {
                    let _ = read_events(data);
                }
                let _ = parse_handshake(&text);
            }
        }
}
