//! How callers reach the hub's core.
//!
//! The core lies parked in a channel with one place while the thread sleeps. Whoever has
//! something for it takes it out, works without waiting, and parks it again; so a caller who
//! publishes writes to the socket without waking the thread, and one who waits for events reads
//! it without being woken by the thread. Nobody waits for a core that is not there: whoever has
//! it looks for commands after parking it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use crate::error::Result;
use crate::hub::core::Core;
use crate::hub::poller::{Signals, Watcher};
use crate::hub::shared::{Command, Status, not_connected};
use crate::lock::Mutex;

/// The thread, maybe after its end.
#[derive(Default)]
pub(super) struct Line {
    /// Commands are sent under this lock, so that a thread which ends can tell that none will
    /// come after the last it has seen.
    remote: Mutex<Option<Arc<Remote>>>,
}

impl Line {
    /// The thread, if there is one.
    pub(super) fn running(&self) -> Option<Arc<Remote>> {
        self.last().filter(|remote| remote.status.is_running())
    }

    /// The thread that was started last.
    pub(super) fn last(&self) -> Option<Arc<Remote>> {
        self.remote.lock().clone()
    }

    /// The thread; a new one if there is none.
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

    /// Sees to it that the thread is given no more commands.
    pub(super) fn stop(&self, remote: &Remote) {
        let _no_commands = self.remote.lock();
        remote.status.stop_running();
    }

    /// Gives the thread a command, or carries it out in its place.
    pub(super) fn command(&self, command: Command) -> Result<()> {
        let remote = {
            let guard = self.remote.lock();
            let running = guard.as_ref().filter(|remote| remote.status.is_running());
            let remote = running.ok_or_else(not_connected)?;
            remote.commands.send(command).map_err(|_| not_connected())?;
            Arc::clone(remote)
        };
        remote.serve();
        Ok(())
    }
}

/// A running thread, as others reach it.
pub(super) struct Remote {
    pub(super) status: Arc<Status>,
    commands: Sender<Command>,
    /// Wakes the thread.
    pub(super) signals: Arc<Signals>,
    /// Wakes the caller who leads.
    lead: Arc<Signals>,
    parked: (Sender<Box<Core>>, Receiver<Box<Core>>),
}

impl Remote {
    /// With the place where its commands arrive.
    pub(super) fn new(
        status: Arc<Status>,
        signals: Arc<Signals>,
        lead: Arc<Signals>,
    ) -> (Self, Receiver<Command>) {
        let (commands, receiver) = crossbeam_channel::unbounded();
        lead.mute();
        let this = Self {
            status,
            commands,
            signals,
            lead,
            parked: crossbeam_channel::bounded(1),
        };
        (this, receiver)
    }

    /// Parks the core while the thread does something else, and waits for it afterwards. What
    /// it would do is not done if there are commands.
    pub(super) fn without<T>(
        &self,
        core: Box<Core>,
        other: impl FnOnce() -> T,
    ) -> (Box<Core>, Option<T>) {
        self.park(core);
        let other = self.commands.is_empty().then(other);
        let core = self.parked.1.recv().expect("both ends live here");
        (core, other)
    }

    /// Waits for something in the thread's place, as far as nobody else does.
    pub(super) fn lead(&self, deadline: Option<Instant>, mut done: impl FnMut() -> bool) {
        if let Some(mut core) = self.take() {
            core.lead(deadline, &mut done);
        }
    }

    /// Carries out commands, or sees to it that whoever has the core does.
    fn serve(&self) {
        match self.take() {
            Some(mut core) => core.serve(),
            None => self.lead.wake(),
        }
    }

    fn take(&self) -> Option<Held<'_>> {
        // Pairs with the fence in `park`: either the core is seen here, or the command there.
        fence(Ordering::SeqCst);
        let core = self.parked.1.try_recv().ok()?;
        Some(Held {
            remote: self,
            core: Some(core),
        })
    }

    fn park(&self, core: Box<Core>) {
        let parked = self.parked.0.try_send(core);
        debug_assert!(parked.is_ok(), "there is one core and one place");
        fence(Ordering::SeqCst);
    }

    /// Parks the core after a caller has had it. The thread is woken if there is more to do.
    fn give_back(&self, mut core: Box<Core>) {
        core.watch(Watcher::Thread);
        let urgent = core.needs_thread();
        self.park(core);
        if urgent || !self.commands.is_empty() {
            self.signals.wake();
        }
    }
}

/// A core that a caller has; dropping it gives it back.
struct Held<'a> {
    remote: &'a Remote,
    /// Taken only by `drop`.
    core: Option<Box<Core>>,
}

impl Deref for Held<'_> {
    type Target = Core;
    fn deref(&self) -> &Core {
        self.core.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        self.core.as_mut().expect("taken only by drop")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            self.remote.give_back(core);
        }
    }
}
