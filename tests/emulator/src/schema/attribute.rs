//! Attributes: from the short form to the form of the wire.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// The wire form of one attribute, from the words after its name.
pub(super) fn attribute(words: &[String]) -> Result<Value> {
    let mut wire = Map::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut operand = || {
            words
                .next()
                .with_context(|| format!("a value must follow {word}"))
        };
        match word.as_str() {
            "=" => {
                let value = default(&wire, operand()?)?;
                wire.insert("default".into(), value);
            }
            "as" => _ = wire.insert("alias_for".into(), json!(operand()?)),
            "--" => _ = wire.insert("description".into(), json!(operand()?)),
            "untyped" => _ = wire.remove("type"),
            _ => wire.extend(kind(word, wire.get("type").cloned())?),
        }
    }
    ensure!(
        !wire.is_empty(),
        "an attribute needs a kind, such as string or ref(User)"
    );
    Ok(Value::Object(wire))
}

/// What a word says about the kind of an attribute, some of whose type may already be known.
fn kind(word: &str, known: Option<Value>) -> Result<Map<String, Value>> {
    let (name, argument) = match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
        Some((name, argument)) => (name, Some(argument)),
        None => (word, None),
    };
    let text = known.unwrap_or(json!("string"));
    let items = json!({"$ref": argument});
    let wire = match (name, argument) {
        ("string" | "integer" | "number" | "boolean" | "object" | "variable", None) => {
            json!({"type": name})
        }
        ("datetime", None) => json!({"type": "string", "format": "date-time"}),
        ("json", None) => json!({"type": "string", "format": "json"}),
        ("uid", None) => json!({"type": text, "default": "{uid}"}),
        ("type_name", None) => {
            json!({"type": "string", "transform": {"client": "{schema_id}", "server": "{table_name}"}})
        }
        ("key", Some(target)) => {
            let column = if target.contains('.') { "" } else { ".id" };
            let description = format!("Foreign key(s): {target}{column}");
            json!({"type": text, "format": "foreign_key", "description": description})
        }
        ("ref", Some(target)) => json!({"$ref": target}),
        ("many", Some(_)) => json!({"type": "array", "items": items}),
        ("mapped", Some(_)) => json!({
            "type": "mapped_array",
            "items": items,
            "key_value_attributes": {"key": "key", "value": "value"},
        }),
        ("restricted", Some(_)) => {
            json!({"type": "mapped_array", "items": items, "restricted_projection": true})
        }
        ("one_of", Some(values)) => json!({"enum": values.split(',').collect::<Vec<_>>()}),
        _ => bail!("{word} is no kind of attribute: see the top of shared.txt"),
    };
    match wire {
        Value::Object(wire) => Ok(wire),
        _ => bail!("{word} has no wire form"),
    }
}

/// A default in the type that the words before it gave to the attribute.
fn default(wire: &Map<String, Value>, word: &str) -> Result<Value> {
    Ok(match wire.get("type").and_then(Value::as_str) {
        Some("boolean") => json!(word.parse::<bool>()?),
        Some("integer" | "number") => json!(word.parse::<i64>()?),
        Some(_) => json!(word),
        None => bail!("the default must follow the kind"),
    })
}
