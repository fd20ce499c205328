//! Rows of a query deserialised into any type, or by any seed, straight from the response.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Value as Json;

use crate::api::Intent;
use crate::error::Result;
use crate::handle::Session;
use crate::query::{Literal, Pages, Statement};
use crate::wire::{Body, StructField, decode_rows, fields_of, last_row, query_action};

use super::Query;
use super::exchange::summary;
use super::paging::Paging;

impl Query {
    /// Iterates over the rows as values of `T`, which derives [`serde::Deserialize`]. They are read
    /// straight from the response and do not enter the session's cache: memory holds the pages of one
    /// request, however many rows there are. With
    /// [`pages_per_request(1)`](Self::pages_per_request) that is one page.
    ///
    /// Without projections, the fields of `T` are fetched; a struct in it stands for a reference,
    /// a list of structs for a collection. Use `Option` where a value may be null. Date-times,
    /// which are UTC, deserialise into text or [`jiff::civil::DateTime`]; dates into text or
    /// [`jiff::civil::Date`].
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// #[derive(serde::Deserialize)]
    /// struct Task {
    ///     name: String,
    ///     end_date: Option<jiff::civil::DateTime>,
    ///     status: Option<Status>,
    /// }
    /// #[derive(serde::Deserialize)]
    /// struct Status {
    ///     name: String,
    /// }
    ///
    /// // Sends: select name, end_date, status.name from Task …
    /// for task in session.query("Task where project.name is test")?.rows::<Task>() {
    ///     let task = task?;
    ///     println!("{} is {:?}", task.name, task.status.map(|status| status.name));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The rows of a query with `group by` or aggregates have a field for each attribute that they
    /// are grouped by and one for each aggregate, such as `count_id`:
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// #[derive(serde::Deserialize)]
    /// struct Load {
    ///     status_id: String,
    ///     count_id: u64,
    ///     sum_bid: Option<f64>,
    /// }
    ///
    /// let query = session.query("select count(id), sum(bid) from Task group by status_id")?;
    /// let loads: Vec<Load> = query.rows().collect::<Result<_, _>>()?;
    /// let all: u64 = loads.iter().map(|load| load.count_id).sum();
    /// assert_eq!(all, session.select("Task").count()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The iteration ends with the first error:
    ///
    /// - [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) if a row does not deserialise into `T`.
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation) if `T` contains itself and the query has no projections.
    /// - Any error of [`all`](Self::all).
    pub fn rows<T: DeserializeOwned>(&self) -> Rows<T> {
        self.rows_from(self.row_cursor::<T>(), PhantomData)
    }

    /// Like [`rows`](Self::rows) for columns that are known at run time only: each row is read by a
    /// clone of `seed`, which says what to keep of it and in which form. What it skips takes neither
    /// memory nor time to build. Without projections, the default ones of the entity type are fetched.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use std::fmt;
    /// use ftrack_api::serde_json::Value;
    /// use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
    ///
    /// /// Reads the values of these attributes, in their order.
    /// #[derive(Clone, Copy)]
    /// struct Columns<'a>(&'a [String]);
    ///
    /// impl<'de> DeserializeSeed<'de> for Columns<'_> {
    ///     type Value = Vec<Value>;
    ///
    ///     fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<Vec<Value>, D::Error> {
    ///         row.deserialize_map(self)
    ///     }
    /// }
    ///
    /// impl<'de> Visitor<'de> for Columns<'_> {
    ///     type Value = Vec<Value>;
    ///
    ///     fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    ///         f.write_str("a row")
    ///     }
    ///
    ///     fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> Result<Vec<Value>, A::Error> {
    ///         let mut values = vec![Value::Null; self.0.len()];
    ///         while let Some(name) = row.next_key::<String>()? {
    ///             match self.0.iter().position(|column| *column == name) {
    ///                 Some(index) => values[index] = row.next_value()?,
    ///                 None => drop(row.next_value::<IgnoredAny>()?),
    ///             }
    ///         }
    ///         Ok(values)
    ///     }
    /// }
    ///
    /// let names = ["name".to_owned(), "bid".to_owned()];
    /// let query = session.select("Task").fields(&names);
    /// for values in query.rows_with(Columns(&names)) {
    ///     println!("{:?}", values?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The iteration ends with the first error:
    ///
    /// - [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) if `seed` cannot read a row.
    /// - Any error of [`all`](Self::all).
    pub fn rows_with<T, S>(&self, seed: S) -> Rows<T, S>
    where
        S: Clone + for<'de> DeserializeSeed<'de, Value = T>,
    {
        let statement = &self.statement;
        let cursor = match statement.projections.is_empty() && statement.group.is_empty() {
            true => self.entity_cursor(),
            false => self.cursor(statement),
        };
        self.rows_from(cursor, seed)
    }

    fn rows_from<T, S>(&self, cursor: Result<Pages>, seed: S) -> Rows<T, S> {
        Rows {
            query: self.clone(),
            paging: Paging::new(cursor, self.pace()),
            buffer: Vec::new().into_iter(),
            seed,
        }
    }

    /// Sends one statement and returns its rows.
    pub(super) fn fetch_rows<T: DeserializeOwned>(&self, statement: &Statement) -> Result<Vec<T>> {
        let expression = statement.expression()?;
        let actions = [query_action(&expression)];
        let api = &self.session.shared.api;
        api.exchange(
            Intent::ReadAsSelected,
            &actions,
            &summary(&expression),
            |response| {
                let replies = decode_rows(response, 1, PhantomData::<T>)?;
                Ok(replies.into_iter().flat_map(|reply| reply.rows).collect())
            },
        )
    }

    /// Decodes pages: the rows of each, and where the next one begins.
    fn decode_pages<T, S>(
        &self,
        response: &Body<'_>,
        statements: &[Statement],
        seed: S,
    ) -> Result<Vec<(Vec<T>, After)>>
    where
        S: Clone + for<'de> DeserializeSeed<'de, Value = T>,
    {
        let replies = decode_rows(response, statements.len(), seed)?;
        let pages = replies
            .into_iter()
            .zip(statements)
            .map(|(mut reply, statement)| {
                let next_offset = reply.next_offset();
                // Stable paging asks for single pages, so this is the only reply.
                let last_key = match next_offset.is_some() && self.is_stable() {
                    true => last_key(&self.session, &statement.entity_type, response)?,
                    false => None,
                };
                let after = After {
                    next_offset,
                    last_key,
                };
                Ok((reply.rows, after))
            });
        pages.collect()
    }

    fn row_cursor<T: DeserializeOwned>(&self) -> Result<Pages> {
        if !self.statement.projections.is_empty() {
            return self.cursor(&self.statement);
        }
        let schema = self.session.schema();
        let paths = StructField::paths(&fields_of::<T>()?, schema, &self.statement.entity_type);
        if self.statement.group.is_empty() && paths.is_empty() {
            return self.cursor(&self.with_default_projections()?);
        }
        self.cursor(&self.statement.clone().default_fields(paths))
    }
}

