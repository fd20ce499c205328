//! The hash that clients compare with that of their cached schemas.

use md5::{Digest, Md5};
use serde_json::{Number, Value};

/// The MD5, in lower-case hexadecimal, of `schemas` as Python's `json.dumps(schemas,
/// sort_keys=True)` writes them: clients compute the same from the schemas that
/// they keep on disk, so every blank counts. The order of keys does not, that of arrays does.
pub fn schema_hash(schemas: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, schemas);
    Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => write_list(out, ['[', ']'], items, write_value),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            write_list(out, ['{', '}'], &entries, |out, (key, value)| {
                write_text(out, key);
                out.push_str(": ");
                write_value(out, value);
            });
        }
    }
}

fn write_list<T>(out: &mut String, ends: [char; 2], items: &[T], write: impl Fn(&mut String, &T)) {
    out.push(ends[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, item);
    }
    out.push(ends[1]);
}

fn write_number(out: &mut String, number: &Number) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_float(out, float),
        _ => out.push_str(&number.to_string()),
    }
}

/// Both languages print the shortest digits that read back as the same number, but Python
/// turns to exponents below 1e-4 and from 1e16 on, and gives them at least two digits.
fn write_float(out: &mut String, float: f64) {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(power @ (..-4 | 16..)) => {
            let sign = if power < 0 { '-' } else { '+' };
            out.push_str(&format!("{digits}e{sign}{:02}", power.abs()));
        }
        _ => out.push_str(&format!("{float:?}")),
    }
}

/// Everything beyond printable ASCII is escaped, as UTF-16 units.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &Value, expected: &str) {
        let mut text = String::new();
        write_value(&mut text, value);
        assert_eq!(text, expected);
    }

    #[test]
    fn writes_what_python_writes() {
        check(
            &json!({"b": [1, null, true], "a": {}, "B": []}),
            r#"{"B": [], "a": {}, "b": [1, null, true]}"#,
        );
        check(
            &json!("é\u{1f600}\u{7f}\u{1}\t\"\\/"),
            r#""\u00e9\ud83d\ude00\u007f\u0001\t\"\\/""#,
        );
        check(
            &json!([0.0, -0.0, 1.5, 123.0, 1e15, 1e16, 1.25e22]),
            "[0.0, -0.0, 1.5, 123.0, 1000000000000000.0, 1e+16, 1.25e+22]",
        );
        check(
            &json!([0.0001, 0.00001, 1.5e-7, -2e-100]),
            "[0.0001, 1e-05, 1.5e-07, -2e-100]",
        );
        check(
            &json!([-5, u64::MAX, 0.1, 1e300]),
            "[-5, 18446744073709551615, 0.1, 1e+300]",
        );
    }

    #[test]
    fn hashes_as_python_does() {
        // hashlib.md5(json.dumps([{"id": "Task", "sort": 1.0}], sort_keys=True).encode())
        assert_eq!(
            schema_hash(&json!([{"sort": 1.0, "id": "Task"}])),
            "96c3d0b411dc57def64a5d0feb492cdc"
        );
    }
}
