//! The life of a connection: what to do about what happens, given what time it is.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::socketio::outgoing::{Outgoing, Queue, Wanted};
use crate::socketio::packet::{self, Packet};
use crate::socketio::seen::Seen;

/// The limits and patience of a [`Machine`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Packets in flight for each millisecond to the server, at least so many.
    pub(crate) window: usize,
    pub(crate) window_bytes: usize,
    /// How long the server may take to say that we are connected.
    pub(crate) accept_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    /// Used if the handshake names none.
    pub(crate) heartbeat_timeout: Duration,
    /// After so many connections broke over an event it is handed back.
    pub(crate) strikes: u32,
    pub(crate) first_delay: Duration,
    pub(crate) longest_delay: Duration,
    /// How many attempts in a row may fail; without end if none.
    pub(crate) attempts: Option<u32>,
    /// How long `stop` waits for acknowledgements.
    pub(crate) closing: Duration,
    /// How many ids of incoming events are remembered.
    pub(crate) seen: usize,
}

/// What is to be done, in this order.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most are events and packets, moved once; a box for each would cost more"
)]
pub(crate) enum Output {
    /// Open a connection; answer with `opened` or `lost`.
    Open,
    /// Drop the connection.
    Close,
    Send(String),
    /// The server has accepted us.
    Up,
    /// The connection is lost; the next attempt follows after so long.
    Down {
        error: Error,
        retry_in: Duration,
    },
    Deliver(Event),
    Duplicate,
    Acknowledged(Outgoing),
    Undelivered {
        event: Outgoing,
        why: String,
    },
    /// The server's answer to a subscription.
    Subscribed {
        id: String,
        answer: Result<(), String>,
    },
    /// Nothing more will come; with an error if it was not asked for.
    End(Option<Error>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Nothing asked for yet, or all over.
    Idle,
    Opening,
    /// The websocket is open, the server has not said `1::` yet.
    Accepting {
        since: Duration,
    },
    Open {
        since: Duration,
    },
    /// Between two attempts.
    Waiting {
        until: Duration,
    },
    /// Open, but only until what was published is acknowledged.
    Closing {
        until: Duration,
    },
}

/// The state of one hub's connection.
pub(crate) struct Machine {
    settings: Settings,
    state: State,
    outputs: VecDeque<Output>,
    queue: Queue,
    /// Id and packet content, in the order in which they were made.
    subscriptions: Vec<(String, String)>,
    seen: Seen,
    random: fastrand::Rng,
    /// Attempts that failed since the last useful connection.
    failures: u32,
    /// Whether failing to connect is not the end.
    persistent: bool,
    heartbeat_timeout: Duration,
    last_heard: Duration,
    /// Whether this connection has been of any use.
    useful: bool,
}

/// A connection that lasted so long was useful.
const LASTED: Duration = Duration::from_secs(10);
/// The jitter before the first attempt after a useful connection.
const AT_ONCE: Duration = Duration::from_millis(20);
/// How much later than announced the server's heartbeat may come.
const SLACK: Duration = Duration::from_secs(2);

impl Machine {
    /// `seed` makes the jitter; `persistent` says to go on even if the first attempt fails.
    pub(crate) fn new(settings: Settings, seed: u64, persistent: bool) -> Self {
        Self {
            state: State::Idle,
            outputs: VecDeque::new(),
            queue: Queue::default(),
            subscriptions: Vec::new(),
            seen: Seen::new(settings.seen),
            random: fastrand::Rng::with_seed(seed),
            failures: 0,
            persistent,
            heartbeat_timeout: settings.heartbeat_timeout,
            last_heard: Duration::ZERO,
            useful: false,
            settings,
        }
    }

    /// Begins.
    pub(crate) fn start(&mut self) {
        self.open();
    }

    /// The next thing to do.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next thing to do, unless it is to open or to end, which takes a while.
    pub(crate) fn next_quick_output(&mut self) -> Option<Output> {
        match self.outputs.front() {
            Some(Output::Open | Output::End(_)) => None,
            _ => self.outputs.pop_front(),
        }
    }

