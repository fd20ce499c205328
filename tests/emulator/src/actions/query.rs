//! `query`: a page of entities.

use serde_json::{Value, json};

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
    Ok(Answer::Done(json!({
        "action": "query",
        "data": page.data,
        "metadata": {"next": {"offset": page.next}},
    })))
}
