//! Reading the rows of a page and of the relations that were selected with it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::database::model::{Collection, Reference, Storage, Type, TypeId, Via};
use crate::error::Result;
use crate::language::tree::Statement;
use crate::select::condition::Compiler;
use crate::select::node::Node;
use crate::select::plan::Plan;
use crate::select::scalar::scope;
use crate::select::{Reader, link};

/// The rows of one node. Values are kept as the JSON text that is sent: most are only copied.
#[derive(Debug)]
pub struct Fetched {
    /// What was selected.
    pub node: Node,
    /// The positions of attributes in the rows' values.
    pub columns: HashMap<String, usize>,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// The rows of the selected relations.
    pub relations: HashMap<String, Related>,
    pub(super) text: String,
    pub(super) spans: Vec<(usize, usize)>,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// The concrete type.
    pub ty: TypeId,
    /// The key's values, joined.
    pub key: String,
}

/// The rows of one relation and whose they are.
#[derive(Debug)]
pub struct Related {
    /// The rows.
    pub fetched: Fetched,
    /// Whose they are.
    pub owned: Owned,
}

/// Which rows of a relation belong to which owner.
#[derive(Debug)]
pub enum Owned {
    /// A reference: at most one row for each of the owners.
    One(Vec<Option<usize>>),
    /// A collection: rows by the key of their owner.
    Many(HashMap<String, Vec<usize>>),
}

impl Fetched {
    pub(super) fn new(node: Node) -> Self {
        Self {
            node,
            columns: HashMap::new(),
            rows: Vec::new(),
            relations: HashMap::new(),
            text: String::new(),
            spans: Vec::new(),
        }
    }

    /// The JSON text of a value.
    pub fn value(&self, row: usize, column: usize) -> &str {
        let (start, end) = self.spans[row * self.columns.len() + column];
        &self.text[start..end]
    }

    /// Replaces a value.
    pub fn set(&mut self, row: usize, column: usize, json: &str) {
        let start = self.text.len();
        self.text.push_str(json);
        self.spans[row * self.columns.len() + column] = (start, self.text.len());
    }
}

impl Related {
    /// The positions of the rows that belong to an owner.
    pub fn of(&self, owner: usize, key: &str) -> &[usize] {
        match &self.owned {
            Owned::One(rows) => rows.get(owner).map_or(&[], |row| row.as_slice()),
            Owned::Many(rows) => rows.get(key).map_or(&[], Vec::as_slice),
        }
    }
}

/// The separator of key values in [`Row::key`].
pub(super) const SEPARATOR: &str = "\u{1f}";

/// Reads the rows of a page and one more.
///
/// # Errors
///
/// If an attribute does not exist or a value does not fit it.
pub fn page(reader: Reader<'_>, statement: &Statement, ty: &Type, node: Node) -> Result<Fetched> {
    let row = "t0";
    let mut compiler = Compiler::new(reader.model);
    let plan = Plan::new(reader, &node, row)?;
    let filter = compiler.filter(statement, ty, row, None)?;
    let order = compiler.order(statement, ty, row)?;
    let limit = statement.limit.map_or(-1, |limit| {
        i64::try_from(limit.saturating_add(1)).unwrap_or(-1)
    });
    let limit = compiler.bound.bind(Sql::Integer(limit));
    let offset = i64::try_from(statement.offset).unwrap_or(i64::MAX);
    let offset = compiler.bound.bind(Sql::Integer(offset));
    let sql = format!(
        "SELECT {} FROM \"{}\" {row}{filter}{order} LIMIT {limit} OFFSET {offset}",
        plan.list(),
        reader.model.table(ty).name
    );
    let (fetched, _) = plan.read(reader, node, &sql, compiler.bound.values, false)?;
    Ok(fetched)
}

/// Reads the rows of all relations of the tree, one statement per relation.
///
/// # Errors
///
/// Those of the database.
pub fn relations(reader: Reader<'_>, fetched: &mut Fetched) -> Result<()> {
    link::fill(reader, fetched)?;
    for (name, child) in std::mem::take(&mut fetched.node.relations) {
        let ty = &reader.model.types[fetched.node.ty];
        let Some((_, attr)) = reader.model.attribute(ty, &name) else {
            continue;
        };
        let mut related = match &attr.storage {
            Storage::Reference(reference) => {
                self::reference(reader, fetched, reference, &name, child)?
            }
            Storage::Collection(collection) => {
                self::collection(reader, fetched, collection, child)?
            }
            _ => continue,
        };
        relations(reader, &mut related.fetched)?;
        fetched.relations.insert(name, related);
    }
    Ok(())
}

/// Reads whole rows by their keys: what the reply to a write shows.
///
/// # Errors
///
/// Those of the database.
pub fn by_keys(reader: Reader<'_>, ty: &Type, node: Node, keys: Vec<Value>) -> Result<Fetched> {
    let row = "t0";
    let plan = Plan::new(reader, &node, row)?;
    let list = plan.list();
    let sql = format!(
        "SELECT {list} FROM \"{}\" {row} WHERE {}",
        reader.model.table(ty).name,
        keyed(row, &ty.key)
    );
    let keys = Sql::Text(Value::Array(keys).to_string());
    Ok(plan.read(reader, node, &sql, vec![keys], false)?.0)
}

