//! The life cycle of a hub: connecting, disconnecting, closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::cancel::Cancellation;
use crate::hub::gate::after;
use crate::hub::handle::{EventHub, Inner};
use crate::hub::line::{Command, Remote};
use crate::hub::status::HubState;
use crate::hub::thread;
use crate::socketio::Settings;

/// How much longer than the time to connect `connect` waits: the thread's own error says more than
/// a timeout, unless the thread is waiting for the system.
const CONNECT_GRACE: Duration = Duration::from_secs(1);

/// How long `disconnect` waits for the thread: a little longer than the thread waits for
/// acknowledgements.
const DISCONNECT_WAIT: Duration = Duration::from_millis(95);

/// How much longer it waits for a thread that still hands events back.
const BUSY_WAIT: Duration = Duration::from_secs(5);

impl EventHub {
    /// Connects, and returns when the server has accepted the connection; at once if it has
    /// already. From then on a lost connection is replaced, without end or as the configuration
    /// says.
    ///
    /// # Errors
    ///
    /// - `Configuration` if the configuration is invalid: the message names all problems.
    /// - `Connection`, `Tls`, `Authentication`, `BadResponse` or `Unsupported` if the first attempt
    ///   fails: nothing goes on in the background.
    /// - `Timeout` if it takes longer than [`connect_timeout`](crate::hub::HubConfig::connect_timeout):
    ///   nothing goes on either, unless the hub was connecting already.
    /// - `Cancelled` if another thread disconnects meanwhile, or cancels a token of this thread.
    /// - `Closed` if the hub belongs to a session that is closed.
    pub fn connect(&self) -> Result<()> {
        if let Some(remote) = self.inner.line.running() {
            return self.await_up(&remote, Duration::ZERO);
        }
        let remote = self.start(false)?;
        let result = self.await_up(&remote, CONNECT_GRACE);
        let goes_on = [ErrorKind::Timeout, ErrorKind::Cancelled];
        if matches!(&result, Err(error) if goes_on.contains(&error.kind())) {
            self.disconnect();
        }
        result.map_err(|error| self.or_closed(error))
    }

    /// Connects in the background, trying until it succeeds. What is published meanwhile is
    /// sent in order as soon as the connection is there.
    ///
    /// # Errors
    ///
    /// - `Configuration` if the configuration is invalid: the message names all problems.
    /// - `Io` if the thread cannot be started.
    /// - `Closed` if the hub belongs to a session that is closed.
    pub fn connect_in_background(&self) -> Result<()> {
        self.start(true).map(drop)
    }

    /// Ends the connection and the thread. Has no effect if the hub is not connected.
    ///
    /// Published events have 75 milliseconds to be acknowledged; the others are handed to
    /// [`on_undelivered`](Self::on_undelivered), on this thread, before this returns. Call
    /// [`flush`](Self::flush) before to have everything delivered. Subscribers stay, and are
    /// subscribed again by the next [`connect`](Self::connect).
    ///
    /// Apart from the time that your callback and, with many thousands of events, handing back
    /// takes, this returns within 100 milliseconds. The thread may end later: when the server has
    /// ended its side of the connection, at most 10 seconds later, or when the system's look-up of
    /// a host name returns, which cannot be interrupted.
    pub fn disconnect(&self) {
        self.inner.stop();
        self.inner.report_undelivered();
    }

    /// Disconnects and drops all subscribers.
    pub fn close(&self) {
        self.disconnect();
        let subscribers = self.inner.registry.write().clear();
        let replies = std::mem::take(&mut *self.inner.replies.lock());
        let on_undelivered = self.inner.on_undelivered.write().take();
        // Dropping handlers is user code: it comes after the locks.
        drop((subscribers, replies, on_undelivered));
    }

    /// Replaces the connection by a new one, and returns when the server has accepted it.
    /// Nothing that was published is lost. Connects if the hub is not connected.
    ///
    /// # Errors
    ///
    /// - Any error of [`connect`](Self::connect); but after `Timeout` the hub goes on trying.
    pub fn reconnect(&self) -> Result<()> {
        let Some(remote) = self.inner.line.running() else {
            return self.connect();
        };
        self.inner.line.command(Command::Reconnect)?;
        remote.signals.interrupt();
        self.await_up(&remote, Duration::ZERO)
    }

    /// Whether the server has accepted the connection, and the hub does not know it to be lost.
    pub fn is_connected(&self) -> bool {
        self.state() == HubState::Connected
    }

    /// The state of the connection.
    ///
    /// ```
    /// use ftrack_api::EventHub;
    /// use ftrack_api::hub::{HubConfig, HubState};
    /// let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// assert_eq!(hub.state(), HubState::Disconnected);
    /// assert_eq!(hub.state().to_string(), "disconnected");
    /// ```
    pub fn state(&self) -> HubState {
        let remote = self.inner.line.running();
        remote.map_or(HubState::Disconnected, |remote| remote.status.state())
    }

