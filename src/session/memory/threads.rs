//! Settings that hold for one thread and for a while.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use crate::config::Populate;
use crate::handle::{Session, Shared};

thread_local! {
    /// The settings in force, the latest last.
    static SETTINGS: RefCell<Vec<InForce>> = const { RefCell::new(Vec::new()) };
}

/// Calls with the settings of the current thread. A session remembers the function of the library
/// that opened it: one that a plugin brings has other statics.
pub(crate) type ThreadSettings = fn(&mut dyn FnMut(&mut Vec<InForce>));

pub(crate) fn thread_settings(call: &mut dyn FnMut(&mut Vec<InForce>)) {
    SETTINGS.with_borrow_mut(call);
}

pub(crate) struct InForce {
    session: usize,
    setting: Setting,
    guard: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Setting {
    Populate(Populate),
    Record(bool),
}

/// Keeps a setting in force until it is dropped, in the thread that made it.
#[must_use = "the setting ends when this is dropped"]
#[derive(Debug)]
pub struct SettingGuard {
    number: u64,
    settings: ThreadSettings,
    /// Keeps the address, by which settings know their session, from becoming another's.
    _session: Weak<Shared>,
    /// Not `Send`: the setting belongs to this thread.
    thread: PhantomData<*const ()>,
}

impl Session {
    /// What happens, in this thread and until the guard goes, when an attribute is read that is
    /// not loaded.
    ///
    /// ```
    /// use ftrack_api::Populate;
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let task = session.query("select name from Task")?.first()?.expect("there are tasks");
    /// {
    ///     let _quiet = session.auto_populating(Populate::Off);
    ///     assert_eq!(task.value("bid")?, None);
    /// }
    /// assert!(task.value("bid")?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn auto_populating(&self, populate: Populate) -> SettingGuard {
        self.push(Setting::Populate(populate))
    }

    /// Whether changes are recorded for the next commit, in this thread and until the guard
    /// goes. What is set while recording is off stays local until a rollback.
    pub fn operation_recording(&self, record: bool) -> SettingGuard {
        self.push(Setting::Record(record))
    }

    /// What happens in this thread when an attribute is read that is not loaded.
    pub fn populate_mode(&self) -> Populate {
        let found = self.find(|setting| match setting {
            Setting::Populate(populate) => Some(populate),
            Setting::Record(_) => None,
        });
        found.unwrap_or(self.shared.api.config().populate)
    }

    /// Whether changes are recorded in this thread; see
    /// [`operation_recording`](Self::operation_recording).
    pub fn record_operations(&self) -> bool {
        let found = self.find(|setting| match setting {
            Setting::Record(record) => Some(record),
            Setting::Populate(_) => None,
        });
        found.unwrap_or(true)
    }

    fn push(&self, setting: Setting) -> SettingGuard {
        let mut number = 0;
        (self.shared.thread_settings)(&mut |settings| {
            number = settings.last().map_or(0, |last| last.guard + 1);
            settings.push(InForce {
                session: self.address(),
                setting,
                guard: number,
            });
        });
        SettingGuard {
            number,
            settings: self.shared.thread_settings,
            _session: Arc::downgrade(&self.shared),
            thread: PhantomData,
        }
    }

    fn find<T>(&self, wanted: impl Fn(Setting) -> Option<T>) -> Option<T> {
        let address = self.address();
        let mut found = None;
        (self.shared.thread_settings)(&mut |settings| {
            let mine = settings.iter().rev().filter(|one| one.session == address);
            found = mine.filter_map(|one| wanted(one.setting)).next();
        });
        found
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }
}

impl Drop for SettingGuard {
    fn drop(&mut self) {
        (self.settings)(&mut |settings| settings.retain(|one| one.guard != self.number));
    }
}
