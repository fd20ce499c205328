//! A cache that forwards to another one.

use crate::cache::{Cache, forward};

/// Forwards everything to another cache. A start for a cache that does one thing differently: contain
/// one, replace a method, and forward the others.
#[derive(Clone, Debug, Default)]
pub struct ProxyCache<C> {
    proxied: C,
}

impl<C> ProxyCache<C> {
    /// A proxy of `proxied`.
    pub fn new(proxied: C) -> Self {
        Self { proxied }
    }

    /// The cache that calls are forwarded to.
    pub fn proxied(&self) -> &C {
        &self.proxied
    }
}

impl<V: Clone + Send + Sync + 'static, C: Cache<V>> Cache<V> for ProxyCache<C> {
    forward!(proxied);
}
