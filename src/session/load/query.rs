//! Queries: lazy, paged, restartable.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Bound, RangeBounds};

use crate::api::{Intent, check_count};
use crate::error::{Error, ErrorKind, Result, shortened};
use crate::handle::{Entity, Session};
use crate::query::{IntoStatement, Literal, PAGE_SIZE, Pages, Statement};
use crate::schema::{AttributeKind, Schema};
use crate::wire::{Answer, Reply, decode, query_action};

/// How many values a list after `in` may have in one request; longer ones are split.
const LONGEST_LIST: usize = 500;

/// How many characters of a query errors show: keys that are looked up may be hundreds.
const LONGEST_TEXT: usize = 1000;

/// A query that has not been sent yet; made by [`Session::query`] and [`Session::select`].
///
/// Nothing is fetched until rows are asked for, and then a page at a time. A query can be run as
/// often as needed; each run asks the server anew. Lists of more than 500 values after `in` go
/// out in several requests where that cannot change the rows.
#[must_use = "a query does nothing until its rows are asked for"]
#[derive(Clone)]
pub struct Query {
    pub(crate) session: Session,
    pub(crate) statement: Statement,
    page_size: u64,
    is_stable: bool,
}

impl Session {
    /// Prepares a query, in the query language or as a built [`Statement`]. Without projections
    /// it fetches the default ones of its entity type.
    ///
    /// Put values into a query with [`expr!`](crate::expr), which quotes them.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// [`ErrorKind::Syntax`] with the place; [`ErrorKind::UnknownType`] and
    /// [`ErrorKind::UnknownAttribute`] with the nearest name.
    pub fn query(&self, expression: impl IntoStatement) -> Result<Query> {
        let statement = expression.into_statement()?;
        statement.check(self.schema())?;
        Ok(Query::new(self, statement))
    }

    /// Sends an expression exactly as it is, in one request, and answers with all its entities.
    /// For what this crate's reader of the language does not know.
    ///
    /// # Errors
    ///
    /// The server's failure under its kind, or what kept its answer from arriving.
    pub fn query_raw(&self, expression: &str) -> Result<Vec<Entity>> {
        let answer = self.ask(&[expression])?;
        let first = self.adopt(answer).into_iter().next();
        Ok(first.map(|page| page.entities).unwrap_or_default())
    }

    /// Sends expressions in one request.
    pub(crate) fn ask(&self, expressions: &[&str]) -> Result<Answer> {
        let actions: Vec<_> = expressions.iter().copied().map(query_action).collect();
        let summary = summary(&expressions.join("; "));
        let api = &self.shared.api;
        let answer = api.exchange(Intent::Read, &actions, &summary, |response| {
            let answer = decode(self.schema(), response)?;
            check_count(answer.replies.len(), actions.len())?;
            Ok(answer)
        })?;
        api.counters().decoded(answer.rows.rows.len());
        Ok(answer)
    }

    /// Takes the rows of an answer into the store; a page for each reply.
    pub(crate) fn adopt(&self, answer: Answer) -> Vec<Page> {
        let news = self.news(&answer);
        let mut store = self.shared.store.lock();
        let places = store.absorb(answer.rows);
        let replies = answer.replies.into_iter();
        let pages = replies.map(|Reply { roots, next_offset }| Page {
            entities: roots
                .iter()
                .map(|&row| Entity {
                    session: self.clone(),
                    handle: store.handle(places[row as usize]),
                })
                .collect(),
            next_offset,
        });
        let pages: Vec<Page> = pages.collect();
        let evicted = store.evict();
        drop(store);
        self.shared.memory_counters.evicted(evicted);
        self.write_to_cache(&news);
        pages
    }
}

/// The entities of one reply, and where the next page begins.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) entities: Vec<Entity>,
    pub(crate) next_offset: Option<u64>,
}

