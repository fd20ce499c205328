//! The page cursor: the statements to send, one after the other, for the rows of one query.
//!
//! It performs no I/O. [`Pages::request`] returns the next statement to send; report the result to
//! [`Pages::received`], which returns how many of the rows belong to the result.

use std::collections::VecDeque;

use crate::error::{Error, ErrorKind, Result};
use crate::query::literal::{Literal, Operator};
use crate::query::path::Path;
use crate::query::split::split;
use crate::query::tree::{Criterion, Kind, MAX_ROWS, Order, Projection, Statement};

/// The default number of rows in a page, as in the Python client.
pub(crate) const PAGE_SIZE: u64 = 500;

/// A cursor over the pages of a query.
///
/// The cursor respects the offset and the limit of the query. A query that cannot match anything
/// has no pages. One with `group by` or an aggregate is sent once and unchanged, because its rows
/// are not entities.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a cursor does nothing by itself"]
pub(crate) struct Pages {
    /// The current statement and those after it: one, unless a long list was split.
    statements: VecDeque<Statement>,
    page_size: u64,
    /// The offset of the next page of the first statement.
    offset: u64,
    /// How many rows are left within the limit.
    remaining: Option<u64>,
    /// The attributes of the primary key if paging by key, else empty.
    key: Vec<Path>,
    /// The key of the last row.
    last: Option<Vec<Literal>>,
}

impl Pages {
    /// A cursor at the first page.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the page size is 0.
    /// - Any error of [`Statement::expression`].
    pub(crate) fn new(statement: &Statement, page_size: u64) -> Result<Self> {
        statement.verify()?;
        if page_size == 0 {
            return Err(invalid(
                "the page size of a query must be at least 1".to_owned(),
            ));
        }
        Ok(Self {
            page_size: page_size.min(MAX_ROWS),
            offset: statement.offset.unwrap_or(0),
            remaining: statement.limit,
            statements: statement.simplified().into_iter().collect(),
            key: Vec::new(),
            last: None,
        })
    }

    /// Pages by key instead of by offset: rows are sorted by the primary key, and each page begins
    /// after the last row of the page before. Rows created or deleted in the meantime cause no row
    /// to be skipped or repeated.
    ///
    /// `primary_key` names the attributes of the key in order. They are fetched too.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the query has `order by` or `group by`, or the first page was
    ///   received already.
    pub(crate) fn stable(mut self, primary_key: &[&str]) -> Result<Self> {
        let key: Vec<Path> = primary_key
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_>>()?;
        if key.is_empty() {
            return Err(invalid(
                "stable paging needs the names of the primary key".to_owned(),
            ));
        }
        for statement in &mut self.statements {
            if self.offset != statement.offset.unwrap_or(0) {
                return Err(invalid(
                    "stable paging begins with the first page".to_owned(),
                ));
            }
            if !statement.order.is_empty() || statement.is_grouped() {
                return Err(invalid(format!(
                    "stable paging sorts by the primary key: leave `order by` and `group by` \
                     out of {statement}"
                )));
            }
            for path in &key {
                let projection = Projection::Attribute(path.clone());
                if !statement.projections.is_empty() && !statement.projections.contains(&projection)
                {
                    statement.projections.push(projection);
                }
                statement.order.push(Order {
                    path: path.clone(),
                    descending: false,
                });
            }
        }
        self.key = key;
        Ok(self)
    }

    /// Splits a long list after `in` over several queries of at most `at_most` values each; of
    /// several long lists, the longest.
    ///
    /// A query is split only where that cannot change its rows: it has no order, group, offset
    /// or limit; the list stands alone or under `and`; each value is an id or a plain name, so
    /// that equal values are recognised; and `single` confirms that the path has one value for
    /// each row, not those of a collection. The rows come in the order of the list's parts.
    pub(crate) fn split(mut self, at_most: usize, single: impl Fn(&Path) -> bool) -> Self {
        let whole = std::mem::take(&mut self.statements);
        self.statements = whole
            .into_iter()
            .flat_map(|statement| split(statement, at_most.max(1), &single))
            .collect();
        self
    }

    /// The next statement to send, or [`None`] after the last page.
    pub(crate) fn request(&self) -> Option<Statement> {
        let mut statement = self.statements.front()?.clone();
        if statement.is_grouped() {
            return Some(statement);
        }
        if let Some(last) = &self.last {
            let rest = beyond(&self.key, last);
            statement = statement.filter(rest);
        }
        statement.offset = Some(self.offset);
        statement.limit = Some(self.asked());
        Some(statement)
    }

