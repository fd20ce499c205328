//! Compares a value that was sent with the value that the server has.

use serde_json::{Map, Value as Json};

use crate::value::datetime_from_wire;

/// Whether `found` is the value `sent`, as far as a server changes the form of values: it adds
/// attributes to references, sorts collections, and cuts date-times to seconds.
pub(crate) fn same_value(sent: &Json, found: &Json) -> bool {
    match (sent, found) {
        (Json::Number(sent), Json::Number(found)) => sent.as_f64() == found.as_f64(),
        (Json::Array(sent), Json::Array(found)) => {
            let is_there = |one| found.iter().any(|other| same_value(one, other));
            sent.len() == found.len() && sent.iter().all(is_there)
        }
        (Json::Object(sent), Json::Object(found)) => same_object(sent, found),
        _ => sent == found,
    }
}

fn same_object(sent: &Map<String, Json>, found: &Map<String, Json>) -> bool {
    let is = |object: &Map<String, Json>, kind: &str| {
        object.get("__type__").and_then(Json::as_str) == Some(kind)
    };
    if is(sent, "datetime") && is(found, "datetime") {
        let read = |object: &Map<String, Json>| {
            let text = object.get("value").and_then(Json::as_str);
            text.and_then(datetime_from_wire)
        };
        return read(sent).is_some() && read(sent) == read(found);
    }
    if sent.contains_key("__entity_type__") {
        // The type may be a base of the one that is found.
        let mut key = sent.iter().filter(|(name, _)| *name != "__entity_type__");
        return found.contains_key("__entity_type__")
            && key.all(|(name, part)| found.get(name) == Some(part));
    }
    sent == found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_that_are_the_same_in_another_form() {
        let time = |text: &str| json!({"__type__": "datetime", "value": text});
        let task = |id: &str| json!({"__entity_type__": "Task", "id": id});
        let more = json!({"__entity_type__": "Shot", "id": "a", "name": "x"});
        for (sent, found, expected) in [
            (json!(3), json!(3.0), true),
            (json!(3), json!(4), false),
            (json!("3"), json!(3), false),
            (json!(null), json!(null), true),
            (json!(null), json!(""), false),
            (json!("a"), json!("a"), true),
            (
                time("2026-01-02T03:04:05.678"),
                time("2026-01-02T03:04:05"),
                true,
            ),
            (
                time("2026-01-02T03:04:05+00:00"),
                time("2026-01-02T03:04:05"),
                true,
            ),
            (
                time("2026-01-02T03:04:05"),
                time("2026-01-02T03:04:06"),
                false,
            ),
            (time("x"), time("x"), false),
            (task("a"), more.clone(), true),
            (task("b"), more.clone(), false),
            (
                json!([task("b"), task("a")]),
                json!([more.clone(), task("b")]),
                true,
            ),
            (json!([task("b")]), json!([more.clone(), task("b")]), false),
            (json!([]), json!([]), true),
            (json!({"a": 1}), json!({"a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
        ] {
            assert_eq!(same_value(&sent, &found), expected, "{sent} {found}");
        }
    }
}
