//! Queries: lazy, paged, restartable.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use crate::api::Intent;
use crate::error::{Error, ErrorKind, Result, shortened};
use crate::handle::{Entity, Session};
use crate::query::{IntoStatement, Literal, MAX_ROWS, PAGE_SIZE, Pages, Statement};
use crate::schema::{AttributeKind, Schema};
use crate::wire::{Batch, Body, Reply};

use super::exchange::MAX_SUMMARY_CHARS;
use super::pace::{PAGES_PER_REQUEST, Pace};
use super::paging::Paging;
use super::repetition::Repetition;

/// How many values of a list after `in` go into one request; longer lists are split.
const MAX_LIST_VALUES: usize = 500;

/// A lazy query, made by [`Session::query`] or [`Session::select`].
///
/// Nothing is fetched until the query is iterated, and then a page at a time. A query can be run
/// any number of times; every run fetches again. A list of more than 500 values after `in` is
/// split over several requests where that cannot change the result.
#[must_use = "a query does nothing until it is iterated"]
#[derive(Clone)]
pub struct Query {
    pub(crate) session: Session,
    pub(crate) statement: Statement,
    page_size: u64,
    pages_per_request: usize,
    is_stable: bool,
}

impl Session {
    /// Prepares a query from the query language or from a [`Statement`]. Without projections it
    /// fetches the default projections of its entity type.
    ///
    /// Insert values with [`expr!`](crate::expr), which quotes them.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::expr;
    ///
    /// let name = "say \"hello\"";
    /// assert!(session.query(expr!("Task where name is {}", name))?.first()?.is_none());
    /// for task in &session.query("select name from Task limit 3")? {
    ///     println!("{}", task?.get::<String>("name")?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if the expression cannot be parsed: the message shows the position.
    /// - [`ErrorKind::UnknownType`] or [`ErrorKind::UnknownAttribute`] if the schema lacks a name:
    ///   the message suggests the nearest.
    /// - [`ErrorKind::Validation`] if a value cannot be expressed in a query.
    pub fn query(&self, expression: impl IntoStatement) -> Result<Query> {
        let statement = expression.into_statement()?;
        statement.check(self.schema())?;
        Ok(Query::new(self, statement))
    }

    /// Sends an expression exactly as it is, in one request, and returns its entities. For
    /// expressions that this crate's parser does not support.
    ///
    /// # Errors
    ///
    /// - The kind of the server's failure if it rejects the expression.
    /// - [`ErrorKind::Connection`], [`ErrorKind::Timeout`] and the like if no response arrived.
    /// - [`ErrorKind::BadResponse`] if the response is not that of a query.
    pub fn query_raw(&self, expression: &str) -> Result<Vec<Entity>> {
        let batch = self.run_queries(&[expression], &mut Repetition::default())?;
        let first = self.absorb(batch).into_iter().next();
        Ok(first.map(|page| page.entities).unwrap_or_default())
    }

    /// Merges the rows of a response into the store; a page for each reply.
    pub(crate) fn absorb(&self, batch: Batch) -> Vec<Page> {
        let news = self.news(&batch);
        let mut store = self.shared.store.lock();
        let places = store.absorb(batch.rows);
        let replies = batch.replies.into_iter();
        let pages = replies.map(
            |Reply {
                 roots, next_offset, ..
             }| Page {
                entities: roots
                    .iter()
                    .map(|&row| self.entity_at(&mut store, places[row as usize]))
                    .collect(),
                next_offset,
            },
        );
        let pages: Vec<Page> = pages.collect();
        self.shared.evict(store, &places);
        self.write_to_cache(&news);
        pages
    }
}

/// The entities of one reply and the offset of the next page.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) entities: Vec<Entity>,
    pub(crate) next_offset: Option<u64>,
}

impl Page {
    /// Advances the cursor and drops the entities beyond the query's limit.
    pub(crate) fn advance(self, pages: &mut Pages) -> Result<Vec<Entity>> {
        let mut entities = self.entities;
        let last_key: Option<Vec<Literal>> = entities
            .last()
            .map(|last| last.key().parts().map(Literal::Text).collect());
        let kept = pages.received(entities.len(), self.next_offset, last_key.as_deref())?;
        entities.truncate(kept);
        Ok(entities)
    }
}

impl Query {
    pub(crate) fn new(session: &Session, statement: Statement) -> Self {
        Self {
            session: session.clone(),
            statement,
            page_size: PAGE_SIZE,
            pages_per_request: PAGES_PER_REQUEST,
            is_stable: false,
        }
    }

    /// Sets how many entities a page has; 500 by default. 0 is an error when the query runs.
    pub fn page_size(mut self, rows: u64) -> Self {
        self.page_size = rows;
        self
    }

