//! The hub's one thread: it moves bytes and heartbeats and never runs user code.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::hub::config::HubConfig;
use crate::hub::link::Link;
use crate::hub::poller::{Poller, Signals};
use crate::hub::shared::{Command, Counters, HubState, Remote, Shared};
use crate::socketio::{Machine, Outgoing, Output, Settings};

/// So many commands, and so many frames, are taken before the others get their turn.
const BATCH: usize = 256;

/// The subscriptions and the way to begin, when a thread is started.
pub(super) struct Start {
    /// Id and event, in order.
    pub(super) subscriptions: Vec<(String, String)>,
    /// Whether a failure of the first attempt is not the end.
    pub(super) persistent: bool,
    pub(super) config: Arc<HubConfig>,
    /// The source of events that the thread makes.
    pub(super) source: Map<String, Value>,
}

/// Starts the thread.
///
/// # Errors
///
/// `Io` if the system has no more threads or descriptors.
pub(super) fn spawn(shared: &Arc<Shared>, start: Start) -> Result<Arc<Remote>> {
    let io = |error: std::io::Error| {
        Error::new(ErrorKind::Io, "the event hub cannot start its thread").because(error)
    };
    let poller = Poller::new().map_err(io)?;
    let (sender, commands) = crossbeam_channel::unbounded();
    let signals = poller.signals();
    let remote = Arc::new(Remote::new(sender, Arc::clone(&signals)));
    let settings = Settings {
        attempts: start.config.attempts,
        ..Settings::default()
    };
    let mut machine = Machine::new(settings, fastrand::u64(..), start.persistent);
    for (id, text) in start.subscriptions {
        machine.subscribe(Duration::ZERO, id, text);
    }
    let worker = Worker {
        shared: Arc::clone(shared),
        remote: Arc::clone(&remote),
        config: start.config,
        source: start.source,
        commands,
        signals,
        poller,
        machine,
        link: None,
        unread: false,
        untaken: false,
        ended: false,
        epoch: Instant::now(),
        was_up: false,
        waiters: Vec::new(),
        replies: HashMap::new(),
        answers: HashMap::new(),
    };
    let named = std::thread::Builder::new().name("ftrack-event-hub".to_string());
    named.spawn(move || worker.run()).map_err(io)?;
    Ok(remote)
}

struct Worker {
    shared: Arc<Shared>,
    remote: Arc<Remote>,
    config: Arc<HubConfig>,
    source: Map<String, Value>,
    commands: Receiver<Command>,
    signals: Arc<Signals>,
    poller: Poller,
    machine: Machine,
    link: Option<Link>,
    /// Whether the socket may have more than was read: it tells only once.
    unread: bool,
    /// Whether there may be more commands than were taken.
    untaken: bool,
    ended: bool,
    epoch: Instant,
    was_up: bool,
    /// Those who wait for `connect`.
    waiters: Vec<Sender<Result<()>>>,
    /// Those who wait for replies, by event.
    replies: HashMap<String, Sender<Event>>,
    /// Those who wait for a subscription to be acknowledged, by subscriber.
    answers: HashMap<String, Sender<Result<(), String>>>,
}

impl Worker {
    fn run(mut self) {
        self.machine.start();
        while self.perform() {
            let more = self.unread || self.untaken;
            let timeout = match self.machine.wake_at() {
                _ if more => Some(Duration::ZERO),
                Some(at) => Some(at.saturating_sub(self.now())),
                None => None,
            };
            match self.poller.sleep(timeout) {
                Ok(ready) => self.unread |= ready,
                Err(error) => {
                    log::error!("event hub: waiting for the socket failed: {error}");
                    self.machine.abort();
                }
            }
            self.take_commands(BATCH);
            self.read();
            let now = self.now();
            self.machine.tick(now);
        }
    }

    /// Does what the machine asks for and sends it; false when it has ended.
    fn perform(&mut self) -> bool {
        loop {
            self.act_all();
            if self.ended {
                return false;
            }
            let Some(Err(error)) = self.link.as_mut().map(Link::flush) else {
                return true;
            };
            self.lost(error);
        }
    }

