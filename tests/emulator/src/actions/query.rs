//! `query`: a page of entities.

use serde_json::Value;

use crate::actions::Answer;
use crate::error::{Fault, Result};
use crate::language;
use crate::rules::Batch;
use crate::select;

pub(super) fn run(batch: &mut Batch<'_>, operation: &Value) -> Result<Answer> {
    let expression = operation["expression"]
        .as_str()
        .ok_or_else(|| Fault::request("A query lacks its expression"))?;
    let statement = language::parse(expression)?;
    let page = select::run(batch.reader(), &statement, &mut batch.encoder)?;
    let next = page
        .next
        .map_or_else(|| "null".to_owned(), |next| next.to_string());
    Ok(Answer::Text(format!(
        r#"{{"action":"query","data":{},"metadata":{{"next":{{"offset":{next}}}}}}}"#,
        page.data
    )))
}