    /// The next statements to send together, at most `count`: they assume that every page but the
    /// last is full. There is one only if a page begins where the rows of the page before end, as
    /// in [`stable`](Self::stable) paging.
    ///
    /// Report the pages to [`received`](Self::received) in order. A page is part of the result only
    /// if its statement is what [`request`](Self::request) returns then.
    pub(crate) fn requests(&self, count: usize) -> Vec<Statement> {
        let mut cursor = self.clone();
        let mut statements = Vec::new();
        while statements.len() < count.max(1)
            && let Some(statement) = cursor.request()
        {
            let is_last = statement.is_grouped() || !self.key.is_empty();
            statements.push(statement);
            if is_last {
                break;
            }
            let rows = cursor.asked();
            cursor.offset = cursor.offset.saturating_add(rows);
            cursor.remaining = cursor.remaining.map(|remaining| remaining - rows);
            if cursor.remaining == Some(0) || cursor.offset > MAX_ROWS {
                break;
            }
        }
        statements
    }

    /// Advances past a page and returns how many of its rows belong to the result.
    ///
    /// `next_offset` is `metadata.next.offset` of the reply; `last_key` is the primary key of the
    /// last row, for [`stable`](Self::stable) paging.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if the page brings nothing new although the server announces
    ///   another: it has no rows, the next one begins no later, or the last row is that of the page
    ///   before or has no key. The cursor is finished then.
    pub(crate) fn received(
        &mut self,
        rows: usize,
        next_offset: Option<u64>,
        last_key: Option<&[Literal]>,
    ) -> Result<usize> {
        let Some(statement) = self.statements.front() else {
            return Ok(0);
        };
        if statement.is_grouped() {
            self.statements.clear();
            return Ok(rows);
        }
        let kept = self.remaining.map_or(rows, |remaining| {
            rows.min(usize::try_from(remaining).unwrap_or(usize::MAX))
        });
        if let Some(remaining) = &mut self.remaining {
            *remaining -= kept as u64;
        }
        match next_offset {
            _ if self.remaining == Some(0) => self.statements.clear(),
            Some(next) if rows == 0 => {
                self.statements.clear();
                return Err(bad(format!(
                    "the server sent no rows at offset {}, but announces more at {next}",
                    self.offset
                )));
            }
            None => self.next_statement(),
            Some(next) => self
                .advance(next, last_key)
                .inspect_err(|_| self.statements.clear())?,
        }
        Ok(kept)
    }

    fn asked(&self) -> u64 {
        self.remaining
            .map_or(self.page_size, |remaining| remaining.min(self.page_size))
    }

    fn next_statement(&mut self) {
        self.statements.pop_front();
        self.offset = 0;
        self.last = None;
    }

    fn advance(&mut self, next: u64, last_key: Option<&[Literal]>) -> Result<()> {
        if self.key.is_empty() {
            if next <= self.offset || next > MAX_ROWS {
                return Err(bad(format!(
                    "the server announces that the page after the one at offset {} begins at {next}",
                    self.offset
                )));
            }
            self.offset = next;
            return Ok(());
        }
        let key = last_key.filter(|key| key.len() == self.key.len());
        let key = key.ok_or_else(|| bad("the last row of a page has no primary key".to_owned()))?;
        if self.last.as_deref() == Some(key) {
            return Err(bad("two pages end with the same row".to_owned()));
        }
        self.last = Some(key.to_vec());
        self.offset = 0;
        Ok(())
    }
}

impl Statement {
    /// Whether the rows are groups, not entities.
    pub(crate) fn is_grouped(&self) -> bool {
        let aggregate = |projection: &Projection| matches!(projection, Projection::Aggregate(..));
        !self.group.is_empty() || self.projections.iter().any(aggregate)
    }
}

