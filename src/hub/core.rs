//! What makes the hub run: the socket, the protocol's state, and who waits for what.
//!
//! It has one owner at a time and moves between them, see `remote`. It never runs user code.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::hub::farewell::Farewell;
use crate::hub::link::Link;
use crate::hub::poller::{Poller, Registries, Watcher};
use crate::hub::shared::{Command, Counters, HubState, Shared, Status};
use crate::socketio::{Machine, Outgoing, Output};

/// So many commands, and so many frames, are taken before the others get their turn.
const BATCH: usize = 256;

pub(super) struct Core {
    pub(super) machine: Machine,
    pub(super) link: Option<Link>,
    /// The connection before, until the server has ended it too.
    pub(super) farewell: Option<Farewell>,
    /// Whether the socket, if there is one, may have more than was read: it tells only once.
    unread: bool,
    /// Whether a packet came since the thread slept last.
    heard: bool,
    shared: Arc<Shared>,
    status: Arc<Status>,
    /// The source of events that are made here.
    source: Map<String, Value>,
    commands: Receiver<Command>,
    registries: Registries,
    /// Where a caller sleeps who owns this.
    lead: Poller,
    /// When the thread wakes that has parked this; never if none.
    thread_wakes_at: Option<Duration>,
    epoch: Instant,
    was_up: bool,
    /// Those who wait for `connect`.
    waiters: Vec<Sender<Result<()>>>,
    /// Those who wait for replies, by event.
    replies: HashMap<String, Sender<Event>>,
    /// Those who wait for a subscription to be acknowledged, by subscriber.
    answers: HashMap<String, Sender<Result<(), String>>>,
}