    /// Whether there is something to do.
    pub(crate) fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// When `tick` is to be called at the latest.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match self.state {
            State::Idle | State::Opening => None,
            State::Accepting { since } => Some(since + self.settings.accept_timeout),
            State::Waiting { until } => Some(until),
            State::Open { .. } => Some(self.overdue_at().min(self.silent_at())),
            State::Closing { until } => Some(until.min(self.silent_at())),
        }
    }

    /// As `wake_at`, for a sleeper who is also woken by every packet from the server: it learns
    /// then what is overdue, and if there is none the silence wakes it.
    pub(crate) fn wake_between_packets_at(&self) -> Option<Duration> {
        match self.state {
            State::Open { .. } => Some(self.silent_at()),
            _ => self.wake_at(),
        }
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        match self.state {
            State::Idle | State::Opening => {}
            State::Accepting { since } => {
                if now >= since + self.settings.accept_timeout {
                    self.lost(
                        now,
                        silent("the event server did not accept the connection"),
                    );
                }
            }
            State::Waiting { until } => {
                if now >= until {
                    self.open();
                }
            }
            State::Closing { until } if now >= until => self.end(None),
            State::Open { .. } | State::Closing { .. } => {
                if now >= self.silent_at() {
                    self.lost(now, silent("nothing was heard from the event server"));
                } else if now >= self.overdue_at() {
                    self.overdue(now);
                }
            }
        }
    }

    /// The websocket is open.
    pub(crate) fn opened(&mut self, now: Duration, heartbeat_timeout: Option<Duration>) {
        if self.state != State::Opening {
            return;
        }
        let timeout = heartbeat_timeout.unwrap_or(self.settings.heartbeat_timeout);
        self.heartbeat_timeout = timeout + SLACK;
        self.last_heard = now;
        self.useful = false;
        self.state = State::Accepting { since: now };
    }

    /// There is no connection: it could not be opened, or it broke.
    pub(crate) fn lost(&mut self, now: Duration, error: Error) {
        self.rewind(false);
        self.retry(now, error);
    }

    /// Opening a connection was broken off, without saying anything about the server.
    pub(crate) fn interrupted(&mut self) {
        if self.state == State::Opening {
            self.open();
        }
    }

    /// The connection has to go although nothing is wrong with it.
    pub(crate) fn reconnect(&mut self) {
        match self.state {
            State::Idle | State::Opening => {}
            State::Closing { .. } => self.end(None),
            State::Waiting { .. } | State::Accepting { .. } | State::Open { .. } => {
                self.rewind(false);
                self.outputs.push_back(Output::Close);
                self.open();
            }
        }
    }

    /// Ends, after a moment in which what was published can still be acknowledged.
    pub(crate) fn stop(&mut self, now: Duration) {
        if matches!(self.state, State::Open { .. }) && !self.queue.is_done() {
            self.state = State::Closing {
                until: now + self.settings.closing,
            };
        } else if !matches!(self.state, State::Closing { .. }) {
            self.end(None);
        }
    }

    /// Ends at once.
    pub(crate) fn abort(&mut self) {
        self.end(None);
    }

    /// Takes an event, as JSON, to be sent as soon as possible.
    pub(crate) fn publish(&mut self, now: Duration, text: String) {
        let event = Outgoing { text, strikes: 0 };
        if self.state == State::Idle {
            self.undelivered(event, "the event hub is closed");
        } else {
            self.queue.publish(event);
            self.pump(now);
        }
    }

    /// Takes a subscription, as JSON, that holds on every connection from now on.
    pub(crate) fn subscribe(&mut self, now: Duration, id: String, text: String) {
        if self.subscriptions.iter().any(|(known, _)| *known == id) {
            return;
        }
        if self.is_open() {
            self.queue
                .control(Wanted::Subscription(id.clone()), text.clone());
        }
        self.subscriptions.push((id, text));
        self.pump(now);
    }

    /// Drops a subscription; the text tells the server.
    pub(crate) fn unsubscribe(&mut self, now: Duration, id: &str, text: String) {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|(known, _)| known != id);
        if self.is_open() && self.subscriptions.len() < before {
            self.queue.control(Wanted::Unsubscription, text);
            self.pump(now);
        }
    }

    /// A text frame has arrived.
    pub(crate) fn received(&mut self, now: Duration, text: &str) {
        if !matches!(self.state, State::Accepting { .. }) && !self.is_open() {
            return;
        }
        self.last_heard = now;
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
        self.persistent = true;
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
                self.outputs.push_back(Output::Subscribed { id, answer });
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

    /// Sends what the window allows.
    fn pump(&mut self, now: Duration) {
        if !self.is_open() {
            return;
        }
        while let Some(packet) = self.queue.next(now, &self.settings) {
            self.send(packet);
        }
    }

    /// The oldest packets were not acknowledged in time.
    fn overdue(&mut self, now: Duration) {
        while let Some((number, since, wanted)) = self.queue.oldest() {
            if now < since + self.settings.ack_timeout {
                break;
            }
            if wanted.is_event() {
                self.rewind(true);
                return self.retry(now, silent("the event server does not acknowledge events"));
            }
            // A connection is not given up for these: events may still pass.
            if let Some(Wanted::Subscription(id)) = self.queue.acknowledge(now, number) {
                let answer = Err("the event server did not answer".to_string());
                self.outputs.push_back(Output::Subscribed { id, answer });
            }
        }
        self.pump(now);
    }

    fn rewind(&mut self, overdue: bool) {
        if let Some(culprit) = self.queue.rewind(overdue, &self.settings) {
            let why = format!(
                "{} connections broke before it was acknowledged",
                culprit.strikes
            );
            self.undelivered(culprit, &why);
        }
    }

    fn retry(&mut self, now: Duration, error: Error) {
        match self.state {
            State::Idle | State::Waiting { .. } => return,
            State::Closing { .. } => return self.end(None),
            State::Open { since } if self.useful || now >= since + LASTED => self.failures = 0,
            State::Open { .. } | State::Opening | State::Accepting { .. } => self.failures += 1,
        }
        let enough = self
            .settings
            .attempts
            .is_some_and(|most| self.failures >= most);
        if !self.persistent || enough {
            return self.end(Some(error));
        }
        self.outputs.push_back(Output::Close);
        let retry_in = self.delay();
        self.state = State::Waiting {
            until: now + retry_in,
        };
        self.outputs.push_back(Output::Down { error, retry_in });
    }

    /// Doubles with every failure; the jitter keeps the clients of a restarted server apart.
    fn delay(&mut self) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return AT_ONCE.mul_f64(self.random.f64());
        };
        let longest = self.settings.longest_delay;
        let full = self
            .settings
            .first_delay
            .saturating_mul(1 << doublings.min(20))
            .min(longest);
        full.mul_f64(0.5 + self.random.f64() / 2.0)
    }

    fn open(&mut self) {
        self.state = State::Opening;
        self.outputs.push_back(Output::Open);
    }

    fn end_if_done(&mut self) {
        if matches!(self.state, State::Closing { .. }) && self.queue.is_done() {
            self.end(None);
        }
    }

    /// Hands back what was never acknowledged.
    fn end(&mut self, error: Option<Error>) {
        if self.state == State::Idle {
            return;
        }
        self.state = State::Idle;
        self.outputs
            .retain(|output| !matches!(output, Output::Open));
        self.outputs.push_back(Output::Close);
        let why = match &error {
            Some(error) => format!("the event hub gave up: {error}"),
            None => "the event hub was closed before it was acknowledged".to_string(),
        };
        let left: Vec<Outgoing> = self.queue.drain(&self.settings).collect();
        for event in left {
            self.undelivered(event, &why);
        }
        self.outputs.push_back(Output::End(error));
    }

    fn undelivered(&mut self, event: Outgoing, why: &str) {
        self.outputs.push_back(Output::Undelivered {
            event,
            why: why.to_string(),
        });
    }

    fn send(&mut self, packet: String) {
        self.outputs.push_back(Output::Send(packet));
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Closing { .. })
    }

    fn silent_at(&self) -> Duration {
        self.last_heard + self.heartbeat_timeout
    }

    fn overdue_at(&self) -> Duration {
        match self.queue.oldest() {
            Some((_, since, _)) => since + self.settings.ack_timeout,
            None => Duration::MAX,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 32,
            window_bytes: 256 * 1024,
            accept_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(30),
            heartbeat_timeout: Duration::from_secs(60),
            strikes: 5,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(30),
            attempts: None,
            closing: Duration::from_millis(75),
            seen: 8192,
        }
    }
}

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::Connection, message)
}

fn silent(message: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{message} in time"))
}
