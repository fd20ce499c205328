//! The columns that one node of a query needs, and how their values are read.

use std::collections::HashMap;

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Row as SqlRow, params_from_iter};
use serde_json::{Value, json};

use crate::database::model::{Attr, Computed, Model, Storage, Type, TypeId};
use crate::database::value;
use crate::error::Result;
use crate::schema::Kind;
use crate::select::fetch::{Fetched, Row, SEPARATOR, own_column};
use crate::select::node::{Node, PERMISSIONS};
use crate::select::scalar::leaf;
use crate::select::{Reader, computed};

/// The columns that one node needs.
pub(super) struct Plan {
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
    /// A list of keys of statuses.
    Options,
}

impl Plan {
    pub(super) fn new(reader: Reader<'_>, node: &Node, row: &str) -> Result<Self> {
        let model = reader.model;
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
        if node.has_permissions {
            let sql = computed::allowed_statuses(&model.table(ty).name, row, Some(reader.user));
            plan.add(PERMISSIONS.to_owned(), sql, Reading::Options);
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

    pub(super) fn list(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|(_, sql, _)| sql.as_str())
            .collect();
        columns.join(", ")
    }

    /// Runs the statement. With `is_owned`, a further column holds the key of each row's owner.
    pub(super) fn read(
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
        let mut fetched = Fetched::new(node);
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
                // The key of an owner may be a number.
                owners.push(value::plain(&row.get(width)?));
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
                Reading::Options => {
                    let options = value.as_str_or_null().ok().flatten().unwrap_or("[]");
                    let text = format!(r#"{{"status_id":{{"__options":{options}}}}}"#);
                    fetched.text.push_str(&text);
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
        // Clients read the address of a picture without asking whether there is one.
        return match computed {
            Computed::ThumbnailUrl => {
                let address = format!("{url}/img/thumbnail2.png");
                json!({"url": address, "value": address})
            }
            _ => Value::Null,
        };
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
        // Several choices of a menu are kept as a list in JSON; a text may well look like one.
        ("enumerator" | "dynamic enumerator", ValueRef::Text(text))
            if text.first() == Some(&b'[') =>
        {
            serde_json::from_slice(text).unwrap_or_else(|_| value::to_json(&Kind::Text, value))
        }
        _ => value::to_json(&Kind::Variable, value),
    }
}
