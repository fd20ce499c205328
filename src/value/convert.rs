//! Between Rust's types and [`Value`].

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use smol_str::SmolStr;

use super::{EntityKey, Lent, Slot, Text, Value};

/// The error of a conversion: the value is of another type.
///
/// Reading an attribute turns it into an [`Error`](crate::Error) that also names the entity and the
/// attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub(crate) wanted: &'static str,
    pub(crate) found: String,
}

impl Mismatch {
    /// `wanted` is the expected type with its article: "an integer".
    pub fn new(wanted: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "null; ask for an Option to allow it".to_owned(),
            Value::Collection(keys) => format!("a collection of {}", keys.len()),
            Value::List(values) => format!("a list of {}", values.len()),
            Value::Json(_) => "JSON data".to_owned(),
            other => format!("{} ({})", other.kind_name(), other.quoted()),
        };
        Self { wanted, found }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.wanted, self.found)
    }
}

impl std::error::Error for Mismatch {}

/// A type that an attribute's value can be read as.
///
/// Implement it for your own types to read them with [`Entity::get`](crate::Entity::get):
///
/// ```
/// use ftrack_api::Value;
/// use ftrack_api::entity::{FromValue, Mismatch};
///
/// struct Frames(u32);
/// impl FromValue for Frames {
///     fn from_value(value: Value) -> Result<Self, Mismatch> {
///         u32::from_value(value).map(Frames)
///     }
/// }
/// assert_eq!(Frames::from_value(Value::from(24))?.0, 24);
/// # Ok::<(), Mismatch>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a value cannot be read as `{Self}`",
    label = "expected a type that implements `FromValue`",
    note = "read it as a text, number, boolean, date or `Value`, or implement `FromValue`"
)]
pub trait FromValue: Sized {
    /// Reads `value`.
    ///
    /// # Errors
    ///
    /// - [`Mismatch`] if the value is of another type, or does not fit into this one.
    fn from_value(value: Value) -> Result<Self, Mismatch>;

    /// Reads a value in place, or returns `None` to fall back to [`from_value`](Self::from_value).
    /// It runs while the session is locked; other crates cannot name its argument and so cannot
    /// implement it.
    #[doc(hidden)]
    fn from_lent(_: Lent<'_>) -> Option<Self> {
        None
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        Ok(value)
    }

    #[inline]
    fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
        Some(match slot {
            Slot::Null => Self::Null,
            Slot::Bool(value) => Self::Bool(*value),
            Slot::Integer(value) => Self::Integer(*value),
            Slot::Number(value) => Self::Number(*value),
            Slot::Text(text) => Self::Text(text.to_text()),
            Slot::DateTime(value) => Self::DateTime(*value),
            Slot::Date(value) => Self::Date(*value),
            Slot::Json(value) => Self::Json(value.clone()),
            Slot::Link(_) | Slot::Links(_) => return None,
        })
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }

    #[inline]
    fn from_lent(lent: Lent<'_>) -> Option<Self> {
        match lent {
            Lent(Slot::Null) => Some(None),
            lent => T::from_lent(lent).map(Some),
        }
    }
}

macro_rules! from_variant {
    ($($type:ty, $wanted:literal, $variant:ident $(, $lent:expr)?;)*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                match value {
                    Value::$variant(value) => Ok(value),
                    other => Err(Mismatch::new($wanted, &other)),
                }
            }

            $(
                #[inline]
                fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
                    match slot {
                        Slot::$variant(value) => Some($lent(value)),
                        _ => None,
                    }
                }
            )?
        }
    )*};
}

from_variant! {
    bool, "a boolean", Bool, bool::clone;
    String, "a text", Text, Text::to_text;
    EntityKey, "a reference", Reference;
}

/// A date is read as its midnight.
impl FromValue for DateTime {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::DateTime(value) => Ok(value),
            Value::Date(date) => Ok(date.at(0, 0, 0, 0)),
            other => Err(Mismatch::new("a date-time", &other)),
        }
    }

    #[inline]
    fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
        match slot {
            Slot::DateTime(value) => Some(*value),
            _ => None,
        }
    }
}

/// A date-time at midnight is read as its day; one with a time is not, because it would be lost.
impl FromValue for Date {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Date(value) => Ok(value),
            Value::DateTime(value) if value.time() == Time::midnight() => Ok(value.date()),
            other => Err(Mismatch::new("a date", &other)),
        }
    }

    #[inline]
    fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
        match slot {
            Slot::Date(value) => Some(*value),
            _ => None,
        }
    }
}

/// The members of a collection, the values of a list, or the elements of a JSON array.
impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Collection(keys) => {
                let values = keys.into_iter().map(Value::Reference);
                values.map(T::from_value).collect()
            }
            Value::List(values) => values.into_iter().map(T::from_value).collect(),
            Value::Json(json) => match json.parse::<Vec<serde_json::Value>>() {
                Ok(elements) => elements
                    .iter()
                    .map(|one| T::from_value(from_json(one)))
                    .collect(),
                Err(_) => Err(Mismatch::new("a list", &Value::Json(json))),
            },
            other => Err(Mismatch::new("a list", &other)),
        }
    }
}

/// A text of fewer than 24 bytes is copied without an allocation, a longer one is shared: several
/// times cheaper than a `String`.
impl FromValue for SmolStr {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        String::from_value(value).map(Self::from)
    }

    #[inline]
    fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
        match slot {
            Slot::Text(Text::Str(text)) => Some(text.clone()),
            _ => None,
        }
    }
}