impl Core {
    pub(super) fn new(
        shared: Arc<Shared>,
        status: Arc<Status>,
        source: Map<String, Value>,
        commands: Receiver<Command>,
        machine: Machine,
        (lead, registries): (Poller, Registries),
    ) -> Self {
        Self {
            machine,
            link: None,
            farewell: None,
            unread: false,
            heard: false,
            shared,
            status,
            source,
            commands,
            registries,
            lead,
            thread_wakes_at: None,
            epoch: Instant::now(),
            was_up: false,
            waiters: Vec::new(),
            replies: HashMap::new(),
            answers: HashMap::new(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Takes what callers and the server have sent, and sends what there is to send, without
    /// waiting. Opening and ending are left to the thread.
    pub(super) fn turn(&mut self) {
        self.take_commands(BATCH);
        self.read();
        let mut now = self.now();
        if self.machine.is_silent(now) {
            // Not before the socket was looked at: this process may have stood still.
            self.unread = self.link.is_some();
            self.read();
            now = self.now();
        }
        self.machine.tick(now);
        self.settle();
    }

    /// Does what callers want.
    pub(super) fn serve(&mut self) {
        self.take_commands(BATCH);
        self.settle();
    }

    /// Does what the machine asks for, and sends it.
    pub(super) fn settle(&mut self) {
        loop {
            self.act_all();
            match self.link.as_mut().map(Link::flush) {
                Some(Err(error)) => self.lost(error),
                Some(Ok(true)) => return self.machine.sent_more(self.now()),
                _ => return,
            }
        }
    }

    /// Whether the thread may rest: packets come, and none that may come is urgent.
    pub(super) fn may_rest(&mut self) -> bool {
        std::mem::take(&mut self.heard) && self.is_patient()
    }

    /// Whether the socket can be left alone for a moment, as far as the core knows.
    pub(super) fn is_patient(&self) -> bool {
        let idle = self.link.as_ref().is_some_and(|link| !link.is_blocked());
        idle && !self.is_busy() && self.machine.is_patient()
    }

    /// Takes it that the socket may have something, if nobody would have told.
    pub(super) fn look_again(&mut self) {
        let alone = self.link.as_ref().map(Link::watcher) == Some(Watcher::Caller);
        self.unread |= alone;
    }

    /// Takes note of whether a socket may have something: this one, or the one before.
    pub(super) fn woken(&mut self, ready: bool) {
        self.unread |= ready && self.link.is_some();
    }

    /// Whether there is more to take.
    pub(super) fn is_busy(&self) -> bool {
        self.unread || !self.commands.is_empty()
    }

    /// Lets the thread's poller, or the one of whoever leads, watch the socket.
    pub(super) fn watch(&mut self, watcher: Watcher) {
        while let Some(link) = self.link.as_mut() {
            match link.watch(&self.registries, watcher) {
                Ok(()) => return,
                Err(error) => {
                    self.lost(error);
                    self.settle();
                }
            }
        }
    }

    /// Prepares for the thread to sleep without this; answers for how long.
    pub(super) fn plan_sleep(&mut self) -> Option<Duration> {
        self.thread_wakes_at = self.machine.wake_at();
        let now = self.now();
        self.thread_wakes_at.map(|at| at.saturating_sub(now))
    }

    /// Whether there is something to do that the sleeping thread does not know of.
    pub(super) fn needs_thread(&self) -> bool {
        let wake_at = self.machine.wake_between_packets_at();
        let earlier = match (wake_at, self.thread_wakes_at) {
            (Some(at), Some(planned)) => at < planned,
            (Some(_), None) => true,
            (None, _) => false,
        };
        earlier || self.unread || self.farewell.is_some() || self.machine.has_output()
    }

    /// Does the thread's work in its place until something is done, until the deadline, or
    /// until there is work for the thread alone.
    pub(super) fn lead(&mut self, deadline: Option<Instant>, done: &mut dyn FnMut() -> bool) {
        let signals = self.lead.signals();
        signals.clear();
        loop {
            self.turn();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let over = left.is_some_and(|left| left.is_zero());
            if done() || over || self.machine.has_output() || self.link.is_none() {
                break;
            }
            self.watch(Watcher::Caller);
            let timeout = if self.is_busy() {
                Some(Duration::ZERO)
            } else {
                let now = self.now();
                let tick = self.machine.wake_at().map(|at| at.saturating_sub(now));
                [left, tick].into_iter().flatten().min()
            };
            match self.lead.sleep(timeout) {
                Ok(ready) => self.woken(ready),
                Err(error) => {
                    log::error!("event hub: waiting for the socket failed: {error}");
                    break;
                }
            }
            signals.clear();
        }
        signals.mute();
    }

    fn act_all(&mut self) {
        while let Some(output) = self.machine.next_quick_output() {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Open | Output::End(_) => unreachable!("the thread's"),
            Output::Close => self.close(),
            Output::Send(packet) => {
                if let Some(Err(error)) = self.link.as_mut().map(|link| link.send(packet)) {
                    self.lost(error);
                }
            }
            Output::Up => self.up(),
            Output::Down { error, retry_in } => self.down(&error, retry_in),
            Output::Deliver(event) => self.deliver(event),
            Output::Duplicate => {
                Counters::add(&self.shared.counters.duplicates);
            }
            Output::Acknowledged(event) => {
                Counters::add(&self.shared.counters.acknowledged);
                self.shared.gate.leave(event.text.len());
            }
            Output::Undelivered { event, why } => self.hand_back(&event, why),
            Output::Subscribed { id, answer } => self.subscribed(&id, answer),
        }
    }

    pub(super) fn close(&mut self) {
        if let Some(link) = self.link.as_mut() {
            link.say_goodbye();
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
            // A socket that cannot be watched is closed at once.
            self.farewell = link.leave(&self.registries).ok();
        }
        self.unread = false;
    }

    /// Reads what has arrived. Whoever waits for an event gets it before the next is read;
    /// what is to be sent goes out afterwards, in one piece.
    fn read(&mut self) {
        for _ in 0..BATCH {
            let Some(link) = self.link.as_mut().filter(|_| self.unread) else {
                return;
            };
            match link.read() {
                Ok(Some(text)) => {
                    self.heard = true;
                    let now = self.now();
                    self.machine.received(now, &text);
                    self.act_all();
                }
                Ok(None) => {
                    self.unread = false;
                    if link.has_heard() {
                        let now = self.now();
                        self.machine.heard(now);
                    }
                }
                Err(error) => self.lost(error),
            }
        }
    }

    /// Takes some commands; the socket must get its turn while others publish.
    pub(super) fn take_commands(&mut self, most: usize) {
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
            Command::Subscribe { id, text, answer } => {
                if let Some(answer) = answer {
                    self.answers.insert(id.clone(), answer);
                }
                self.machine.subscribe(now, id, text);
            }
            Command::Unsubscribe { id, text } => {
                self.answers.remove(&id);
                self.machine.unsubscribe(now, &id, text);
            }
            Command::WhenUp(waiter) if self.status.state() == HubState::Connected => {
                // Who waited may have gone.
                let _ = waiter.send(Ok(()));
            }
            Command::WhenUp(waiter) => self.waiters.push(waiter),
            Command::Reconnect => {
                // What has arrived is not to be asked for again.
                self.look_again();
                self.read();
                self.tell_of_loss("the connection is to be replaced");
                self.status.set_state(HubState::Reconnecting);
                self.machine.reconnect();
            }
            Command::Stop => self.machine.stop(now),
        }
    }

    fn up(&mut self) {
        self.status.set_state(HubState::Connected);
        if std::mem::replace(&mut self.was_up, true) {
            Counters::add(&self.shared.counters.reconnects);
            log::info!("event hub: connected again");
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Ok(()));
        }
        *self.status.trouble.lock() = None;
        self.announce("ftrack.meta.connected", json!({}));
    }

    fn down(&mut self, error: &Error, retry_in: Duration) {
        log::warn!("event hub: {error}; trying again in {retry_in:.1?}");
        self.tell_of_loss(&error.to_string());
        *self.status.trouble.lock() = Some((error.kind(), error.to_string()));
    }

    /// Announces that the connection is gone, whoever wanted it, if there was one.
    fn tell_of_loss(&mut self, reason: &str) {
        if self.status.state() == HubState::Connected {
            self.status.set_state(HubState::Reconnecting);
            self.announce("ftrack.meta.disconnected", json!({"reason": reason}));
        }
    }

    fn deliver(&mut self, event: Event) {
        Counters::add(&self.shared.counters.received);
        let asked = event
            .in_reply_to_event()
            .and_then(|id| self.replies.get(id));
        match asked {
            // A reply that somebody waits for goes to nobody else.
            Some(replies) => {
                let _ = replies.send(event);
            }
            None => self.shared.deliver(event),
        }
    }

    fn hand_back(&mut self, outgoing: &Outgoing, why: String) {
        match serde_json::from_str::<Event>(&outgoing.text) {
            Ok(event) => {
                // Whoever waits for replies sees its channel end.
                self.replies.remove(event.id());
                self.shared.report(event, why);
            }
            Err(error) => log::error!("event hub: lost an event ({why}): {error}"),
        }
        // Who waits for the queue to be empty must know by then why it is.
        self.shared.gate.leave(outgoing.text.len());
    }

    fn subscribed(&mut self, id: &str, answer: Result<(), String>) {
        if let Err(why) = &answer {
            log::warn!("event hub: the server refused the subscription of {id}: {why}");
        }
        if let Some(waiting) = self.answers.remove(id) {
            let _ = waiting.send(answer);
        }
    }

    /// The last that happens: tells everybody that there is no connection any more. No command
    /// can come after those that are there.
    pub(super) fn end(&mut self, error: Option<Error>) {
        self.take_commands(usize::MAX);
        self.act_all();
        let reason = error.as_ref().map(ToString::to_string);
        self.tell_of_loss(reason.as_deref().unwrap_or("it was asked for"));
        self.status.set_state(HubState::Disconnected);
        self.shared.gate.close();
        let first = self.waiters.pop();
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Err(self.status.why()));
        }
        if let Some(waiter) = first {
            let _ = waiter.send(Err(error.unwrap_or_else(|| self.status.why())));
        }
    }

    /// Queues an event of our own that only this hub sees.
    fn announce(&self, topic: &str, data: Value) {
        let event = Event::new(topic).data(data).source(self.source.clone());
        self.shared.deliver(event);
    }
}
