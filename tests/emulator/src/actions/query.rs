//! `query`: a page of entities.

use serde_json::Value;

use crate::actions::Reply;
use crate::error::{Fault, Result};
use crate::language;
use crate::rules::Batch;
use crate::select::{self, Page};

pub(super) fn run(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let expression = operation["expression"]
        .as_str()
        .ok_or_else(|| Fault::request("A query lacks its expression"))?;
    let statement = language::parse(expression)?;
    let page = select::run(batch.reader(), &statement, &mut batch.encoder)?;
    Ok(reply("query", &page))
}

/// A page in the shape in which both actions reply.
pub(super) fn reply(action: &str, page: &Page) -> Reply {
    let next = page
        .next
        .map_or_else(|| "null".to_owned(), |next| next.to_string());
    Reply::Text(format!(
        r#"{{"action":"{action}","data":{},"metadata":{{"next":{{"offset":{next}}}}}}}"#,
        page.data
    ))
}
