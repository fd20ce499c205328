//! The hub's one thread: it opens connections, and works whenever no caller does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::config::HubConfig;
use crate::hub::core::Core;
use crate::hub::farewell::Farewell;
use crate::hub::link::Link;
use crate::hub::poller::{Poller, Registries, Watcher};
use crate::hub::remote::{Line, Remote};
use crate::hub::shared::{Shared, Status};
use crate::socketio::{Machine, Output, Settings};

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
pub(super) fn spawn(line: &Arc<Line>, shared: &Arc<Shared>, start: Start) -> Result<Arc<Remote>> {
    let io = |error: std::io::Error| {
        Error::new(ErrorKind::Io, "the event hub cannot start its thread").because(error)
    };
    let (poller, lead) = (Poller::new().map_err(io)?, Poller::new().map_err(io)?);
    let registries = Registries::of(&poller, &lead).map_err(io)?;
    let settings = Settings {
        attempts: start.config.attempts,
        ack_timeout: start.config.ack_timeout,
        ..Settings::default()
    };
    let mut machine = Machine::new(settings, fastrand::u64(..), start.persistent);
    for (id, text) in start.subscriptions {
        machine.subscribe(Duration::ZERO, id, text);
    }
    let status = Arc::new(Status::new());
    let (remote, commands) = Remote::new(Arc::clone(&status), poller.signals(), lead.signals());
    let remote = Arc::new(remote);
    let pollers = (lead, registries);
    let core = Core::new(
        Arc::clone(shared),
        status,
        start.source,
        commands,
        machine,
        pollers,
    );
    let worker = Worker {
        line: Arc::clone(line),
        remote: Arc::clone(&remote),
        config: start.config,
        poller,
    };
    let named = std::thread::Builder::new().name("ftrack-event-hub".to_string());
    let run = move || worker.run(Box::new(core));
    named.spawn(run).map_err(io)?;
    Ok(remote)
}

struct Worker {
    line: Arc<Line>,
    remote: Arc<Remote>,
    config: Arc<HubConfig>,
    poller: Poller,
}

impl Worker {
    fn run(mut self, mut core: Box<Core>) {
        core.machine.start();
        loop {
            core.settle();
            core.farewell.take_if(Farewell::is_over);
            match core.machine.next_output() {
                Some(Output::Open) => self.open(&mut core),
                Some(Output::End(error)) => return self.end(&mut core, error),
                _ => {
                    core = self.sleep(core);
                    core.turn();
                }
            }
        }
    }

    /// Sleeps until there is something to do. Meanwhile a caller may take the core.
    fn sleep(&mut self, mut core: Box<Core>) -> Box<Core> {
        self.poller.signals().clear();
        let rest = core.may_rest() && self.remote.begin_rest();
        core.watch(Watcher::of_thread(rest));
        if core.is_busy() || core.machine.has_output() {
            self.remote.end_rest();
            let ready = self.poller.sleep(Some(Duration::ZERO));
            return wake(core, ready);
        }
        let timeout = core.plan_sleep();
        let remote = Arc::clone(&self.remote);
        let (core, ready) = remote.without(core, || match rest {
            true => self.rest(timeout),
            false => self.poller.sleep(timeout),
        });
        remote.end_rest();
        match ready {
            Some(ready) => wake(core, ready),
            None => core,
        }
    }

    /// Sleeps for a moment without being told of packets; then on, if a caller has the core, who
    /// hears of them in its place.
    fn rest(&mut self, timeout: Option<Duration>) -> std::io::Result<bool> {
        let rest = timeout.map_or(self.config.rest, |timeout| timeout.min(self.config.rest));
        self.poller.sleep(Some(rest))?;
        let is_there = self.remote.end_rest();
        if is_there || self.poller.signals().is_pending() {
            return Ok(true);
        }
        self.poller
            .sleep(timeout.map(|timeout| timeout.saturating_sub(rest)))
    }

    fn open(&mut self, core: &mut Core) {
        if !self.see_off(core) {
            core.take_commands(usize::MAX);
            return core.machine.interrupted();
        }
        let opened = Link::open(&self.config, &mut self.poller);
        let now = core.now();
        match opened {
            Ok((link, handshake)) => {
                core.link = Some(link);
                core.woken(true);
                core.machine.opened(now, handshake.heartbeat_timeout);
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                self.poller.signals().clear();
                core.take_commands(usize::MAX);
                core.machine.interrupted();
            }
            Err(error) => core.machine.lost(now, error),
        }
    }

    /// Leaves nothing behind: commands that came too late are answered as well.
    fn end(&mut self, core: &mut Core, error: Option<Error>) {
        core.close();
        if let Some(error) = &error {
            let failure = Some((error.kind(), error.to_string()));
            *self.remote.status.failure.lock() = failure;
        }
        self.line.stop(&self.remote);
        core.end(error);
        // All is said and done; who disconnects waits for this only as long as is prompt.
        self.poller.signals().stuck_in(|| self.see_off(core));
    }

    /// Waits until the server has ended the connection before, unless there is something else to
    /// do; answers whether that is through.
    fn see_off(&mut self, core: &mut Core) -> bool {
        while core.farewell.take_if(Farewell::is_over).is_none() && core.farewell.is_some() {
            // Only where commands are looked at: else who breaks off would not be heard.
            self.poller.signals().clear();
            if core.is_busy() {
                return false;
            }
            let farewell = core.farewell.as_mut();
            if let Some(Err(error)) = farewell.map(|farewell| farewell.wait(&mut self.poller)) {
                log::error!("event hub: waiting for the socket failed: {error}");
                core.farewell = None;
            }
        }
        true
    }
}

/// Takes note of what the poller has answered.
fn wake(mut core: Box<Core>, ready: std::io::Result<bool>) -> Box<Core> {
    match ready {
        Ok(ready) => core.woken(ready),
        Err(error) => {
            log::error!("event hub: waiting for the socket failed: {error}");
            core.machine.abort();
        }
    }
    core
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.remote.status.finish();
    }
}
