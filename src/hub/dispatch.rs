//! Waiting for events and calling handlers, on the caller's thread and without locks.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{never, select};
use serde_json::Value;

use crate::error::Result;
use crate::event::{Event, Subscriber};
use crate::hub::cancel::Cancellation;
use crate::hub::handle::{Callback, EventHub, Inner};
use crate::hub::line::Command;
use crate::hub::status::not_connected;

impl EventHub {
    /// Waits for events and calls their handlers for this long, or forever with `None`.
    ///
    /// It goes on while a lost connection is replaced, and returns early, without an error, when
    /// the hub is disconnected, by a handler or by another thread. Queued events are handled
    /// first. The end of the time interrupts neither a handler nor the parsing of a large event.
    ///
    /// # Errors
    ///
    /// - `Connection` if the hub is not connected.
    /// - `Closed` if the hub belongs to a session that is closed.
    /// - `Cancelled` if a [`CancelToken`](crate::CancelToken) of this thread is cancelled.
    /// - The error with which the hub gave up, if it did: no events follow.
    ///
    /// ```no_run
    /// # use ftrack_api::{EventHub, hub::HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:8080", "ada", "key"));
    /// hub.connect()?;
    /// hub.wait(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn wait(&self, duration: impl Into<Option<Duration>>) -> Result<()> {
        let deadline = deadline(duration.into());
        let mut was_running = false;
        loop {
            match self.receive(deadline, &mut was_running)? {
                Received::Event(event) => drop(self.dispatch(&event, true)),
                Received::Ended | Received::Late => return Ok(()),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(());
            }
        }
    }

    /// Calls the handlers of the queued events, and returns how many events there were. Never
    /// waits: for the idle callback of a host application.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, hub::HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// assert_eq!(hub.poll(), 0);
    /// ```
    pub fn poll(&self) -> usize {
        self.inner.report_undelivered();
        // Only what is queued now: handlers may publish more.
        let waiting = self.inner.shared.incoming().len();
        let texts = self.inner.shared.incoming().try_iter().take(waiting);
        texts
            .filter_map(|text| self.inner.shared.read(&text))
            .map(|event| drop(self.dispatch(&event, true)))
            .count()
    }

    /// Waits for the next event that any subscriber selects and returns it, without calling
    /// handlers; `None` if none arrives in time, or the hub is disconnected. Subscribe with
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// - Any error of [`wait`](Self::wait).
    pub fn next(&self, timeout: impl Into<Option<Duration>>) -> Result<Option<Event>> {
        let deadline = deadline(timeout.into());
        let mut was_running = false;
        loop {
            match self.receive(deadline, &mut was_running)? {
                Received::Event(event) => {
                    if !self.select(&event).is_empty() {
                        return Ok(Some(event));
                    }
                }
                Received::Ended | Received::Late => return Ok(None),
            }
        }
    }

    /// Calls the handlers of this hub in order of priority, on this thread, and returns what they
    /// returned, without the `None`s. Nothing is sent to the server.
    ///
    /// ```
    /// # use ftrack_api::hub::{HubConfig, SubscribeOptions};
    /// # use ftrack_api::{Event, EventHub};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key"));
    /// use serde_json::json;
    /// hub.subscribe("topic=studio.path", |_| Ok(Some(json!("second"))))?;
    /// let first = SubscribeOptions::new().priority(1);
    /// hub.subscribe_with("topic=studio.path", first, |_| Ok(Some(json!("first"))))?;
    /// assert_eq!(hub.publish_synchronous(Event::new("studio.path")), ["first", "second"]);
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn publish_synchronous(&self, mut event: Event) -> Vec<Value> {
        event.complete_source(&self.inner.source);
        self.dispatch(&event, false)
    }

    /// Calls the handlers of the event, and returns what they returned.
    fn dispatch(&self, event: &Event, reply: bool) -> Vec<Value> {
        if let Some(original) = event.in_reply_to_event() {
            let callback = self.inner.replies.lock().get(original);
            if let Some(callback) = callback {
                self.inner.guarded(&"on_reply", event, || callback(event));
            }
        }
        let mut results = Vec::new();
        for subscriber in self.select(event) {
            if subscriber.is_unsubscribed() {
                continue;
            }
            let name = Named(&subscriber);
            let returned = self
                .inner
                .guarded(&name, event, || (subscriber.callback)(event));
            if let Some(Some(data)) = returned {
                if reply {
                    self.reply(event, &data, &subscriber);
                }
                results.push(data);
            }
            if event.is_stopped() {
                break;
            }
        }
        results
    }

    pub(super) fn select(&self, event: &Event) -> Vec<Arc<Subscriber<Callback>>> {
        let chosen = self.inner.registry.read().select(event, self.is_own(event));
        chosen.unwrap_or_else(|error| {
            log::error!(
                "event hub: the target of event {} is invalid: {error}",
                event.id()
            );
            Vec::new()
        })
    }

    fn reply(&self, event: &Event, data: &Value, subscriber: &Subscriber<Callback>) {
        let reply = Event::reply_to(event, data.clone()).with_source(subscriber.metadata.clone());
        if let Err(error) = self.publish(reply) {
            let topic = event.topic();
            let name = Named(subscriber);
            log::error!("event hub: the reply of {name} to {topic} was not sent: {error}");
        }
    }

    /// The next event; undelivered ones are reported meanwhile. `was_running` says whether the
    /// thread was seen running since the caller began to wait.
    pub(super) fn receive(
        &self,
        deadline: Option<Instant>,
        was_running: &mut bool,
    ) -> Result<Received> {
        let shared = &self.inner.shared;
        let mut has_read = false;
        let cancellation = Cancellation::of_thread();
        loop {
            cancellation.check()?;
            // In this order: a thread that has ended has queued everything before.
            let running = self.inner.line.running();
            *was_running |= running.is_some();
            self.inner.report_undelivered();
            while let Ok(text) = shared.incoming().try_recv() {
                if let Some(event) = shared.read(&text) {
                    return Ok(Received::Event(event));
                }
            }
            let Some(remote) = running else {
                return self.ended(*was_running);
            };
            let timer = deadline.map_or_else(never, crossbeam_channel::at);
            let slice = cancellation.before_asking();
            select! {
                recv(shared.incoming()) -> text => {
                    if let Some(event) = text.ok().and_then(|text| shared.read(&text)) {
                        return Ok(Received::Event(event));
                    }
                }
                recv(shared.reports()) -> report => {
                    if let Ok((event, why)) = report {
                        self.inner.report_one(&event, &why);
                    }
                }
                recv(cancellation.channel()) -> _ => {}
                recv(slice.map_or_else(never, crossbeam_channel::after)) -> _ => cancellation.ask(),
                // Its last events may have arrived since.
                recv(remote.status.ended) -> _ => {}
                recv(timer) -> _ => {
                    let is_late = deadline.is_some_and(|at| at.elapsed() > MAX_LATENESS);
                    if !is_late || std::mem::replace(&mut has_read, true) {
                        return Ok(Received::Late);
                    }
                    self.inner.read_socket();
                }
            }
        }
    }

    /// No thread is running and no event is queued.
    fn ended(&self, was_running: bool) -> Result<Received> {
        let last = self.inner.line.last();
        match last.and_then(|remote| remote.status.failed()) {
            Some(error) => Err(error),
            None if was_running => Ok(Received::Ended),
            None => Err(self.or_closed(not_connected())),
        }
    }
}

