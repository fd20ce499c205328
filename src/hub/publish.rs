//! Publishing: events to the server, and the replies to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::{Event, Filter};
use crate::hub::cancel::Cancellation;
use crate::hub::gate::after;
use crate::hub::handle::EventHub;
use crate::hub::line::Command;
use crate::hub::replies::OnReply;
use crate::hub::status::not_connected;

/// Options of [`EventHub::publish_with`].
#[derive(Clone, Default)]
#[must_use = "it has no effect until it is passed to `publish_with`"]
pub struct PublishOptions {
    on_reply: Option<OnReply>,
}

impl PublishOptions {
    /// No callback for replies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls this for every reply, where handlers run. The hub remembers such callbacks for the
    /// latest 4,096 events that have one.
    pub fn on_reply(mut self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_reply = Some(Arc::new(move |event| {
            caught(|| {
                callback(event);
                Ok(())
            })
        }));
        self
    }
}

debug_fields!(PublishOptions, |this| on_reply: this.on_reply.is_some());

impl EventHub {
    /// Sends an event to the server, which passes it to all subscribers, here and elsewhere.
    /// Returns the event's id as soon as the event is queued. While the connection is being
    /// replaced it waits in the queue.
    ///
    /// The queue takes 65,536 events (or as configured) and 64 MiB that the server has not
    /// acknowledged. If it is full this waits for room, for 30 seconds (or as configured).
    ///
    /// # Errors
    ///
    /// The event is not published then.
    ///
    /// - `Connection` if the hub is neither connected nor connecting.
    /// - `Closed` if the hub belongs to a session that is closed.
    /// - `Timeout` if the queue stays full.
    /// - `Cancelled` if a [`CancelToken`](crate::CancelToken) of this thread is cancelled while the
    ///   queue is full.
    /// - `Validation` if the event has more than 16 MiB, or its source is not an object.
    /// - `Syntax` if its target is not a valid filter.
    pub fn publish(&self, event: Event) -> Result<String> {
        self.publish_with(event, PublishOptions::new())
    }

    /// [`publish`](Self::publish) with options, such as a callback for replies.
    ///
    /// ```no_run
    /// # use ftrack_api::hub::{HubConfig, PublishOptions};
    /// # use ftrack_api::{Event, EventHub};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:8080", "ada", "key"));
    /// hub.connect()?;
    /// let options = PublishOptions::new().on_reply(|reply| println!("{}", reply.data()));
    /// hub.publish_with(Event::new("studio.ping"), options)?;
    /// hub.wait(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`publish`](Self::publish).
    pub fn publish_with(&self, event: Event, options: PublishOptions) -> Result<String> {
        let Some(callback) = options.on_reply else {
            return self.transmit(&event, None).map(|()| event.into_id());
        };
        let displaced = self.inner.replies.lock().add(event.id(), callback);
        // Dropping user code comes after the lock.
        drop(displaced);
        let result = self.transmit(&event, None);
        if result.is_err() {
            let unused = self.inner.replies.lock().remove(event.id());
            drop(unused);
        }
        result.map(|()| event.into_id())
    }

    /// Publishes an event and waits for the first reply. No thread needs to wait for events, and
    /// no handlers are called.
    ///
    /// # Errors
    ///
    /// - Any error of [`publish`](Self::publish).
    /// - `Timeout` if no reply arrives in time.
    /// - `Connection` if the event is not delivered, or the hub is disconnected.
    /// - `BadResponse` if the reply is not an event.
    /// - `Cancelled` if a [`CancelToken`](crate::CancelToken) of this thread is cancelled.
    ///
    /// ```no_run
    /// # use ftrack_api::{Event, EventHub, hub::HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:8080", "ada", "key"));
    /// hub.connect()?;
    /// let reply = hub.request(Event::new("studio.ping"), std::time::Duration::from_secs(5))?;
    /// println!("{}", reply.data());
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn request(&self, event: Event, timeout: Duration) -> Result<Event> {
        let pending = self.ask(event)?;
        let topic = pending.event.topic();
        match pending.next(after(timeout))? {
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Timeout) => {
                Err(self.timeout(format!("nobody replied to {topic} within {timeout:?}")))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let message =
                    format!("event {topic} was not delivered, or the hub was disconnected");
                Err(Error::new(ErrorKind::Connection, message))
            }
        }
    }

    /// Publishes an event and collects the replies that arrive within this time.
    ///
    /// # Errors
    ///
    /// - Any error of [`publish`](Self::publish). If the hub is disconnected later, the replies so
    ///   far are returned.
    pub fn request_all(&self, event: Event, timeout: Duration) -> Result<Vec<Event>> {
        let deadline = after(timeout);
        let pending = self.ask(event)?;
        let mut replies = Vec::new();
        while let Ok(reply) = pending.next(deadline)? {
            replies.push(reply);
        }
        Ok(replies)
    }

    fn ask(&self, event: Event) -> Result<Pending<'_>> {
        let (sender, replies) = crossbeam_channel::unbounded();
        let pending = Pending {
            hub: self,
            event,
            replies,
        };
        self.transmit(&pending.event, Some(sender))?;
        Ok(pending)
    }

    /// Queues an event for the server.
    fn transmit(&self, event: &Event, replies: Option<Sender<String>>) -> Result<()> {
        let sent = self.queue(event, replies);
        sent.map_err(|error| {
            let error = match error.kind() {
                ErrorKind::Connection => error.context(format!("cannot publish {}", event.topic())),
                _ => error,
            };
            self.or_closed(error)
        })
    }

    fn queue(&self, event: &Event, replies: Option<Sender<String>>) -> Result<()> {
        let (shared, line) = (&self.inner.shared, &self.inner.line);
        line.running().ok_or_else(not_connected)?;
        check_target(event)?;
        event.check_source()?;
        let text = event.to_json(&self.inner.source);
        let bytes = text.len();
        let replies = replies.map(|replies| (event.id().to_string(), replies));
        let (timeout, cancellation) = (
            self.inner.config.publish_timeout,
            self.cancellation_of_gate(),
        );
        shared.gate.enter(bytes, timeout, &cancellation)?;
        let sent = line.command(Command::Publish { text, replies });
        match &sent {
            Ok(()) => shared.counts.lock().published += 1,
            Err(_) => shared.gate.leave(bytes),
        }
        sent
    }
}

/// Servers and clients drop an event whose target is invalid.
fn check_target(event: &Event) -> Result<()> {
    match event.target() {
        "" => Ok(()),
        target => target.parse::<Filter>().map(drop).map_err(|error| {
            error.context(format!("cannot publish {} with its target", event.topic()))
        }),
    }
}

/// A request that waits for replies.
struct Pending<'a> {
    hub: &'a EventHub,
    event: Event,
    replies: Receiver<String>,
}

impl Pending<'_> {
    fn next(&self, deadline: Instant) -> Result<Result<Event, RecvTimeoutError>> {
        let received = Cancellation::of_thread().receive(&self.replies, deadline)?;
        let read = received.map(|text| {
            serde_json::from_str(&text).map_err(|error| {
                let message = format!("the reply to {} is invalid", self.event.topic());
                Error::new(ErrorKind::BadResponse, message).with_source(error)
            })
        });
        read.map_or_else(|error| Ok(Err(error)), |event| event.map(Ok))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let id = self.event.id().to_string();
        // A thread that has ended has forgotten it.
        let _ = self.hub.inner.line.command(Command::Forget { id });
    }
}
