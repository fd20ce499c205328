//! A cache in memory.

use std::collections::HashMap;

use crate::lock::Mutex;

use super::statistics::text_bytes;
use super::{Cache, CacheStatistics, Counters, Update};

/// A cache in memory. With [`max_entries`](Self::max_entries), the least recently used values are
/// evicted.
///
/// ```
/// use ftrack_api::cache::{Cache, MemoryCache};
///
/// let cache = MemoryCache::new().max_entries(2);
/// for number in ["1", "2", "3"] {
///     cache.set(number, number.to_owned())?;
///     cache.get("1")?;
/// }
/// assert_eq!(cache.get("1")?.as_deref(), Some("1"));
/// assert_eq!(cache.get("2")?, None);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[must_use]
pub struct MemoryCache<V = String> {
    entries: Mutex<Entries<V>>,
    limit: usize,
    counters: Counters,
}

struct Entry<V> {
    value: V,
    /// The time of its last use, and when it was set, by the cache's clock.
    used: u64,
    set: u64,
}

struct Entries<V> {
    by_key: HashMap<String, Entry<V>>,
    /// Counts uses.
    clock: u64,
    bytes: usize,
}

impl<V: Clone + Send + Sync + 'static> MemoryCache<V> {
    /// A cache without a limit.
    pub fn new() -> Self {
        let entries = Entries {
            by_key: HashMap::new(),
            clock: 0,
            bytes: 0,
        };
        Self {
            entries: Mutex::new(entries),
            limit: usize::MAX,
            counters: Counters::default(),
        }
    }

    /// Sets the maximum number of values; no limit unless set. Beyond it, a tenth of the values are
    /// evicted, the least recently used first.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }
}

impl<V: Clone + Send + Sync + 'static> Default for MemoryCache<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Clone + Send + Sync + 'static> Entries<V> {
    fn get(&mut self, key: &str) -> Option<V> {
        self.get_with_time(key).map(|(value, _)| value)
    }

    /// The value and the time when it was set.
    fn get_with_time(&mut self, key: &str) -> Option<(V, u64)> {
        self.clock += 1;
        let entry = self.by_key.get_mut(key)?;
        entry.used = self.clock;
        Some((entry.value.clone(), entry.set))
    }

    fn set(&mut self, key: &str, value: V) {
        self.clock += 1;
        self.bytes += weight(key, &value);
        let entry = Entry {
            value,
            used: self.clock,
            set: self.clock,
        };
        if let Some(old) = self.by_key.insert(key.to_owned(), entry) {
            self.bytes -= weight(key, &old.value);
        }
    }

    fn remove(&mut self, key: &str) -> bool {
        let removed = self.by_key.remove(key);
        if let Some(old) = &removed {
            self.bytes -= weight(key, &old.value);
        }
        removed.is_some()
    }

    /// Evicts values beyond the limit; returns how many.
    fn evict(&mut self, limit: usize) -> usize {
        let excess = self.by_key.len().saturating_sub(limit);
        if excess == 0 {
            return 0;
        }
        let count = excess.max(limit / 10).min(self.by_key.len());
        let mut used: Vec<u64> = self.by_key.values().map(|entry| entry.used).collect();
        let (_, &mut newest, _) = used.select_nth_unstable(count - 1);
        let going = self.by_key.extract_if(|_, entry| entry.used <= newest);
        let weights = going.map(|(key, entry)| weight(&key, &entry.value));
        self.bytes -= weights.sum::<usize>();
        count
    }
}

/// The bytes of a key and a value. Of values that are not text, the heap is not counted.
fn weight<V: 'static>(key: &str, value: &V) -> usize {
    key.len() + text_bytes(value).unwrap_or(size_of::<V>())
}

impl<V: Clone + Send + Sync + 'static> Cache<V> for MemoryCache<V> {
    fn get(&self, key: &str) -> anyhow::Result<Option<V>> {
        let found = self.entries.lock().get(key);
        self.counters.looked_up(std::slice::from_ref(&found));
        Ok(found)
    }

    fn set(&self, key: &str, value: V) -> anyhow::Result<()> {
        let mut entries = self.entries.lock();
        self.counters.written([text_bytes(&value).unwrap_or(0)]);
        entries.set(key, value);
        self.counters.evicted(entries.evict(self.limit));
        Ok(())
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        Ok(self.entries.lock().remove(key))
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.entries.lock().by_key.keys().cloned().collect())
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<V>>> {
        let mut entries = self.entries.lock();
        let found: Vec<Option<V>> = keys.iter().map(|key| entries.get(key)).collect();
        self.counters.looked_up(&found);
        Ok(found)
    }

    fn update_many(&self, keys: &[String], update: Update<'_, V>) -> anyhow::Result<()> {
        let mut left: Vec<usize> = (0..keys.len()).collect();
        while !left.is_empty() {
            let mut entries = self.entries.lock();
            let before: Vec<_> = left
                .iter()
                .map(|&number| entries.get_with_time(&keys[number]))
                .collect();
            // The user's code runs without the lock. Values that other threads change meanwhile are
            // updated again.
            drop(entries);
            let after: Vec<_> = left
                .into_iter()
                .zip(before)
                .filter_map(|(number, before)| {
                    let (before, set) = before.unzip();
                    Some((number, set, update(number, before)?))
                })
                .collect();
            left = Vec::new();
            let mut entries = self.entries.lock();
            for (number, set, value) in after {
                let key = &keys[number];
                if entries.by_key.get(key).map(|entry| entry.set) != set {
                    left.push(number);
                    continue;
                }
                self.counters.written([text_bytes(&value).unwrap_or(0)]);
                entries.set(key, value);
            }
            self.counters.evicted(entries.evict(self.limit));
        }
        Ok(())
    }

    fn statistics(&self) -> Vec<CacheStatistics> {
        let entries = self.entries.lock();
        let mut statistics = self.counters.read("MemoryCache");
        statistics.entries = Some(entries.by_key.len() as u64);
        statistics.bytes = Some(entries.bytes as u64);
        vec![statistics]
    }
}

debug_fields!(<V> MemoryCache<V>, |this| max_entries: this.limit);
