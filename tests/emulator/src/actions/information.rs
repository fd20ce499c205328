//! `query_server_information` and `query_schemas` (SERVER.md B2).

use serde_json::{Map, Value, json};

use crate::actions::Answer;
use crate::error::Result;
use crate::rules::Batch;

/// What a client asks first. With `values` only those are answered.
pub(super) fn server(batch: &Batch<'_>, operation: &Value) -> Result<Answer> {
    let all = json!({
        "version": batch.site.version,
        "schema_hash": batch.model.schema.hash(),
        "is_timezone_support_enabled": true,
        "is_nested_subqueries_enabled": true,
        // Any scenario but the centralized one leaves the client's locations alone.
        "storage_scenario": {"scenario": "ftrack.automatic", "data": {}},
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
        return Ok(Answer::Done(Value::Object(basic)));
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
    Ok(Answer::Done(Value::Object(chosen)))
}

/// The schemas; the answer is the list itself.
pub(super) fn schemas(batch: &Batch<'_>) -> Result<Answer> {
    Ok(Answer::Done(batch.model.schema.wire().clone()))
}
