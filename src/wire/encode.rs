//! Encodes payloads as the JSON of a request.

use serde_json::{Map, Value as Json, json};

use crate::error::{Error, ErrorKind, Result};
use crate::operation::{OperationKind, Payload};
use crate::schema::{EntityType, Schema};
use crate::value::{EntityKey, Value};

/// The body of the request that commits `payloads`.
///
/// # Errors
///
/// - [`ErrorKind::Validation`] if the key of a new entity, or of a reference, has fewer or more parts
///   than its type's primary key.
pub(crate) fn encode_commit(schema: &Schema, payloads: &[Payload<'_>]) -> Result<Vec<u8>> {
    // Most actions are longer than this, but few of them twice as long.
    let mut body = Vec::with_capacity(payloads.len() * 256 + 2);
    body.push(b'[');
    for (number, payload) in payloads.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        action(schema, payload, &mut body)?;
    }
    body.push(b']');
    Ok(body)
}

/// Writes the text of an action. A commit may have a hundred thousand, and building a tree of each
/// would cost more than the changes themselves.
fn action(schema: &Schema, payload: &Payload<'_>, body: &mut Vec<u8>) -> Result<()> {
    let entity = payload.entity;
    let entity_type = schema.entity_type(entity.entity_type())?;
    if payload.kind == OperationKind::Delete {
        write(body, &super::delete_action(entity));
        return Ok(());
    }
    let parts = entity.key().parts();
    body.extend_from_slice(b"{\"action\":");
    write(body, payload.kind.verb());
    body.extend_from_slice(b",\"entity_type\":");
    write(body, entity_type.name());
    body.extend_from_slice(b",\"entity_key\":[");
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        part.with(|part| write(body, part));
    }
    body.extend_from_slice(b"],\"entity_data\":{\"__entity_type__\":");
    write(body, entity_type.name());
    let names = entity_type.primary_key();
    if payload.kind == OperationKind::Create {
        check_key(entity_type, entity)?;
        for (name, part) in names.iter().zip(parts) {
            member(body, name);
            part.with(|part| write(body, part));
        }
    }
    for (attribute, value, _) in &payload.data {
        if payload.kind == OperationKind::Create && names.iter().any(|name| name == attribute) {
            continue;
        }
        member(body, attribute);
        match value {
            Value::Text(text) => write(body, text),
            Value::Json(text) => body.extend_from_slice(text.as_str().as_bytes()),
            value => write(
                body,
                &attribute_to_json(schema, entity_type, attribute, value)?,
            ),
        }
    }
    body.extend_from_slice(b"}}");
    Ok(())
}

/// Writes the name of a member after the first of its object.
fn member(body: &mut Vec<u8>, name: &str) {
    body.push(b',');
    write(body, name);
    body.push(b':');
}

fn write(body: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(body, value).expect("JSON values print, and memory takes all");
}

/// Version zero is sent as text, because servers treat the number as "not set".
fn attribute_to_json(
    schema: &Schema,
    entity_type: &EntityType,
    attribute: &str,
    value: &Value,
) -> Result<Json> {
    let is_zero = matches!(value, Value::Integer(0)) || *value == Value::Number(0.0);
    if is_zero && attribute == "version" && entity_type.name() == "AssetVersion" {
        return Ok("0".into());
    }
    value_to_json(schema, value)
}

/// The wire form of a value.
///
/// # Errors
///
/// - [`ErrorKind::Validation`] for numbers that JSON does not have.
/// - Any error of [`reference`].
pub(crate) fn value_to_json(schema: &Schema, value: &Value) -> Result<Json> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Number(value) => serde_json::Number::from_f64(*value)
            .map(Json::Number)
            .ok_or_else(|| Error::new(ErrorKind::Validation, format!("{value} cannot be sent")))?,
        Value::Text(text) => text.as_str().into(),
        Value::DateTime(value) => {
            json!({"__type__": "datetime", "value": value.to_string()})
        }
        Value::Date(value) => json!({"__type__": "date", "value": value.to_string()}),
        Value::Reference(key) => reference(schema, key)?.into(),
        Value::Collection(keys) => {
            let references = keys.iter().map(|key| Ok(reference(schema, key)?.into()));
            Json::Array(references.collect::<Result<_>>()?)
        }
        Value::List(values) => {
            let values = values.iter().map(|value| value_to_json(schema, value));
            Json::Array(values.collect::<Result<_>>()?)
        }
        Value::Json(text) => text.to_json(),
    })
}

/// `{"__entity_type__": …, <key attributes>}`.
///
/// # Errors
///
/// - [`ErrorKind::UnknownType`] for a type that the server does not have, and
///   [`ErrorKind::Validation`] if the number of key values is wrong.
pub(crate) fn reference(schema: &Schema, entity: &EntityKey) -> Result<Map<String, Json>> {
    let entity_type = schema.entity_type(entity.entity_type())?;
    check_key(entity_type, entity)?;
    let own = ("__entity_type__".to_owned(), entity_type.name().into());
    let names = entity_type.primary_key().iter().map(ToString::to_string);
    let parts = names.zip(entity.parts().map(Json::String));
    Ok([own].into_iter().chain(parts).collect())
}

/// # Errors
///
/// - [`ErrorKind::Validation`] if the number of key values is wrong.
pub(crate) fn check_key(entity_type: &EntityType, entity: &EntityKey) -> Result<()> {
    let names = entity_type.primary_key();
    if entity.parts().len() == names.len() {
        return Ok(());
    }
    let given = match entity.parts().len() {
        1 => "1 key value".to_owned(),
        several => format!("{several} key values"),
    };
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "{entity} has {given}, but {} is identified by {}: {}",
            entity_type.name(),
            names.len(),
            names.join(", "),
        ),
    ))
}
