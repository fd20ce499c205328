//! The cache classes of the Python client that a session does not need: layers, proxies, encoded
//! values, keys made from values, memoised functions.

mod key_maker;
mod layered;
mod memoiser;
mod proxy;
mod serialised;

pub use key_maker::{KeyMaker, ObjectKeyMaker, StringKeyMaker};
pub use layered::LayeredCache;
pub use memoiser::Memoiser;
pub use proxy::ProxyCache;
pub use serialised::SerialisedCache;