fn reference(
    reader: Reader<'_>,
    owners: &Fetched,
    reference: &Reference,
    name: &str,
    node: Node,
) -> Result<Related> {
    let row = "t0";
    let ty = &reader.model.types[node.ty];
    let positions: Vec<_> = (0..reference.own.len())
        .map(|i| owners.columns[&own_column(name, i)])
        .collect();
    let key_of = |owner: usize| {
        let parts = positions
            .iter()
            .map(|&position| plain(owners.value(owner, position)));
        let parts = parts.collect::<Option<Vec<_>>>()?;
        Some(folded(&parts.join(SEPARATOR)).into_owned())
    };
    let wanted: Vec<_> = (0..owners.rows.len()).map(key_of).collect();
    let distinct: BTreeSet<_> = wanted.iter().flatten().collect();
    let keys: Vec<_> = distinct.into_iter().map(|key| split(key)).collect();
    let plan = Plan::new(reader, &node, row)?;
    let scope = scope(ty, row).filter(|_| reference.is_narrowed);
    let scope = scope.map_or_else(String::new, |scope| format!(" AND {scope}"));
    let sql = format!(
        "SELECT {} FROM \"{}\" {row} WHERE {}{scope}",
        plan.list(),
        reader.model.table(ty).name,
        keyed(row, &reference.theirs)
    );
    let keys = Sql::Text(Value::Array(keys).to_string());
    let (fetched, _) = plan.read(reader, node, &sql, vec![keys], false)?;
    let by_key: HashMap<_, _> = fetched
        .rows
        .iter()
        .enumerate()
        .map(|(index, row)| (folded(&row.key), index))
        .collect();
    let find = |key: Option<String>| by_key.get(key?.as_str()).copied();
    let owned = Owned::One(wanted.into_iter().map(find).collect());
    drop(by_key);
    Ok(Related { fetched, owned })
}

fn collection(
    reader: Reader<'_>,
    owners: &Fetched,
    collection: &Collection,
    node: Node,
) -> Result<Related> {
    let row = "t0";
    let ty = &reader.model.types[node.ty];
    let table = &reader.model.table(ty).name;
    let plan = Plan::new(reader, &node, row)?;
    let list = plan.list();
    let ids = "(SELECT value FROM json_each(?1))";
    let mut scope = scope(ty, row).map_or_else(String::new, |scope| format!(" AND {scope}"));
    let order: Vec<_> = ty
        .key
        .iter()
        .map(|key| format!("{row}.\"{key}\""))
        .collect();
    let order = order.join(", ");
    let sql = match &collection.via {
        Via::Column(column, extra) => {
            if let Some(extra) = extra {
                scope.push_str(&format!(" AND {}", extra.replace("{}", row)));
            }
            format!(
                "SELECT {list}, {row}.\"{column}\" FROM \"{table}\" {row} \
                 WHERE {row}.\"{column}\" IN {ids}{scope} ORDER BY {order}"
            )
        }
        Via::Through {
            table: link,
            own,
            other,
            ..
        } => format!(
            "SELECT {list}, l.\"{own}\" FROM \"{link}\" l CROSS JOIN \"{table}\" {row} \
             ON {row}.id = l.\"{other}\" WHERE l.\"{own}\" IN {ids}{scope} ORDER BY {order}"
        ),
        Via::Ancestors(own, column) => format!(
            "WITH RECURSIVE up(owner, id, depth) AS (SELECT id, \"{column}\", 1 FROM \"{own}\" \
             WHERE id IN {ids} UNION ALL SELECT up.owner, c.parent_id, up.depth + 1 FROM up \
             CROSS JOIN context c ON c.id = up.id WHERE up.depth < 200) SELECT {list}, up.owner FROM up \
             CROSS JOIN \"{table}\" {row} ON {row}.id = up.id WHERE 1{scope} ORDER BY up.depth DESC"
        ),
        Via::Descendants => format!(
            "WITH RECURSIVE down(owner, id) AS (SELECT parent_id, id FROM context \
             WHERE parent_id IN {ids} UNION SELECT down.owner, c.id FROM down \
             CROSS JOIN context c ON c.parent_id = down.id) SELECT {list}, down.owner FROM down \
             CROSS JOIN \"{table}\" {row} ON {row}.id = down.id WHERE 1{scope} ORDER BY {order}"
        ),
    };
    let keys: BTreeSet<_> = owners.rows.iter().map(|row| row.key.as_str()).collect();
    let keys = Sql::Text(json!(keys).to_string());
    let (fetched, owners_of) = plan.read(reader, node, &sql, vec![keys], true)?;
    let mut owned: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, owner) in owners_of.into_iter().enumerate() {
        owned.entry(owner).or_default().push(index);
    }
    let owned = Owned::Many(owned);
    Ok(Related { fetched, owned })
}
/// The column of a reference's key, which nobody asked for.
pub fn own_column(relation: &str, index: usize) -> String {
    format!("{relation}>{index}")
}

/// The text of a key part; `None` for null.
fn plain(json: &str) -> Option<Cow<'_, str>> {
    if json == "null" {
        return None;
    }
    let Some(inner) = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Some(Cow::Borrowed(json));
    };
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// A key without regard to case.
fn folded(key: &str) -> Cow<'_, str> {
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(key.to_ascii_lowercase());
    }
    Cow::Borrowed(key)
}

/// A joined key as the database reads it: text, or a list of texts.
fn split(key: &str) -> Value {
    match key.split(SEPARATOR).collect::<Vec<_>>().as_slice() {
        [one] => Value::from(*one),
        several => Value::from(several),
    }
}

/// The condition that a row's key is in the bound list of keys.
fn keyed(row: &str, key: &[String]) -> String {
    if let [key] = key {
        return format!("{row}.\"{key}\" IN (SELECT value FROM json_each(?1))");
    }
    let columns: Vec<_> = key.iter().map(|key| format!("{row}.\"{key}\"")).collect();
    let parts: Vec<_> = (0..key.len())
        .map(|index| format!("value ->> {index}"))
        .collect();
    format!(
        "({}) IN (SELECT {} FROM json_each(?1))",
        columns.join(", "),
        parts.join(", ")
    )
}