/// Where the page after this one begins.
pub(crate) struct After {
    next_offset: Option<u64>,
    last_key: Option<Vec<Literal>>,
}

/// The primary key of the last row. The type of the rows need not have it, so the response is
/// parsed again, skipping everything else.
fn last_key(
    session: &Session,
    entity_type: &str,
    response: &Body<'_>,
) -> Result<Option<Vec<Literal>>> {
    let names = session.schema().entity_type(entity_type)?.primary_key();
    let last = last_row(response)?;
    let parts = names.iter().map(|name| match last.get(name.as_str()) {
        Some(Json::String(text)) => Some(Literal::Text(text.clone())),
        Some(Json::Number(number)) => Some(Literal::Text(number.to_string())),
        _ => None,
    });
    Ok(parts.collect())
}

/// Iterator over the rows of a [`Query`] as values of `T`, read by `S`; it ends after an error.
pub struct Rows<T, S = PhantomData<T>> {
    query: Query,
    paging: Paging<T>,
    buffer: std::vec::IntoIter<T>,
    seed: S,
}

impl<T, S: Clone + for<'de> DeserializeSeed<'de, Value = T>> Rows<T, S> {
    /// Goes on to the next page; whether there is one.
    fn next_page(&mut self) -> Result<bool> {
        let (query, seed) = (&self.query, &self.seed);
        let session = &query.session;
        let intent = Intent::ReadAsSelected;
        let decode = |response: &Body<'_>, statements: &[Statement]| {
            query.decode_pages(response, statements, seed.clone())
        };
        let page = self.paging.next(
            |cursor, pace| session.fetch_pages(intent, cursor, pace, decode),
            |(mut rows, after): (Vec<T>, After), cursor| {
                let last_key = after.last_key.as_deref();
                rows.truncate(cursor.received(rows.len(), after.next_offset, last_key)?);
                session.shared.api.counters().read_rows(rows.len());
                Ok(rows)
            },
        )?;
        let is_there = page.is_some();
        self.buffer = page.unwrap_or_default().into_iter();
        Ok(is_there)
    }
}

impl<T, S: Clone + for<'de> DeserializeSeed<'de, Value = T>> Iterator for Rows<T, S> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(row) = self.buffer.next() {
                return Some(Ok(row));
            }
            match self.next_page() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The lower bound is the number of rows that need no further request: at 0 the next row may be
    /// long in coming.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.buffer.len() + self.paging.ready_rows(), None)
    }
}

debug_fields!(<T, S> Rows<T, S>, |this| buffered: this.buffer.len());
