//! Reading the rows of a page and of the relations that were selected with it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Row as SqlRow, params_from_iter};
use serde_json::{Value, json};

use crate::database::model::{
    Attr, Collection, Computed, Model, Reference, Storage, Type, TypeId, Via,
};
use crate::database::value;
use crate::error::Result;
use crate::language::tree::Statement;
use crate::schema::Kind;
use crate::select::condition::Compiler;
use crate::select::node::Node;
use crate::select::scalar::{leaf, scope};
use crate::select::{Reader, computed, link};

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
    text: String,
    spans: Vec<(usize, usize)>,
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
const SEPARATOR: &str = "\u{1f}";

/// Reads the rows of a page and one more.
///
/// # Errors
///
/// If an attribute does not exist or a value does not fit it.
pub fn page(reader: Reader<'_>, statement: &Statement, ty: &Type, node: Node) -> Result<Fetched> {
    let row = "t0";
    let mut compiler = Compiler::new(reader.model);
    let plan = Plan::new(reader.model, &node, row)?;
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

/// Reads whole rows by their keys: what a write answers with.
///
/// # Errors
///
/// Those of the database.
pub fn by_keys(reader: Reader<'_>, ty: &Type, node: Node, keys: Vec<Value>) -> Result<Fetched> {
    let row = "t0";
    let plan = Plan::new(reader.model, &node, row)?;
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
    let plan = Plan::new(reader.model, &node, row)?;
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
    let plan = Plan::new(reader.model, &node, row)?;
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
        Via::Ancestors => format!(
            "WITH RECURSIVE up(owner, id, depth) AS (SELECT id, parent_id, 1 FROM context \
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

/// The columns that one node needs.
struct Plan {
    columns: Vec<(String, String, Reading)>,
    key: Vec<usize>,
    discriminator: Option<usize>,
    ty: TypeId,
}

/// How a column's value is read.
enum Reading {
    Plain(Kind),
    /// The value depends on the configuration in the row's `configuration_id`.
    Custom,
    /// The id of a component, of which an address is made.
    Address(Computed),
}

impl Plan {
    fn new(model: &Model, node: &Node, row: &str) -> Result<Self> {
        let ty = &model.types[node.ty];
        let mut plan = Self {
            columns: Vec::new(),
            key: Vec::new(),
            discriminator: None,
            ty: ty.id,
        };
        for key in &ty.key {
            plan.key.push(plan.columns.len());
            plan.add(
                key.clone(),
                format!("{row}.\"{key}\""),
                Reading::Plain(Kind::Key),
            );
        }
        if let Some(discriminator) = ty.discriminator {
            plan.discriminator = Some(plan.columns.len());
            plan.add(
                discriminator.to_owned(),
                format!("{row}.\"{discriminator}\""),
                Reading::Plain(Kind::Key),
            );
        }
        for owner in std::iter::once(ty).chain(model.covered(ty)) {
            for &index in &owner.system {
                plan.attribute(model, owner, &owner.attributes[index], row)?;
            }
        }
        for name in &node.names {
            if let Some((owner, attr)) = model.attribute(ty, name) {
                plan.attribute(model, owner, attr, row)?;
            }
        }
        for name in node.relations.keys() {
            plan.reference(model, ty, name, row)?;
        }
        Ok(plan)
    }

    fn reference(&mut self, model: &Model, ty: &Type, name: &str, row: &str) -> Result<()> {
        let Some((_, attr)) = model.attribute(ty, name) else {
            return Ok(());
        };
        if let Storage::Reference(reference) = &attr.storage {
            for (index, own) in reference.own.iter().enumerate() {
                let sql = if reference.is_latest_version {
                    computed::latest_version(row)
                } else {
                    format!("{row}.\"{own}\"")
                };
                self.add(own_column(name, index), sql, Reading::Plain(Kind::Key));
            }
        }
        Ok(())
    }

    fn attribute(&mut self, model: &Model, owner: &Type, attr: &Attr, row: &str) -> Result<()> {
        let name = attr.name();
        if self.columns.iter().any(|(known, ..)| known == name) {
            return Ok(());
        }
        let (sql, reading) = match &attr.storage {
            Storage::Computed(Computed::Link) => ("NULL".to_owned(), Reading::Plain(Kind::Text)),
            Storage::Computed(computed @ (Computed::ThumbnailUrl | Computed::Url)) => {
                (component(model, owner, row), Reading::Address(*computed))
            }
            Storage::Column(_) if attr.schema.kind == Kind::Variable => {
                let configuration = if owner.get("configuration_id").is_some() {
                    "configuration_id"
                } else {
                    "id"
                };
                self.add(
                    CONFIGURATION.to_owned(),
                    format!("{row}.\"{configuration}\""),
                    Reading::Plain(Kind::Key),
                );
                (
                    leaf(owner, &attr.storage, &attr.schema.kind, row, name)?.sql,
                    Reading::Custom,
                )
            }
            storage => {
                let value = leaf(owner, storage, &attr.schema.kind, row, name)?;
                (value.sql, Reading::Plain(value.kind))
            }
        };
        self.add(name.to_owned(), sql, reading);
        Ok(())
    }

    fn add(&mut self, name: String, sql: String, reading: Reading) {
        if !self.columns.iter().any(|(known, ..)| *known == name) {
            self.columns.push((name, sql, reading));
        }
    }

    fn list(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|(_, sql, _)| sql.as_str())
            .collect();
        columns.join(", ")
    }

    /// Runs the statement. With `is_owned`, a further column holds the key of each row's owner.
    fn read(
        self,
        reader: Reader<'_>,
        node: Node,
        sql: &str,
        bound: Vec<Sql>,
        is_owned: bool,
    ) -> Result<(Fetched, Vec<String>)> {
        let is_custom = self
            .columns
            .iter()
            .any(|(.., reading)| matches!(reading, Reading::Custom));
        let types = if is_custom {
            configuration_types(reader)?
        } else {
            HashMap::new()
        };
        let width = self.columns.len();
        let custom = self
            .columns
            .iter()
            .position(|(name, ..)| name == CONFIGURATION);
        let mut cached;
        let mut fresh;
        let statement: &mut rusqlite::Statement<'_> = if sql.len() < LONGEST_CACHED {
            cached = reader.connection.prepare_cached(sql)?;
            &mut cached
        } else {
            fresh = reader.connection.prepare(sql)?;
            &mut fresh
        };
        let mut found = statement.query(params_from_iter(bound))?;
        let mut fetched = Fetched {
            node,
            columns: HashMap::new(),
            rows: Vec::new(),
            relations: HashMap::new(),
            text: String::new(),
            spans: Vec::new(),
        };
        let mut owners = Vec::new();
        while let Some(row) = found.next()? {
            let kind = match custom {
                Some(index) => types.get(
                    row.get_ref(index)?
                        .as_str_or_null()
                        .ok()
                        .flatten()
                        .unwrap_or_default(),
                ),
                None => None,
            };
            self.row(
                reader,
                row,
                kind.map_or("text", String::as_str),
                &mut fetched,
            )?;
            if is_owned {
                owners.push(row.get(width)?);
            }
        }
        fetched.columns = self
            .columns
            .into_iter()
            .enumerate()
            .map(|(i, (name, ..))| (name, i))
            .collect();
        Ok((fetched, owners))
    }

    fn row(
        &self,
        reader: Reader<'_>,
        row: &SqlRow<'_>,
        kind: &str,
        fetched: &mut Fetched,
    ) -> Result<()> {
        for (index, (_, _, reading)) in self.columns.iter().enumerate() {
            let value = row.get_ref(index)?;
            let start = fetched.text.len();
            match reading {
                Reading::Plain(kind) => value::write_json(kind, value, &mut fetched.text),
                Reading::Address(computed) => {
                    fetched
                        .text
                        .push_str(&address(reader.url, *computed, value).to_string());
                }
                Reading::Custom => fetched.text.push_str(&custom(kind, value).to_string()),
            }
            fetched.spans.push((start, fetched.text.len()));
        }
        let text = |index: usize| match row.get_ref(index) {
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            _ => String::new(),
        };
        let key = match self.key.as_slice() {
            [one] => text(*one),
            several => several
                .iter()
                .map(|&index| text(index))
                .collect::<Vec<_>>()
                .join(SEPARATOR),
        };
        let name = self
            .discriminator
            .map(|index| row.get_ref(index))
            .transpose()?;
        let name = name.and_then(|name| name.as_str_or_null().ok().flatten());
        let concrete = name.and_then(|name| reader.model.find(name));
        fetched.rows.push(Row {
            ty: concrete.map_or(self.ty, |ty| ty.id),
            key,
        });
        Ok(())
    }
}

const CONFIGURATION: &str = "_configuration";
/// Longer statements are hardly ever repeated and would fill the cache.
const LONGEST_CACHED: usize = 16 << 10;

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

/// The component whose picture or file an entity shows.
fn component(model: &Model, owner: &Type, row: &str) -> String {
    let table = model.table(owner);
    let names = ["thumbnail_id", "resource_identifier", "component_id"];
    let found = names.into_iter().find(|name| table.column(name).is_some());
    found.map_or_else(|| "NULL".to_owned(), |name| format!("{row}.\"{name}\""))
}

/// The shape of these objects is not specified: an address under both names that clients use [?].
fn address(url: &str, computed: Computed, id: ValueRef<'_>) -> Value {
    let Ok(Some(id)) = id.as_str_or_null() else {
        return Value::Null;
    };
    let verb = if computed == Computed::Url {
        "get"
    } else {
        "thumbnail"
    };
    let address = format!("{url}/component/{verb}?id={id}");
    json!({"url": address, "value": address})
}

/// The names of the types of all custom attribute configurations.
pub fn configuration_types(reader: Reader<'_>) -> Result<HashMap<String, String>> {
    let mut statement = reader.connection.prepare_cached(
        "SELECT c.id, t.name FROM custom_configuration c \
         JOIN custom_attribute_type t ON t.id = c.type_id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A custom attribute's value in the form of its type.
pub fn custom(kind: &str, value: ValueRef<'_>) -> Value {
    match (kind, value) {
        (_, ValueRef::Null) => Value::Null,
        ("boolean", ValueRef::Integer(number)) => Value::Bool(number != 0),
        // Numbers are kept without a fraction where they have none; an empty default is nothing.
        ("number", ValueRef::Text(_)) | ("date", ValueRef::Text(b"")) => Value::Null,
        ("date", ValueRef::Text(_)) => value::to_json(&Kind::DateTime, value),
        (_, ValueRef::Text(text)) if text.first() == Some(&b'[') => {
            serde_json::from_slice(text).unwrap_or_else(|_| value::to_json(&Kind::Text, value))
        }
        _ => value::to_json(&Kind::Variable, value),
    }
}
