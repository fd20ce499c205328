//! Waiting for events and calling handlers, in the caller's thread and without locks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{never, select};
use serde_json::Value;

use crate::error::Result;
use crate::event::{Event, Subscriber};
use crate::hub::shared::{Counters, not_connected};
use crate::hub::{Callback, EventHub, Inner};

/// What is called for a reply.
pub(super) type OnReply = Arc<dyn Fn(&Event) -> anyhow::Result<()> + Send + Sync + 'static>;

impl EventHub {
    /// Waits for events and calls their handlers; for ever with `None`.
    ///
    /// Goes on while a lost connection is replaced. Returns early, without error, when the hub
    /// is disconnected, also from inside a handler or by another thread. Events that were
    /// waiting are handled first.
    ///
    /// # Errors
    ///
    /// `Connection` if the hub is not connected, or as what the hub failed with when it gave up.
    ///
    /// ```no_run
    /// # use ftrack_api::{EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:8080", "ada", "key")?);
    /// hub.connect()?;
    /// hub.wait(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn wait(&self, duration: impl Into<Option<Duration>>) -> Result<()> {
        let deadline = deadline(duration.into());
        let mut watched = false;
        loop {
            match self.receive(deadline, &mut watched)? {
                Received::Event(event) => drop(self.dispatch(&event, true)),
                Received::Ended | Received::Late => return Ok(()),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(());
            }
        }
    }

    /// Calls the handlers of the events that are waiting, and answers how many there were.
    /// Never waits: made for the idle callback of a host application.
    ///
    /// ```
    /// # use ftrack_api::{EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
    /// assert_eq!(hub.poll(), 0);
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn poll(&self) -> usize {
        self.inner.report_undelivered();
        if let Some(remote) = self.inner.line.running() {
            remote.glance();
        }
        // Only what is there now: handlers may publish more.
        let waiting = self.inner.shared.incoming().len();
        let events = self.inner.shared.incoming().try_iter().take(waiting);
        events
            .map(|event| drop(self.dispatch(&event, true)))
            .count()
    }

    /// Waits for the next event that somebody has subscribed to and returns it, without calling
    /// handlers; `None` if none comes in time or the hub is disconnected. Subscribe with
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn next(&self, timeout: impl Into<Option<Duration>>) -> Result<Option<Event>> {
        let deadline = deadline(timeout.into());
        let mut watched = false;
        loop {
            match self.receive(deadline, &mut watched)? {
                Received::Event(event) => {
                    if !self.select(&event).is_empty() {
                        return Ok(Some(event));
                    }
                }
                Received::Ended | Received::Late => return Ok(None),
            }
        }
    }

    /// Calls the handlers of this hub in order of priority, here and now, and answers what they
    /// returned, without the `None`s. Nothing is sent to the server.
    ///
    /// ```
    /// # use ftrack_api::{Event, EventHub, HubConfig, SubscribeOptions};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:1", "ada", "key")?);
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

    /// Calls everybody who wants the event, and answers what they returned.
    fn dispatch(&self, event: &Event, reply: bool) -> Vec<Value> {
        if let Some(original) = event.in_reply_to_event() {
            let callback = self.inner.replies.lock().get(original);
            if let Some(callback) = callback {
                self.inner.guarded("on_reply", event, || callback(event));
            }
        }
        let mut results = Vec::new();
        for subscriber in self.select(event) {
            if subscriber.is_gone() {
                continue;
            }
            let answer = self
                .inner
                .guarded(subscriber.id(), event, || (subscriber.callback)(event));
            if let Some(Some(data)) = answer {
                if reply {
                    self.answer(event, &data, &subscriber);
                }
                results.push(data);
            }
            if event.is_stopped() {
                break;
            }
        }
        results
    }

    fn select(&self, event: &Event) -> Vec<Arc<Subscriber<Callback>>> {
        let chosen = self.inner.registry.read().select(event, self.is_own(event));
        chosen.unwrap_or_else(|error| {
            log::error!(
                "event hub: event {} has an unreadable target: {error}",
                event.id()
            );
            Vec::new()
        })
    }

    fn answer(&self, event: &Event, data: &Value, subscriber: &Subscriber<Callback>) {
        let source = Some(subscriber.metadata.clone());
        if let Err(error) = self.publish_reply(event, data.clone(), source) {
            let (id, topic) = (subscriber.id(), event.topic());
            log::error!("event hub: the reply of {id} to {topic} was not sent: {error}");
        }
    }

    /// The next event; whatever was handed back is reported meanwhile. `watched` says whether
    /// the hub has been seen connected, or about to be, since the caller began to wait.
    fn receive(&self, deadline: Option<Instant>, watched: &mut bool) -> Result<Received> {
        let shared = &self.inner.shared;
        loop {
            // In this order: what has ended has queued all it had before.
            let running = self.inner.line.running();
            *watched |= running.is_some();
            self.inner.report_undelivered();
            if let Ok(event) = shared.incoming().try_recv() {
                return Ok(Received::Event(event));
            }
            let Some(remote) = running else {
                return self.ended(*watched);
            };
            let mut next = None;
            remote.lead(deadline, || {
                next = shared.incoming().try_recv().ok();
                next.is_some() || !shared.reports().is_empty()
            });
            if let Some(event) = next {
                return Ok(Received::Event(event));
            }
            let _waiting = remote.wait();
            let timer = deadline.map_or_else(never, crossbeam_channel::at);
            select! {
                recv(shared.incoming()) -> event => {
                    return event.map(Received::Event).map_err(|_| not_connected());
                }
                recv(shared.reports()) -> report => {
                    if let Ok((event, why)) = report {
                        self.inner.report_one(&event, &why);
                    }
                }
                // Its last events may have come since.
                recv(remote.status.ended) -> _ => {}
                recv(timer) -> _ => return Ok(Received::Late),
            }
        }
    }

    /// There is no thread and nothing is waiting.
    fn ended(&self, watched: bool) -> Result<Received> {
        let last = self.inner.line.last();
        match last.and_then(|remote| remote.status.failed()) {
            Some(error) => Err(error),
            None if watched => Ok(Received::Ended),
            None => Err(self.or_closed(not_connected())),
        }
    }
}

