//! The life of a connection: what happens and the time are its inputs, what to do is its output.

mod attempts;
mod incoming;

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::socketio::outgoing::{Cause, Outgoing, Queue, Wanted};
use crate::socketio::packet::Arrival;
use crate::socketio::seen::Seen;
use crate::socketio::settings::Settings;

use attempts::Attempts;

/// What is to be done, in this order.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most are events and packets, moved once; a box for each would cost more"
)]
pub(crate) enum Output {
    /// Open a connection; report it with `opened` or `lost`.
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
    Deliver(Arrival),
    Duplicate,
    Acknowledged(Outgoing),
    Undelivered {
        event: Outgoing,
        why: String,
    },
    /// Something that the server sent is to be logged.
    Unexpected {
        what: &'static str,
        text: String,
    },
    /// The server's reply to a subscription.
    Subscribed {
        id: String,
        result: Result<(), String>,
    },
    /// Nothing more will come; with an error if it was not asked for.
    End(Option<Error>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Not started, or ended.
    Idle,
    Opening,
    /// The websocket is open, the server has not said `1::` yet.
    Accepting {
        until: Duration,
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
    attempts: Attempts,
    heartbeat_timeout: Duration,
    last_heard: Duration,
    /// When a part of the waiting data was last sent.
    last_sent: Duration,
    /// Whether this connection has been of any use.
    useful: bool,
}

/// A connection that lasts this long is useful, whatever it carried.
const MIN_USEFUL_DURATION: Duration = Duration::from_secs(10);
/// How much later than announced the server's heartbeat may come.
const HEARTBEAT_GRACE: Duration = Duration::from_secs(2);

impl Machine {
    /// `seed` makes the jitter; `persistent` says to go on even if the first attempt fails.
    pub(crate) fn new(settings: Settings, seed: u64, persistent: bool) -> Self {
        Self {
            state: State::Idle,
            outputs: VecDeque::new(),
            queue: Queue::default(),
            subscriptions: Vec::new(),
            seen: Seen::new(settings.seen),
            attempts: Attempts::new(seed, persistent),
            heartbeat_timeout: settings.heartbeat_timeout,
            last_heard: Duration::ZERO,
            last_sent: Duration::ZERO,
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
            State::Accepting { until } | State::Waiting { until } => Some(until),
            State::Open { .. } => Some(self.overdue_at().min(self.silent_at())),
            State::Closing { until } => Some(until.min(self.silent_at())),
        }
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        match self.state {
            State::Idle | State::Opening => {}
            State::Accepting { until } => {
                if now >= until {
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

    /// The websocket is open; the server is to accept the connection until then.
    pub(crate) fn opened(&mut self, accept_by: Duration, heartbeat_timeout: Option<Duration>) {
        if self.state != State::Opening {
            return;
        }
        let timeout = heartbeat_timeout.unwrap_or(self.settings.heartbeat_timeout);
        self.heartbeat_timeout = timeout + HEARTBEAT_GRACE;
        self.useful = false;
        self.state = State::Accepting { until: accept_by };
    }

    /// There is no connection: it could not be opened, or it broke.
    pub(crate) fn lost(&mut self, now: Duration, error: Error) {
        self.rewind(Cause::Broken);
        self.retry(now, error);
    }

    /// Opening a connection was interrupted, which says nothing about the server.
    pub(crate) fn interrupted(&mut self) {
        if self.state == State::Opening {
            self.open();
        }
    }

    /// A part of what waits has been sent: nobody can have acknowledged the rest.
    pub(crate) fn sent_more(&mut self, now: Duration) {
        self.last_sent = now;
    }

    /// Replaces a connection with which nothing is wrong.
    pub(crate) fn reconnect(&mut self) {
        match self.state {
            State::Idle | State::Opening => {}
            State::Closing { .. } => self.end(None),
            State::Waiting { .. } | State::Accepting { .. } | State::Open { .. } => {
                self.rewind(Cause::Asked);
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

    /// The subscribers, in the order in which they were made.
    pub(crate) fn subscribers(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.iter().map(|(id, _)| id.as_str())
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
        while now >= self.overdue_at()
            && let Some((number, _, wanted)) = self.queue.oldest()
        {
            if wanted.is_event() {
                self.rewind(Cause::Overdue);
                return self.retry(now, silent("the event server does not acknowledge events"));
            }
            // A connection is not given up for these: events may still pass.
            if let Some(Wanted::Subscription(id)) = self.queue.give_up(number) {
                let result = Err("the event server did not respond".to_string());
                self.outputs.push_back(Output::Subscribed { id, result });
            }
        }
        self.pump(now);
    }

    fn rewind(&mut self, cause: Cause) {
        if let Some(culprit) = self.queue.rewind(cause, &self.settings) {
            let why = format!(
                "{} connections broke before it was acknowledged",
                culprit.strikes
            );
            self.undelivered(culprit, &why);
        }
    }

    fn retry(&mut self, now: Duration, error: Error) {
        let useful = match self.state {
            State::Idle | State::Waiting { .. } => return,
            State::Closing { .. } => return self.end(None),
            State::Open { since } => self.useful || now >= since + MIN_USEFUL_DURATION,
            State::Opening | State::Accepting { .. } => false,
        };
        let Some(retry_in) = self.attempts.lost(useful, &self.settings) else {
            return self.end(Some(error));
        };
        self.outputs.push_back(Output::Close);
        self.state = State::Waiting {
            until: now + retry_in,
        };
        self.outputs.push_back(Output::Down { error, retry_in });
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
        for event in self.queue.drain(&self.settings) {
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

    /// Whether the server has said nothing for too long.
    pub(crate) fn is_silent(&self, now: Duration) -> bool {
        self.is_open() && now >= self.silent_at()
    }

    fn silent_at(&self) -> Duration {
        self.last_heard + self.heartbeat_timeout
    }

    fn overdue_at(&self) -> Duration {
        match self.queue.oldest() {
            Some((_, since, _)) => since.max(self.last_sent) + self.settings.ack_timeout,
            None => Duration::MAX,
        }
    }
}

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::Connection, message)
}

fn silent(message: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{message} in time"))
}