/// The condition for rows after the one with the key `last`, in the order of the key: `a > x or (a is x and b > y)`.
fn beyond(key: &[Path], last: &[Literal]) -> Criterion {
    let compare = |index: usize, operator| {
        let (path, value) = (key[index].clone(), last[index].clone());
        Criterion::from(Kind::Compare {
            path,
            operator,
            value,
        })
    };
    Criterion::any_of((0..key.len()).map(|index| {
        let equal = (0..index).map(|before| compare(before, Operator::Is));
        Criterion::all_of(equal.chain([compare(index, Operator::Greater)]))
    }))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Validation, message)
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::BadResponse, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::query::select;

    /// A server with `total` rows numbered from 0, which looks one row ahead as the real one does.
    /// Gives what was sent, and the numbers of the rows that belong to the result.
    fn run(text: &str, page_size: u64, total: u64) -> (Vec<String>, Vec<u64>) {
        let mut pages = Pages::new(&text.parse().unwrap(), page_size).unwrap();
        let (mut sent, mut rows) = (Vec::new(), Vec::new());
        while let Some(statement) = pages.request() {
            let from = statement.offset.unwrap();
            let to = (from + statement.limit.unwrap()).min(total);
            let page: Vec<u64> = (from..to).collect();
            let next = (to < total).then_some(to);
            let kept = pages.received(page.len(), next, None).unwrap();
            rows.extend(&page[..kept]);
            sent.push(statement.to_string());
        }
        (sent, rows)
    }

    #[test]
    fn every_row_comes_once() {
        for total in 0..8 {
            for offset in 0..4 {
                for limit in 0..9 {
                    for page_size in 1..5 {
                        let text = format!("T offset {offset} limit {limit}");
                        let (_, rows) = run(&text, page_size, total);
                        let expected: Vec<u64> = (offset..total.min(offset + limit)).collect();
                        assert_eq!(rows, expected, "{text} of {total}");
                    }
                }
                let (_, rows) = run(&format!("T offset {offset}"), 2, total);
                assert_eq!(rows, (offset..total).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn requests() {
        let text = "Task where name is \"limit 5\" limit 3";
        assert_eq!(
            run(text, 500, 9).0,
            ["Task where name is \"limit 5\" offset 0 limit 3"]
        );
        assert_eq!(run("Task limit 0", 500, 9).0, [""; 0]);
        assert_eq!(run("Task where id in ()", 500, 9).0, [""; 0]);
        // The server says that there are no more rows, so no empty page is asked for.
        assert_eq!(
            run("Task", 2, 4).0,
            ["Task offset 0 limit 2", "Task offset 2 limit 2"]
        );
        assert_eq!(run("Task", 2, 0).0, ["Task offset 0 limit 2"]);
    }

    #[test]
    fn groups_are_asked_for_once_and_as_they_are() {
        let text = "select count(id) from Task group by status_id";
        let mut pages = Pages::new(&text.parse().unwrap(), 500).unwrap();
        assert_eq!(pages.request().unwrap().to_string(), text);
        assert_eq!(pages.received(7, Some(7), None).unwrap(), 7);
        assert_eq!(pages.request(), None);
    }

    #[test]
    fn a_server_that_sends_too_much_does_not_overshoot_the_limit() {
        let mut pages = Pages::new(&select("T").limit(3), 2).unwrap();
        assert_eq!(pages.received(9, Some(9), None).unwrap(), 3);
        assert_eq!(pages.request(), None);
    }

    #[test]
    fn a_server_that_stands_still_is_not_followed_for_ever() {
        for (rows, next, says) in [
            (2, 0, "the one at offset 0 begins at 0"),
            (
                2,
                1 << 63,
                "the one at offset 0 begins at 9223372036854775808",
            ),
            (0, 2, "no rows at offset 0, but announces more at 2"),
        ] {
            let mut pages = Pages::new(&select("T"), 2).unwrap();
            let error = pages.received(rows, Some(next), None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse);
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(pages.request(), None);
        }
    }

    #[test]
    fn whatever_can_be_read_can_be_paged() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/query");
        for file in std::fs::read_dir(corpus).unwrap() {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            let Ok(statement) = String::from_utf8_lossy(&text).parse() else {
                continue;
            };
            let mut pages = Pages::new(&statement, 3).unwrap().split(2, |_| true);
            for page in 1..4 {
                let Some(request) = pages.request() else {
                    break;
                };
                request.expression().unwrap();
                let _ = pages.received(3, Some(page * 3), None);
            }
        }
    }

    #[test]
    fn refusals() {
        assert!(Pages::new(&select("T"), 0).is_err());
        assert!(Pages::new(&select("no name"), 2).is_err());
        for text in ["T order by a", "select count(id) from T group by a"] {
            assert!(
                Pages::new(&text.parse().unwrap(), 2)
                    .unwrap()
                    .stable(&["id"])
                    .is_err()
            );
        }
        assert!(Pages::new(&select("T"), 2).unwrap().stable(&[]).is_err());
        let mut begun = Pages::new(&select("T").offset(1), 2).unwrap();
        assert!(begun.clone().stable(&["id"]).is_ok());
        begun.received(2, Some(3), None).unwrap();
        assert!(begun.stable(&["id"]).is_err());
    }

    #[test]
    fn a_list_is_split_into_single_values_at_most() {
        for at_most in [0, 1] {
            let pages = Pages::new(&"T where a in (x, y)".parse().unwrap(), 2).unwrap();
            let sent = pages.split(at_most, |_| true).request().unwrap();
            let expected = "T where a in (x) offset 0 limit 2";
            assert_eq!(sent.to_string(), expected);
        }
    }

    #[test]
    fn each_part_of_a_list_begins_with_its_first_page() {
        let part = |name: &str| format!("T where a in ({name})");
        let split = || {
            let pages = Pages::new(&"T where a in (x, y)".parse().unwrap(), 2).unwrap();
            pages.split(1, |_| true)
        };
        let sent = |pages: &Pages| pages.request().unwrap().to_string();
        let mut pages = split();
        pages.received(2, Some(2), None).unwrap();
        assert_eq!(sent(&pages), part("x") + " offset 2 limit 2");
        pages.received(1, None, None).unwrap();
        assert_eq!(sent(&pages), part("y") + " offset 0 limit 2");
        pages.received(1, None, None).unwrap();
        assert_eq!(pages.request(), None);

        let mut pages = split().stable(&["id"]).unwrap();
        let last = [Literal::Text("k".into())];
        pages.received(2, Some(2), Some(&last)).unwrap();
        let rest = " and id > \"k\" order by id offset 0 limit 2";
        assert_eq!(sent(&pages), part("x") + rest);
        pages.received(1, None, Some(&last)).unwrap();
        assert_eq!(sent(&pages), part("y") + " order by id offset 0 limit 2");
    }

    #[test]
    fn stable_paging_needs_the_whole_key_of_the_last_row() {
        for last in [None, Some(&[Literal::Text("x".into())][..])] {
            let pages = Pages::new(&select("T"), 2).unwrap();
            let mut pages = pages.stable(&["p", "q"]).unwrap();
            let error = pages.received(2, Some(2), last).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse);
            assert_eq!(pages.request(), None);
        }
    }

    #[test]
    fn stable_paging_fetches_the_key_once() {
        for (text, sent) in [
            ("T", "T order by id offset 0 limit 2"),
            (
                "select a from T",
                "select a, id from T order by id offset 0 limit 2",
            ),
            (
                "select id, a from T",
                "select id, a from T order by id offset 0 limit 2",
            ),
        ] {
            let pages = Pages::new(&text.parse().unwrap(), 2).unwrap();
            let pages = pages.stable(&["id"]).unwrap();
            assert_eq!(pages.request().unwrap().to_string(), sent);
        }
    }

    #[test]
    fn stable_paging_goes_by_key() {
        let statement = "select a from T where b is 1 or c is 2 offset 1 limit 5"
            .parse()
            .unwrap();
        let mut pages = Pages::new(&statement, 3)
            .unwrap()
            .stable(&["p", "q"])
            .unwrap();
        let key = |p: &str, q: &str| [Literal::Text(p.into()), Literal::Text(q.into())];
        assert_eq!(
            pages.request().unwrap().to_string(),
            "select a, p, q from T where b is 1 or c is 2 order by p, q offset 1 limit 3"
        );
        pages.received(3, Some(4), Some(&key("x", "y"))).unwrap();
        assert_eq!(
            pages.request().unwrap().to_string(),
            "select a, p, q from T where (b is 1 or c is 2) and (p > \"x\" or p is \"x\" and \
             q > \"y\") order by p, q offset 0 limit 2"
        );
        assert_eq!(
            pages
                .clone()
                .received(2, Some(6), Some(&key("z", "z")))
                .unwrap(),
            2
        );
        let stuck = pages
            .received(1, Some(6), Some(&key("x", "y")))
            .unwrap_err();
        assert_eq!(stuck.kind(), ErrorKind::BadResponse);
    }
}
