//! `get_upload_metadata`, `complete_multipart_upload`, `generate_signed_url`: what clients ask
//! for around the transfer of component data, which itself goes past the API.

use serde_json::Value;

use crate::actions::Reply;
use crate::error::Result;
use crate::files::Joined;
use crate::rules::Batch;
use crate::site::Site;

/// Where to send a file. The component need not exist yet.
pub(super) fn prepare(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let site = batch.site;
    let reply = site.files.get_upload_metadata(operation, &site.url)?;
    Ok(Reply::Done(reply))
}

/// Joins the parts of all uploads that a batch completes. This copies much, so it comes before
/// the transaction: nobody else's request waits for it. The data gets its place after the commit.
pub(super) fn join(site: &Site, operations: &[Value]) -> Result<Vec<Joined>> {
    let is_meant = |operation: &&Value| operation["action"] == "complete_multipart_upload";
    let uploads = operations.iter().filter(is_meant);
    uploads
        .map(|operation| site.files.join_multipart_upload(operation))
        .collect()
}

/// Replies that the parts are joined.
pub(super) fn complete(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let reply = batch.site.files.complete_multipart_upload(operation)?;
    Ok(Reply::Done(reply))
}

/// Removes the data of components that were deleted.
pub(super) fn discard(site: &Site, component_ids: &[String]) {
    for id in component_ids {
        // The entity is gone; data that stays takes room and does no harm.
        let _ = site.files.remove(id);
    }
}

/// A URL of a component's data that works without credentials.
pub(super) fn sign(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let site = batch.site;
    let reply = site.files.generate_signed_url(operation, &site.url)?;
    Ok(Reply::Done(reply))
}