impl Page {
    /// Tells the cursor of it, and leaves out what is beyond the query's limit.
    pub(crate) fn kept(self, pages: &mut Pages) -> Result<Vec<Entity>> {
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
            is_stable: false,
        }
    }

    /// How many entities one request asks for; 500 unless set. 0 is an error when the query
    /// runs.
    pub fn page_size(mut self, rows: u64) -> Self {
        self.page_size = rows;
        self
    }

    /// Pages by key instead of by offset, so that rows that others create or delete meanwhile
    /// make it neither skip nor repeat a row. The rows come sorted by key; a query with an order
    /// of its own, or a group, is an error when it runs.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// for page in session.query("select name from Task")?.page_size(100).stable().pages() {
    ///     assert!(page?.len() <= 100);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stable(mut self) -> Self {
        self.is_stable = true;
        self
    }

    /// The query as it was given, and refined since.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Every entity, fetched page by page when the iteration gets there.
    pub fn iter(&self) -> QueryIter {
        QueryIter {
            pages: self.pages(),
            buffer: VecDeque::new(),
        }
    }

    /// Every entity, a page at a time: one request for each.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let query = session.query("Task limit 25")?.page_size(10);
    /// let sizes: Vec<usize> =
    ///     query.pages().map(|page| Ok(page?.len())).collect::<ftrack_api::Result<_>>()?;
    /// assert_eq!(sizes, [10, 10, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pages(&self) -> QueryPages {
        QueryPages {
            session: self.session.clone(),
            state: self.entity_cursor().map(Some),
        }
    }

    /// Every entity, in a list.
    ///
    /// # Errors
    ///
    /// The server's failure under its kind, or what kept its answer from arriving. A query that
    /// was made by [`Session::select`] or refined is checked when it runs, and fails as
    /// [`Session::query`] does.
    pub fn all(&self) -> Result<Vec<Entity>> {
        self.iter().collect()
    }

    /// The first entity, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`all`](Self::all).
    pub fn first(&self) -> Result<Option<Entity>> {
        self.nth(0)
    }

    /// The only entity.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::MultipleFound`] if there are
    /// several; else as for [`all`](Self::all).
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

    /// The entity at `index`, counted from 0; only that one is fetched.
    ///
    /// # Errors
    ///
    /// As for [`all`](Self::all).
    pub fn nth(&self, index: u64) -> Result<Option<Entity>> {
        let end = index.saturating_add(1);
        self.slice(index..end).iter().next().transpose()
    }

    /// The same query for some of its rows, counted from 0; `query[3:10]` in Python. Only they
    /// are fetched, when they are asked for.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
        let end = end.min(statement.limit.unwrap_or(u64::MAX));
        let offset = statement.offset.unwrap_or(0).saturating_add(start);
        if offset > 0 {
            statement.offset = Some(offset);
        }
        if i64::try_from(offset).is_err() {
            // Servers count in 63 bits: so far out there is nothing, and asking is an error.
            statement.limit = Some(0);
        } else if end < u64::MAX {
            statement.limit = Some(end.saturating_sub(start));
        }
        slice
    }

    /// The cursor over the pages of `statement`, a form of this query.
    pub(crate) fn cursor(&self, statement: &Statement) -> Result<Pages> {
        let schema = self.session.schema();
        statement.check(schema)?;
        let is_single = |path: &_| is_single(schema, &statement.entity_type, path);
        let mut pages = Pages::new(statement, self.page_size)?.split(LONGEST_LIST, is_single);
        if self.is_stable {
            let key = schema.entity_type(&statement.entity_type)?.primary_key();
            let key: Vec<&str> = key.iter().map(AsRef::as_ref).collect();
            pages = pages.stable(&key)?;
        }
        Ok(pages)
    }

    /// The cursor for entities, default projections added.
    pub(crate) fn entity_cursor(&self) -> Result<Pages> {
        if self.statement.is_grouped() {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "the rows of {:?} are groups, not entities; read them with `rows`",
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
        Ok(self.statement.clone().with_projections(defaults))
    }

    pub(crate) fn is_stable(&self) -> bool {
        self.is_stable
    }

    fn text(&self) -> String {
        shortened(&self.statement.to_string(), LONGEST_TEXT).into_owned()
    }
}

/// What names a query in errors and in the log.
pub(crate) fn summary(expression: &str) -> String {
    format!("query {}", shortened(expression, LONGEST_TEXT))
}

/// Whether the path leads to one value for each entity: through references only.
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

/// A prepared query as part of another call; how it pages is not taken over.
impl IntoStatement for Query {
    fn into_statement(self) -> Result<Statement> {
        self.statement.into_statement()
    }
}

impl IntoStatement for &Query {
    fn into_statement(self) -> Result<Statement> {
        self.clone().into_statement()
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

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("statement", &self.text())
            .field("page_size", &self.page_size)
            .field("stable", &self.is_stable)
            .finish_non_exhaustive()
    }
}

/// The pages of a [`Query`]; after an error it ends.
pub struct QueryPages {
    session: Session,
    /// The cursor, until it is finished; or why there is none.
    state: Result<Option<Pages>>,
}

impl QueryPages {
    fn next_page(&mut self) -> Result<Option<Vec<Entity>>> {
        let Some(mut pages) = std::mem::replace(&mut self.state, Ok(None))? else {
            return Ok(None);
        };
        let Some(statement) = pages.request() else {
            return Ok(None);
        };
        let answer = self.session.ask(&[&statement.expression()?])?;
        let page = self.session.adopt(answer).into_iter().next();
        let entities = page.unwrap_or_default().kept(&mut pages)?;
        self.state = Ok(Some(pages));
        Ok(Some(entities))
    }
}

/// Pages without entities are passed over.
impl Iterator for QueryPages {
    type Item = Result<Vec<Entity>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_page().transpose()? {
                Ok(page) if page.is_empty() => {}
                page => return Some(page),
            }
        }
    }
}

impl fmt::Debug for QueryPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryPages").finish_non_exhaustive()
    }
}

/// The entities of a [`Query`]; after an error it ends.
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
