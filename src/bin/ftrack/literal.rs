//! Single values from texts: numbers, booleans, dates, and those of custom attributes.

use ftrack_api::Value;
use ftrack_api::entity::{CustomAttributeKind, FromValue as _};
use ftrack_api::jiff::Timestamp;
use ftrack_api::jiff::civil::{Date, DateTime};
use ftrack_api::jiff::tz::TimeZone;

use crate::failure::{Failure, Result};

pub(crate) fn boolean(text: &str) -> Option<Value> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" => Some(Value::Bool(true)),
        "false" | "no" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

pub(crate) fn number(text: &str) -> Option<Value> {
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then(|| Value::from(number))
}

/// Dates are in UTC unless they say otherwise, as everywhere in ftrack.
pub(crate) fn date_time(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Value::DateTime(TimeZone::UTC.to_datetime(moment)));
    }
    let date = || text.parse::<Date>().map(|date| date.at(0, 0, 0, 0));
    let read = match text.len() {
        10 => date(),
        _ => text.parse::<DateTime>(),
    };
    read.ok().map(Value::DateTime)
}

pub(crate) fn custom_value(key: &str, kind: CustomAttributeKind, text: &str) -> Result<Value> {
    let wrong =
        |wanted: &str| Failure::invalid(format!("custom.{key} takes {wanted}, not {text:?}"));
    if text.is_empty() && kind != CustomAttributeKind::Text {
        return Ok(Value::Null);
    }
    match kind {
        CustomAttributeKind::Number => {
            let value = number(text).ok_or_else(|| wrong("a number"))?;
            let whole = i64::from_value(value.clone()).map(Value::from);
            Ok(whole.unwrap_or(value))
        }
        CustomAttributeKind::Boolean => boolean(text).ok_or_else(|| wrong("true or false")),
        CustomAttributeKind::Date => {
            date_time(text).ok_or_else(|| wrong("a date such as 2026-01-31"))
        }
        CustomAttributeKind::Enumerator | CustomAttributeKind::DynamicEnumerator
            if text.trim_start().starts_with('[') =>
        {
            let choices: Vec<String> = serde_json::from_str(text)
                .map_err(|_| wrong("a choice, or a JSON list of them"))?;
            Ok(Value::List(choices.into_iter().map(Value::from).collect()))
        }
        _ => Ok(Value::from(text)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form() {
        for (text, expected) in [
            ("2026-01-31", "2026-01-31T00:00:00"),
            ("2026-01-31T10:30:00", "2026-01-31T10:30:00"),
            ("2026-01-31 10:30", "2026-01-31T10:30:00"),
            ("2026-01-31T10:30:00Z", "2026-01-31T10:30:00"),
            ("2026-01-31T10:30:00+02:00", "2026-01-31T08:30:00"),
        ] {
            assert_eq!(date_time(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "tomorrow", "31.1.2026", "2026-02-30", "2026"] {
            assert!(date_time(text).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_are_finite_and_booleans_are_words() {
        assert_eq!(number(" 3.5 "), Some(Value::from(3.5)));
        assert!(
            ["nan", "inf", "1e999", "3,5", ""]
                .iter()
                .all(|text| number(text).is_none())
        );
        assert_eq!(boolean("Yes"), Some(Value::Bool(true)));
        assert_eq!(boolean("maybe"), None);
        let three = custom_value("a", CustomAttributeKind::Number, "3").unwrap();
        assert_eq!(three, Value::from(3));
        assert!(custom_value("a", CustomAttributeKind::Number, "x").is_err());
    }
}
