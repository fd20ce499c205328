//! Queries: lazy, paged, restartable.

use std::collections::VecDeque;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::query::{IntoStatement, PAGE_SIZE, Pages, Statement};
use crate::wire::{Answer, Reply, decode, query_action};

/// A query that has not been sent yet; made by [`Session::query`].
///
/// Nothing is fetched until rows are asked for, and then a page at a time. A query can be run as
/// often as needed; each run asks the server anew.
#[must_use = "a query does nothing until its rows are asked for"]
#[derive(Clone)]
pub struct Query {
    session: Session,
    statement: Statement,
    page_size: u64,
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
        let mut statement = expression.into_statement()?;
        statement.check(self.schema())?;
        let entity_type = self.schema().entity_type(&statement.entity_type)?;
        if statement.projections.is_empty() && statement.group.is_empty() {
            statement = statement.with_projections(entity_type.default_projections());
        }
        Ok(Query {
            session: self.clone(),
            statement,
            page_size: PAGE_SIZE,
        })
    }

    /// Sends an expression exactly as it is, in one request, and answers with all its entities.
    /// For what this crate's reader of the language does not know.
    ///
    /// # Errors
    ///
    /// The server's failure under its kind, or what kept its answer from arriving.
    pub fn query_raw(&self, expression: &str) -> Result<Vec<Entity>> {
        let answer = self.ask(expression)?;
        Ok(self.adopt(answer).0)
    }

    fn ask(&self, expression: &str) -> Result<Answer> {
        let body = serde_json::to_vec(&[query_action(expression)]).expect("JSON values print");
        let doing = |error: Error| error.context(format_args!("query {expression:?}"));
        let bytes = self.shared.api.send(&body, expression).map_err(doing)?;
        decode(self.schema(), &bytes).map_err(doing)
    }

    /// Takes the rows of an answer into the store; the entities of its first reply, and where
    /// the next page begins.
    fn adopt(&self, answer: Answer) -> (Vec<Entity>, Option<u64>) {
        let Reply { roots, next_offset } = answer.replies.into_iter().next().unwrap_or_default();
        let mut store = self.shared.store.lock();
        let places = store.absorb(answer.rows);
        let entities = roots.iter().map(|&row| Entity {
            session: self.clone(),
            handle: store.handle(places[row as usize]),
        });
        (entities.collect(), next_offset)
    }
}

impl Query {
    /// How many entities one request asks for; 500 unless set.
    pub fn page_size(mut self, rows: u64) -> Self {
        self.page_size = rows;
        self
    }

    /// The query, default projections included.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Every entity, fetched page by page when the iteration gets there.
    pub fn iter(&self) -> QueryIter {
        QueryIter {
            session: self.session.clone(),
            state: Pages::new(&self.statement, self.page_size).map(Some),
            buffer: VecDeque::new(),
        }
    }

    /// Every entity, in a list.
    ///
    /// # Errors
    ///
    /// The server's failure under its kind, or what kept its answer from arriving.
    pub fn all(&self) -> Result<Vec<Entity>> {
        self.iter().collect()
    }

    /// The first entity, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`all`](Self::all).
    pub fn first(&self) -> Result<Option<Entity>> {
        self.at_most(1).iter().next().transpose()
    }

    /// The only entity.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::MultipleFound`] if there are
    /// several; else as for [`all`](Self::all).
    pub fn one(&self) -> Result<Entity> {
        let mut found = self.at_most(2).iter();
        let first = found.next().transpose()?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("nothing matches the query {:?}", self.text()),
            )
        })?;
        match found.next().transpose()? {
            None => Ok(first),
            Some(second) => Err(Error::new(
                ErrorKind::MultipleFound,
                format!(
                    "several entities match the query {:?}, such as {first} and {second}; use \
                     `first` or narrow it down",
                    self.text(),
                ),
            )),
        }
    }

    /// The same query for no more than `rows` entities.
    fn at_most(&self, rows: u64) -> Self {
        let mut query = self.clone();
        query.statement.limit = Some(query.statement.limit.unwrap_or(rows).min(rows));
        query
    }

    fn text(&self) -> String {
        self.statement.to_string()
    }
}

impl IntoIterator for &Query {
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
            .finish_non_exhaustive()
    }
}

/// The entities of a [`Query`]; after an error it ends.
pub struct QueryIter {
    session: Session,
    /// The cursor, until it is finished; or why there is none.
    state: Result<Option<Pages>>,
    buffer: VecDeque<Entity>,
}

impl QueryIter {
    fn next_page(&mut self) -> Result<bool> {
        let Some(pages) = std::mem::replace(&mut self.state, Ok(None))? else {
            return Ok(false);
        };
        let mut pages = pages;
        let Some(statement) = pages.request() else {
            return Ok(false);
        };
        let answer = self.session.ask(&statement.expression()?)?;
        let (mut entities, next_offset) = self.session.adopt(answer);
        let kept = pages.received(entities.len(), next_offset, None)?;
        entities.truncate(kept);
        self.buffer.extend(entities);
        self.state = Ok(Some(pages));
        Ok(true)
    }
}

impl Iterator for QueryIter {
    type Item = Result<Entity>;

    fn next(&mut self) -> Option<Result<Entity>> {
        loop {
            if let Some(entity) = self.buffer.pop_front() {
                return Some(Ok(entity));
            }
            match self.next_page() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Debug for QueryIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryIter")
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}
