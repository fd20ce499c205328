//! The pages of a query: fetched several with a request, returned one after the other.

use std::collections::VecDeque;

use crate::error::Result;
use crate::query::{Pages, Statement};

use super::pace::Pace;

pub(super) struct Paging<T> {
    /// The cursor until it is finished, or the error that follows the pages that are ready.
    state: Result<Option<Pages>>,
    pace: Pace,
    /// Pages that came with others and were not returned yet.
    ready: VecDeque<Vec<T>>,
}

impl<T> Paging<T> {
    pub(super) fn new(cursor: Result<Pages>, pace: Pace) -> Self {
        Self {
            state: cursor.map(Some),
            pace,
            ready: VecDeque::new(),
        }
    }

    /// The next page; `None` after the last one and after an error. `fetch` sends a request for the
    /// next pages; `advance` moves the cursor past a page and returns what of it belongs to the result.
    pub(super) fn next<P>(
        &mut self,
        fetch: impl FnOnce(&Pages, &mut Pace) -> Result<Vec<(Statement, P)>>,
        advance: impl FnMut(P, &mut Pages) -> Result<Vec<T>>,
    ) -> Result<Option<Vec<T>>> {
        if self.ready.is_empty() {
            self.fetch(fetch, advance)?;
        }
        Ok(self.ready.pop_front())
    }

    /// Fetches the next pages, if there are any. An error in a later page waits until those before it
    /// are returned.
    fn fetch<P>(
        &mut self,
        fetch: impl FnOnce(&Pages, &mut Pace) -> Result<Vec<(Statement, P)>>,
        mut advance: impl FnMut(P, &mut Pages) -> Result<Vec<T>>,
    ) -> Result<()> {
        let Some(mut cursor) = std::mem::replace(&mut self.state, Ok(None))? else {
            return Ok(());
        };
        if cursor.request().is_none() {
            return Ok(());
        }
        for (statement, page) in fetch(&cursor, &mut self.pace)? {
            // The page before may have been the last, or not have ended where it was expected to.
            if cursor.request().as_ref() != Some(&statement) {
                break;
            }
            match advance(page, &mut cursor) {
                Ok(page) => self.ready.push_back(page),
                Err(error) if self.ready.is_empty() => return Err(error),
                Err(error) => {
                    self.state = Err(error);
                    return Ok(());
                }
            }
        }
        self.state = Ok(Some(cursor));
        Ok(())
    }

    /// How many rows need no further request.
    pub(super) fn ready_rows(&self) -> usize {
        self.ready.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::select;

    #[test]
    fn an_error_in_a_later_page_waits_until_those_before_it_are_returned() {
        let cursor = Pages::new(&select("Task"), 1);
        let mut paging = Paging::new(cursor, Pace::new(3));
        let mut next = || {
            paging.next(
                |cursor, _| Ok(cursor.requests(3).into_iter().zip([1, 1, 0]).collect()),
                |rows, cursor| {
                    let offset = cursor.request().and_then(|one| one.offset).unwrap_or(0);
                    cursor.received(rows, Some(offset + 1), None)?;
                    Ok(vec![offset])
                },
            )
        };
        assert_eq!(next().expect("the first page"), Some(vec![0]));
        assert_eq!(next().expect("the second page"), Some(vec![1]));
        let error = next().expect_err("no rows, but more to come");
        assert_eq!(error.kind(), crate::error::ErrorKind::BadResponse);
        assert_eq!(next().expect("the end"), None);
    }
}
