//! What is kept so that servers are asked less: caches of entities, and of the schema.
#![doc = ""]
#![doc = include_str!("../../docs/caching.md")]

mod backing;
pub mod conformance;
#[cfg(feature = "file-cache")]
mod file;
mod memory;
mod pending;
mod pool;
pub mod python;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod schema;
mod statistics;

use std::sync::Arc;

use regex_lite::Regex;

pub(crate) use backing::BackingCache;
#[cfg(feature = "file-cache")]
pub use file::FileCache;
pub use memory::MemoryCache;
#[cfg(feature = "redis")]
pub use redis::RedisCache;
pub use statistics::CacheStatistics;
pub(crate) use statistics::{Counters, MemoryCounters};

/// Values under keys, kept so that they need not be made or fetched again.
///
/// Four methods make a cache; the others are written in terms of them, and are there to be
/// replaced by what does many things at once. Values are texts unless another type is named;
/// what a session keeps in a cache are texts of JSON.
///
/// A cache may forget at any time, and may fail: a session logs the error and goes on as if
/// nothing were cached. Several threads use it at once.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use ftrack_api::cache::{Cache, conformance};
///
/// #[derive(Default)]
/// struct Shelf(Mutex<HashMap<String, String>>);
///
/// impl Cache for Shelf {
///     fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
///         Ok(self.0.lock().unwrap().get(key).cloned())
///     }
///
///     fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
///         self.0.lock().unwrap().insert(key.to_owned(), value);
///         Ok(())
///     }
///
///     fn remove(&self, key: &str) -> anyhow::Result<bool> {
///         Ok(self.0.lock().unwrap().remove(key).is_some())
///     }
///
///     fn keys(&self) -> anyhow::Result<Vec<String>> {
///         Ok(self.0.lock().unwrap().keys().cloned().collect())
///     }
/// }
///
/// conformance::check(Shelf::default)?;
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Cache<V: Clone + Send + Sync + 'static = String>: Send + Sync + 'static {
    /// The value under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// What kept the cache from telling.
    fn get(&self, key: &str) -> anyhow::Result<Option<V>>;

    /// Puts `value` under `key`, in place of what is there.
    ///
    /// # Errors
    ///
    /// What kept the cache from taking it.
    fn set(&self, key: &str, value: V) -> anyhow::Result<()>;

    /// Removes what is under `key`, and says whether there was anything.
    ///
    /// # Errors
    ///
    /// What kept the cache from doing so.
    fn remove(&self, key: &str) -> anyhow::Result<bool>;

    /// The keys at this moment, in no particular order; others may add and remove some meanwhile.
    ///
    /// # Errors
    ///
    /// What kept the cache from telling.
    fn keys(&self) -> anyhow::Result<Vec<String>>;

    /// The values at this moment, in no particular order.
    ///
    /// # Errors
    ///
    /// What kept the cache from telling.
    fn values(&self) -> anyhow::Result<Vec<V>> {
        let values = self.get_many(&self.keys()?)?;
        Ok(values.into_iter().flatten().collect())
    }

    /// Removes what is under keys in which the regular expression `pattern` is found; without
    /// one, everything.
    ///
    /// # Errors
    ///
    /// A pattern that cannot be read, and what kept the cache from doing so.
    fn clear(&self, pattern: Option<&str>) -> anyhow::Result<()> {
        let mut keys = self.keys()?;
        if let Some(pattern) = pattern {
            let pattern = Regex::new(pattern)?;
            keys.retain(|key| pattern.is_match(key));
        }
        self.remove_many(&keys).map(drop)
    }

    /// The value under each key, in the order of the keys.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<V>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Puts each value under its key; of several under one key the last stays.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set); then some may be there and others not.
    fn set_many(&self, entries: Vec<(String, V)>) -> anyhow::Result<()> {
        let mut entries = entries.into_iter();
        entries.try_for_each(|(key, value)| self.set(&key, value))
    }

    /// Removes what is under these keys, and says under how many of them there was anything.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Self::remove); then some may be gone and others not.
    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        keys.iter()
            .try_fold(0, |count, key| Ok(count + usize::from(self.remove(key)?)))
    }

    /// Puts under each key what `update` makes of the number of the key and of what is there;
    /// where it makes nothing, what is there stays. `update` may be called several times for a
    /// key, the last time counts; it should be quick, and must not use the cache.
    ///
    /// The caches of this crate let nobody else write between the reading and the writing, so that
    /// two who add to one value both find a place in it. What a cache has that does not replace
    /// this method reads all values, then writes all: what others write in between is lost.
    ///
    /// ```
    /// use ftrack_api::cache::{Cache, MemoryCache};
    ///
    /// let cache = MemoryCache::new();
    /// let mut count = |_, before: Option<u32>| Some(before.unwrap_or(0) + 1);
    /// cache.update_many(&["a".to_owned()], &mut count)?;
    /// cache.update_many(&["a".to_owned(), "b".to_owned()], &mut count)?;
    /// assert_eq!((cache.get("a")?, cache.get("b")?), (Some(2), Some(1)));
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`set_many`](Self::set_many).
    fn update_many(&self, keys: &[String], update: Update<'_, V>) -> anyhow::Result<()> {
        let before = self.get_many(keys)?.into_iter().enumerate();
        let entries = before.filter_map(|(number, before)| {
            let value = update(number, before)?;
            Some((keys[number].clone(), value))
        });
        self.set_many(entries.collect())
    }

    /// What happened to this cache so far, one item for each layer. A cache that does not count
    /// has none; a session then counts what it asks of it.
    fn statistics(&self) -> Vec<CacheStatistics> {
        Vec::new()
    }
}

/// Makes a new value of the number of a key and of the value that is there; see
/// [`Cache::update_many`].
pub type Update<'u, V> = &'u mut dyn FnMut(usize, Option<V>) -> Option<V>;

/// Passes every method on to what a field or `*self` holds.
macro_rules! forward {
    ($($to:tt)*) => {
        fn get(&self, key: &str) -> anyhow::Result<Option<V>> {
            (self.$($to)*).get(key)
        }

        fn set(&self, key: &str, value: V) -> anyhow::Result<()> {
            (self.$($to)*).set(key, value)
        }

        fn remove(&self, key: &str) -> anyhow::Result<bool> {
            (self.$($to)*).remove(key)
        }

        fn keys(&self) -> anyhow::Result<Vec<String>> {
            (self.$($to)*).keys()
        }

        fn values(&self) -> anyhow::Result<Vec<V>> {
            (self.$($to)*).values()
        }

        fn clear(&self, pattern: Option<&str>) -> anyhow::Result<()> {
            (self.$($to)*).clear(pattern)
        }

        fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<V>>> {
            (self.$($to)*).get_many(keys)
        }

        fn set_many(&self, entries: Vec<(String, V)>) -> anyhow::Result<()> {
            (self.$($to)*).set_many(entries)
        }

        fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
            (self.$($to)*).remove_many(keys)
        }

        fn update_many(
            &self,
            keys: &[String],
            update: crate::cache::Update<'_, V>,
        ) -> anyhow::Result<()> {
            (self.$($to)*).update_many(keys, update)
        }

        fn statistics(&self) -> Vec<crate::cache::CacheStatistics> {
            (self.$($to)*).statistics()
        }
    };
}

use forward;

impl<V: Clone + Send + Sync + 'static, C: Cache<V> + ?Sized> Cache<V> for Arc<C> {
    forward!(as_ref());
}

impl<V: Clone + Send + Sync + 'static, C: Cache<V> + ?Sized> Cache<V> for Box<C> {
    forward!(as_ref());
}
