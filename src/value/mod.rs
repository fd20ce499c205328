//! What attributes hold: scalars, dates, free-form JSON, and references to entities by key.

mod convert;
mod data;
mod date;
mod key;
mod paths;
mod slot;
mod text;

use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, DateTime};

pub use convert::{FromValue, Mismatch};
pub(crate) use convert::{scalar, whole};
pub use data::{Data, DataIter};
pub(crate) use date::{date_from_wire, datetime_from_wire};
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
/// A `Value` owns what it holds and knows no session: references are [`EntityKey`]s. It is
/// made from Rust's own types with `From`, and turned back with [`FromValue`].
///
/// ```
/// use ftrack_api::{Value, entity::FromValue};
///
/// let bid = Value::from(3600.0);
/// assert_eq!(f64::from_value(bid)?, 3600.0);
/// assert_eq!(Option::<String>::from_value(Value::Null)?, None);
/// assert!(i64::from_value(Value::from("ten")).is_err());
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
    /// A point in time, to the second: UTC where the server supports time zones, and the
    /// server's local time where it does not (`is_timezone_support_enabled`).
    DateTime(DateTime),
    /// A day.
    Date(Date),
    /// Another entity.
    Reference(EntityKey),
    /// Several other entities.
    Collection(Vec<EntityKey>),
    /// Free-form data, such as the `link` of a context.
    Json(Arc<serde_json::Value>),
}

impl Value {
    /// What kind of value it is, in a word for messages.
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
            Self::Json(_) => "JSON data",
        }
    }

    /// The key of the entity that it refers to, if it is a reference.
    pub fn as_reference(&self) -> Option<&EntityKey> {
        match self {
            Self::Reference(key) => Some(key),
            _ => None,
        }
    }

    /// Whether it is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// For people: texts are quoted, references print as `Type(key)`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::DateTime(value) => value.fmt(f),
            Self::Date(value) => value.fmt(f),
            Self::Reference(key) => key.fmt(f),
            Self::Collection(keys) => f.debug_list().entries(keys).finish(),
            Self::Json(value) => value.fmt(f),
        }
    }
}
