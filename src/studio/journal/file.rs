//! The format of files with operations.

use serde_json::{Map, Value as Json, json};

use crate::operation::Operation;
use crate::schema::md5_hex;
use crate::studio::values;
use crate::{Data, Error, ErrorKind, Result};

/// The first line of the file begins so; the version of the format follows.
const FORMAT: &str = "ftrack-api pending operations";
const VERSION: u64 = 1;

/// Operations as a file has them.
pub(super) fn to_text(operations: &[Operation], server: &str) -> String {
    let operations: Vec<Json> = operations.iter().map(operation_to_json).collect();
    let body = json!({ "server": server, "operations": operations }).to_string();
    let head = json!({ "format": FORMAT, "version": VERSION, "md5": md5_hex(body.as_bytes()) });
    format!("{head}\n{body}")
}

fn operation_to_json(operation: &Operation) -> Json {
    let key = values::key_to_json(operation.entity());
    match operation {
        Operation::Create { entity_data, .. } => {
            let data = entity_data
                .iter()
                .map(|(name, value)| json!([name, values::to_json(value)]));
            json!({ "create": key, "data": data.collect::<Vec<Json>>() })
        }
        Operation::Update {
            attribute_name,
            old_value,
            new_value,
            ..
        } => json!({
            "update": key,
            "attribute": attribute_name,
            "old": old_value.as_ref().map(values::to_json),
            "new": values::to_json(new_value),
        }),
        Operation::Extend {
            attribute_name,
            added,
            removed,
            ..
        } => json!({
            "extend": key,
            "attribute": attribute_name,
            "added": values::keys_to_json(added),
            "removed": values::keys_to_json(removed),
        }),
        Operation::Delete { .. } => json!({ "delete": key }),
    }
}

fn operation_from_json(json: &Map<String, Json>) -> Option<Operation> {
    let key = |name: &str| json.get(name).and_then(values::key_from_json);
    let keys = |name: &str| json.get(name).and_then(values::keys_from_json);
    let attribute_name = json
        .get("attribute")
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(entity) = key("create") {
        let pairs = json.get("data")?.as_array()?.iter().map(|pair| {
            let value = values::from_json(pair.get(1)?)?;
            Some((pair.get(0)?.as_str()?.to_owned(), value))
        });
        let entity_data: Data = pairs.collect::<Option<Vec<_>>>()?.into_iter().collect();
        return Some(Operation::Create {
            entity,
            entity_data,
        });
    }
    if let Some(entity) = key("update") {
        let old_value = match json.get("old")? {
            Json::Null => None,
            old => Some(values::from_json(old)?),
        };
        let new_value = values::from_json(json.get("new")?)?;
        return Some(Operation::Update {
            entity,
            attribute_name,
            old_value,
            new_value,
        });
    }
    if let Some(entity) = key("extend") {
        let (added, removed) = (keys("added")?, keys("removed")?);
        return Some(Operation::Extend {
            entity,
            attribute_name,
            added,
            removed,
        });
    }
    key("delete").map(|entity| Operation::Delete { entity })
}

/// The operations in a file.
///
/// # Errors
///
/// - [`ErrorKind::Validation`] and [`ErrorKind::Unsupported`], see `Session::load_pending`.
pub(super) fn parse(text: &[u8], server: &str) -> Result<Vec<Operation>> {
    let wrong = |what: &str| Error::new(ErrorKind::Validation, what.to_owned());
    let damaged = || wrong("the file is damaged or incomplete");
    let no_journal = || wrong("the file has no pending operations of this crate");
    let text = std::str::from_utf8(text).map_err(|_| no_journal())?;
    let (head, body) = text.split_once('\n').ok_or_else(no_journal)?;
    let head: Json = serde_json::from_str(head).map_err(|_| no_journal())?;
    if head["format"] != FORMAT {
        return Err(no_journal());
    }
    match head["version"].as_u64() {
        Some(VERSION) => {}
        version => {
            let version =
                version.map_or_else(|| head["version"].to_string(), |one| one.to_string());
            let message =
                format!("its format has version {version}, this crate reads {VERSION}; update it");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    }
    if head["md5"] != md5_hex(body.as_bytes()) {
        return Err(damaged());
    }
    let body: Json = serde_json::from_str(body).map_err(|_| damaged())?;
    if body["server"] != server {
        return Err(wrong(&format!(
            "it is of the server {}, not {server}",
            body["server"]
        )));
    }
    let operations = body["operations"].as_array().ok_or_else(damaged)?;
    let operations = operations
        .iter()
        .map(|one| one.as_object().and_then(operation_from_json));
    operations.collect::<Option<Vec<_>>>().ok_or_else(damaged)
}
