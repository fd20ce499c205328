//! Ids that are derived from what an entity is, so that two machines create it under the same id, and
//! the server refuses the second.

use md5::{Digest, Md5};
use uuid::Builder;

/// The id that is derived from these texts.
pub(super) fn id_of(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    hash.update("ftrack-api");
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let id = Builder::from_md5_bytes(hash.finalize().into());
    id.into_uuid().to_string()
}
