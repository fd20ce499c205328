//! Caches in layers.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cache::{Cache, CacheStatistics, Update};

/// Several caches in layers, the fastest first. A value that is found in one layer is written to the
/// layers above it; a value that is set is set in all layers.
///
/// A layer that fails is skipped; its error is returned only if every layer fails. If a layer cannot
/// be written, the key is removed from it, because its value is stale.
///
/// ```
/// use std::sync::Arc;
/// use ftrack_api::cache::{Cache, MemoryCache, python::LayeredCache};
///
/// let (near, far) = (Arc::new(MemoryCache::new()), Arc::new(MemoryCache::new()));
/// far.set("key", "value".to_owned())?;
/// let cache = LayeredCache::new([near.clone() as Arc<dyn Cache>, far]);
/// assert_eq!(cache.get("key")?.as_deref(), Some("value"));
/// assert_eq!(near.get("key")?.as_deref(), Some("value"));
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct LayeredCache<V = String> {
    layers: Vec<Arc<dyn Cache<V>>>,
}

impl<V: Clone + Send + Sync + 'static> LayeredCache<V> {
    /// A cache of these layers, the fastest first.
    pub fn new(caches: impl IntoIterator<Item = Arc<dyn Cache<V>>>) -> Self {
        Self {
            layers: caches.into_iter().collect(),
        }
    }

    /// The layers, the fastest first.
    pub fn caches(&self) -> &[Arc<dyn Cache<V>>] {
        &self.layers
    }

    /// Does `work` in every layer. Returns the results of those that succeed, or the last error if none
    /// does.
    fn in_all<T>(
        &self,
        mut work: impl FnMut(&dyn Cache<V>) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<T>> {
        let mut done = Vec::with_capacity(self.layers.len());
        let mut failure = None;
        for layer in &self.layers {
            match work(layer.as_ref()) {
                Ok(result) => done.push(result),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if done.is_empty() => Err(error),
            Some(error) => {
                log::debug!("a layer of a cache failed: {error:#}");
                Ok(done)
            }
            None => Ok(done),
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Cache<V> for LayeredCache<V> {
    fn get(&self, key: &str) -> anyhow::Result<Option<V>> {
        let found = self.get_many(&[key.to_owned()])?;
        Ok(found.into_iter().next().flatten())
    }

    fn set(&self, key: &str, value: V) -> anyhow::Result<()> {
        let set = |layer: &dyn Cache<V>| {
            let set = layer.set(key, value.clone());
            set.inspect_err(|_| drop(layer.remove(key)))
        };
        self.in_all(set).map(drop)
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        let removed = self.in_all(|layer| layer.remove(key))?;
        Ok(removed.contains(&true))
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        let keys = self.in_all(Cache::keys)?;
        let keys: BTreeSet<String> = keys.into_iter().flatten().collect();
        Ok(keys.into_iter().collect())
    }

    fn clear(&self, pattern: Option<&str>) -> anyhow::Result<()> {
        self.in_all(|layer| layer.clear(pattern)).map(drop)
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<V>>> {
        let mut found: Vec<Option<V>> = vec![None; keys.len()];
        let mut failure = None;
        let mut has_succeeded = self.layers.is_empty();
        for (depth, layer) in self.layers.iter().enumerate() {
            let missing: Vec<usize> = (0..keys.len()).filter(|&i| found[i].is_none()).collect();
            if missing.is_empty() {
                break;
            }
            let asked: Vec<String> = missing.iter().map(|&i| keys[i].clone()).collect();
            let values = match layer.get_many(&asked) {
                Ok(values) => values,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            has_succeeded = true;
            let mut fresh = Vec::new();
            for (index, value) in missing.into_iter().zip(values) {
                if let Some(value) = &value {
                    fresh.push((keys[index].clone(), value.clone()));
                }
                found[index] = value;
            }
            self.fill_above(depth, &fresh);
        }
        match failure {
            Some(error) if !has_succeeded => Err(error),
            _ => Ok(found),
        }
    }

    fn set_many(&self, entries: Vec<(String, V)>) -> anyhow::Result<()> {
        self.in_all(|layer| set_or_remove(layer, &entries))
            .map(drop)
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        let removed = self.in_all(|layer| layer.remove_many(keys))?;
        Ok(removed.into_iter().max().unwrap_or(0))
    }

    /// Updates the values of the lowest layer, because other processes may share it.
    fn update_many(&self, keys: &[String], update: Update<'_, V>) -> anyhow::Result<()> {
        let mut failure = None;
        for (depth, layer) in self.layers.iter().enumerate().rev() {
            let mut after: Vec<Option<V>> = vec![None; keys.len()];
            let mut noting = |number: usize, before: Option<V>| {
                after[number] = update(number, before);
                after[number].clone()
            };
            match layer.update_many(keys, &mut noting) {
                Ok(()) => {
                    let entries = keys.iter().cloned().zip(after);
                    let entries = entries.filter_map(|(key, value)| Some((key, value?)));
                    self.fill_above(depth, &entries.collect::<Vec<_>>());
                    return Ok(());
                }
                Err(error) => {
                    let _ = layer.remove_many(keys);
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        let layers = self.layers.iter();
        layers.flat_map(Cache::statistics).collect()
    }
}

impl<V: Clone + Send + Sync + 'static> LayeredCache<V> {
    /// Writes values that were found at `depth` to the layers above. A failure costs another look-up
    /// only.
    fn fill_above(&self, depth: usize, found: &[(String, V)]) {
        if found.is_empty() {
            return;
        }
        for layer in &self.layers[..depth] {
            if let Err(error) = set_or_remove(layer.as_ref(), found) {
                log::debug!("a layer of a cache failed: {error:#}");
            }
        }
    }
}

fn set_or_remove<V: Clone + Send + Sync + 'static>(
    layer: &dyn Cache<V>,
    entries: &[(String, V)],
) -> anyhow::Result<()> {
    layer.set_many(entries.to_vec()).inspect_err(|_| {
        let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
        let _ = layer.remove_many(&keys);
    })
}

debug_fields!(<V> LayeredCache<V>, |this| layers: this.layers.len());
