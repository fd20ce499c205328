//! Drives the protocol's state machine: carries its outputs to the socket and to those who wait,
//! and brings it commands, packets and the time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde_json::{Map, Value, json};

use crate::config::Redactor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{CONNECTED_TOPIC, DISCONNECTED_TOPIC, Event};
use crate::hub::config::Endpoint;
use crate::hub::line::Command;
use crate::hub::linger::Linger;
use crate::hub::link::Link;
use crate::hub::poller::Poller;
use crate::hub::shared::Shared;
use crate::hub::status::{HubState, Status};
use crate::socketio::{Arrival, Machine, Outgoing, Output};

/// The most commands, and the most packets, taken before the others get their turn.
const MAX_BATCH: usize = 256;

/// The most characters of an error that may quote the server.
const MAX_ERROR_CHARS: usize = 2000;

/// The topic of the local event that says that the server has accepted all subscriptions.
pub(super) const SUBSCRIBED: &str = "ftrack.meta.subscribed";

/// Everything that the thread owns.
pub(super) struct Driver {
    pub(super) machine: Machine,
    link: Option<Link>,
    /// The previous connection, until the server has ended its side.
    linger: Option<Linger>,
    /// Whether the socket may have more than was read: the poller reports that only once.
    is_unread: bool,
    shared: Arc<Shared>,
    status: Arc<Status>,
    /// The source of events that are made here.
    source: Map<String, Value>,
    commands: Receiver<Command>,
    poller: Poller,
    redactor: Redactor,
    /// Host and port, for error messages.
    server: String,
    epoch: Instant,
    was_up: bool,
    /// Callers of `connect`.
    waiters: Vec<Sender<Result<()>>>,
    /// Callers that wait for replies, by event.
    replies: HashMap<String, Sender<String>>,
    /// Callers that wait for the confirmation of a subscription, by subscriber.
    confirmations: HashMap<String, Sender<Result<(), String>>>,
    /// Subscribers that the server has not confirmed on this connection yet.
    unconfirmed: HashSet<String>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        status: Arc<Status>,
        source: Map<String, Value>,
        commands: Receiver<Command>,
        machine: Machine,
        poller: Poller,
        endpoint: &Endpoint,
    ) -> Self {
        Self {
            machine,
            link: None,
            linger: None,
            is_unread: false,
            shared,
            status,
            source,
            commands,
            poller,
            redactor: endpoint.redactor.clone(),
            server: endpoint.authority(true),
            epoch: Instant::now(),
            was_up: false,
            waiters: Vec::new(),
            replies: HashMap::new(),
            confirmations: HashMap::new(),
            unconfirmed: HashSet::new(),
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Sleeps until there is something to do.
    pub(super) fn sleep(&mut self) {
        let is_busy = self.is_unread || !self.commands.is_empty() || self.machine.has_output();
        let timeout = match is_busy {
            true => Some(Duration::ZERO),
            false => {
                let wake_at = self.machine.wake_at();
                wake_at.map(|at| at.saturating_sub(self.now()))
            }
        };
        match self.poller.sleep(timeout) {
            Ok(is_ready) => self.is_unread |= is_ready && self.link.is_some(),
            Err(error) => self.cannot_sleep(&error),
        }
    }

    fn cannot_sleep(&mut self, error: &std::io::Error) {
        log::error!("event hub: waiting for the socket failed: {error}");
        self.linger = None;
        self.machine.abort();
    }

    /// Takes what callers and the server have sent, and sends what is to be sent, without
    /// waiting.
    pub(super) fn step(&mut self) {
        self.linger.take_if(Linger::drain);
        self.take_commands(MAX_BATCH);
        self.read();
        if self.machine.is_silent(self.now()) {
            // This process may have been suspended.
            self.read_again();
        }
        self.machine.tick(self.now());
        self.flush_outputs();
    }

    /// Carries out what the machine asks for, and flushes the socket.
    pub(super) fn flush_outputs(&mut self) {
        loop {
            self.act_all();
            let Some(link) = self.link.as_mut() else {
                return;
            };
            match link.flush(&self.poller) {
                Ok(progress) => {
                    if progress {
                        self.machine.sent_more(self.now());
                    }
                    return;
                }
                Err(error) => self.lost(error),
            }
        }
    }

    /// Opens a connection; returns false if that was interrupted.
    pub(super) fn open(&mut self, endpoint: &Endpoint) -> bool {
        let opened = Link::open(endpoint, &self.poller);
        let now = self.now();
        match opened {
            Ok((link, handshake, deadline)) => {
                self.redactor = link.redactor.clone();
                self.link = Some(link);
                self.is_unread = true;
                let accept_by = deadline.saturating_duration_since(self.epoch);
                let heartbeat = handshake.heartbeat_timeout;
                self.machine.opened(accept_by, heartbeat);
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return false,
            Err(error) => self.machine.lost(now, error),
        }
        true
    }

    /// Waits until the previous connection can be closed; returns false if a command arrives
    /// before.
    pub(super) fn linger(&mut self) -> bool {
        loop {
            self.linger.take_if(Linger::drain);
            let Some(linger) = self.linger.as_mut() else {
                return true;
            };
            if !self.commands.is_empty() {
                return false;
            }
            if let Err(error) = linger.wait(&mut self.poller) {
                self.cannot_sleep(&error);
            }
        }
    }

    fn act_all(&mut self) {
        while let Some(output) = self.machine.next_quick_output() {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Open | Output::End(_) => unreachable!("not a quick output"),
            Output::Close => self.close(),
            Output::Send(packet) => {
                if let Some(Err(error)) = self.link.as_mut().map(|link| link.send(packet)) {
                    self.lost(error);
                }
            }
            Output::Up => self.up(),
            Output::Down { error, retry_in } => self.down(&error, retry_in),
            Output::Deliver(event) => self.deliver(event),
            Output::Duplicate => self.shared.counts.lock().duplicates += 1,
            Output::Acknowledged(event) => {
                self.shared.counts.lock().acknowledged += 1;
                self.shared.gate.leave(event.text.len());
            }
            Output::Undelivered { event, why } => self.hand_back(&event, &why),
            Output::Unexpected { what, text } => {
                let excerpt = self.redactor.excerpt(text.as_bytes());
                log::warn!("event hub: {what}: {excerpt:?}");
            }
            Output::Subscribed { id, result } => self.subscribed(&id, result),
        }
    }

    /// Ends the connection; a lingering close follows.
    pub(super) fn close(&mut self) {
        if let Some(link) = self.link.as_mut() {
            link.send_close();
        }
        self.leave();
    }

    fn lost(&mut self, error: Error) {
        self.leave();
        let now = self.now();
        self.machine.lost(now, error);
    }

    fn leave(&mut self) {
        if let Some(link) = self.link.take() {
            self.linger = Some(link.linger());
        }
        self.is_unread = false;
    }

    /// Reads what has arrived, whatever the poller has reported.
    fn read_again(&mut self) {
        self.is_unread = self.link.is_some();
        self.read();
    }

    /// Reads what has arrived. Events are delivered before the next packet is read; replies are
    /// sent afterwards, in one piece.
    fn read(&mut self) {
        for _ in 0..MAX_BATCH {
            let Some(link) = self.link.as_mut().filter(|_| self.is_unread) else {
                return;
            };
            match link.read() {
                Ok(Some(text)) => {
                    let now = self.now();
                    self.machine.received(now, &text);
                    self.act_all();
                    // Afterwards: whoever sees this time finds what has arrived until then in the queue.
                    self.status.set_heard(self.epoch + now);
                }
                Ok(None) => {
                    self.is_unread = link.begin_turn();
                    if link.take_heard() {
                        let now = self.now();
                        self.machine.heard(now);
                    }
                    return;
                }
                Err(error) => self.lost(error),
            }
        }
    }

    pub(super) fn take_all_commands(&mut self) {
        self.take_commands(usize::MAX);
    }

    fn take_commands(&mut self, most: usize) {
        for _ in 0..most {
            let Ok(command) = self.commands.try_recv() else {
                return;
            };
            self.take(command);
        }
    }

    fn take(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Publish { text, replies } => {
                if let Some((id, replies)) = replies {
                    self.replies.insert(id, replies);
                }
                self.machine.publish(now, text);
            }
            Command::Forget { id } => {
                self.replies.remove(&id);
            }
            Command::Subscribe {
                id,
                text,
                confirmation,
            } => {
                if let Some(confirmation) = confirmation {
                    self.confirmations.insert(id.clone(), confirmation);
                }
                if self.status.state() == HubState::Connected {
                    self.status.set_subscribed(false);
                    self.unconfirmed.insert(id.clone());
                }
                self.machine.subscribe(now, id, text);
            }
            Command::Unsubscribe { id, text } => {
                self.confirmations.remove(&id);
                self.machine.unsubscribe(now, &id, text);
                self.confirmed(&id);
            }
            Command::Read(done) => {
                self.read_again();
                drop(done);
            }
            Command::WhenUp(waiter) if self.status.state() == HubState::Connected => {
                // The caller may have given up.
                let _ = waiter.send(Ok(()));
            }
            Command::WhenUp(waiter) => self.waiters.push(waiter),
            Command::Reconnect => {
                // What was acknowledged already is not to be sent again.
                self.read_again();
                self.announce_loss("the connection is being replaced");
                self.status.set_state(HubState::Reconnecting);
                self.machine.reconnect();
            }
            Command::Stop => self.machine.stop(now),
        }
    }

    fn up(&mut self) {
        self.status.set_state(HubState::Connected);
        if std::mem::replace(&mut self.was_up, true) {
            self.shared.counts.lock().reconnects += 1;
            log::info!("event hub: connected again");
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Ok(()));
        }
        *self.status.trouble.lock() = None;
        self.unconfirmed = self.machine.subscribers().map(str::to_owned).collect();
        self.status.set_subscribed(false);
        self.announce(CONNECTED_TOPIC, json!({}));
    }

    fn down(&mut self, error: &Error, retry_in: Duration) {
        let message = self.message_of(error);
        log::warn!("event hub: {message}; trying again in {retry_in:.1?}");
        self.announce_loss(&message);
        *self.status.trouble.lock() = Some((error.kind(), message));
    }

    /// Announces that the connection is lost, whatever the reason, if there was one.
    fn announce_loss(&mut self, reason: &str) {
        if self.status.state() == HubState::Connected {
            self.status.set_state(HubState::Reconnecting);
            self.status.set_subscribed(false);
            self.announce(DISCONNECTED_TOPIC, json!({"reason": reason}));
        }
    }

    fn deliver(&mut self, arrival: Arrival) {
        self.shared.counts.lock().received += 1;
        let requested = arrival.in_reply_to.and_then(|id| self.replies.get(&id));
        match requested {
            // A reply to a request goes to its caller only.
            Some(replies) => {
                let _ = replies.send(arrival.text);
            }
            None => self.shared.deliver(arrival.text),
        }
    }

    fn hand_back(&mut self, outgoing: &Outgoing, why: &str) {
        let why = self.redactor.excerpt(why.as_bytes());
        match serde_json::from_str::<Event>(&outgoing.text) {
            Ok(event) => {
                // A caller that waits for replies sees its channel end.
                self.replies.remove(event.id());
                self.shared.report(event, why);
            }
            Err(error) => log::error!("event hub: lost an event ({why}): {error}"),
        }
        // After the report: `flush` returns when the gate is empty, and says what was lost.
        self.shared.gate.leave(outgoing.text.len());
    }

    fn subscribed(&mut self, id: &str, result: Result<(), String>) {
        let result = result.map_err(|why| self.redactor.excerpt(why.as_bytes()));
        if let Err(why) = &result {
            log::warn!("event hub: the server rejected the subscription of {id}: {why}");
        } else {
            self.confirmed(id);
        }
        match (self.confirmations.remove(id), result) {
            (Some(waiting), result) => {
                let _ = waiting.send(result);
            }
            // No caller waits: it was restored on a new connection, or needs no confirmation.
            (None, Err(reason)) => {
                self.shared.counts.lock().rejected_subscriptions += 1;
                let data = json!({"subscriber": id, "reason": reason});
                self.announce("ftrack.meta.subscription-rejected", data);
            }
            (None, Ok(())) => {}
        }
    }

    fn confirmed(&mut self, id: &str) {
        if self.unconfirmed.remove(id) && self.unconfirmed.is_empty() {
            self.status.set_subscribed(true);
            if self.shared.announces_subscribed() {
                self.announce(SUBSCRIBED, json!({}));
            }
        }
    }

    /// Removes secrets from what may quote the server.
    pub(super) fn redacted(&self, error: Error) -> Error {
        let message = self.message_of(&error);
        match message == error.to_string() {
            true => error,
            false => Error::new(error.kind(), message),
        }
    }

    fn message_of(&self, error: &Error) -> String {
        let mut message = self.redactor.redact(&error.to_string());
        if !message.contains(&self.server) {
            message = format!("event server {}: {message}", self.server);
        }
        message.chars().take(MAX_ERROR_CHARS).collect()
    }

    /// Tells all callers that there is no connection any more. No command follows.
    pub(super) fn end(&mut self, error: Option<Error>) {
        self.take_all_commands();
        self.act_all();
        let reason = error.as_ref().map(ToString::to_string);
        self.announce_loss(reason.as_deref().unwrap_or("the hub was disconnected"));
        self.status.set_state(HubState::Disconnected);
        self.shared.gate.close();
        self.confirmations.clear();
        self.replies.clear();
        let first = self.waiters.pop();
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Err(self.status.why()));
        }
        if let Some(waiter) = first {
            let _ = waiter.send(Err(error.unwrap_or_else(|| self.status.why())));
        }
    }

    /// Queues an event that only this hub sees.
    fn announce(&self, topic: &str, data: Value) {
        let event = Event::new(topic).with_data(data);
        self.shared.deliver(event.to_json(&self.source));
    }
}
