//! `create`: a new entity.

use rusqlite::types::Value as Sql;
use serde_json::Value;
use uuid::Uuid;

use crate::actions::Reply;
use crate::database::model::{Model, Type};
use crate::error::{Fault, Result};
use crate::rules::assign::{Assigned, Echo, assign};
use crate::rules::batch::key;
use crate::rules::echo::Pending;
use crate::rules::record::{Record, is_missing, key_of, plain};
use crate::rules::{Batch, collection, defaults, effects};
use crate::schema::Kind;

pub(super) fn run(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let data = &operation["entity_data"];
    let members = data
        .as_object()
        .ok_or_else(|| Fault::request("A create lacks its entity_data"))?;
    let ty = concrete(batch.model, batch.type_of(operation)?, data)?;
    let mut assigned = assign(batch.model, ty, members)?;
    name(batch, ty, operation, data, &mut assigned.record)?;
    if batch.model.table(ty).name == "asset_version" && data["version"] == 0 {
        // The number zero means "the next one"; the text "0" is version zero.
        assigned.record.remove("version");
    }
    defaults::complete(batch, ty, &mut assigned.record)?;
    insert(batch, ty, &mut assigned)?;
    let pending = Pending {
        key: key_of(ty, &assigned.record),
        echo: assigned.echo,
        is_new: true,
    };
    Ok(Reply::Row("create", ty.id, pending))
}

fn insert(batch: &mut Batch<'_>, ty: &Type, assigned: &mut Assigned) -> Result<()> {
    let key = key_of(ty, &assigned.record);
    if batch.find(ty, &key)?.is_some() {
        let key: Vec<_> = key.iter().map(plain).collect();
        return Err(Fault::integrity(format!(
            "IntegrityError: a {} with this key exists already: {}",
            ty.name,
            key.join(", ")
        )));
    }
    batch.insert(ty, &assigned.record)?;
    batch.touch(ty, &assigned.record, assigned.record.keys().cloned(), true);
    effects::inserted(batch, ty, &assigned.record)?;
    for (position, members) in std::mem::take(&mut assigned.collections) {
        let references = collection::set(batch, ty, &assigned.record, position, &members)?;
        assigned.echo.push((
            ty.attributes[position].name().to_owned(),
            Echo::References(references),
        ));
    }
    Ok(())
}

/// Completes the key: from `entity_key`, or made here.
fn name(
    batch: &Batch<'_>,
    ty: &Type,
    operation: &Value,
    data: &Value,
    record: &mut Record,
) -> Result<()> {
    let given = &operation["entity_key"];
    if ty.key.iter().any(|name| is_missing(record, name))
        && !given.is_null()
        && let Some(values) = key(ty, given, data)?
    {
        for (name, value) in ty.key.iter().zip(values) {
            record.entry(name.clone()).or_insert(value);
        }
    }
    for name in &ty.key {
        if !is_missing(record, name) {
            continue;
        }
        let attr = ty.get(name);
        let is_number = attr.is_some_and(|attr| attr.schema.kind == Kind::Integer);
        let default = attr
            .and_then(|attr| attr.schema.default.as_ref())
            .filter(|value| *value != "{uid}");
        let value = match default.and_then(Value::as_str) {
            Some(text) => Sql::Text(text.to_owned()),
            None if is_number => next_number(batch, ty, name)?,
            None if name == "id" => Sql::Text(Uuid::new_v4().to_string()),
            None => {
                return Err(Fault::validation(format!(
                    "{} needs a value for {name}",
                    ty.name
                )));
            }
        };
        record.insert(name.clone(), value);
    }
    Ok(())
}

fn next_number(batch: &Batch<'_>, ty: &Type, column: &str) -> Result<Sql> {
    let sql = format!(
        "SELECT COALESCE(MAX(\"{column}\"), 0) + 1 FROM \"{}\"",
        batch.model.table(ty).name
    );
    Ok(batch.connection.query_row(&sql, [], |row| row.get(0))?)
}

/// Types that only collect others cannot be created, unless the data says which one is meant. A
/// plain `Component` stays one.
fn concrete<'m>(model: &'m Model, ty: &'m Type, data: &Value) -> Result<&'m Type> {
    if model.table(ty).is_view {
        return Err(Fault::validation(format!(
            "Rows of {} always exist: update one by its configuration and entity",
            ty.name
        )));
    }
    let is_creatable = ty.discriminator.is_none()
        || ty.kinds.len() == 1
        || matches!(
            ty.name.as_str(),
            "Component"
                | "ContainerComponent"
                | "NoteComponent"
                | "CustomAttributeLink"
                | "CustomAttributeLinkFrom"
        );
    if is_creatable {
        return Ok(ty);
    }
    let by_default = |column: &str, value: &Value| {
        model.covered(ty).find(|other| {
            other
                .get(column)
                .and_then(|attr| attr.schema.default.as_ref())
                .is_some_and(|default| default == value)
        })
    };
    let found = match ty.name.as_str() {
        "TypedContext" | "Context" => by_default("object_type_id", &data["object_type_id"]),
        "List" if data["system_type"] == "assetversion" => model.find("AssetVersionList"),
        "List" => model.find("TypedContextList"),
        _ => None,
    };
    found.ok_or_else(|| {
        let names: Vec<_> = model.covered(ty).map(|ty| ty.name.as_str()).collect();
        Fault::validation(format!(
            "{} is not created itself: use one of {}",
            ty.name,
            names.join(", ")
        ))
    })
}
