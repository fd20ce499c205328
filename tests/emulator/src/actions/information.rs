//! `query_server_information` and `query_schemas`.

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value, json};

use crate::actions::Reply;
use crate::error::Result;
use crate::rules::Batch;
use crate::rules::record::text;

/// What a client asks first. With `values` only those are returned.
pub(super) fn server(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let all = json!({
        "version": batch.site.version,
        "schema_hash": batch.model.schema.hash(),
        "is_timezone_support_enabled": true,
        "is_nested_subqueries_enabled": true,
        "storage_scenario": storage_scenario(batch)?,
        "user_information": {"id": batch.caller.user.id, "username": batch.caller.user.username},
        "company_information": {"name": "ftrack emulator"},
        "license": {},
        "week_startday": 1,
        "default_colors": [],
    });
    let Some(values) = operation["values"].as_array() else {
        let names = [
            "version",
            "schema_hash",
            "is_timezone_support_enabled",
            "storage_scenario",
        ];
        let basic: Map<_, _> = names
            .into_iter()
            .map(|name| (name.to_owned(), all[name].clone()))
            .collect();
        return Ok(Reply::Done(Value::Object(basic)));
    };
    let names = values.iter().filter_map(Value::as_str);
    let chosen: Map<_, _> = names
        .map(|name| {
            (
                name.to_owned(),
                all.get(name).cloned().unwrap_or(Value::Null),
            )
        })
        .collect();
    Ok(Reply::Done(Value::Object(chosen)))
}

/// What the setting says; any scenario but the centralized one leaves the client's locations alone.
fn storage_scenario(batch: &Batch<'_>) -> Result<Value> {
    let automatic = json!({"scenario": "ftrack.automatic", "data": {}});
    let Some(ty) = batch.model.find("Setting") else {
        return Ok(automatic);
    };
    let part = |name: &String| match name.as_str() {
        "group" => "STORAGE",
        _ => "storage_scenario",
    };
    let names = ty.key.iter();
    let key: Vec<Sql> = names.map(|name| Sql::Text(part(name).to_owned())).collect();
    let setting = batch.find(ty, &key)?;
    let value = setting.as_ref().and_then(|(_, row)| text(row, "value"));
    let value = value.and_then(|value| serde_json::from_str(value).ok());
    Ok(value.unwrap_or(automatic))
}

/// The schemas; the reply is the list itself.
pub(super) fn schemas(batch: &Batch<'_>) -> Result<Reply> {
    Ok(Reply::Done(batch.model.schema.wire().clone()))
}
