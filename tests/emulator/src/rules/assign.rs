//! The data of an operation, taken apart: values for columns, and collections to set.

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value, json};

use crate::database::model::{Attr, Model, Reference, Storage, Type};
use crate::database::value::{self, describe};
use crate::error::{Fault, Result};
use crate::rules::batch::key;
use crate::rules::record::Record;
use crate::schema::Kind;
use crate::select::{find, unknown_attribute};

/// What an operation sets.
#[derive(Debug, Default)]
pub struct Assigned {
    /// Values by column.
    pub record: Record,
    /// The attributes that were named, with what the reply says about them.
    pub echo: Vec<(String, Echo)>,
    /// Collections and their new members.
    pub collections: Vec<(usize, Vec<Value>)>,
}

/// How the reply repeats an attribute.
#[derive(Clone, Debug)]
pub enum Echo {
    /// As stored.
    Stored,
    /// As sent: date-times keep their microseconds.
    Sent(Value),
    /// A reference to whatever row the columns point to now.
    Reference,
    /// References to these rows.
    References(Vec<Value>),
}

/// Takes the data of an operation apart.
///
/// # Errors
///
/// If it names an attribute that does not exist or cannot be set, or a value does not fit.
pub fn assign(model: &Model, ty: &Type, data: &Map<String, Value>) -> Result<Assigned> {
    let mut assigned = Assigned::default();
    for (name, value) in data.iter().filter(|(name, _)| !name.starts_with("__")) {
        let (owner, attr) = model
            .attribute(ty, name)
            .filter(|(owner, _)| owner.id == ty.id)
            .ok_or_else(|| unknown_attribute(model, ty, name))?;
        set(model, owner, attr, value, &mut assigned)?;
    }
    Ok(assigned)
}

fn set(
    model: &Model,
    ty: &Type,
    attr: &Attr,
    value: &Value,
    assigned: &mut Assigned,
) -> Result<()> {
    let subject = format!("{}.{}", ty.name, attr.name());
    let echo = match &attr.storage {
        Storage::Column(column) => {
            let stored = value::from_json(&subject, &attr.schema.kind, value)?;
            allowed(&subject, &attr.schema.options, &stored)?;
            let echo = match (&attr.schema.kind, value) {
                (Kind::DateTime, sent) if !sent.is_null() => Echo::Sent(wrapped(sent)),
                _ => Echo::Stored,
            };
            assigned.record.insert(column.clone(), stored);
            echo
        }
        Storage::Reference(reference) if !reference.is_latest_version => {
            for (column, stored) in refer(model, &subject, reference, value)? {
                assigned.record.insert(column, stored);
            }
            Echo::Reference
        }
        Storage::Collection(_) => {
            let members = value.as_array().cloned().ok_or_else(|| {
                Fault::validation(format!("{subject} must be a list, not {}", describe(value)))
            })?;
            let position = ty.position(attr.name()).unwrap_or_default();
            assigned.collections.push((position, members));
            return Ok(());
        }
        // What is calculated is not stored; clients that send it back unchanged do no harm.
        _ if value.is_null() => return Ok(()),
        _ => {
            return Err(Fault::validation(format!(
                "{subject} is calculated and cannot be set"
            )));
        }
    };
    assigned.echo.push((attr.name().to_owned(), echo));
    Ok(())
}

/// Some attributes have a list of values (`Job.status`).
fn allowed(subject: &str, options: &[String], stored: &Sql) -> Result<()> {
    match stored {
        Sql::Text(text) if !options.is_empty() && !options.contains(text) => {
            Err(Fault::validation(format!(
                "{subject} must be one of {}, not \"{}\"",
                options.join(", "),
                value::excerpt(text)
            )))
        }
        _ => Ok(()),
    }
}

/// The columns of a reference, from `{__entity_type__, key…}`, a bare id, or null.
fn refer(
    model: &Model,
    subject: &str,
    reference: &Reference,
    value: &Value,
) -> Result<Vec<(String, Sql)>> {
    if value.is_null() {
        return Ok(reference
            .own
            .iter()
            .map(|own| (own.clone(), Sql::Null))
            .collect());
    }
    let target = &model.types[reference.target];
    let given = referred(model, subject, target, value)?;
    Ok(reference.own.iter().cloned().zip(given).collect())
}

/// The key that a reference names.
///
/// # Errors
///
/// If it is no reference to an entity of the type.
pub fn referred(model: &Model, subject: &str, target: &Type, value: &Value) -> Result<Vec<Sql>> {
    let wrong = || {
        Fault::validation(format!(
            "{subject} must be a reference to a {}, not {}",
            target.name,
            describe(value)
        ))
    };
    if let Some(name) = value["__entity_type__"].as_str() {
        let named = find(model, name)?;
        if named.table != target.table {
            return Err(Fault::validation(format!(
                "{subject} must be a {}, not a {name}",
                target.name
            )));
        }
    } else if !value.is_string() {
        return Err(wrong());
    }
    key(target, value, &Value::Null)?.ok_or_else(wrong)
}

fn wrapped(sent: &Value) -> Value {
    if sent.is_object() {
        sent.clone()
    } else {
        json!({"__type__": "datetime", "value": sent})
    }
}
