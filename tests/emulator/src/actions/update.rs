//! `update`: new values of an entity.

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value, json};

use crate::actions::Reply;
use crate::database::model::{Storage, Type};
use crate::error::{Fault, Result};
use crate::rules::assign::{Assigned, Echo, assign};
use crate::rules::batch::key;
use crate::rules::echo::Pending;
use crate::rules::record::{Record, key_of, plain};
use crate::rules::{Batch, collection, configuration, custom, effects};

pub(super) fn run(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let data = &operation["entity_data"];
    let members = data
        .as_object()
        .ok_or_else(|| Fault::request("An update lacks its entity_data"))?;
    let declared = batch.type_of(operation)?;
    let key = key(declared, &operation["entity_key"], data)?
        .ok_or_else(|| Fault::request("An update lacks its entity_key"))?;
    let name = batch.model.table(declared).name.as_str();
    if batch.model.table(declared).is_view || name == "custom_attribute_value" {
        return custom_value(batch, declared, &key, members);
    }
    let Some((ty, before)) = batch.find(declared, &key)? else {
        let key: Vec<_> = key.iter().map(plain).collect();
        return Err(Fault::validation(format!(
            "There is no {} {} to update",
            declared.name,
            key.join(", ")
        )));
    };
    let ty = &batch.model.types[ty.id];
    let mut assigned = assign(batch.model, ty, members)?;
    refuse_immutable(ty, &before, &assigned)?;
    if name == "custom_configuration" {
        configuration::check_change(ty, &before, &assigned.record)?;
    }
    batch.change(ty, &before, &assigned.record)?;
    batch.touch(ty, &before, assigned.record.keys().cloned(), false);
    effects::changed(batch, ty, &before, &assigned.record)?;
    for (position, members) in std::mem::take(&mut assigned.collections) {
        let references = collection::set(batch, ty, &before, position, &members)?;
        assigned.echo.push((
            ty.attributes[position].name().to_owned(),
            Echo::References(references),
        ));
    }
    let pending = Pending {
        key: key_of(ty, &before),
        echo: assigned.echo,
        is_new: false,
    };
    Ok(Reply::Row("update", ty.id, pending))
}

fn refuse_immutable(ty: &Type, before: &Record, assigned: &Assigned) -> Result<()> {
    for attr in ty.attributes.iter().filter(|attr| attr.is_immutable) {
        if let Storage::Column(column) = &attr.storage
            && let Some(value) = assigned.record.get(column)
            && before.get(column) != Some(value)
        {
            return Err(Fault::validation(format!(
                "{}.{} cannot be changed",
                ty.name,
                attr.name()
            )));
        }
    }
    Ok(())
}

/// Values of custom attributes are stored on the first update; their rows always exist.
fn custom_value(
    batch: &mut Batch<'_>,
    declared: &Type,
    key: &[Sql],
    members: &Map<String, Value>,
) -> Result<Reply> {
    let ty = dense(batch, declared, key)?;
    let mut data = json!({
        "__entity_type__": declared.name,
        "configuration_id": plain(&key[0]),
        "entity_id": plain(&key[1]),
    });
    if let Some(value) = members.get("value") {
        custom::store(batch, ty, key, value)?;
        data["value"] = value.clone();
    }
    Ok(Reply::Done(json!({"action": "update", "data": data})))
}

/// The dense type of a stored value: the one whose entities include this one.
fn dense<'b>(batch: &Batch<'b>, declared: &'b Type, key: &[Sql]) -> Result<&'b Type> {
    let model = batch.model;
    if model.table(declared).is_view {
        return Ok(declared);
    }
    for ty in model.types.iter().filter(|ty| model.table(ty).is_view) {
        let sql = format!(
            "SELECT 1 FROM \"{}\" WHERE configuration_id = ?1 AND entity_id = ?2",
            model.table(ty).name
        );
        if batch
            .connection
            .prepare_cached(&sql)?
            .exists([&key[0], &key[1]])?
        {
            return Ok(ty);
        }
    }
    Err(Fault::validation(format!(
        "The custom attribute configuration {} does not apply to {}",
        plain(&key[0]),
        plain(&key[1])
    )))
}
