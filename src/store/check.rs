//! Checks of values against the schema before they are stored; defaults and keys of new entities.

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
use crate::value::{Data, EntityKey, Key, Text, Value, whole};

/// An attribute of a new entity.
pub(super) struct Given<'a> {
    pub(super) attribute: &'a Attribute,
    /// The attribute's name as the caller gave it.
    pub(super) name: String,
    pub(super) value: Value,
}

impl Given<'_> {
    fn is(&self, attribute: &Attribute) -> bool {
        self.attribute.id() == attribute.id()
    }
}

/// The attributes of a new entity in the given order, then defaults.
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

/// The key of a new entity. A part that is not given is that of the reference with its name.
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
                        "a new {} needs {name:?}: its key is {}",
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

/// The value, converted where the attribute allows it.
pub(super) fn check(
    schema: &Schema,
    entity: &EntityKey,
    attribute: &Attribute,
    value: Value,
) -> Result<Value> {
    use AttributeKind as Kind;

    if let Value::Json(json) = &value
        && let Some(scalar) = json.scalar()
    {
        return check(schema, entity, attribute, scalar);
    }
    let value = match (attribute.kind(), value) {
        (Kind::Text, Value::Json(json)) => Value::Text(json.to_string()),
        (Kind::Text, Value::Reference(key)) if attribute.name().ends_with("_id") => {
            Value::Text(key.id())
        }
        (Kind::Integer, Value::Number(number)) => {
            whole(number).map_or(Value::Number(number), Value::Integer)
        }
        (Kind::DateTime, Value::Date(date)) => Value::DateTime(date.at(0, 0, 0, 0)),
        (Kind::Collection(_) | Kind::Mapped(_), Value::Null) => Value::Collection(Vec::new()),
        (Kind::Variable, list @ Value::List(_)) => {
            Value::Json(serde_json::Value::from(list).into())
        }
        (_, value) => value,
    };
    let is_kind = |key: &EntityKey, target: &str| schema.are_related(key.entity_type(), target);
    let fits = match (attribute.kind(), &value) {
        (Kind::Number | Kind::Variable, Value::Number(number)) => number.is_finite(),
        // Years before 1 are none to the server and to other clients, which could not read the entity.
        (Kind::DateTime | Kind::Variable, Value::DateTime(time)) => time.year() > 0,
        (Kind::Variable, Value::Date(date)) => date.year() > 0,
        (_, Value::Null)
        | (Kind::Variable, _)
        | (Kind::Text, Value::Text(_))
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Integer | Kind::Number, Value::Integer(_)) => true,
        (Kind::Reference(target), Value::Reference(key)) => is_kind(key, target),
        (Kind::Collection(target) | Kind::Mapped(target), Value::Collection(keys)) => {
            keys.iter().all(|key| is_kind(key, target))
        }
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    let wanted = match attribute.kind() {
        Kind::Text => "a text".to_owned(),
        Kind::Bool => "a boolean".to_owned(),
        Kind::Integer => "an integer".to_owned(),
        Kind::Number if !matches!(value, Value::Number(_)) => "a number".to_owned(),
        Kind::DateTime | Kind::Variable if matches!(value, Value::DateTime(_) | Value::Date(_)) => {
            "years from 1 on".to_owned()
        }
        Kind::Number | Kind::Variable => "a finite number".to_owned(),
        Kind::DateTime => "a date-time such as `jiff::Timestamp`".to_owned(),
        Kind::Reference(target) => format!("a reference to {target}"),
        Kind::Collection(target) | Kind::Mapped(target) => format!("a collection of {target}"),
    };
    Err(Error::new(
        ErrorKind::WrongType,
        format!(
            "{} of {entity} takes {wanted}, not {} ({}){}",
            attribute.name(),
            value.kind_name(),
            value.quoted(),
            attribute.pairs_hint(),
        ),
    ))
}