    fn act_all(&mut self) {
        while let Some(output) = self.machine.next_output() {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Open => self.open(),
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
            Output::End(error) => self.end(error),
        }
    }

    fn open(&mut self) {
        let opened = Link::open(&self.config, &mut self.poller);
        let now = self.now();
        match opened {
            Ok((link, handshake)) => {
                self.link = Some(link);
                self.unread = true;
                self.machine.opened(now, handshake.heartbeat_timeout);
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                self.take_commands(usize::MAX);
                self.machine.interrupted();
            }
            Err(error) => self.machine.lost(now, error),
        }
    }

    fn close(&mut self) {
        if let Some(link) = self.link.take() {
            link.close();
        }
        self.unread = false;
    }

    fn lost(&mut self, error: Error) {
        self.link = None;
        self.unread = false;
        let now = self.now();
        self.machine.lost(now, error);
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
                    let now = self.now();
                    self.machine.received(now, &text);
                    self.act_all();
                }
                Ok(None) => self.unread = false,
                Err(error) => self.lost(error),
            }
        }
    }

    /// Takes some commands; the socket must get its turn while others publish.
    fn take_commands(&mut self, most: usize) {
        self.signals.clear();
        for _ in 0..most {
            let Ok(command) = self.commands.try_recv() else {
                self.untaken = false;
                return;
            };
            self.take(command);
        }
        self.untaken = true;
    }

    fn take(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Publish { id, text, replies } => {
                if let Some(replies) = replies {
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
            Command::WhenUp(waiter) if self.remote.state() == HubState::Connected => {
                // Who waited may have gone.
                let _ = waiter.send(Ok(()));
            }
            Command::WhenUp(waiter) => self.waiters.push(waiter),
            Command::Reconnect => {
                self.remote.set_state(HubState::Reconnecting);
                self.machine.reconnect();
            }
            Command::Stop => self.machine.stop(now),
        }
    }

    fn up(&mut self) {
        self.remote.set_state(HubState::Connected);
        if std::mem::replace(&mut self.was_up, true) {
            Counters::add(&self.shared.counters.reconnects);
            log::info!("event hub: connected again");
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Ok(()));
        }
        self.announce("ftrack.meta.connected");
    }

    fn down(&mut self, error: &Error, retry_in: Duration) {
        log::warn!("event hub: {error}; trying again in {retry_in:.1?}");
        if self.remote.state() == HubState::Connected {
            self.remote.set_state(HubState::Reconnecting);
            self.announce("ftrack.meta.disconnected");
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
        self.shared.gate.leave(outgoing.text.len());
        match serde_json::from_str::<Event>(&outgoing.text) {
            Ok(event) => {
                // Whoever waits for replies sees its channel end.
                self.replies.remove(event.id());
                self.shared.report(event, why);
            }
            Err(error) => log::error!("event hub: lost an event ({why}): {error}"),
        }
    }

    fn subscribed(&mut self, id: &str, answer: Result<(), String>) {
        if let Err(why) = &answer {
            log::warn!("event hub: the server refused the subscription of {id}: {why}");
        }
        if let Some(waiting) = self.answers.remove(id) {
            let _ = waiting.send(answer);
        }
    }

    /// Leaves nothing behind: commands that came too late are answered as well.
    fn end(&mut self, error: Option<Error>) {
        self.close();
        if let Some(error) = &error {
            *self.remote.failure.lock() = Some((error.kind(), error.to_string()));
        }
        {
            let _no_commands = self.shared.remote.lock();
            self.remote.stop_running();
        }
        self.take_commands(usize::MAX);
        self.ended = true;
        self.act_all();
        self.remote.set_state(HubState::Disconnected);
        self.shared.gate.close();
        let first = self.waiters.pop();
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Err(self.remote.why()));
        }
        if let Some(waiter) = first {
            let _ = waiter.send(Err(error.unwrap_or_else(|| self.remote.why())));
        }
        if self.was_up {
            self.announce("ftrack.meta.disconnected");
        }
    }

    /// Queues an event of our own that only this hub sees.
    fn announce(&self, topic: &str) {
        let event = Event::new(topic).source(self.source.clone());
        self.shared.deliver(event);
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.remote.finish();
    }
}
