//! What the server says, and what follows from it.

use std::time::Duration;

use super::{Machine, Output, State, broken};
use crate::socketio::outgoing::Wanted;
use crate::socketio::packet::{self, Packet};

impl Machine {
    /// Something has arrived, which may be a part of a frame: a large one takes its time.
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
            Err(why) => {
                let start: String = text.chars().take(80).collect();
                log::warn!("event hub: ignored a packet, {why}: {start:?}");
            }
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
                let message = format!("the event server refused the connection: {reason}");
                return self.lost(now, broken(&message));
            }
            (Packet::Error(reason), _) => log::warn!("event hub: the server reports {reason:?}"),
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
        let answer = packet::read_ack(data);
        match (self.queue.acknowledge(now, number), answer) {
            (Some(Wanted::Event(event)), Ok(())) => {
                self.useful = true;
                self.outputs.push_back(Output::Acknowledged(event));
            }
            (Some(Wanted::Event(event)), Err(why)) => {
                self.useful = true;
                self.undelivered(event, &format!("the event server refused it: {why}"));
            }
            (Some(Wanted::Subscription(id)), answer) => {
                let result = answer;
                self.outputs.push_back(Output::Subscribed { id, result });
            }
            (Some(Wanted::Unsubscription), Err(why)) => {
                log::warn!("event hub: the server did not unsubscribe: {why}");
            }
            (Some(Wanted::Unsubscription), Ok(())) => {}
            (None, _) => log::debug!("event hub: acknowledgement for unknown packet {number}"),
        }
        self.end_if_done();
    }

    fn event(&mut self, acknowledge: Option<&str>, data: &str) {
        if let Some(number) = acknowledge {
            self.send(packet::ack_packet(number));
        }
        let events = match packet::read_events(data) {
            Ok(events) => events,
            Err(error) => return log::warn!("event hub: ignored an event: {error}"),
        };
        self.useful = true;
        for event in events {
            let new = self.seen.is_new(event.id());
            self.outputs.push_back(if new {
                Output::Deliver(event)
            } else {
                Output::Duplicate
            });
        }
    }
}