    /// Sets how many pages one request may ask for; 8 by default, and 1 turns batches off. 0 counts
    /// as 1.
    ///
    /// The first request asks for one page, and each further one for twice as many as the one before,
    /// so that a long result takes few round trips. A request that took more than a second, or whose
    /// response was larger than 16 MiB, halves the next one. If a response came within 20 milliseconds,
    /// there is little to gain, and the next one has no more than 2 MiB. Stable paging asks for
    /// single pages, and so does the rest of an iteration once a request for several pages failed.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let query = session.query("select name from Task limit 70")?.page_size(10);
    /// let before = session.statistics().requests;
    /// assert_eq!(query.all()?.len(), 70);
    /// assert_eq!(session.statistics().requests - before, 3); // 1 + 2 + 4 pages
    /// let before = session.statistics().requests;
    /// assert_eq!(query.pages_per_request(1).all()?.len(), 70);
    /// assert_eq!(session.statistics().requests - before, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pages_per_request(mut self, pages: usize) -> Self {
        self.pages_per_request = pages;
        self
    }

    /// Sets whether to page by key instead of by offset, so that rows created or deleted during
    /// the iteration cause no row to be skipped or repeated. The rows are then sorted by key; a
    /// query with `order by` or `group by` is an error when it runs.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// for page in session.query("select name from Task")?.page_size(100).stable(true).pages() {
    ///     assert!(page?.len() <= 100);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stable(mut self, stable: bool) -> Self {
        self.is_stable = stable;
        self
    }

    /// The query as a statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Iterates over the entities; each page is fetched when the iteration reaches it.
    pub fn iter(&self) -> QueryIter {
        QueryIter {
            pages: self.pages(),
            buffer: VecDeque::new(),
        }
    }

    /// Iterates over the pages of entities.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let query = session.query("Task limit 25")?.page_size(10);
    /// let sizes: Vec<usize> =
    ///     query.pages().map(|page| Ok(page?.len())).collect::<ftrack_api::Result<_>>()?;
    /// assert_eq!(sizes, [10, 10, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pages(&self) -> QueryPages {
        QueryPages {
            session: self.session.clone(),
            paging: Paging::new(self.entity_cursor(), self.pace()),
        }
    }

    /// Fetches all entities.
    ///
    /// # Errors
    ///
    /// - Any error of [`Session::query`], for a query that was built or refined by methods: it is
    ///   checked when it runs.
    /// - The kind of the server's failure if it rejects the query.
    /// - [`ErrorKind::Connection`], [`ErrorKind::Timeout`] and the like if no response arrived.
    /// - [`ErrorKind::BadResponse`] if the response is not that of the query, such as a page
    ///   without rows that announces another.
    pub fn all(&self) -> Result<Vec<Entity>> {
        self.iter().collect()
    }

    /// Fetches the first entity; `None` if nothing matches.
    ///
    /// # Errors
    ///
    /// - Any error of [`all`](Self::all).
    pub fn first(&self) -> Result<Option<Entity>> {
        self.nth(0)
    }

    /// Fetches the only entity that matches.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if nothing matches.
    /// - [`ErrorKind::MultipleFound`] if several entities match: the message names two.
    /// - Any error of [`all`](Self::all).
    pub fn one(&self) -> Result<Entity> {
        let mut found = self.slice(..2).iter();
        let first = found.next().transpose()?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("nothing matches the query {}", self.text()),
            )
        })?;
        match found.next().transpose()? {
            None => Ok(first),
            Some(second) => Err(Error::new(
                ErrorKind::MultipleFound,
                format!(
                    "several entities match the query {}, such as {first} and {second}; use \
                     `first` or narrow it down",
                    self.text(),
                ),
            )),
        }
    }

    /// Fetches the entity at `index`, counted from 0, and no other; `None` beyond the end.
    ///
    /// # Errors
    ///
    /// - Any error of [`all`](Self::all).
    pub fn nth(&self, index: u64) -> Result<Option<Entity>> {
        let end = index.saturating_add(1);
        self.slice(index..end).iter().next().transpose()
    }

    /// The query restricted to a range of its rows, counted from 0; `query[3:10]` in Python.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let query = session.query("Task order by name, id offset 5 limit 20")?;
    /// let slice = query.slice(3..10);
    /// assert_eq!(slice.statement().to_string(), "Task order by name, id offset 8 limit 7");
    /// assert_eq!(slice.all()?, query.all()?[3..10]);
    /// assert_eq!(query.nth(3)?, slice.first()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slice(&self, rows: impl RangeBounds<u64>) -> Self {
        let start = match rows.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
        };
        let end = match rows.end_bound() {
            Bound::Unbounded => u64::MAX,
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
        };
        let mut slice = self.clone();
        let statement = &mut slice.statement;
        if statement.check_bounds().is_err() {
            return slice; // It stays refused.
        }
        let end = end.min(statement.limit.unwrap_or(u64::MAX));
        let offset = statement.offset.unwrap_or(0).saturating_add(start);
        if offset > MAX_ROWS {
            // No result is that long.
            statement.limit = Some(0);
            return slice;
        }
        if offset > 0 {
            statement.offset = Some(offset);
        }
        if end < u64::MAX {
            statement.limit = Some(end.saturating_sub(start).min(MAX_ROWS));
        }
        slice
    }

    /// A cursor over the pages of `statement`, which is this query with projections.
    pub(crate) fn cursor(&self, statement: &Statement) -> Result<Pages> {
        let schema = self.session.schema();
        statement.check(schema)?;
        let is_single = |path: &_| is_single(schema, &statement.entity_type, path);
        let mut pages = Pages::new(statement, self.page_size)?.split(MAX_LIST_VALUES, is_single);
        if self.is_stable {
            let key = schema.entity_type(&statement.entity_type)?.primary_key();
            let key: Vec<&str> = key.iter().map(AsRef::as_ref).collect();
            pages = pages.stable(&key)?;
        }
        Ok(pages)
    }

    /// A cursor over pages of entities, with the default projections.
    pub(crate) fn entity_cursor(&self) -> Result<Pages> {
        if self.statement.is_grouped() {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "the rows of {:?} are groups, not entities; read them with `Query::rows`",
                    self.text()
                ),
            ));
        }
        self.cursor(&self.with_default_projections()?)
    }

    pub(crate) fn with_default_projections(&self) -> Result<Statement> {
        let schema = self.session.schema();
        let entity_type = schema.entity_type(&self.statement.entity_type)?;
        let defaults = entity_type.default_projections();
        Ok(self.statement.clone().default_fields(defaults))
    }

    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.pages_per_request)
    }

    pub(crate) fn is_stable(&self) -> bool {
        self.is_stable
    }

    fn text(&self) -> String {
        shortened(&self.statement.to_string(), MAX_SUMMARY_CHARS).into_owned()
    }
}

