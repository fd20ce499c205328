//! Ids that are derived from what something is, so that whoever makes it again makes it under the same id, and the
//! server refuses the second.

use md5::{Digest, Md5};
use uuid::Uuid;

/// The id that is derived from these texts, for one use: others have other namespaces.
pub(crate) fn derived_id(namespace: &str, parts: &[&str]) -> Uuid {
    let mut hash = Md5::new();
    hash.update(namespace);
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    uuid::Builder::from_md5_bytes(hash.finalize().into()).into_uuid()
}
