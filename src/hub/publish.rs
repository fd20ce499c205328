//! Publishing: events to the server, and the replies to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result, caught};
use crate::event::{Event, Expression};
use crate::hub::EventHub;
use crate::hub::shared::{Command, Counters, after, not_connected};

/// How to publish an event beyond [`EventHub::publish`]; made by [`EventHub::publication`].
#[must_use = "nothing is published before `send`"]
pub struct Publish<'a> {
    hub: &'a EventHub,
    event: Event,
    on_reply: Option<super::dispatch::OnReply>,
}

impl Publish<'_> {
    /// Calls this for every reply, where handlers run. Of the 4,096 latest events with such a
    /// callback replies are looked for.
    pub fn on_reply(mut self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_reply = Some(Arc::new(move |event| {
            caught(|| {
                callback(event);
                Ok(())
            })
        }));
        self
    }

    /// Publishes it; the answer is the event's id.
    ///
    /// # Errors
    ///
    /// As [`EventHub::publish`].
    pub fn send(self) -> Result<String> {
        let Self {
            hub,
            event,
            on_reply,
        } = self;
        let Some(callback) = on_reply else {
            return hub.transmit(&event, None).map(|()| event.into_id());
        };
        let old = hub.inner.replies.lock().add(event.id(), callback);
        drop(old);
        let result = hub.transmit(&event, None);
        if result.is_err() {
            let unused = hub.inner.replies.lock().remove(event.id());
            drop(unused);
        }
        result.map(|()| event.into_id())
    }
}

impl EventHub {
    /// Sends an event to the server, which passes it on to all who have subscribed to it, here
    /// and elsewhere. Returns when it is queued; the answer is its id. While the connection is
    /// made anew it waits in the queue.
    ///
    /// The queue holds 65,536 events (or as configured) and 64 MiB that the server has not
    /// acknowledged. If it is full this waits for room, for 30 seconds (or as configured).
    ///
    /// # Errors
    ///
    /// `Connection` if the hub is not connected and is not about to be, `Timeout` if there was
    /// no room, `Validation` if the event has more than 16 MiB, `Syntax` if its target cannot be
    /// read. The event is not published then.
    pub fn publish(&self, event: Event) -> Result<String> {
        self.publication(event).send()
    }

    /// Prepares an event to be published with a callback for its replies.
    ///
    /// ```no_run
    /// # use ftrack_api::{Event, EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:8080", "ada", "key")?);
    /// hub.connect()?;
    /// hub.publication(Event::new("studio.ping"))
    ///     .on_reply(|reply| println!("{}", reply.get_data()))
    ///     .send()?;
    /// hub.wait(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn publication(&self, event: Event) -> Publish<'_> {
        Publish {
            hub: self,
            event,
            on_reply: None,
        }
    }

    /// Answers an event: the reply goes to its sender. `source` says who answers; what is
    /// missing is added. A handler need not call this: what it returns is sent so.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_reply(
        &self,
        event: &Event,
        data: impl Into<Value>,
        source: Option<Map<String, Value>>,
    ) -> Result<String> {
        let reply = Event::reply_to(event, data);
        self.publish(reply.source(source.unwrap_or_default()))
    }

    /// Publishes an event and waits for the first reply. Needs nobody to wait for events, and
    /// calls no handlers.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); `Timeout` if no reply comes in time; `Connection` if the
    /// event is not delivered or the hub is disconnected.
    ///
    /// ```no_run
    /// # use ftrack_api::{Event, EventHub, HubConfig};
    /// # let hub = EventHub::new(HubConfig::new("http://localhost:8080", "ada", "key")?);
    /// hub.connect()?;
    /// let reply = hub.request(Event::new("studio.ping"), std::time::Duration::from_secs(5))?;
    /// println!("{}", reply.get_data());
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn request(&self, event: Event, timeout: Duration) -> Result<Event> {
        let pending = self.ask(event)?;
        let topic = pending.event.topic();
        pending.next(after(timeout)).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                self.late(format!("nobody replied to {topic} within {timeout:?}"))
            }
            RecvTimeoutError::Disconnected => {
                let message = format!("event {topic} was not delivered, or the hub is closed");
                Error::new(ErrorKind::Connection, message)
            }
        })
    }

    /// Publishes an event and collects the replies that come within this time.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). If the connection is lost later, the replies so far are
    /// the answer.
    pub fn request_all(&self, event: Event, timeout: Duration) -> Result<Vec<Event>> {
        let deadline = after(timeout);
        let pending = self.ask(event)?;
        let next = || pending.next(deadline).ok();
        Ok(std::iter::from_fn(next).collect())
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
    fn transmit(&self, event: &Event, replies: Option<Sender<Event>>) -> Result<()> {
        let sent = self.queue(event, replies);
        sent.map_err(|error| {
            let error = match error.kind() {
                ErrorKind::Connection => error.context(format!("cannot publish {}", event.topic())),
                _ => error,
            };
            self.or_closed(error)
        })
    }

    fn queue(&self, event: &Event, replies: Option<Sender<Event>>) -> Result<()> {
        let (shared, line) = (&self.inner.shared, &self.inner.line);
        let remote = line.running().ok_or_else(not_connected)?;
        check_target(event)?;
        let text = event.to_json(&self.inner.source);
        let bytes = text.len();
        let replies = replies.map(|replies| (event.id().to_string(), replies));
        match shared.gate.enter(bytes, Duration::ZERO) {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                let _waiting = remote.wait();
                shared
                    .gate
                    .enter(bytes, self.inner.config.publish_timeout)?;
            }
            entered => entered?,
        }
        let sent = line.command(Command::Publish { text, replies });
        match &sent {
            Ok(()) => {
                Counters::add(&shared.counters.published);
            }
            Err(_) => shared.gate.leave(bytes),
        }
        sent
    }
}

/// A target that cannot be read is nobody's: servers and clients drop the event.
fn check_target(event: &Event) -> Result<()> {
    match event.get_target() {
        "" => Ok(()),
        target => target.parse::<Expression>().map(drop).map_err(|error| {
            error.context(format!("cannot publish {} to its target", event.topic()))
        }),
    }
}

/// Replies that somebody waits for.
struct Pending<'a> {
    hub: &'a EventHub,
    event: Event,
    replies: Receiver<Event>,
}

impl Pending<'_> {
    /// The next reply; meanwhile this caller does the thread's work, if nobody else does.
    fn next(&self, deadline: Instant) -> Result<Event, RecvTimeoutError> {
        let mut answer = Err(TryRecvError::Empty);
        let running = self.hub.inner.line.running();
        if let Some(remote) = &running {
            remote.lead(Some(deadline), || {
                answer = self.replies.try_recv();
                !matches!(answer, Err(TryRecvError::Empty))
            });
        }
        match answer {
            Ok(reply) => Ok(reply),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => {
                let _waiting = running.as_ref().map(|remote| remote.wait());
                self.replies.recv_deadline(deadline)
            }
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let id = self.event.id().to_string();
        // If the thread has ended it has forgotten everything.
        let _ = self.hub.inner.line.command(Command::Forget { id });
    }
}