/// Whether the path has one value for each entity: it passes through references only.
fn is_single(schema: &Schema, entity_type: &str, path: &crate::query::Path) -> bool {
    let mut current = schema.entity_type(entity_type).ok();
    for segment in path.segments() {
        let attribute = current.and_then(|one| one.attribute(segment.name()).ok());
        let Some(attribute) = attribute else {
            return false;
        };
        current = match attribute.kind() {
            AttributeKind::Collection(_) | AttributeKind::Mapped(_) => return false,
            AttributeKind::Reference(target) => {
                schema.entity_type(segment.cast().unwrap_or(target)).ok()
            }
            _ => None,
        };
    }
    true
}

/// The statement of a query; its paging options are dropped.
impl IntoStatement for Query {
    fn into_statement(self) -> Result<Statement> {
        self.statement.into_statement()
    }
}

impl IntoIterator for &Query {
    type Item = Result<Entity>;
    type IntoIter = QueryIter;

    fn into_iter(self) -> QueryIter {
        self.iter()
    }
}

impl IntoIterator for Query {
    type Item = Result<Entity>;
    type IntoIter = QueryIter;

    fn into_iter(self) -> QueryIter {
        self.iter()
    }
}

debug_fields!(Query, |this|
    statement: this.text(),
    page_size: this.page_size,
    pages_per_request: this.pages_per_request,
    stable: this.is_stable,
);

/// Iterator over the pages of a [`Query`]; it ends after an error.
pub struct QueryPages {
    session: Session,
    paging: Paging<Entity>,
}

impl QueryPages {
    fn next_page(&mut self) -> Result<Option<Vec<Entity>>> {
        let session = &self.session;
        let decode = |response: &Body<'_>, statements: &[Statement]| {
            let batch = session.decode_entities(response, statements.len())?;
            Ok(batch.into_single_replies())
        };
        self.paging.next(
            |cursor, pace| session.fetch_pages(Intent::Read, cursor, pace, decode),
            |batch, cursor| {
                // At once, because what the caller changes meanwhile is newer.
                let page = session.absorb(batch).into_iter().next();
                page.unwrap_or_default().advance(cursor)
            },
        )
    }
}

impl Iterator for QueryPages {
    type Item = Result<Vec<Entity>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Only the last page of a statement may be empty; another statement may follow.
            match self.next_page().transpose()? {
                Ok(page) if page.is_empty() => {}
                page => return Some(page),
            }
        }
    }
}

debug_fields!(QueryPages);

/// Iterator over the entities of a [`Query`]; it ends after an error.
#[derive(Debug)]
pub struct QueryIter {
    pages: QueryPages,
    buffer: VecDeque<Entity>,
}

impl Iterator for QueryIter {
    type Item = Result<Entity>;

    fn next(&mut self) -> Option<Result<Entity>> {
        while self.buffer.is_empty() {
            match self.pages.next()? {
                Ok(page) => self.buffer = page.into(),
                Err(error) => return Some(Err(error)),
            }
        }
        self.buffer.pop_front().map(Ok)
    }
}
