//! Reading the rows of a page and of the relations that were selected with it.

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

/// The rows of one node.
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
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// The concrete type.
    pub ty: TypeId,
    /// The key's values, joined.
    pub key: String,
    /// The values, at the positions of [`Fetched::columns`].
    pub values: Vec<Value>,
}

/// The rows of one relation and whose they are.
#[derive(Debug)]
pub struct Related {
    /// The rows.
    pub fetched: Fetched,
    /// Positions of rows by the key of their owner; for a reference, of the first only.
    pub owned: HashMap<String, Vec<usize>>,
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
    let key_of = |row: &Row| {
        let parts: Vec<_> = positions
            .iter()
            .map(|&position| row.values[position].clone())
            .collect();
        (!parts.iter().any(Value::is_null)).then_some(parts)
    };
    let mut wanted = BTreeSet::new();
    let mut keys = Vec::new();
    for parts in owners.rows.iter().filter_map(key_of) {
        if wanted.insert(joined(&parts)) {
            keys.push(if parts.len() == 1 {
                parts[0].clone()
            } else {
                Value::Array(parts)
            });
        }
    }
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
        .map(|(index, row)| (row.key.to_lowercase(), index))
        .collect();
    let mut owned = HashMap::new();
    for owner in &owners.rows {
        let found = key_of(owner).and_then(|parts| by_key.get(&joined(&parts).to_lowercase()));
        if let Some(&index) = found {
            owned.insert(owner.key.clone(), vec![index]);
        }
    }
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
            "SELECT {list}, l.\"{own}\" FROM \"{link}\" l JOIN \"{table}\" {row} \
             ON {row}.id = l.\"{other}\" WHERE l.\"{own}\" IN {ids}{scope} ORDER BY {order}"
        ),
        Via::Ancestors => format!(
            "WITH RECURSIVE up(owner, id, depth) AS (SELECT id, parent_id, 1 FROM context \
             WHERE id IN {ids} UNION ALL SELECT up.owner, c.parent_id, up.depth + 1 FROM up \
             JOIN context c ON c.id = up.id WHERE up.depth < 200) SELECT {list}, up.owner FROM up \
             JOIN \"{table}\" {row} ON {row}.id = up.id WHERE 1{scope} ORDER BY up.depth DESC"
        ),
        Via::Descendants => format!(
            "WITH RECURSIVE down(owner, id) AS (SELECT parent_id, id FROM context \
             WHERE parent_id IN {ids} UNION SELECT down.owner, c.id FROM down \
             JOIN context c ON c.parent_id = down.id) SELECT {list}, down.owner FROM down \
             JOIN \"{table}\" {row} ON {row}.id = down.id WHERE 1{scope} ORDER BY {order}"
        ),
    };
    let keys: BTreeSet<_> = owners.rows.iter().map(|row| row.key.as_str()).collect();
    let keys = Sql::Text(json!(keys).to_string());
    let (fetched, owners_of) = plan.read(reader, node, &sql, vec![keys], true)?;
    let mut owned: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, owner) in owners_of.into_iter().enumerate() {
        owned.entry(owner).or_default().push(index);
    }
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
        let mut statement = reader.connection.prepare_cached(sql)?;
        let mut found = statement.query(params_from_iter(bound))?;
        let (mut rows, mut owners) = (Vec::new(), Vec::new());
        while let Some(row) = found.next()? {
            rows.push(self.row(reader, row, &types)?);
            if is_owned {
                owners.push(row.get(self.columns.len())?);
            }
        }
        let columns = self
            .columns
            .into_iter()
            .enumerate()
            .map(|(i, (name, ..))| (name, i))
            .collect();
        Ok((
            Fetched {
                node,
                columns,
                rows,
                relations: HashMap::new(),
            },
            owners,
        ))
    }

    fn row(
        &self,
        reader: Reader<'_>,
        row: &SqlRow<'_>,
        types: &HashMap<String, String>,
    ) -> Result<Row> {
        let mut values = Vec::with_capacity(self.columns.len());
        let configuration = self
            .columns
            .iter()
            .position(|(name, ..)| name == CONFIGURATION);
        for (index, (_, _, reading)) in self.columns.iter().enumerate() {
            let value = row.get_ref(index)?;
            values.push(match reading {
                Reading::Plain(kind) => value::to_json(kind, value),
                Reading::Address(computed) => address(reader.url, *computed, value),
                Reading::Custom => {
                    let id: Option<String> = configuration
                        .map(|index| row.get(index))
                        .transpose()?
                        .flatten();
                    let kind = id
                        .and_then(|id| types.get(&id))
                        .map_or("text", String::as_str);
                    custom(kind, value)
                }
            });
        }
        let parts: Vec<_> = self
            .key
            .iter()
            .map(|&index| values[index].clone())
            .collect();
        let concrete = self
            .discriminator
            .and_then(|index| reader.model.find(values[index].as_str()?));
        Ok(Row {
            ty: concrete.map_or(self.ty, |ty| ty.id),
            key: joined(&parts),
            values,
        })
    }
}

const CONFIGURATION: &str = "_configuration";

/// The column of a reference's key, which nobody asked for.
pub fn own_column(relation: &str, index: usize) -> String {
    format!("{relation}>{index}")
}

/// The text of a key of one or several values.
pub fn joined(parts: &[Value]) -> String {
    let text = |part: &Value| {
        part.as_str()
            .map_or_else(|| part.to_string(), str::to_owned)
    };
    parts.iter().map(text).collect::<Vec<_>>().join(SEPARATOR)
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