/// A wait that ends later than this was suspended with the whole process, as by a debugger, a shell
/// or a sleeping machine. The thread may not have run since.
const MAX_LATENESS: Duration = Duration::from_millis(100);

/// How long the thread has to read what arrived meanwhile.
const READ_WAIT: Duration = Duration::from_secs(1);

impl Inner {
    /// Makes the thread read what has arrived, unless it is busy connecting.
    fn read_socket(&self) {
        let (sender, done) = crossbeam_channel::bounded(1);
        if self.line.command(Command::Read(sender)).is_ok() {
            // Disconnected when that is done.
            let _ = done.recv_timeout(READ_WAIT);
        }
    }

    /// Calls `on_undelivered` for what was handed back.
    pub(super) fn report_undelivered(&self) {
        for (event, why) in self.shared.reports().try_iter() {
            self.report_one(&event, &why);
        }
    }

    fn report_one(&self, event: &Event, why: &str) {
        let callback = self.on_undelivered.read().clone();
        let Some(callback) = callback else {
            let (id, topic) = (event.id(), event.topic());
            log::warn!("event hub: event {id} ({topic}) was not delivered: {why}");
            return;
        };
        self.guarded(&"on_undelivered", event, || callback(event, why));
    }

    /// Runs user code, which is wrapped so that it does not panic; a failure is logged and
    /// counted, and the next handler gets its turn.
    fn guarded<T>(
        &self,
        name: &dyn fmt::Display,
        event: &Event,
        call: impl FnOnce() -> anyhow::Result<T>,
    ) -> Option<T> {
        let why = match call() {
            Ok(value) => return Some(value),
            Err(error) => format!("{error:#}"),
        };
        self.shared.counts.lock().failed_handlers += 1;
        log::error!(
            "event hub: {name} failed for event {} ({}): {why}",
            event.id(),
            event.topic()
        );
        None
    }
}

/// A subscriber in log messages.
struct Named<'a>(&'a Subscriber<Callback>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, filter) = (self.0.id(), &self.0.filter);
        write!(f, "subscriber {id} ({filter})")
    }
}

/// The result of waiting for an event.
#[allow(
    clippy::large_enum_variant,
    reason = "short-lived; a box would cost more"
)]
pub(super) enum Received {
    Event(Event),
    /// The hub was disconnected.
    Ended,
    /// The time has passed.
    Late,
}

pub(super) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    // A moment that the clock cannot represent is never.
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
