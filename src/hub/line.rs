//! How the handles reach the hub's thread: by a channel of commands, and a waker.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::error::Result;
use crate::hub::poller::Signals;
use crate::hub::status::{Status, not_connected};
use crate::lock::Mutex;

/// A command to the thread.
pub(super) enum Command {
    Publish {
        text: String,
        /// Where replies to this event go, by its id.
        replies: Option<(String, Sender<String>)>,
    },
    /// Nobody waits for replies to this event any more.
    Forget {
        id: String,
    },
    Subscribe {
        id: String,
        text: String,
        confirmation: Option<Sender<Result<(), String>>>,
    },
    Unsubscribe {
        id: String,
        text: String,
    },
    /// Read what has arrived, then drop the sender.
    Read(Sender<()>),
    /// Report when the server has accepted the connection, or what went wrong.
    WhenUp(Sender<Result<()>>),
    Reconnect,
    Stop,
}

/// The thread that was started last, possibly after its end.
#[derive(Default)]
pub(super) struct Line {
    /// Commands are sent under this lock, so that a thread that ends can rule out further ones.
    remote: Mutex<Option<Arc<Remote>>>,
}

impl Line {
    /// The thread, if it is running.
    pub(super) fn running(&self) -> Option<Arc<Remote>> {
        self.last().filter(|remote| remote.status.is_running())
    }

    /// The thread that was started last.
    pub(super) fn last(&self) -> Option<Arc<Remote>> {
        self.remote.lock().clone()
    }

    /// The thread; a new one if none is running.
    pub(super) fn start(&self, spawn: impl FnOnce() -> Result<Arc<Remote>>) -> Result<Arc<Remote>> {
        let mut current = self.remote.lock();
        let running = current.as_ref().filter(|remote| remote.status.is_running());
        if let Some(remote) = running {
            return Ok(Arc::clone(remote));
        }
        let remote = spawn()?;
        *current = Some(Arc::clone(&remote));
        Ok(remote)
    }

    /// Rules out further commands for this thread.
    pub(super) fn stop(&self, remote: &Remote) {
        let _no_commands = self.remote.lock();
        remote.status.stop_running();
    }

    /// Sends the thread a command.
    ///
    /// # Errors
    ///
    /// - `Connection` if no thread is running.
    pub(super) fn command(&self, command: Command) -> Result<()> {
        let guard = self.remote.lock();
        let running = guard.as_ref().filter(|remote| remote.status.is_running());
        let remote = running.ok_or_else(not_connected)?;
        remote.commands.send(command).map_err(|_| not_connected())?;
        remote.signals.wake();
        Ok(())
    }
}

/// A thread as the handles see it.
pub(super) struct Remote {
    pub(super) status: Arc<Status>,
    pub(super) signals: Arc<Signals>,
    commands: Sender<Command>,
}

impl Remote {
    /// Also returns where the commands arrive.
    pub(super) fn new(status: Arc<Status>, signals: Arc<Signals>) -> (Self, Receiver<Command>) {
        let (commands, receiver) = crossbeam_channel::unbounded();
        let this = Self {
            status,
            signals,
            commands,
        };
        (this, receiver)
    }
}
