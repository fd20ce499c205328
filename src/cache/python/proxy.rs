//! A cache in front of another one.

use crate::cache::{Cache, forward};

/// Passes everything on to another cache. It is a beginning for caches that do one thing
/// differently: hold one, replace a method, and pass on the others.
#[derive(Clone, Debug, Default)]
pub struct ProxyCache<C> {
    proxied: C,
}

impl<C> ProxyCache<C> {
    /// A cache in front of `proxied`.
    pub fn new(proxied: C) -> Self {
        Self { proxied }
    }

    /// The cache behind it.
    pub fn proxied(&self) -> &C {
        &self.proxied
    }
}

impl<V: Clone + Send + Sync + 'static, C: Cache<V>> Cache<V> for ProxyCache<C> {
    forward!(proxied);
}
