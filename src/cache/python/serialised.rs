//! Values of any type, encoded in a cache of texts.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::{Cache, CacheStatistics, Update};

type Encode<V> = dyn Fn(&V) -> anyhow::Result<String> + Send + Sync;
type Decode<V> = dyn Fn(&str) -> anyhow::Result<V> + Send + Sync;

/// Encodes values of any type into a cache of texts.
///
/// A text that cannot be decoded counts as missing.
///
/// ```
/// use ftrack_api::cache::{Cache, MemoryCache, python::SerialisedCache};
///
/// let ranges = SerialisedCache::json(MemoryCache::new());
/// ranges.set("sh010", (1001, 1096))?;
/// assert_eq!(ranges.get("sh010")?, Some((1001, 1096)));
/// assert_eq!(ranges.proxied().get("sh010")?.as_deref(), Some("[1001,1096]"));
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct SerialisedCache<V, C = Arc<dyn Cache>> {
    proxied: C,
    encode: Box<Encode<V>>,
    decode: Box<Decode<V>>,
}

impl<V: Clone + Send + Sync + 'static, C: Cache> SerialisedCache<V, C> {
    /// Stores values in `proxied` as texts that `encode` makes and `decode` reads.
    pub fn new(
        proxied: C,
        encode: impl Fn(&V) -> anyhow::Result<String> + Send + Sync + 'static,
        decode: impl Fn(&str) -> anyhow::Result<V> + Send + Sync + 'static,
    ) -> Self {
        Self {
            proxied,
            encode: Box::new(encode),
            decode: Box::new(decode),
        }
    }

    /// Stores values in `proxied` as JSON.
    pub fn json(proxied: C) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        let encode = |value: &V| Ok(serde_json::to_string(value)?);
        Self::new(proxied, encode, |text| Ok(serde_json::from_str(text)?))
    }

    /// The cache of texts.
    pub fn proxied(&self) -> &C {
        &self.proxied
    }

    fn decoded(&self, text: Option<String>) -> Option<V> {
        let decoded = (self.decode)(&text?);
        let failed = |error| log::debug!("a cached value cannot be decoded: {error:#}");
        decoded.map_err(failed).ok()
    }
}

impl<V: Clone + Send + Sync + 'static, C: Cache> Cache<V> for SerialisedCache<V, C> {
    fn get(&self, key: &str) -> anyhow::Result<Option<V>> {
        Ok(self.decoded(self.proxied.get(key)?))
    }

    fn set(&self, key: &str, value: V) -> anyhow::Result<()> {
        self.proxied.set(key, (self.encode)(&value)?)
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.proxied.remove(key)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.proxied.keys()
    }

    fn clear(&self, pattern: Option<&str>) -> anyhow::Result<()> {
        self.proxied.clear(pattern)
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<V>>> {
        let texts = self.proxied.get_many(keys)?;
        Ok(texts.into_iter().map(|text| self.decoded(text)).collect())
    }

    fn set_many(&self, entries: Vec<(String, V)>) -> anyhow::Result<()> {
        let entries = entries.into_iter();
        let texts = entries.map(|(key, value)| Ok((key, (self.encode)(&value)?)));
        self.proxied.set_many(texts.collect::<anyhow::Result<_>>()?)
    }

    fn remove_many(&self, keys: &[String]) -> anyhow::Result<usize> {
        self.proxied.remove_many(keys)
    }

    fn update_many(&self, keys: &[String], update: Update<'_, V>) -> anyhow::Result<()> {
        let mut failure = None;
        let mut on_texts = |number, before| {
            let value = update(number, self.decoded(before))?;
            let failed = |error| failure = Some(error);
            (self.encode)(&value).map_err(failed).ok()
        };
        self.proxied.update_many(keys, &mut on_texts)?;
        failure.map_or(Ok(()), Err)
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        self.proxied.statistics()
    }
}

debug_fields!(<V, C> SerialisedCache<V, C>);
