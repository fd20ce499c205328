//! Rules of custom attribute configurations, as they are documented.

use rusqlite::OptionalExtension;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use crate::database::model::Type;
use crate::error::{Fault, Result};
use crate::rules::Batch;
use crate::rules::record::{Record, is_missing, text};

/// Whether a new configuration is acceptable.
///
/// # Errors
///
/// If it is for users of one project, or a menu without entries.
pub fn check_new(batch: &Batch<'_>, ty: &Type, record: &Record) -> Result<()> {
    if text(record, "entity_type") == Some("user") && !is_missing(record, "project_id") {
        return Err(Fault::validation(
            "Custom attributes of users are global: leave out the project_id",
        ));
    }
    if ty.name != "CustomAttributeConfiguration" {
        return Ok(());
    }
    let find = "SELECT name FROM custom_attribute_type WHERE id = ?1";
    let kind: Option<String> = batch
        .connection
        .prepare_cached(find)?
        .query_row([text(record, "type_id")], |row| row.get(0))
        .optional()?;
    let config = text(record, "config").unwrap_or_default();
    if kind.as_deref() == Some("enumerator") && options(config).is_none_or(|list| list.is_empty()) {
        return Err(Fault::validation(
            "An enumerator needs its entries: config is the JSON of multiSelect and data, \
             and data is the JSON of a list of menu and value",
        ));
    }
    Ok(())
}

/// Whether a configuration may become what an update says.
///
/// # Errors
///
/// If its type changes, or a global one is to belong to one project.
pub fn check_change(ty: &Type, before: &Record, values: &Record) -> Result<()> {
    let differs = |column: &str| {
        let new = values.get(column);
        new.is_some_and(|new| before.get(column) != Some(new))
    };
    if differs("type_id") {
        return Err(Fault::validation(format!(
            "The type of a {} cannot be changed: make another one",
            ty.name
        )));
    }
    let becomes_local = values
        .get("project_id")
        .is_some_and(|new| *new != Sql::Null);
    if becomes_local && is_missing(before, "project_id") {
        return Err(Fault::validation(format!(
            "A global {} cannot be given a project_id: make another one",
            ty.name
        )));
    }
    Ok(())
}

/// The values of a menu's entries; `None` if the text is no menu.
pub fn options(config: &str) -> Option<Vec<String>> {
    let config: Value = serde_json::from_str(config).ok()?;
    // The entries are JSON inside the JSON; some clients send them as they are.
    let entries: Value = match &config["data"] {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    let values = entries.as_array()?.iter().map(|entry| &entry["value"]);
    let texts = values.map(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    texts.collect()
}

/// Whether a number may have no fraction. Without a word about it, it may [?].
pub fn is_whole(config: &str) -> bool {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    config["isdecimal"] == false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_json_inside_of_json_or_a_list() {
        for config in [
            r#"{"multiSelect": false, "data": "[{\"menu\": \"A\", \"value\": \"a\"}]"}"#,
            r#"{"data": [{"menu": "A", "value": "a"}]}"#,
        ] {
            assert_eq!(options(config), Some(vec!["a".to_owned()]), "{config}");
        }
        for config in [
            "",
            "{}",
            "[]",
            r#"{"data": "x"}"#,
            r#"{"data": [{"value": null}]}"#,
        ] {
            assert_eq!(options(config), None, "{config}");
        }
        assert!(is_whole(r#"{"isdecimal": false}"#) && !is_whole("{}") && !is_whole("x"));
    }
}
