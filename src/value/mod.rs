//! What attributes hold: scalars, dates, free-form JSON, and references to entities by key.

mod convert;
mod data;
mod date;
mod derived;
mod json;
mod key;
mod paths;
mod slot;
mod text;

use std::fmt;

use jiff::civil::{Date, DateTime};

pub use convert::{FromValue, Mismatch};
pub(crate) use convert::{from_json, scalar, whole};
pub use data::{Data, DataIter};
pub(crate) use date::{date_from_wire, datetime_from_wire};
pub(crate) use derived::derived_id;
pub(crate) use json::Members;
pub use json::{Json, JsonText};
pub(crate) use key::Key;
pub use key::{EntityKey, IntoKey};
pub use paths::Paths;
pub(crate) use slot::{Lent, Slot};
pub(crate) use text::Text;

/// The hash of maps that live in a session. Its seed is in the value: that of `hashbrown`'s own is
/// in a static, so that the copy of this crate in a plugin's library would look elsewhere.
pub(crate) type Hasher = foldhash::fast::SeedableRandomState;
pub(crate) type HashMap<K, V> = hashbrown::HashMap<K, V, Hasher>;
pub(crate) type HashSet<T> = hashbrown::HashSet<T, Hasher>;

/// The value of one attribute.
///
/// A `Value` owns its data and knows no session: references are [`EntityKey`]s. It is made from
/// Rust's own types with `From`, and converted back with [`FromValue`], or looked at with `as_str`
/// and the like. It prints plainly, and serialises as JSON would have it: dates as ISO texts,
/// references as ids.
///
/// ```
/// use ftrack_api::{Value, entity::FromValue};
///
/// let bid = Value::from(3600.0);
/// assert_eq!(f64::from_value(bid)?, 3600.0);
/// assert_eq!(Option::<String>::from_value(Value::Null)?, None);
/// assert!(i64::from_value(Value::from("ten")).is_err());
///
/// let name = Value::from("sh010");
/// assert_eq!(name.as_str(), Some("sh010"));
/// assert_eq!(name.to_string(), "sh010");
/// # Ok::<(), ftrack_api::entity::Mismatch>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Set to nothing. An attribute that is not loaded has no `Value` at all.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// A text; keys of other entities (`status_id`) are texts as well.
    Text(String),
    /// A point in time, to the second: UTC if the server supports time zones, else the server's
    /// local time (`is_timezone_support_enabled`).
    DateTime(DateTime),
    /// A day.
    Date(Date),
    /// Another entity.
    Reference(EntityKey),
    /// The members of a collection.
    Collection(Vec<EntityKey>),
    /// Several values: the choices of an enumerator, or what a path through a collection leads to.
    List(Vec<Value>),
    /// Free-form data, such as the `link` of a context.
    Json(JsonText),
}

impl Value {
    /// The kind of value, with its article, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::DateTime(_) => "a date-time",
            Self::Date(_) => "a date",
            Self::Reference(_) => "a reference",
            Self::Collection(_) => "a collection",
            Self::List(_) => "a list",
            Self::Json(_) => "JSON data",
        }
    }

    /// Whether it is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number as an integer, if it is one without a fraction.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Number(value) => whole(*value),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// The date-time, if it is one.
    pub fn as_datetime(&self) -> Option<DateTime> {
        match self {
            Self::DateTime(value) => Some(*value),
            _ => None,
        }
    }

    /// The date, if it is one.
    pub fn as_date(&self) -> Option<Date> {
        match self {
            Self::Date(value) => Some(*value),
            _ => None,
        }
    }

    /// The key of the entity that it refers to, if it is a reference.
    pub fn as_reference(&self) -> Option<&EntityKey> {
        match self {
            Self::Reference(key) => Some(key),
            _ => None,
        }
    }

    /// The keys of the members, if it is a collection.
    pub fn as_collection(&self) -> Option<&[EntityKey]> {
        match self {
            Self::Collection(keys) => Some(keys),
            _ => None,
        }
    }

    /// The values, if it is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// The JSON, if it is free-form data.
    pub fn as_json(&self) -> Option<&JsonText> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }

    /// The entities that it refers to.
    pub(crate) fn references(&self) -> &[EntityKey] {
        match self {
            Self::Reference(key) => std::slice::from_ref(key),
            Self::Collection(keys) => keys,
            _ => &[],
        }
    }

    /// For messages: texts in quotes and lists in brackets, so that their ends can be seen.
    pub(crate) fn quoted(&self) -> Quoted<'_> {
        Quoted(self)
    }
}

/// See [`Value::quoted`].
pub(crate) struct Quoted<'a>(&'a Value);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Text(text) => write!(f, "{text:?}"),
            list @ (Value::Collection(_) | Value::List(_)) => write!(f, "[{list}]"),
            other => other.fmt(f),
        }
    }
}

/// Plainly: texts as they are, dates in ISO form, references as `Type(id)`, lists with commas.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.pad("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => f.pad(value),
            Self::DateTime(value) => value.fmt(f),
            Self::Date(value) => value.fmt(f),
            Self::Reference(key) => key.fmt(f),
            Self::Collection(keys) => write_joined(f, keys, ", "),
            Self::List(values) => write_joined(f, values, ", "),
            Self::Json(value) => value.fmt(f),
        }
    }
}

/// Writes items with a separator between them.
pub(crate) fn write_joined(
    f: &mut fmt::Formatter<'_>,
    items: &[impl fmt::Display],
    separator: &str,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// As JSON would have it: dates as ISO texts, references as the ids of their keys.
impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::DateTime(value) => serializer.collect_str(value),
            Self::Date(value) => serializer.collect_str(value),
            Self::Reference(key) => serializer.serialize_str(&key.id()),
            Self::Collection(keys) => serializer.collect_seq(keys.iter().map(EntityKey::id)),
            Self::List(values) => serializer.collect_seq(values),
            Self::Json(value) => value.serialize(serializer),
        }
    }
}
