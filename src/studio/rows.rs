//! Several results of any length, in few requests, without keeping them in the session.

use serde_json::{Value as Json, json};

use crate::query::{Pages, Statement, ToOperand, field};
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
    let cursors = statements.iter().map(|one| Pages::new(one, PAGE_ROWS));
    let mut cursors = cursors.collect::<Result<Vec<_>>>()?;
    let mut found: Vec<Vec<Vec<Row>>> = vec![Vec::new(); statements.len()];
    loop {
        let mut unfinished = Vec::new();
        let mut actions = Vec::new();
        for (index, cursor) in cursors.iter().enumerate() {
            if let Some(page) = cursor.request() {
                unfinished.push(index);
                actions.push(json!({ "action": "query", "expression": page.expression()? }));
            }
        }
        if unfinished.is_empty() {
            let rows = found.into_iter().map(|pages| pages.into_iter().flatten());
            return Ok(rows.map(Iterator::collect).collect());
        }
        let summary = format!("{} queries", actions.len());
        let pages = session.shared.api.plain_pages(&actions, &summary)?;
        for (index, mut page) in unfinished.into_iter().zip(pages) {
            // Rows have keys, so a page that comes twice would come for ever.
            if page.next_offset.is_some() && found[index].contains(&page.rows) {
                let message = "the server sent the same entities again instead of further ones";
                return Err(Error::new(ErrorKind::BadResponse, message).about(&summary));
            }
            let kept = cursors[index].received(page.rows.len(), page.next_offset, None);
            page.rows
                .truncate(kept.map_err(|error| error.about(&summary))?);
            found[index].push(page.rows);
        }
    }
}

/// A text of a row; empty if it is missing.
pub(super) fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).and_then(Json::as_str).unwrap_or_default()
}
