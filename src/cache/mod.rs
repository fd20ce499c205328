//! Caches of entities and of the schema, which save requests.
#![doc = ""]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/caching.md"))]

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
#[cfg(any(feature = "file-cache", feature = "redis"))]
pub(crate) use pool::Pool;
#[cfg(feature = "redis")]
pub use redis::RedisCache;
#[cfg(feature = "redis")]
pub(crate) use redis::connections::{Connections, is_broken, is_interrupted};
pub use statistics::CacheStatistics;
pub(crate) use statistics::Counters;

/// A key-value store.
///
/// Four methods make a cache. The others are written in terms of them; replace those that the cache
/// can do better for many keys at once. Values are texts unless another type is named; a session
/// stores texts of JSON.
///
/// A cache may drop values at any time, and may fail: a session logs the error and continues as if
/// nothing were cached. Several threads use it at once.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use ftrack_api::cache::{Cache, conformance};
///
/// #[derive(Default)]
/// struct Plain(Mutex<HashMap<String, String>>);
///
/// impl Cache for Plain {
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
/// conformance::check(Plain::default)?;
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Cache<V: Clone + Send + Sync + 'static = String>: Send + Sync + 'static {
    /// The value of `key`, if there is one.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be read.
    fn get(&self, key: &str) -> anyhow::Result<Option<V>>;

    /// Sets the value of `key`, and replaces the value that it has.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be written.
    fn set(&self, key: &str, value: V) -> anyhow::Result<()>;

    /// Removes the value of `key`; returns whether there was one.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be written.
    fn remove(&self, key: &str) -> anyhow::Result<bool>;

    /// All keys, in no particular order. Other threads and processes may add and remove keys
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be read.
    fn keys(&self) -> anyhow::Result<Vec<String>>;

    /// All values, in no particular order.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be read.
    fn values(&self) -> anyhow::Result<Vec<V>> {
        let values = self.get_many(&self.keys()?)?;
        Ok(values.into_iter().flatten().collect())
    }

    /// Removes the values of all keys in which the regular expression `pattern` matches somewhere;
    /// without a pattern, all values.
    ///
    /// # Errors
    ///
    /// - If the pattern is invalid: nothing is removed.
    /// - If the cache cannot be read or written: some values may have been removed.
    fn clear(&self, pattern: Option<&str>) -> anyhow::Result<()> {
        let mut keys = self.keys()?;
        if let Some(pattern) = pattern {
            let pattern = Regex::new(pattern)?;
            keys.retain(|key| pattern.is_match(key));
        }
        self.remove_many(&keys).map(drop)
    }

    /// The value of each key, in the order of the keys.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be read.
    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<V>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Sets the value of each key; of several values for one key, the last counts.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be written: some values may have been set.
    fn set_many(&self, entries: Vec<(String, V)>) -> anyhow::Result<()> {
        let mut entries = entries.into_iter();
        entries.try_for_each(|(key, value)| self.set(&key, value))
    }

    /// Removes the values of these keys; returns how many there were.
    ///
    /// # Errors
    ///
    /// - If the cache cannot be written: some values may have been removed.
    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        keys.iter()
            .try_fold(0, |count, key| Ok(count + usize::from(self.remove(key)?)))
    }

    /// Replaces the value of each key by the result of `update`, which gets the position of the key
    /// in `keys` and its value. With `None` the value stays. `update` may be called several times for
    /// one key; the last result counts. It should be quick, and must not use the cache.
    ///
    /// In the caches of this crate this is atomic for each key: no concurrent update is lost. The
    /// default reads all values, then writes all: changes by others in between are lost.
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
    /// - If the cache cannot be read or written: some values may have been set.
    fn update_many(&self, keys: &[String], update: Update<'_, V>) -> anyhow::Result<()> {
        let before = self.get_many(keys)?.into_iter().enumerate();
        let entries = before.filter_map(|(number, before)| {
            let value = update(number, before)?;
            Some((keys[number].clone(), value))
        });
        self.set_many(entries.collect())
    }

    /// The counters of this cache, one item for each layer. Empty for a cache that does not count; a
    /// session then counts its own calls.
    fn statistics(&self) -> Vec<CacheStatistics> {
        Vec::new()
    }
}

/// The function of [`Cache::update_many`]: from the position of a key and its value to the new
/// value.
pub type Update<'u, V> = &'u mut dyn FnMut(usize, Option<V>) -> Option<V>;

/// Forwards every method to a field or to the target of `*self`.
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
