//! Keys made from values.

use serde_json::Value as Json;

/// Makes the key of a cache entry from the values that identify it.
///
/// ```
/// use ftrack_api::cache::python::{KeyMaker, ObjectKeyMaker, StringKeyMaker};
/// use serde_json::json;
///
/// let items = [json!("Task"), json!("a:b")];
/// assert_eq!(StringKeyMaker.key(&items), r"Task:a\:b");
/// assert_eq!(ObjectKeyMaker.key(&items), "\"Task\"\0\"a:b\"");
/// ```
pub trait KeyMaker: Send + Sync + 'static {
    /// The key of `items`: equal items have equal keys, different items different ones.
    fn key(&self, items: &[Json]) -> String;
}

/// Readable keys: the items as texts, separated by colons. A number and its text have the same key.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringKeyMaker;

/// Exact keys: the items as JSON, with the members of objects sorted by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectKeyMaker;

impl KeyMaker for StringKeyMaker {
    fn key(&self, items: &[Json]) -> String {
        let mut key = String::with_capacity(128);
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                key.push(':');
            }
            match item {
                Json::String(text) => escape(text, &mut key),
                other => escape(&other.to_string(), &mut key),
            }
        }
        key
    }
}

/// Escapes colons inside an item.
fn escape(text: &str, key: &mut String) {
    if !text.contains([':', '\\']) {
        return key.push_str(text);
    }
    for letter in text.chars() {
        if matches!(letter, ':' | '\\') {
            key.push('\\');
        }
        key.push(letter);
    }
}

impl KeyMaker for ObjectKeyMaker {
    fn key(&self, items: &[Json]) -> String {
        // JSON escapes control characters, so a zero cannot be part of an item.
        let items: Vec<String> = items.iter().map(canonical).collect();
        items.join("\0")
    }
}

/// The text of a value, with the members of its objects sorted.
fn canonical(value: &Json) -> String {
    match value {
        Json::Object(object) => {
            let mut members: Vec<(&String, &Json)> = object.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let member = |(name, value): (&String, &Json)| {
                format!("{}:{}", Json::from(name.as_str()), canonical(value))
            };
            let members: Vec<String> = members.into_iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn different_items_have_different_keys() {
        let pairs = [
            ([json!("a:b"), json!("c")], [json!("a"), json!("b:c")]),
            ([json!("a\\"), json!("b")], [json!("a"), json!("\\b")]),
            ([json!("a\\:b"), json!("c")], [json!("a\\"), json!("b:c")]),
        ];
        for (one, other) in pairs {
            assert_ne!(StringKeyMaker.key(&one), StringKeyMaker.key(&other));
            assert_ne!(ObjectKeyMaker.key(&one), ObjectKeyMaker.key(&other));
        }
        assert_ne!(
            ObjectKeyMaker.key(&[json!(1)]),
            ObjectKeyMaker.key(&[json!("1")])
        );
        assert_ne!(
            ObjectKeyMaker.key(&[json!("a\0b")]),
            ObjectKeyMaker.key(&[json!("a"), json!("b")])
        );
        assert_eq!(
            ObjectKeyMaker.key(&[json!({"b": 1, "a": [null, {"d": 2, "c": 3}]})]),
            r#"{"a":[null,{"c":3,"d":2}],"b":1}"#
        );
    }
}
