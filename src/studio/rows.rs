//! Several results of any length, in few requests, without keeping them in the session.

use serde_json::{Value as Json, json};

use crate::query::{Statement, ToOperand, field};
use crate::{Error, ErrorKind, Result, Session};

/// How many rows a page has. These queries are rare and read few attributes, so pages are large.
const PAGE_ROWS: u64 = 5000;

/// How many entities a query by their keys asks for.
pub(super) const MAX_KEYS: usize = 500;

/// The queries of a statement for the entities that have one of these keys in a column.
pub(super) fn by_key<T: ToOperand>(
    statement: &Statement,
    column: &str,
    keys: &[T],
) -> Vec<Statement> {
    let chunks = keys.chunks(MAX_KEYS);
    chunks
        .map(|some| statement.clone().filter(field(column).is_in(some)))
        .collect()
}

/// The attribute values of one entity, as the server sent them.
pub(super) use crate::api::PlainRow as Row;

/// The rows of each statement. A request has the next page of each of them.
pub(super) fn rows_of(session: &Session, statements: &[Statement]) -> Result<Vec<Vec<Row>>> {
    let mut found: Vec<Vec<Row>> = vec![Vec::new(); statements.len()];
    let mut left: Vec<usize> = (0..statements.len()).collect();
    while !left.is_empty() {
        let mut actions = Vec::with_capacity(left.len());
        for &index in &left {
            let (statement, known) = (&statements[index], found[index].len() as u64);
            let rows = statement
                .limit
                .map_or(PAGE_ROWS, |limit| PAGE_ROWS.min(limit - known));
            let page = statement
                .clone()
                .offset(statement.offset.unwrap_or(0) + known);
            let expression = page.limit(rows).expression()?;
            actions.push(json!({ "action": "query", "expression": expression }));
        }
        let summary = format!("{} queries", left.len());
        let replies = session.shared.api.plain_rows(&actions, &summary)?;
        let mut unfinished = Vec::new();
        for (&index, rows) in left.iter().zip(replies) {
            let known = found[index].len() as u64 + rows.len() as u64;
            // Rows have keys, so a page that comes twice would come for ever.
            let mut earlier = found[index].chunks(PAGE_ROWS as usize);
            if !rows.is_empty() && earlier.any(|page| page == rows) {
                let message = "the server sent the same entities again instead of further ones";
                return Err(Error::new(ErrorKind::BadResponse, message).about(&summary));
            }
            let is_full = rows.len() as u64 == PAGE_ROWS;
            if is_full && statements[index].limit.is_none_or(|limit| known < limit) {
                unfinished.push(index);
            }
            found[index].extend(rows);
        }
        left = unfinished;
    }
    Ok(found)
}

/// A text of a row; empty if it is missing.
pub(super) fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).and_then(Json::as_str).unwrap_or_default()
}
