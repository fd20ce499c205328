//! Results of functions, kept.

use std::sync::Arc;

use serde::Serialize;

use super::{KeyMaker, ObjectKeyMaker};
use crate::cache::{Cache, MemoryCache};

/// Remembers what functions gave, by their names and arguments.
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
    /// Remembers in memory.
    pub fn new() -> Self {
        Self::with(MemoryCache::new(), ObjectKeyMaker)
    }

    /// Remembers in `cache`, under the keys of `key_maker`.
    pub fn with(cache: impl Cache<V>, key_maker: impl KeyMaker) -> Self {
        Self {
            cache: Arc::new(cache),
            key_maker: Box::new(key_maker),
        }
    }

    /// What `function` gave when it was last called under this name with these arguments;
    /// without that, what it gives now. Errors are not remembered.
    ///
    /// A cache that fails is like one that has nothing, with a line in the log.
    ///
    /// # Errors
    ///
    /// What `function` fails with; and arguments that are not expressible in JSON.
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
            Err(error) => log::warn!("what {name} gave is not known: {error:#}"),
        }
        let value = function()?;
        if let Err(error) = self.cache.set(&key, value.clone()) {
            log::warn!("what {name} gave is not kept: {error:#}");
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

impl<V> std::fmt::Debug for Memoiser<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memoiser").finish_non_exhaustive()
    }
}
