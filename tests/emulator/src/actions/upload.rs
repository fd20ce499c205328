//! `get_upload_metadata`, `complete_multipart_upload`, `generate_signed_url`: what clients ask
//! for around the transfer of component data, which itself goes past the API.

use serde_json::Value;

use crate::actions::Answer;
use crate::error::Result;
use crate::rules::Batch;

/// Where to send a file. The component need not exist yet.
pub(super) fn prepare(batch: &Batch<'_>, operation: &Value) -> Result<Answer> {
    let site = batch.site;
    let answer = site.files.get_upload_metadata(operation, &site.url)?;
    Ok(Answer::Done(answer))
}

/// Joins the parts of an upload. The data stays even if the batch fails: without its
/// ComponentLocation nobody takes it for complete, and uploading again replaces it.
pub(super) fn complete(batch: &Batch<'_>, operation: &Value) -> Result<Answer> {
    let answer = batch.site.files.complete_multipart_upload(operation)?;
    Ok(Answer::Done(answer))
}

/// A URL of a component's data that works without credentials.
pub(super) fn sign(batch: &Batch<'_>, operation: &Value) -> Result<Answer> {
    let site = batch.site;
    let answer = site.files.generate_signed_url(operation, &site.url)?;
    Ok(Answer::Done(answer))
}
