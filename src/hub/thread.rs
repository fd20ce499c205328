//! The hub's one thread: it opens connections, owns the socket and never runs user code.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::config::Endpoint;
use crate::hub::driver::Driver;
use crate::hub::line::{Line, Remote};
use crate::hub::poller::Poller;
use crate::hub::shared::Shared;
use crate::hub::status::Status;
use crate::socketio::{Machine, Output, Settings};

/// The name of the thread: Linux keeps 15 bytes.
const NAME: &str = "ftrack-hub";

/// What a thread is started with.
pub(super) struct Start {
    /// Ids and events of the subscriptions, in order.
    pub(super) subscriptions: Vec<(String, String)>,
    /// Whether to go on after the first attempt has failed.
    pub(super) persistent: bool,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) settings: Settings,
    /// The source of events that the thread makes.
    pub(super) source: Map<String, Value>,
}

/// Starts the thread.
///
/// # Errors
///
/// - `Io` if the system has no more threads or descriptors.
pub(super) fn spawn(line: &Arc<Line>, shared: &Arc<Shared>, start: Start) -> Result<Arc<Remote>> {
    let io = |error: std::io::Error| {
        Error::new(ErrorKind::Io, "the event hub cannot start its thread").with_source(error)
    };
    let poller = Poller::new().map_err(io)?;
    let mut machine = Machine::new(start.settings, fastrand::u64(..), start.persistent);
    for (id, text) in start.subscriptions {
        machine.subscribe(Duration::ZERO, id, text);
    }
    let status = Arc::new(Status::new());
    let (remote, commands) = Remote::new(Arc::clone(&status), poller.signals());
    let remote = Arc::new(remote);
    let driver = Driver::new(
        Arc::clone(shared),
        status,
        start.source,
        commands,
        machine,
        poller,
        &start.endpoint,
    );
    let thread = HubThread {
        line: Arc::clone(line),
        remote: Arc::clone(&remote),
        endpoint: start.endpoint,
        driver,
    };
    let named = std::thread::Builder::new().name(NAME.to_string());
    named.spawn(move || thread.run()).map_err(io)?;
    Ok(remote)
}

struct HubThread {
    line: Arc<Line>,
    remote: Arc<Remote>,
    endpoint: Arc<Endpoint>,
    driver: Driver,
}

impl HubThread {
    fn run(mut self) {
        self.driver.machine.start();
        loop {
            self.driver.flush_outputs();
            match self.driver.machine.next_output() {
                Some(Output::Open) => self.open(),
                Some(Output::End(error)) => return self.end(error),
                _ => {
                    self.driver.sleep();
                    self.driver.step();
                }
            }
        }
    }

    fn open(&mut self) {
        let driver = &mut self.driver;
        if driver.linger() && driver.open(&self.endpoint) {
            return;
        }
        // A command interrupted it.
        self.remote.signals.clear_interruption();
        driver.take_all_commands();
        driver.machine.interrupted();
    }

    /// Leaves nothing undone: late commands are carried out as well.
    fn end(&mut self, error: Option<Error>) {
        self.driver.close();
        let error = error.map(|error| self.driver.redacted(error));
        if let Some(error) = &error {
            let failure = Some((error.kind(), error.to_string()));
            *self.remote.status.failure.lock() = failure;
        }
        self.line.stop(&self.remote);
        self.driver.end(error);
        // Everything is reported: `disconnect` waits for the rest only for a moment.
        self.remote.status.set_reported();
        while !self.driver.linger() {
            self.driver.take_all_commands();
        }
    }
}

impl Drop for HubThread {
    fn drop(&mut self) {
        self.remote.status.finish();
    }
}
