//! What the server sends, and what follows from it.

use std::time::Duration;

use super::{Machine, Output, State, broken};
use crate::socketio::outgoing::Wanted;
use crate::socketio::packet::{self, Packet};

/// The most characters of a packet that are kept for a log message: more than are shown, so that
/// secrets can be removed before it is cut.
const MAX_QUOTED_CHARS: usize = 70_000;

impl Machine {
    /// Something has arrived, possibly a part of a large frame only.
    pub(crate) fn heard(&mut self, now: Duration) {
        self.last_heard = now;
    }

    /// A text frame has arrived.
    pub(crate) fn received(&mut self, now: Duration, text: &str) {
        if !matches!(self.state, State::Accepting { .. }) && !self.is_open() {
            return;
        }
        self.heard(now);
        if text.is_empty() {
            // The server announces a frame of exactly 65,536 bytes as empty; what follows is
            // not a frame any more (npm socket.io 0.9.19, hybi-16).
            return self.lost(now, broken("an empty frame: the stream is out of step"));
        }
        match Packet::parse(text) {
            Ok(packet) => self.handle(now, &packet),
            Err(why) => self.unexpected(why, text),
        }
        self.pump(now);
    }

    fn handle(&mut self, now: Duration, packet: &Packet<'_>) {
        match (packet, self.state) {
            (Packet::Disconnect, _) => {
                return self.lost(now, broken("the event server ended the connection"));
            }
            (Packet::Error(reason), State::Accepting { .. }) => {
                // `1+0`: the session id has expired, as the upgrade came too late.
                let message = format!("the event server rejected the connection: {reason}");
                return self.lost(now, broken(&message));
            }
            (Packet::Error(reason), _) => {
                self.unexpected("the server reports an error", reason);
            }
            (Packet::Other, _) => {}
            (_, State::Accepting { .. }) => self.accepted(now),
            _ => {}
        }
        match packet {
            Packet::Heartbeat => self.send(packet::HEARTBEAT.to_string()),
            Packet::Ack { number, data } => self.acknowledged(now, *number, data),
            Packet::Event { acknowledge, data } => self.event(*acknowledge, data),
            _ => {}
        }
    }

    fn accepted(&mut self, now: Duration) {
        self.state = State::Open { since: now };
        self.attempts.accepted();
        self.outputs.push_back(Output::Up);
        for (id, text) in &self.subscriptions {
            self.queue
                .control(Wanted::Subscription(id.clone()), text.clone());
        }
    }

    fn acknowledged(&mut self, now: Duration, number: u64, data: &str) {
        let reply = packet::read_ack(data);
        match (self.queue.acknowledge(now, number), reply) {
            (Some(Wanted::Event(event)), Ok(())) => {
                self.useful = true;
                self.outputs.push_back(Output::Acknowledged(event));
            }
            (Some(Wanted::Event(event)), Err(why)) => {
                self.useful = true;
                self.undelivered(event, &format!("the event server rejected it: {why}"));
            }
            (Some(Wanted::Subscription(id)), reply) => {
                let result = reply;
                self.outputs.push_back(Output::Subscribed { id, result });
            }
            (Some(Wanted::Unsubscription), Err(why)) => {
                self.unexpected("the server rejected the end of a subscription", &why);
            }
            (Some(Wanted::Unsubscription), Ok(())) => {}
            (None, _) => log::debug!("event hub: acknowledgement for unknown packet {number}"),
        }
        self.end_if_done();
    }

    fn unexpected(&mut self, what: &'static str, text: &str) {
        let text = text.chars().take(MAX_QUOTED_CHARS).collect();
        self.outputs.push_back(Output::Unexpected { what, text });
    }

    fn event(&mut self, acknowledge: Option<&str>, data: &str) {
        if let Some(number) = acknowledge {
            self.send(packet::ack_packet(number));
        }
        let events = match packet::read_events(data) {
            Ok(events) => events,
            Err(_) => return self.unexpected("ignored an invalid event", data),
        };
        self.useful = true;
        for event in events {
            let new = self.seen.insert(&event.id);
            self.outputs.push_back(if new {
                Output::Deliver(event)
            } else {
                Output::Duplicate
            });
        }
    }
}
