//! Values of custom attributes: stored on the first write, checked by their configuration's type.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use crate::changes::{Action, AttributeChange, Change};
use crate::database::dense::carrier_table;
use crate::database::model::{Table, Type};
use crate::database::value;
use crate::error::{Fault, Result};
use crate::events::update::custom_value;
use crate::rules::record::plain;
use crate::rules::{Batch, configuration};
use crate::select::plan::custom;

/// Stores the value of `[configuration_id, entity_id]`.
///
/// # Errors
///
/// If the configuration does not apply to the entity or the value is of another type.
pub fn store(batch: &mut Batch<'_>, ty: &Type, key: &[Sql], sent: &Value) -> Result<()> {
    let Applicable {
        name,
        kind,
        config,
        value: old,
    } = applicable(batch, ty, key)?;
    check_roles(batch, &name, &key[0])?;
    check(&name, &kind, sent)?;
    check_options(&name, &kind, &config, sent)?;
    let new = value::variable(sent);
    let sql = "INSERT INTO custom_attribute_value (configuration_id, entity_id, value) \
               VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
    batch
        .connection
        .prepare_cached(sql)?
        .execute(params![key[0], key[1], new])?;
    note(
        batch,
        ty,
        &key[1],
        AttributeChange {
            column: name.clone(),
            name,
            old: custom_value(&custom(&kind, (&old).into())),
            new: custom_value(&custom(&kind, (&new).into())),
        },
    )
}

/// Forgets the stored value, so that the default shows again.
///
/// # Errors
///
/// Those of the database.
pub fn forget(batch: &Batch<'_>, key: &[Sql]) -> Result<()> {
    let sql = "DELETE FROM custom_attribute_value WHERE configuration_id = ?1 AND entity_id = ?2";
    batch
        .connection
        .prepare_cached(sql)?
        .execute(params![key[0], key[1]])?;
    Ok(())
}

/// What is known of an attribute of an entity.
struct Applicable {
    name: String,
    kind: String,
    config: String,
    /// The value so far.
    value: Sql,
}

fn applicable(batch: &Batch<'_>, ty: &Type, key: &[Sql]) -> Result<Applicable> {
    let view = &batch.model.table(ty).name;
    let sql = format!(
        "SELECT d.key, COALESCE(t.name, 'text'), d.value, COALESCE(c.config, '') FROM \"{view}\" d \
         JOIN custom_configuration c ON c.id = d.configuration_id \
         LEFT JOIN custom_attribute_type t ON t.id = c.type_id \
         WHERE d.configuration_id = ?1 AND d.entity_id = ?2"
    );
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Applicable {
            name: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
            kind: row.get(1)?,
            value: row.get(2)?,
            config: row.get(3)?,
        })
    };
    let found = batch
        .connection
        .prepare_cached(&sql)?
        .query_row(params![key[0], key[1]], read)
        .optional()?;
    found.ok_or_else(|| {
        Fault::validation(format!(
            "The custom attribute configuration {} does not apply to the {} {}",
            plain(&key[0]),
            carrier_table(view).unwrap_or("entity"),
            plain(&key[1])
        ))
    })
}

/// A configuration without roles restricts nobody [?].
fn check_roles(batch: &Batch<'_>, name: &str, configuration: &Sql) -> Result<()> {
    let sql = "SELECT 1 FROM configuration_write_role w WHERE w.configuration_id = ?1 \
               AND NOT EXISTS (SELECT 1 FROM configuration_write_role mine \
               JOIN user_security_role u ON u.security_role_id = mine.security_role_id \
               WHERE mine.configuration_id = ?1 AND u.user_id = ?2)";
    let has_roles = |table: &Table| table.name == "configuration_write_role";
    if !batch.model.tables.iter().any(has_roles) {
        return Ok(());
    }
    let user = Sql::Text(batch.caller.user.id.clone());
    match batch
        .connection
        .prepare_cached(sql)?
        .exists([configuration, &user])?
    {
        false => Ok(()),
        true => Err(Fault::permission(format!(
            "None of your security roles may change the custom attribute \"{name}\""
        ))),
    }
}

fn check(name: &str, kind: &str, sent: &Value) -> Result<()> {
    let is_texts = |value: &Value| {
        value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_string))
    };
    let fits = sent.is_null()
        || match kind {
            "number" => sent.is_number(),
            "boolean" => sent.is_boolean(),
            "date" => value::instant_text(sent).and_then(value::instant).is_some(),
            "enumerator" | "dynamic enumerator" => sent.is_string() || is_texts(sent),
            _ => sent.is_string(),
        };
    if fits {
        return Ok(());
    }
    let given = match sent {
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "list",
        _ => "object",
    };
    let shown = sent.as_str().map_or_else(
        || value::describe(sent),
        |text| format!("\"{}\"", value::excerpt(text)),
    );
    Err(Fault::validation(format!(
        "Custom attribute value for \"{name}\" must be of type {kind}. Got {shown} of type {given}."
    )))
}

/// A menu has no other values than its entries, and a whole number no fraction.
fn check_options(name: &str, kind: &str, config: &str, sent: &Value) -> Result<()> {
    let is_fraction = |number: f64| number.fract() != 0.0;
    if kind == "number" && sent.as_f64().is_some_and(is_fraction) && configuration::is_whole(config)
    {
        return Err(Fault::validation(format!(
            "Custom attribute value for \"{name}\" must be a whole number, not {sent}"
        )));
    }
    let Some(options) = configuration::options(config).filter(|_| kind == "enumerator") else {
        return Ok(());
    };
    let chosen = match sent {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => Vec::from_iter(one.as_str().filter(|text| !text.is_empty())),
    };
    match chosen
        .iter()
        .find(|value| !options.iter().any(|it| it == *value))
    {
        None => Ok(()),
        Some(unknown) => Err(Fault::validation(format!(
            "Custom attribute value for \"{name}\" must be of {}, not \"{}\"",
            options.join(", "),
            value::excerpt(unknown)
        ))),
    }
}

/// The entity that carries the value has changed.
fn note(batch: &mut Batch<'_>, ty: &Type, entity: &Sql, attribute: AttributeChange) -> Result<()> {
    if batch.changes.is_none() || attribute.old == attribute.new {
        return Ok(());
    }
    let model = batch.model;
    let table = carrier_table(&model.table(ty).name);
    // The first type of a family is as good as any: the row names the concrete one.
    let carrier = model
        .types
        .iter()
        .find(|ty| Some(model.table(ty).name.as_str()) == table);
    let Some(carrier) = carrier else {
        return Ok(());
    };
    let Some((concrete, record)) = batch.find(carrier, std::slice::from_ref(entity))? else {
        return Ok(());
    };
    let change = Change {
        action: Action::Update,
        entity_type: concrete.name.clone(),
        key: vec![plain(entity)],
        attributes: vec![attribute],
        parents: batch.parents(concrete, &record)?,
    };
    if let Some(changes) = &mut batch.changes {
        changes.add(change);
    }
    Ok(())
}
