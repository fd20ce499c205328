//! Counters of caches.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one layer of caching, for this process.
///
/// ```
/// use ftrack_api::cache::{Cache, MemoryCache};
///
/// let cache = MemoryCache::new();
/// cache.set("one", "1".to_owned())?;
/// cache.get("one")?;
/// cache.get("two")?;
/// let statistics = &cache.statistics()[0];
/// assert_eq!((statistics.hits, statistics.misses, statistics.writes), (1, 1, 1));
/// assert_eq!((statistics.entries, statistics.bytes), (Some(1), Some(4)));
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatistics {
    /// The name of the layer's type.
    pub layer: String,
    /// Look-ups that found a value.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Values written.
    pub writes: u64,
    /// Values evicted for lack of space; a Redis server's own evictions are not counted.
    pub evictions: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Bytes of the values found, where they are texts.
    pub bytes_read: u64,
    /// Bytes of the values written, where they are texts.
    pub bytes_written: u64,
    /// The number of values, where it is cheap to count.
    pub entries: Option<u64>,
    /// The bytes of keys and values, where they are cheap to count.
    pub bytes: Option<u64>,
}

/// Counters that several threads may increase.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    writes: AtomicU64,
    evictions: AtomicU64,
    errors: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Counters {
    pub(crate) fn looked_up<V: 'static>(&self, found: &[Option<V>]) {
        let hits = found.iter().flatten().count();
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
        let misses = found.len() - hits;
        self.misses.fetch_add(misses as u64, Ordering::Relaxed);
        let bytes = found.iter().flatten().filter_map(text_bytes).sum::<usize>();
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts writes, each with the bytes of its value.
    pub(crate) fn written(&self, values: impl IntoIterator<Item = usize>) {
        let (mut count, mut bytes) = (0, 0);
        for value in values {
            count += 1;
            bytes += value as u64;
        }
        self.writes.fetch_add(count, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn evicted(&self, count: usize) {
        self.evictions.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, layer: &str) -> CacheStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStatistics {
            layer: layer.to_owned(),
            hits: read(&self.hits),
            misses: read(&self.misses),
            writes: read(&self.writes),
            evictions: read(&self.evictions),
            errors: read(&self.errors),
            bytes_read: read(&self.bytes_read),
            bytes_written: read(&self.bytes_written),
            entries: None,
            bytes: None,
        }
    }
}

/// The length of a value that is a text.
pub(super) fn text_bytes<V: 'static>(value: &V) -> Option<usize> {
    (value as &dyn Any).downcast_ref().map(String::len)
}
