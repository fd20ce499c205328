//! Several results of any length, in few requests, without keeping them in the session.

use serde_json::{Value as Json, json};

use crate::query::{Pages, Statement, ToOperand, field};
use crate::{Error, ErrorKind, Result, Session, SmolStr};

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

/// The rows of each statement, which selects the key of its type. A request has the next page of each of
/// them.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if a row has no key, or a page comes twice.
/// - Any error of [`Query::all`](crate::Query::all).
pub(super) fn rows_of(session: &Session, statements: &[Statement]) -> Result<Vec<Vec<Row>>> {
    let mut found: Vec<Vec<Vec<Row>>> = vec![Vec::new(); statements.len()];
    let pages = statements.iter().map(|one| Pages::new(one, PAGE_ROWS));
    let mut pages: Vec<Pages> = pages.collect::<Result<_>>()?;
    loop {
        let requests = pages.iter().map(Pages::request).zip(0..);
        let next: Vec<(Statement, usize)> = requests
            .filter_map(|(statement, index)| Some((statement?, index)))
            .collect();
        if next.is_empty() {
            let rows = found.into_iter().map(|pages| pages.into_iter().flatten());
            return Ok(rows.map(Iterator::collect).collect());
        }
        let actions = next.iter().map(|(page, _)| {
            let expression = page.expression()?;
            Ok(json!({ "action": "query", "expression": expression }))
        });
        let actions: Vec<Json> = actions.collect::<Result<_>>()?;
        let mut types: Vec<&str> = next
            .iter()
            .map(|(one, _)| one.entity_type.as_str())
            .collect();
        types.dedup();
        let summary = match &*types {
            [first, _, .., last] => format!("queries of {first} to {last}"),
            some => format!("query of {}", some.join(" and ")),
        };
        let replies = session.shared.api.plain_pages(&actions, &summary)?;
        for ((page, index), mut reply) in next.iter().zip(replies) {
            let key = session
                .schema()
                .entity_type(&page.entity_type)?
                .primary_key();
            if !reply.rows.iter().all(|row| has_key(row, key)) {
                let message = "the server sent a row without its key";
                return Err(Error::new(ErrorKind::BadResponse, message).about(&summary));
            }
            // Rows have keys, so a page that comes twice would come for ever.
            if reply.next_offset.is_some()
                && found[*index].iter().any(|page| are_same(page, &reply.rows))
            {
                let message = "the server sent the same entities again instead of further ones";
                return Err(Error::new(ErrorKind::BadResponse, message).about(&summary));
            }
            let received = pages[*index].received(reply.rows.len(), reply.next_offset, None);
            let kept = received.map_err(|error| error.about(&summary))?;
            reply.rows.truncate(kept);
            found[*index].push(reply.rows);
        }
    }
}

fn has_key(row: &Row, names: &[SmolStr]) -> bool {
    let is_key = |part: &Json| part.is_string() || part.is_number();
    let mut parts = names.iter().map(|name| row.get(name.as_str()));
    parts.all(|part| part.is_some_and(is_key))
}

/// Whether two pages have the same entities; other values than the id may differ each time.
fn are_same(page: &[Row], other: &[Row]) -> bool {
    let is_same = |(one, other): (&Row, &Row)| match one.get("id") {
        Some(id) => other.get("id") == Some(id),
        None => one == other,
    };
    page.len() == other.len() && page.iter().zip(other).all(is_same)
}

/// A text of a row; empty if it is missing.
pub(super) fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).and_then(Json::as_str).unwrap_or_default()
}