impl Inner {
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
        self.guarded("on_undelivered", event, || callback(event, why));
    }

    /// Runs user code, which was wrapped so that it does not panic; its failure is logged and
    /// counted, so that the others get their turn.
    fn guarded<T>(
        &self,
        who: &str,
        event: &Event,
        call: impl FnOnce() -> anyhow::Result<T>,
    ) -> Option<T> {
        let why = match call() {
            Ok(value) => return Some(value),
            Err(error) => format!("{error:#}"),
        };
        Counters::add(&self.shared.counters.failed_handlers);
        log::error!(
            "event hub: {who} failed for event {} ({}): {why}",
            event.id(),
            event.topic()
        );
        None
    }
}

/// What waiting for an event came to.
#[allow(
    clippy::large_enum_variant,
    reason = "lives for one match; a box would cost more"
)]
enum Received {
    Event(Event),
    /// The hub was disconnected.
    Ended,
    /// The time is up.
    Late,
}

/// Callbacks for replies, of a limited number of events.
#[derive(Default)]
pub(super) struct Replies {
    callbacks: HashMap<String, OnReply>,
    order: VecDeque<String>,
}

/// The most events for which replies are looked for.
const REPLIES: usize = 4096;

impl Replies {
    /// Adds one; answers what it displaces, to be dropped without a lock.
    pub(super) fn add(&mut self, id: &str, callback: OnReply) -> Vec<OnReply> {
        let mut displaced: Vec<_> = self
            .callbacks
            .insert(id.to_string(), callback)
            .into_iter()
            .collect();
        self.order.push_back(id.to_string());
        while self.order.len() > REPLIES {
            let oldest = self.order.pop_front().unwrap_or_default();
            displaced.extend(self.callbacks.remove(&oldest));
        }
        displaced
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<OnReply> {
        self.callbacks.remove(id)
    }

    fn get(&self, id: &str) -> Option<OnReply> {
        self.callbacks.get(id).cloned()
    }
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    // A time beyond what the clock can hold is for ever.
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
