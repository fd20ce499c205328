//! Queries: a syntax tree to SQL, the rows of a page, and the response made from them.
//!
//! Values of a query never become part of the SQL text: they are bound. One statement finds the
//! page, one more is run per selected relation, none per row.

mod clauses;
mod compare;
pub mod computed;
pub mod condition;
pub mod encode;
pub mod fetch;
pub mod group;
pub mod link;
pub mod node;
pub mod plan;
mod relate;
pub mod scalar;

use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use crate::database::model::{Attr, Model, Type};
use crate::database::value::excerpt;
use crate::error::{Fault, Result};
use crate::language::tree::{Projection, Statement};
use crate::select::encode::Encoder;
use crate::select::node::Node;

/// What a query finds.
#[derive(Debug)]
pub struct Page {
    /// The entities, or plain rows for `group by`, as the text of a list.
    pub data: String,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

/// What is needed to run queries.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The database, in whose transaction the query runs.
    pub connection: &'a Connection,
    /// Where everything is stored.
    pub model: &'a Model,
    /// The URL of this server, for attributes that hold addresses.
    pub url: &'a str,
    /// The id of the user whose request it is.
    pub user: &'a str,
}

/// A page without a `limit` holds at most this many rows; clients that want more ask for more.
const UNLIMITED: u64 = i64::MAX as u64 - 1;

/// Runs a query.
///
/// # Errors
///
/// If the schema has no such type or attribute, or a value does not fit its attribute.
pub fn run(reader: Reader<'_>, statement: &Statement, encoder: &mut Encoder) -> Result<Page> {
    let ty = find(reader.model, &statement.entity_type)?;
    let is_aggregate = |projection: &Projection| matches!(projection, Projection::Aggregate(..));
    let limit = statement.limit.unwrap_or(UNLIMITED);
    let mut rows = if !statement.group.is_empty() || statement.projections.iter().any(is_aggregate)
    {
        Rows::Plain(group::run(reader, statement, ty)?)
    } else {
        let node = Node::new(reader.model, ty, &statement.projections)?;
        Rows::Entities(Box::new(fetch::page(reader, statement, ty, node)?))
    };
    // One row more than asked for was fetched: it tells whether another page follows.
    let has_more = rows.len() as u64 > limit;
    if has_more {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let next = has_more.then(|| statement.offset.saturating_add(limit));
    let data = match rows {
        Rows::Plain(rows) => Value::Array(rows).to_string(),
        Rows::Entities(mut fetched) => {
            fetch::relations(reader, &mut fetched)?;
            encoder.page(reader.model, &fetched)?
        }
    };
    Ok(Page { data, next })
}

enum Rows {
    Plain(Vec<Value>),
    Entities(Box<fetch::Fetched>),
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Self::Plain(rows) => rows.len(),
            Self::Entities(fetched) => fetched.rows.len(),
        }
    }

    fn truncate(&mut self, length: usize) {
        match self {
            Self::Plain(rows) => rows.truncate(length),
            Self::Entities(fetched) => fetched.rows.truncate(length),
        }
    }
}

/// The type of this name.
///
/// # Errors
///
/// If the schema has none; the error names the nearest.
pub fn find<'m>(model: &'m Model, name: &str) -> Result<&'m Type> {
    model.find(name).ok_or_else(|| {
        let names = model.types.iter().map(|ty| ty.name.as_str());
        Fault::validation(format!(
            "There is no entity type \"{}\"{}",
            excerpt(name),
            nearest(name, names)
        ))
    })
}

/// The error for an attribute that a type does not have.
pub fn unknown_attribute(model: &Model, ty: &Type, name: &str) -> Fault {
    let names = ty
        .attributes
        .iter()
        .chain(model.covered(ty).flat_map(|ty| &ty.attributes));
    let hint = nearest(name, names.map(Attr::name));
    Fault::validation(format!(
        "{} has no attribute \"{}\"{hint}",
        ty.name,
        excerpt(name)
    ))
}

/// A hint for people who mistyped a name.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let name = name.to_lowercase();
    let distance = |other: &str| distance(&name, &other.to_lowercase());
    let best = names.map(|other| (distance(other), other)).min();
    match best {
        Some((distance, other)) if distance <= 1 + name.len() / 4 => {
            format!("; did you mean {other}?")
        }
        _ => String::new(),
    }
}

/// The number of letters to change, add or remove.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<_> = left.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (index, other) in right.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (position, letter) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(*letter != other);
            diagonal = row[position + 1];
            row[position + 1] = replaced.min(diagonal + 1).min(row[position] + 1);
        }
    }
    row[left.len()]
}

/// Values that a statement binds, each with its place in the text.
#[derive(Debug, Default)]
pub struct Bound {
    /// The values, in the order of their numbers.
    pub values: Vec<Sql>,
    aliases: usize,
}

impl Bound {
    /// Keeps a value and returns the text that stands for it.
    pub fn bind(&mut self, value: Sql) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    /// A name for a table that no other part of the statement uses.
    pub fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }
}
