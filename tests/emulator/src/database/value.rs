//! Values between the wire, the query language and the database.

use jiff::civil;
use rusqlite::types::{Value as Sql, ValueRef};
use serde_json::{Value, json};

use crate::error::{Fault, Result};
use crate::schema::Kind;

/// A value of an operation as the database keeps it. `subject` names the attribute in errors.
///
/// # Errors
///
/// If the value is of another type than the attribute.
pub fn from_json(subject: &str, kind: &Kind, value: &Value) -> Result<Sql> {
    let wrong = |expected: &str| {
        Fault::validation(format!(
            "{subject} must be {expected}, not {}",
            describe(value)
        ))
    };
    Ok(match (kind, value) {
        (_, Value::Null) => Sql::Null,
        (Kind::Key | Kind::Text, Value::String(text)) => Sql::Text(text.clone()),
        // Clients send some numbers as text and some text as numbers.
        (Kind::Key | Kind::Text, Value::Number(number)) => Sql::Text(number.to_string()),
        (Kind::Key | Kind::Text, _) => return Err(wrong("text")),
        (Kind::Integer, _) => Sql::Integer(integer(value).ok_or_else(|| wrong("a whole number"))?),
        (Kind::Number, _) => Sql::Real(number(value).ok_or_else(|| wrong("a number"))?),
        (Kind::Boolean, _) => Sql::Integer(i64::from(
            boolean(value).ok_or_else(|| wrong("true or false"))?,
        )),
        (Kind::DateTime, _) => {
            let text = instant_text(value).ok_or_else(|| wrong("a date-time"))?;
            Sql::Text(
                instant(text).ok_or_else(|| wrong("a date-time such as 2026-01-31T12:00:00"))?,
            )
        }
        (Kind::Variable, _) => variable(value),
        (Kind::Object, Value::Object(_) | Value::Array(_)) => Sql::Text(value.to_string()),
        _ => return Err(wrong("a value that can be set")),
    })
}

/// A stored value as it is sent.
pub fn to_json(kind: &Kind, value: ValueRef<'_>) -> Value {
    match (kind, value) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Boolean, ValueRef::Integer(number)) => Value::Bool(number != 0),
        (Kind::DateTime, ValueRef::Text(text)) => {
            json!({"__type__": "datetime", "value": String::from_utf8_lossy(text)})
        }
        (Kind::Object, ValueRef::Text(text)) => serde_json::from_slice(text).unwrap_or(Value::Null),
        (Kind::Number, ValueRef::Integer(number)) => json!(number as f64),
        (_, ValueRef::Integer(number)) => json!(number),
        (_, ValueRef::Real(number)) => json!(number),
        (_, ValueRef::Text(text)) => Value::String(String::from_utf8_lossy(text).into_owned()),
        (_, ValueRef::Blob(_)) => Value::Null,
    }
}

/// Appends the JSON text of a stored value: what [`to_json`] says, without making a value.
pub fn write_json(kind: &Kind, value: ValueRef<'_>, out: &mut String) {
    match (kind, value) {
        (Kind::DateTime, ValueRef::Text(text)) => {
            out.push_str(r#"{"__type__":"datetime","value":"#);
            write_text(text, out);
            out.push('}');
        }
        (Kind::Object, ValueRef::Text(_)) => out.push_str(&to_json(kind, value).to_string()),
        (_, ValueRef::Text(text)) => write_text(text, out),
        (_, ValueRef::Null) => out.push_str("null"),
        _ => out.push_str(&to_json(kind, value).to_string()),
    }
}

/// Most text needs no escapes.
fn write_text(text: &[u8], out: &mut String) {
    let text = String::from_utf8_lossy(text);
    if text
        .bytes()
        .any(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
    {
        out.push_str(&Value::from(text.as_ref()).to_string());
        return;
    }
    out.push('"');
    out.push_str(&text);
    out.push('"');
}

/// A literal of the query language, interpreted by the attribute's type.
pub fn from_literal(kind: &Kind, text: &str) -> Option<Sql> {
    Some(match kind {
        Kind::Integer | Kind::Number => {
            let number: f64 = text
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())?;
            Sql::Real(number)
        }
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Sql::Integer(1),
            "false" | "0" | "no" => Sql::Integer(0),
            _ => return None,
        },
        Kind::DateTime => Sql::Text(instant(text)?),
        _ => Sql::Text(text.to_owned()),
    })
}

/// An instant as it is kept: UTC, whole seconds by truncation. Text without an
/// offset is UTC, a day alone is its midnight.
pub fn instant(text: &str) -> Option<String> {
    let text = text.trim();
    let utc = |time: jiff::Timestamp| jiff::tz::TimeZone::UTC.to_datetime(time);
    let zoned = text.parse::<jiff::Timestamp>().ok().map(utc);
    let time = zoned.or_else(|| text.parse::<civil::DateTime>().ok())?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

/// The text of an instant, wrapped or not.
pub fn instant_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["value"].as_str())
}

/// What a custom attribute keeps: numbers and text as they are, everything else as JSON.
pub fn variable(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(flag) => Sql::Integer(i64::from(*flag)),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Sql::Real(number.as_f64().unwrap_or(0.0)), Sql::Integer),
        Value::String(text) => Sql::Text(text.clone()),
        Value::Object(_) if value["__type__"].is_string() => {
            let text = instant_text(value).unwrap_or_default();
            Sql::Text(instant(text).unwrap_or_else(|| text.to_owned()))
        }
        other => Sql::Text(other.to_string()),
    }
}

/// What a value is, for error messages.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("the boolean {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text \"{}\"", excerpt(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The beginning of a text, short enough for an error message.
pub fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn integer(value: &Value) -> Option<i64> {
    let whole =
        |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A stored value as text.
pub fn plain(value: &Sql) -> String {
    match value {
        Sql::Text(text) => text.clone(),
        Sql::Integer(number) => number.to_string(),
        Sql::Real(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn instants_are_truncated_to_seconds_of_utc() {
        let cases = [
            ("2026-11-23T07:03:24.999999+00:00", "2026-11-23T07:03:24"),
            ("2026-11-23T07:03:24+02:00", "2026-11-23T05:03:24"),
            ("2026-11-23T07:03:24Z", "2026-11-23T07:03:24"),
            ("2026-11-23 07:03:24", "2026-11-23T07:03:24"),
            ("2015-06-01", "2015-06-01T00:00:00"),
        ];
        for (given, expected) in cases {
            assert_eq!(instant(given).unwrap(), expected, "{given}");
        }
        assert_eq!(instant("yesterday"), None);
    }
}
