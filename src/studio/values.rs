//! Values in files and in raw rows: with their type, so that nothing is lost.

use serde_json::{Map, Value as Json, json};

use super::rows::Row;
use crate::schema::{AttributeKind, Schema};
use crate::{EntityKey, Result, Value};

pub(super) fn key_to_json(key: &EntityKey) -> Json {
    json!([key.entity_type(), key.parts().collect::<Vec<String>>()])
}

pub(super) fn key_from_json(json: &Json) -> Option<EntityKey> {
    let parts = json.get(1)?.as_array()?.iter().map(Json::as_str);
    let parts: Vec<&str> = parts.collect::<Option<_>>()?;
    (!parts.is_empty()).then_some(())?;
    Some(EntityKey::composite(json.get(0)?.as_str()?, parts))
}

pub(super) fn keys_to_json(keys: &[EntityKey]) -> Json {
    keys.iter().map(key_to_json).collect()
}

pub(super) fn keys_from_json(json: &Json) -> Option<Vec<EntityKey>> {
    json.as_array()?.iter().map(key_from_json).collect()
}

/// The key of a row.
pub(super) fn key_of(schema: &Schema, row: &Row) -> Option<EntityKey> {
    let entity_type = schema
        .entity_type(row.get("__entity_type__")?.as_str()?)
        .ok()?;
    let parts = entity_type
        .primary_key()
        .iter()
        .map(|name| row.get(name.as_str())?.as_str());
    let parts: Vec<&str> = parts.collect::<Option<_>>()?;
    Some(EntityKey::composite(entity_type.name(), parts))
}

/// A value with its type.
pub(super) fn to_json(value: &Value) -> Json {
    let (kind, inner) = match value {
        Value::Null => return json!({ "null": null }),
        Value::Bool(one) => ("bool", json!(one)),
        Value::Integer(one) => ("integer", json!(one)),
        // JSON has no room for all numbers.
        Value::Number(one) => ("number", json!(format!("{one:?}"))),
        Value::Text(one) => ("text", json!(one)),
        Value::DateTime(one) => ("datetime", json!(one.to_string())),
        Value::Date(one) => ("date", json!(one.to_string())),
        Value::Reference(key) => ("reference", key_to_json(key)),
        Value::Collection(keys) => ("collection", keys_to_json(keys)),
        Value::List(values) => ("list", values.iter().map(to_json).collect()),
        Value::Json(one) => ("json", one.parse().unwrap_or(Json::Null)),
    };
    Json::Object(Map::from_iter([(kind.to_owned(), inner)]))
}

pub(super) fn from_json(json: &Json) -> Option<Value> {
    let (kind, inner) = json.as_object()?.iter().next()?;
    let text = inner.as_str();
    Some(match kind.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(inner.as_bool()?),
        "integer" => Value::Integer(inner.as_i64()?),
        "number" => Value::Number(text?.parse().ok()?),
        "text" => Value::Text(text?.to_owned()),
        "datetime" => Value::DateTime(text?.parse().ok()?),
        "date" => Value::Date(text?.parse().ok()?),
        "reference" => Value::Reference(key_from_json(inner)?),
        "collection" => Value::Collection(keys_from_json(inner)?),
        "list" => Value::List(
            inner
                .as_array()?
                .iter()
                .map(from_json)
                .collect::<Option<_>>()?,
        ),
        "json" => Value::Json(inner.clone().into()),
        _ => return None,
    })
}

/// A value as the server sent it, in the type of its attribute.
pub(super) fn from_wire(
    schema: &Schema,
    key: &EntityKey,
    name: &str,
    json: &Json,
) -> Result<Value> {
    let attribute = schema.entity_type(key.entity_type())?.attribute(name)?;
    if let Some(text) = json
        .get("__type__")
        .and(json.get("value"))
        .and_then(Json::as_str)
    {
        let text = text.trim_end_matches('Z');
        let text = text.split_once('+').map_or(text, |(time, _)| time);
        let parsed = text.parse().map(Value::DateTime);
        return Ok(parsed
            .or_else(|_| text.parse().map(Value::Date))
            .unwrap_or(Value::from(text)));
    }
    Ok(match (attribute.kind(), json) {
        (_, Json::Null) => Value::Null,
        (AttributeKind::Reference(_), Json::Object(row)) => {
            key_of(schema, row).map_or(Value::Null, Value::Reference)
        }
        (AttributeKind::Collection(_) | AttributeKind::Mapped(_), Json::Array(rows)) => {
            let keys = rows
                .iter()
                .filter_map(|row| key_of(schema, row.as_object()?));
            Value::Collection(keys.collect())
        }
        (_, Json::Bool(one)) => Value::Bool(*one),
        (_, Json::Number(one)) => match one.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Number(one.as_f64().unwrap_or(f64::NAN)),
        },
        (_, Json::String(text)) => Value::from(text.as_str()),
        (_, other) => Value::Json(other.clone().into()),
    })
}

/// Whether two values are the same to the server: whole numbers may have a fraction of zero, references
/// a more general type or be given by the id, and date-times are stored in whole seconds.
pub(super) fn are_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Reference(one), Value::Reference(other)) => one.id() == other.id(),
        (Value::Reference(one), Value::Text(id)) | (Value::Text(id), Value::Reference(one)) => {
            one.id() == *id
        }
        (Value::Collection(one), Value::Collection(other)) => {
            let ids = |keys: &[EntityKey]| {
                let mut ids: Vec<String> = keys.iter().map(EntityKey::id).collect();
                ids.sort();
                ids
            };
            ids(one) == ids(other)
        }
        (Value::DateTime(one), Value::DateTime(other)) => {
            let whole =
                |time: &jiff::civil::DateTime| time.with().subsec_nanosecond(0).build().ok();
            whole(one) == whole(other)
        }
        (Value::Json(one), Value::Json(other)) => {
            let parsed = |json: &crate::entity::JsonText| json.parse::<Json>().ok();
            parsed(one) == parsed(other)
        }
        _ => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        },
    }
}
