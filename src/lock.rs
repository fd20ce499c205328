//! Locks that work across dynamic libraries.
//!
//! A plugin in a dynamic library has its own copy of this crate and of `parking_lot`, which keeps
//! waiting threads in a static: a thread that waits in one copy is never woken by the other. So a
//! lock remembers the library that created it, and only that library's code locks, unlocks and
//! signals it.

use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::AtomicU8;
use std::time::Instant;

/// Its address identifies this copy of the crate. A constant could be merged with others.
static HERE: AtomicU8 = AtomicU8::new(0);

/// A copy of this crate.
pub(crate) type Home = &'static AtomicU8;

/// The copy that this code belongs to.
pub(crate) fn here() -> Home {
    &HERE
}

pub(crate) fn is_here(home: Home) -> bool {
    ptr::eq(home, &raw const HERE)
}

/// A [`parking_lot::Mutex`] that any copy of this crate may lock.
pub(crate) struct Mutex<T> {
    inner: parking_lot::Mutex<T>,
    home: Home,
    lock: for<'a> fn(&'a parking_lot::Mutex<T>) -> Box<dyn Locked<T> + 'a>,
}

/// A lock that is held. The vtable of a foreign one is that of its library, which releases it.
pub(crate) enum Guard<H, E: ?Sized> {
    Here(H),
    Elsewhere(Box<E>),
}

pub(crate) type MutexGuard<'a, T> = Guard<parking_lot::MutexGuard<'a, T>, dyn Locked<T> + 'a>;

/// A lock that is held for reading.
pub(crate) type ReadGuard<'a, T> =
    Guard<parking_lot::RwLockReadGuard<'a, T>, dyn Deref<Target = T> + 'a>;

/// A lock that is held for writing.
pub(crate) type WriteGuard<'a, T> =
    Guard<parking_lot::RwLockWriteGuard<'a, T>, dyn DerefMut<Target = T> + 'a>;

impl<H: Deref, E: Deref<Target = H::Target> + ?Sized> Deref for Guard<H, E> {
    type Target = H::Target;

    fn deref(&self) -> &H::Target {
        match self {
            Self::Here(guard) => guard,
            Self::Elsewhere(guard) => guard,
        }
    }
}

impl<H: DerefMut, E: DerefMut<Target = H::Target> + ?Sized> DerefMut for Guard<H, E> {
    fn deref_mut(&mut self) -> &mut H::Target {
        match self {
            Self::Here(guard) => guard,
            Self::Elsewhere(guard) => guard,
        }
    }
}

/// A held lock of another library.
pub(crate) trait Locked<T>: DerefMut<Target = T> {
    fn wait(&mut self, condvar: &parking_lot::Condvar);
    /// Returns whether it timed out.
    fn wait_until(&mut self, condvar: &parking_lot::Condvar, deadline: Instant) -> bool;
}

impl<T> Locked<T> for parking_lot::MutexGuard<'_, T> {
    fn wait(&mut self, condvar: &parking_lot::Condvar) {
        condvar.wait(self);
    }

    fn wait_until(&mut self, condvar: &parking_lot::Condvar, deadline: Instant) -> bool {
        condvar.wait_until(self, deadline).timed_out()
    }
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: parking_lot::Mutex::new(value),
            home: &HERE,
            lock: |mutex| Box::new(mutex.lock()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        if is_here(self.home) {
            return MutexGuard::Here(self.inner.lock());
        }
        MutexGuard::Elsewhere((self.lock)(&self.inner))
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A [`parking_lot::Condvar`] for a [`Mutex`] of the same library.
pub(crate) struct Condvar {
    inner: parking_lot::Condvar,
    home: Home,
    notify_all: fn(&parking_lot::Condvar),
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self {
            inner: parking_lot::Condvar::new(),
            home: &HERE,
            notify_all: |condvar| {
                condvar.notify_all();
            },
        }
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        match guard {
            MutexGuard::Here(guard) => guard.wait(&self.inner),
            MutexGuard::Elsewhere(guard) => guard.wait(&self.inner),
        }
    }

    /// Returns whether it timed out.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        match guard {
            MutexGuard::Here(guard) => guard.wait_until(&self.inner, deadline),
            MutexGuard::Elsewhere(guard) => guard.wait_until(&self.inner, deadline),
        }
    }

    pub(crate) fn notify_all(&self) {
        if is_here(self.home) {
            self.inner.notify_all();
        } else {
            (self.notify_all)(&self.inner);
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`parking_lot::RwLock`] that any copy of this crate may lock.
pub(crate) struct RwLock<T> {
    inner: parking_lot::RwLock<T>,
    home: Home,
    read: for<'a> fn(&'a parking_lot::RwLock<T>) -> Box<dyn Deref<Target = T> + 'a>,
    write: for<'a> fn(&'a parking_lot::RwLock<T>) -> Box<dyn DerefMut<Target = T> + 'a>,
}

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: parking_lot::RwLock::new(value),
            home: &HERE,
            read: |lock| Box::new(lock.read()),
            write: |lock| Box::new(lock.write()),
        }
    }

    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        if is_here(self.home) {
            return ReadGuard::Here(self.inner.read());
        }
        ReadGuard::Elsewhere((self.read)(&self.inner))
    }

    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        if is_here(self.home) {
            return WriteGuard::Here(self.inner.write());
        }
        WriteGuard::Elsewhere((self.write)(&self.inner))
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    static ELSEWHERE: AtomicU8 = AtomicU8::new(0);

    fn counts_in_threads(mutex: &Mutex<u32>) {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| *mutex.lock() += 1));
            }
        });
        assert_eq!(*mutex.lock(), 4000);
    }

    #[test]
    fn a_mutex_of_either_library_excludes() {
        let mut mutex = Mutex::new(0);
        counts_in_threads(&mutex);
        *mutex.lock() = 0;
        mutex.home = &ELSEWHERE;
        assert!(matches!(mutex.lock(), MutexGuard::Elsewhere(_)));
        counts_in_threads(&mutex);
    }

    #[test]
    fn a_lock_of_either_library_can_be_read_and_written() {
        let mut lock = RwLock::new(1);
        *lock.write() += 1;
        lock.home = &ELSEWHERE;
        *lock.write() += 1;
        assert_eq!((*lock.read(), *lock.read()), (3, 3));
    }

    #[test]
    fn a_condition_of_either_library_wakes() {
        for home in [&HERE, &ELSEWHERE] {
            let (mut mutex, mut condvar) = (Mutex::new(false), Condvar::new());
            (mutex.home, condvar.home) = (home, home);
            let late = Instant::now() + Duration::from_millis(5);
            assert!(condvar.wait_until(&mut mutex.lock(), late));
            thread::scope(|scope| {
                scope.spawn(|| {
                    *mutex.lock() = true;
                    condvar.notify_all();
                });
                let mut set = mutex.lock();
                while !*set {
                    condvar.wait(&mut set);
                }
            });
        }
    }
}
