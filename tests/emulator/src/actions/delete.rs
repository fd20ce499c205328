//! `delete`: an entity and what belongs to it.

use serde_json::{Value, json};

use crate::actions::Reply;
use crate::error::{Fault, Result};
use crate::rules::batch::key;
use crate::rules::{Batch, custom, remove};

/// What is gone already was deleted before, perhaps as a part of something else: no error.
pub(super) fn run(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let declared = batch.type_of(operation)?;
    let key = key(
        declared,
        &operation["entity_key"],
        &operation["entity_data"],
    )?
    .ok_or_else(|| Fault::request("A delete lacks its entity_key"))?;
    if batch.model.table(declared).is_view {
        custom::forget(batch, &key)?;
    } else if let Some((ty, record)) = batch.find(declared, &key)? {
        let ty = &batch.model.types[ty.id];
        remove::row(batch, ty, record)?;
    }
    Ok(Reply::Done(json!({"action": "delete", "data": true})))
}
