//! What the schema says of values before they are kept: defaults, keys, kinds.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
use crate::value::{Data, EntityKey, Key, Text, Value};

/// An attribute that a new entity gets.
pub(super) struct Given<'a> {
    pub(super) attribute: &'a Attribute,
    /// The attribute's name, as it was given.
    pub(super) name: String,
    pub(super) value: Value,
}

impl Given<'_> {
    fn is(&self, attribute: &Attribute) -> bool {
        self.attribute.id() == attribute.id()
    }
}

/// The attributes that a new entity gets, in the order given, defaults last.
pub(super) fn with_defaults<'a>(
    schema: &Schema,
    entity_type: &'a EntityType,
    data: Data,
    new_id: &mut dyn FnMut() -> String,
) -> Result<Vec<Given<'a>>> {
    let mut all: Vec<Given<'_>> = Vec::with_capacity(data.len() + 4);
    for (name, value) in data {
        let attribute = schema.attribute_of(entity_type, &name)?;
        match all.iter_mut().find(|have| have.is(attribute)) {
            Some(have) => have.value = value,
            None => all.push(Given {
                attribute,
                name,
                value,
            }),
        }
    }
    for attribute in entity_type.attributes() {
        let value = match attribute.default() {
            AttributeDefault::None => continue,
            _ if all.iter().any(|have| have.is(attribute)) => continue,
            AttributeDefault::Uuid => Value::Text(new_id()),
            AttributeDefault::Value(value) => value.clone(),
        };
        all.push(Given {
            attribute,
            name: attribute.name().to_owned(),
            value,
        });
    }
    Ok(all)
}

/// The key of a new entity; where a part is not given, the reference it belongs to is.
pub(super) fn key_from(entity_type: &EntityType, data: &[Given<'_>]) -> Result<EntityKey> {
    let given = |name: &str| {
        let found = data.iter().find(|have| have.name == name);
        found.map(|have| &have.value)
    };
    let mut parts = Vec::new();
    for name in entity_type.primary_key() {
        let reference = name.strip_suffix("_id").and_then(given);
        let part = match (given(name), reference) {
            (Some(Value::Text(text)), _) => Text::new(text),
            (Some(Value::Integer(number)), _) => Text::new(&number.to_string()),
            (Some(Value::Reference(key)), _) | (None, Some(Value::Reference(key))) => {
                Text::new(&key.id())
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
    Ok(EntityKey::from_key(
        entity_type.name(),
        Key::from_parts(parts),
    ))
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
