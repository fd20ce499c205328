//! Memoised functions.

use std::sync::Arc;

use serde::Serialize;

use super::{KeyMaker, ObjectKeyMaker};
use crate::cache::{Cache, MemoryCache};

/// Caches the results of functions by their names and arguments.
///
/// ```
/// use ftrack_api::cache::python::Memoiser;
///
/// let memoiser = Memoiser::new();
/// let mut calls = 0;
/// for _ in 0..3 {
///     let sum = memoiser.call("add", &(1, 2), || {
///         calls += 1;
///         Ok(1 + 2)
///     })?;
///     assert_eq!(sum, 3);
/// }
/// assert_eq!(calls, 1);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Memoiser<V> {
    cache: Arc<dyn Cache<V>>,
    key_maker: Box<dyn KeyMaker>,
}

impl<V: Clone + Send + Sync + 'static> Memoiser<V> {
    /// A memoiser in memory.
    pub fn new() -> Self {
        Self::with(MemoryCache::new(), ObjectKeyMaker)
    }

    /// A memoiser in `cache`, under the keys of `key_maker`.
    pub fn with(cache: impl Cache<V>, key_maker: impl KeyMaker) -> Self {
        Self {
            cache: Arc::new(cache),
            key_maker: Box::new(key_maker),
        }
    }

    /// The result of an earlier call with this name and these arguments; without one, the result of
    /// `function`, which is cached. Errors are not cached.
    ///
    /// A failure of the cache is logged and counts as a miss.
    ///
    /// # Errors
    ///
    /// - The error of `function`.
    /// - If the arguments cannot be written as JSON.
    pub fn call(
        &self,
        name: &str,
        arguments: &impl Serialize,
        function: impl FnOnce() -> anyhow::Result<V>,
    ) -> anyhow::Result<V> {
        let arguments = serde_json::to_value(arguments)?;
        let key = self.key_maker.key(&[name.into(), arguments]);
        match self.cache.get(&key) {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            Err(error) => log::warn!("cannot read the cached result of {name}: {error:#}"),
        }
        let value = function()?;
        if let Err(error) = self.cache.set(&key, value.clone()) {
            log::warn!("cannot cache the result of {name}: {error:#}");
        }
        Ok(value)
    }

    /// The cache of the results.
    pub fn cache(&self) -> &dyn Cache<V> {
        self.cache.as_ref()
    }
}

impl<V: Clone + Send + Sync + 'static> Default for Memoiser<V> {
    fn default() -> Self {
        Self::new()
    }
}

debug_fields!(<V> Memoiser<V>);