    /// Why there is no connection: the error of the latest attempt, or how the connection was
    /// lost. `None` while there is one, and before the first attempt has failed.
    ///
    /// ```
    /// use ftrack_api::hub::HubConfig;
    /// use ftrack_api::{ErrorKind, EventHub};
    /// let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// hub.connect_in_background()?;
    /// while hub.connection_error().is_none() {
    ///     std::thread::sleep(std::time::Duration::from_millis(10));
    /// }
    /// assert_eq!(hub.connection_error().unwrap().kind(), ErrorKind::Connection);
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn connection_error(&self) -> Option<Error> {
        self.inner.line.last()?.status.trouble()
    }

    /// Waits until the server has acknowledged everything published so far.
    ///
    /// # Errors
    ///
    /// - `Timeout` if it takes longer: the events stay in the queue.
    /// - `Connection` if the hub is disconnected, or if events were handed back since the last
    ///   call: [`on_undelivered`](Self::on_undelivered) gets them.
    /// - `Cancelled` if a [`CancelToken`](crate::CancelToken) of this thread is cancelled.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let shared = &self.inner.shared;
        let cancellation = self.cancellation_of_gate();
        let left = shared.gate.wait_empty(after(timeout), &cancellation)?;
        let lost = shared.take_undelivered();
        match left + lost {
            0 => Ok(()),
            _ if lost == 0 && self.inner.line.running().is_some() => Err(self.timeout(format!(
                "not all events have been acknowledged; left: {left}"
            ))),
            count => {
                let message = match count {
                    1 => "an event was not delivered".to_owned(),
                    _ => format!("{count} events were not delivered"),
                };
                Err(Error::new(ErrorKind::Connection, message))
            }
        }
    }

    /// The thread; a new one if none is running.
    fn start(&self, persistent: bool) -> Result<Arc<Remote>> {
        let inner = &self.inner;
        let endpoint = self.endpoint()?;
        inner.line.start(|| {
            // Under the lock that stopping takes too: no thread is started after the end.
            self.check_open()?;
            let settings = Settings {
                attempts: inner.config.attempts,
                ..Settings::default()
            };
            let start = thread::Start {
                subscriptions: self.subscriptions(),
                persistent,
                endpoint,
                settings,
                source: inner.source.clone(),
            };
            thread::spawn(&inner.line, &inner.shared, start)
        })
    }

    /// Ends the waits at the gate too.
    pub(super) fn cancellation_of_gate(&self) -> Cancellation {
        let cancellation = Cancellation::of_thread();
        let shared = Arc::clone(&self.inner.shared);
        cancellation.notify(move || shared.gate.wake());
        cancellation
    }

    /// A `Timeout`, which also says why there is no connection.
    pub(super) fn timeout(&self, message: String) -> Error {
        let message = match self.connection_error() {
            Some(why) => format!("{message}; there is no connection: {why}"),
            None => message,
        };
        Error::new(ErrorKind::Timeout, message)
    }

    /// Waits for the connection as long as an attempt may take, and this much longer.
    fn await_up(&self, remote: &Remote, longer: Duration) -> Result<()> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        if self.inner.line.command(Command::WhenUp(sender)).is_err() {
            return Err(remote.status.why());
        }
        let timeout = self.inner.config.connect_timeout.saturating_add(longer);
        match Cancellation::of_thread().receive(&receiver, after(timeout))? {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(remote.status.why()),
            Err(RecvTimeoutError::Timeout) => {
                let message = "the event server did not accept the connection in time";
                Err(self.timeout(message.to_string()))
            }
        }
    }

    /// Closes the hub for good, because its session closes.
    pub(crate) fn end(&self) {
        self.inner.has_ended.store(true, Ordering::SeqCst);
        self.close();
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Closed`] if the session was closed.
    fn check_open(&self) -> Result<()> {
        match self.inner.has_ended.load(Ordering::SeqCst) {
            true => Err(Error::new(
                ErrorKind::Closed,
                "the session of this event hub is closed; open another one",
            )),
            false => Ok(()),
        }
    }

    /// The error to report: that the session was closed meanwhile, if it was.
    pub(super) fn or_closed(&self, error: Error) -> Error {
        match self.check_open() {
            Err(closed) => closed.with_source(error),
            Ok(()) => error,
        }
    }
}

impl Inner {
    /// Ends the thread; waits for it a moment, then leaves it to itself.
    fn stop(&self) {
        let Some(remote) = self.line.running() else {
            return;
        };
        // If the thread has ended meanwhile there is nobody to tell.
        let _ = self.line.command(Command::Stop);
        remote.signals.interrupt();
        let runs_after = |wait: Duration| {
            let ended = remote.status.ended.recv_timeout(wait);
            ended == Err(RecvTimeoutError::Timeout)
        };
        let only_waits = || remote.status.has_reported() || remote.signals.is_looking_up();
        if runs_after(DISCONNECT_WAIT) && (only_waits() || runs_after(BUSY_WAIT)) {
            if !only_waits() {
                log::warn!("event hub: its thread did not end in time and is left to itself");
            }
            self.line.stop(&remote);
            remote.status.finish();
        }
        self.shared.gate.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
        self.report_undelivered();
    }
}
