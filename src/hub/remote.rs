//! How callers reach the hub's core.
//!
//! The core lies parked in a channel with one place while the thread sleeps. Whoever has
//! something for it takes it out, works without waiting, and parks it again; so a caller who
//! publishes writes to the socket without waking the thread, and one who waits for events reads
//! it without being woken by the thread. Nobody waits for a core that is not there: whoever has
//! it looks for commands after parking it.
//!
//! A thread that was woken by a packet rests a moment before it has the socket watched again:
//! otherwise every acknowledgement would wake it, just when the event is on its way to those
//! who wait for it. It rests only while nobody waits for what it does.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
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
    /// Whether the thread rests: it looks at the socket soon, without being told.
    resting: AtomicBool,
    /// How many callers wait for what the thread does.
    waiting: AtomicUsize,
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
            resting: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
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

    /// Begins to rest, unless somebody waits.
    pub(super) fn begin_rest(&self) -> bool {
        self.resting.store(true, Ordering::SeqCst);
        let nobody_waits = self.waiting.load(Ordering::SeqCst) == 0;
        self.resting.store(nobody_waits, Ordering::SeqCst);
        nobody_waits
    }

    /// Ends the rest; answers whether the core is there. If not, whoever has it will have the
    /// thread told of what the socket has.
    pub(super) fn end_rest(&self) -> bool {
        self.resting.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        !self.parked.1.is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::SeqCst)
    }

    /// Keeps the thread from resting until the answer is dropped: somebody waits for what it
    /// does.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.resting.load(Ordering::SeqCst) {
            self.signals.wake();
        }
        Waiting(self)
    }

    /// Waits for something in the thread's place, as far as nobody else does.
    pub(super) fn lead(&self, deadline: Option<Instant>, mut done: impl FnMut() -> bool) {
        if let Some(mut core) = self.take() {
            core.look_again();
            core.lead(deadline, &mut done);
        }
    }

    /// Looks at the socket in the place of a thread that rests.
    pub(super) fn glance(&self) {
        if self.resting.load(Ordering::SeqCst)
            && let Some(mut core) = self.take()
        {
            core.look_again();
            core.turn();
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
        loop {
            let resting = self.resting.load(Ordering::SeqCst);
            core.watch(Watcher::of_thread(resting));
            let urgent = core.needs_thread() || resting && !core.is_patient();
            self.park(core);
            if urgent || !self.commands.is_empty() {
                return self.signals.wake();
            }
            // A rest that has ended meanwhile must not leave the socket to nobody.
            if !resting || self.resting.load(Ordering::SeqCst) {
                return;
            }
            match self.parked.1.try_recv() {
                Ok(again) => core = again,
                Err(_) => return,
            }
        }
    }
}

/// A caller who waits for what the thread does.
pub(super) struct Waiting<'a>(&'a Remote);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
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
