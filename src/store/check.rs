//! What the schema says of values before they are kept: defaults, keys, kinds.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
use crate::value::{Data, EntityKey, Value};

/// The attributes that a new entity gets, in the order given, defaults last.
pub(super) fn with_defaults<'a>(
    schema: &Schema,
    entity_type: &'a EntityType,
    data: Data,
    new_id: &mut dyn FnMut() -> String,
) -> Result<Vec<(&'a Attribute, Value)>> {
    let mut all: Vec<(&Attribute, Value)> = Vec::with_capacity(data.len() + 4);
    for (name, value) in data {
        let attribute = schema.attribute_of(entity_type, &name)?;
        match all.iter_mut().find(|(have, _)| have.id() == attribute.id()) {
            Some((_, have)) => *have = value,
            None => all.push((attribute, value)),
        }
    }
    for attribute in entity_type.attributes() {
        let default = match attribute.default() {
            AttributeDefault::None => continue,
            _ if all.iter().any(|(have, _)| have.id() == attribute.id()) => continue,
            AttributeDefault::Uuid => Value::Text(new_id()),
            AttributeDefault::Value(value) => value.clone(),
        };
        all.push((attribute, default));
    }
    Ok(all)
}

/// The key of a new entity; where a part is not given, the reference it belongs to is.
pub(super) fn key_from(
    entity_type: &EntityType,
    data: &[(&Attribute, Value)],
) -> Result<EntityKey> {
    let given = |name: &str| data.iter().find(|(have, _)| have.name() == name);
    let mut parts = Vec::new();
    for name in entity_type.primary_key() {
        let reference = name.strip_suffix("_id").and_then(given);
        let part = match (given(name), reference) {
            (Some((_, Value::Text(text))), _) => text.clone(),
            (Some((_, Value::Integer(number))), _) => number.to_string(),
            (Some((_, Value::Reference(key))), _) | (None, Some((_, Value::Reference(key)))) => {
                key.id()
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::Validation,
                    format!(
                        "a new {} needs {name:?}; it is identified by {}",
                        entity_type.name(),
                        entity_type.primary_key().join(", "),
                    ),
                ));
            }
        };
        parts.push(part);
    }
    Ok(EntityKey::composite(entity_type.name(), parts))
}

/// The value as the attribute takes it.
pub(super) fn check(
    schema: &Schema,
    entity: &EntityKey,
    attribute: &Attribute,
    value: Value,
) -> Result<Value> {
    let (wanted, fits) = match (attribute.kind(), value) {
        (_, Value::Null) => return Ok(Value::Null),
        (AttributeKind::Text, value @ Value::Text(_)) => return Ok(value),
        (AttributeKind::Text, Value::Json(json)) => return Ok(Value::Text(json.to_string())),
        (AttributeKind::Text, Value::Reference(key)) if attribute.name().ends_with("_id") => {
            return Ok(Value::Text(key.id()));
        }
        (AttributeKind::Bool, value @ Value::Bool(_))
        | (AttributeKind::Integer, value @ Value::Integer(_))
        | (AttributeKind::DateTime, value @ Value::DateTime(_)) => return Ok(value),
        (AttributeKind::Integer, Value::Number(value)) if value.fract() == 0.0 => {
            return Ok(Value::Integer(value as i64));
        }
        (AttributeKind::Number, value @ (Value::Integer(_) | Value::Number(_))) => {
            return Ok(value);
        }
        (AttributeKind::DateTime, Value::Date(date)) => {
            return Ok(Value::DateTime(date.at(0, 0, 0, 0)));
        }
        (AttributeKind::Variable, Value::Json(json)) => return Ok(scalar_of(json)),
        (AttributeKind::Variable, value) => return Ok(value),
        (AttributeKind::Reference(target), value) => (format!("a reference to {target}"), value),
        (AttributeKind::Collection(target) | AttributeKind::Mapped(target), value) => {
            (format!("a collection of {target}"), value)
        }
        (AttributeKind::Text, value) => ("a text".to_owned(), value),
        (AttributeKind::Bool, value) => ("a boolean".to_owned(), value),
        (AttributeKind::Integer, value) => ("an integer".to_owned(), value),
        (AttributeKind::Number, value) => ("a number".to_owned(), value),
        (AttributeKind::DateTime, value) => ("a date-time".to_owned(), value),
    };
    let target = attribute.target().unwrap_or_default();
    let is_one = |key: &EntityKey| {
        schema.is_kind_of(key.entity_type(), target) || schema.is_kind_of(target, key.entity_type())
    };
    let fits = match (attribute.kind(), fits) {
        (AttributeKind::Reference(_), Value::Reference(key)) if is_one(&key) => {
            return Ok(Value::Reference(key));
        }
        (AttributeKind::Collection(_) | AttributeKind::Mapped(_), Value::Collection(keys))
            if keys.iter().all(is_one) =>
        {
            return Ok(Value::Collection(keys));
        }
        (_, value) => value,
    };
    Err(Error::new(
        ErrorKind::WrongType,
        format!(
            "{} of {entity} takes {wanted}, not {} ({fits})",
            attribute.name(),
            fits.kind_name(),
        ),
    ))
}

/// JSON scalars given to a variable attribute are the scalars themselves.
fn scalar_of(json: Arc<serde_json::Value>) -> Value {
    match &*json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) => Value::Number(float),
            (None, None) => Value::Json(json),
        },
        _ => Value::Json(json),
    }
}