/// A number as an integer, unless it has a fraction or is too large to be exact.
pub(crate) fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// The server writes whole numbers with or without a fraction, so `1.0` reads as an integer.
macro_rules! from_number {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                let read = match value {
                    Value::Integer(whole) => Self::try_from(whole).ok(),
                    Value::Number(number) => whole(number).and_then(|whole| Self::try_from(whole).ok()),
                    _ => None,
                };
                read.ok_or_else(|| Mismatch::new(concat!("an integer that fits ", stringify!($type)), &value))
            }

            #[inline]
            fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
                match slot {
                    Slot::Integer(whole) => Self::try_from(*whole).ok(),
                    Slot::Number(number) => Self::try_from(whole(*number)?).ok(),
                    _ => None,
                }
            }
        }

        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                i64::try_from(value).map_or(Self::Number(value as f64), Self::Integer)
            }
        }
    )*};
}

from_number!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Integer(value) => Ok(value as Self),
            Value::Number(value) => Ok(value),
            other => Err(Mismatch::new("a number", &other)),
        }
    }

    #[inline]
    fn from_lent(Lent(slot): Lent<'_>) -> Option<Self> {
        match slot {
            Slot::Integer(value) => Some(*value as Self),
            Slot::Number(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromValue for f32 {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        f64::from_value(value).map(|value| value as Self)
    }

    #[inline]
    fn from_lent(lent: Lent<'_>) -> Option<Self> {
        f64::from_lent(lent).map(|value| value as Self)
    }
}

/// Reads a date-time as UTC, which it is if the server supports time zones.
impl FromValue for Timestamp {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        let datetime = DateTime::from_value(value)?;
        Offset::UTC
            .to_timestamp(datetime)
            .map_err(|_| Mismatch::new("a date-time in range", &Value::DateTime(datetime)))
    }
}

/// Scalars become JSON scalars, dates their ISO texts, references the ids of their keys.
impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => value.into(),
            Value::Integer(value) => value.into(),
            Value::Number(value) => value.into(),
            Value::Text(value) => value.into(),
            Value::DateTime(value) => value.to_string().into(),
            Value::Date(value) => value.to_string().into(),
            Value::Reference(key) => key.id().into(),
            Value::Collection(keys) => keys.iter().map(EntityKey::id).collect(),
            Value::List(values) => values.into_iter().map(Self::from).collect(),
            Value::Json(text) => text.to_json(),
        }
    }
}

/// As [`From<Value>`](From) converts; references become the ids of their keys.
impl FromValue for serde_json::Value {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        Ok(value.into())
    }
}

macro_rules! into_variant {
    ($($type:ty => $variant:ident;)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

into_variant! {
    bool => Bool;
    f32 => Number;
    f64 => Number;
    &str => Text;
    String => Text;
    SmolStr => Text;
    &String => Text;
    DateTime => DateTime;
    Date => Date;
    EntityKey => Reference;
    Vec<EntityKey> => Collection;
    serde_json::Value => Json;
}

/// A JSON scalar as the scalar that it is; `None` for lists and objects.
pub(crate) fn scalar(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
    })
}

/// A JSON value as the scalar that it is, if it is one.
pub(crate) fn from_json(json: &serde_json::Value) -> Value {
    scalar(json).unwrap_or_else(|| json.clone().into())
}

macro_rules! from_list {
    ($($type:ty;)*) => {$(
        impl From<$type> for Value {
            fn from(texts: $type) -> Self {
                Self::List(texts.iter().map(|text| Self::from(text.to_owned())).collect())
            }
        }
    )*};
}

from_list! {
    Vec<String>;
    &Vec<String>;
    &[String];
    Vec<&str>;
    &Vec<&str>;
    &[&str];
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(texts: [&str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<const N: usize> From<[String; N]> for Value {
    fn from(texts: [String; N]) -> Self {
        texts.as_slice().into()
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::List(values)
    }
}

impl From<&EntityKey> for Value {
    fn from(key: &EntityKey) -> Self {
        Self::Reference(key.clone())
    }
}

/// The same instant in UTC.
impl From<Timestamp> for Value {
    fn from(instant: Timestamp) -> Self {
        Self::DateTime(Offset::UTC.to_datetime(instant))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_convert_when_nothing_is_lost() {
        assert_eq!(i64::from_value(Value::Number(2.0)), Ok(2));
        assert_eq!(u8::from_value(Value::Integer(255)), Ok(255));
        assert_eq!(f64::from_value(Value::Integer(3)), Ok(3.0));
        for (value, says) in [
            (
                Value::Number(2.5),
                "expected an integer that fits u8, found a number (2.5)",
            ),
            (
                Value::Integer(256),
                "expected an integer that fits u8, found an integer (256)",
            ),
            (
                Value::Number(f64::NAN),
                "expected an integer that fits u8, found a number (NaN)",
            ),
            (
                Value::Null,
                "expected an integer that fits u8, found null; ask for an Option to allow it",
            ),
        ] {
            assert_eq!(u8::from_value(value).unwrap_err().to_string(), says);
        }
    }

    #[test]
    fn instants_are_kept_in_utc() {
        let instant: Timestamp = "2026-01-02T03:04:05+01:00".parse().unwrap();
        assert_eq!(Value::from(instant).to_string(), "2026-01-02T02:04:05");
        assert_eq!(Timestamp::from_value(Value::from(instant)), Ok(instant));
    }
}
