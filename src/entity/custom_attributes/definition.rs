//! One custom attribute as an administrator set it up, and the values that it takes.

use jiff::civil::Time;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::event::value_of;
use crate::schema::AttributeKind;
use crate::value::{Value, date_from_wire, datetime_from_wire};

/// A custom attribute as an administrator set it up: an entity of type
/// `CustomAttributeConfiguration`.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomAttribute {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) kind: CustomAttributeKind,
    /// `task` for everything that has an object type, `show` for projects, and so on.
    pub(super) entity_type: String,
    pub(super) object_type_id: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) is_hierarchical: bool,
    pub(super) default: Value,
}

impl CustomAttribute {
    /// The id of the configuration. It can be given wherever a key is taken, to tell attributes
    /// with the same key apart.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The kind of its values.
    pub fn kind(&self) -> CustomAttributeKind {
        self.kind
    }

    /// Whether entities inherit the value from those above them.
    pub fn is_hierarchical(&self) -> bool {
        self.is_hierarchical
    }

    /// The id of the project that the attribute is limited to, if it is.
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// The value of entities that have none of their own.
    pub fn default(&self) -> &Value {
        &self.default
    }

    /// A value in the kind of this attribute. Events give most values as text: `"3600"` for a
    /// number, `"1"` for a boolean. What does not fit stays as it is; an empty text means no value
    /// unless the kind is text.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::Value;
    ///
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let found = shot.custom_attributes()?.configurations("fstart")?;
    /// assert_eq!(found[0].typed(&Value::from("1001")), Value::Number(1001.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn typed(&self, value: &Value) -> Value {
        let kind = match self.kind {
            CustomAttributeKind::Number => AttributeKind::Number,
            CustomAttributeKind::Boolean => AttributeKind::Bool,
            CustomAttributeKind::Date => AttributeKind::DateTime,
            _ => return value.clone(),
        };
        match value {
            Value::Text(text) => value_of(Some(&kind), text.as_str().into()),
            Value::Integer(number) => value_of(Some(&kind), (*number).into()),
            _ => value.clone(),
        }
    }

    /// The value as it is sent.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if it is of another kind.
    pub(super) fn check(&self, entity: &impl fmt::Display, value: Value) -> Result<Value> {
        let value = match &value {
            Value::Json(json) => json.scalar().unwrap_or(value),
            _ => value,
        };
        let kind = self.kind;
        kind.accept(value).map_err(|value| {
            Error::new(
                ErrorKind::WrongType,
                format!(
                    "custom attribute {:?} of {entity} takes {kind}, not {} ({})",
                    self.key,
                    value.kind_name(),
                    value.quoted(),
                ),
            )
        })
    }
}

/// What a custom attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CustomAttributeKind {
    /// A text.
    Text,
    /// A link to a page, as text.
    Url,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// A day.
    Date,
    /// Choices from a list that is part of the configuration.
    Enumerator,
    /// Choices from a list that a web service makes.
    DynamicEnumerator,
    /// A text that the server computes.
    Expression,
    /// A kind that this crate does not know: values are not checked.
    Other,
}

impl CustomAttributeKind {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "text" => Self::Text,
            "url" => Self::Url,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "enumerator" => Self::Enumerator,
            "dynamic enumerator" => Self::DynamicEnumerator,
            "expression" => Self::Expression,
            _ => Self::Other,
        }
    }

    /// The value as it is sent; an error returns the value.
    pub(crate) fn accept(self, value: Value) -> Result<Value, Value> {
        let fits = match (self, &value) {
            (_, Value::Null)
            | (Self::Other, _)
            | (Self::Text | Self::Url | Self::Expression, Value::Text(_))
            | (Self::Enumerator | Self::DynamicEnumerator, Value::Text(_))
            | (Self::Number, Value::Integer(_))
            | (Self::Boolean, Value::Bool(_)) => true,
            (Self::Number, Value::Number(number)) => number.is_finite(),
            (Self::Date, _) => {
                let is_year = |time: &Value| matches!(time, Value::DateTime(one) if one.year() > 0);
                return as_datetime(&value).filter(is_year).ok_or(value);
            }
            (Self::Enumerator | Self::DynamicEnumerator, _) => choices(&value).is_some(),
            _ => false,
        };
        if fits { Ok(value) } else { Err(value) }
    }

    /// Other forms of a value from the server, so that it can be read as other Rust types: a choice
    /// as a list and a list of one as its choice, a date-time as its day.
    pub(super) fn forms(self, value: &Value) -> Vec<Value> {
        match self {
            Self::Enumerator | Self::DynamicEnumerator => {
                let Some(choices) = choices(value) else {
                    return Vec::new();
                };
                let single = match choices.as_slice() {
                    [] => Some(Value::Null),
                    [one] => Some(Value::Text(one.clone())),
                    _ => None,
                };
                [Some(Value::from(choices)), single]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            Self::Date => match as_datetime(value) {
                Some(Value::DateTime(datetime)) => {
                    vec![Value::DateTime(datetime), Value::Date(datetime.date())]
                }
                _ => Vec::new(),
            },
            // An attribute without a default has an empty text.
            Self::Number if *value == Value::Text(String::new()) => vec![Value::Null],
            _ => Vec::new(),
        }
    }
}

/// With its article, for messages: "a number".
impl fmt::Display for CustomAttributeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text | Self::Expression => "a text",
            Self::Url => "a URL as text",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Date => "a date",
            Self::Enumerator | Self::DynamicEnumerator => "a choice or a list of choices",
            Self::Other => "any value",
        })
    }
}

/// The choices of an enumerator: the server keeps a list, or a text where only one is allowed.
pub(crate) fn choices(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Text(one) if one.is_empty() => Some(Vec::new()),
        Value::Text(one) => Some(vec![one.clone()]),
        Value::List(list) => list.iter().map(text).collect(),
        // An empty list of the server may be one of anything.
        Value::Collection(keys) if keys.is_empty() => Some(Vec::new()),
        Value::Json(json) => {
            let json = json.to_json();
            let list = json.as_array()?.iter();
            list.map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    }
}

/// Days are sent as their midnight, as the server has them; defaults come as texts.
fn as_datetime(value: &Value) -> Option<Value> {
    match value {
        Value::DateTime(_) => Some(value.clone()),
        Value::Date(date) => Some(Value::DateTime(date.to_datetime(Time::midnight()))),
        Value::Text(text) => datetime_from_wire(text)
            .or_else(|| Some(date_from_wire(text)?.to_datetime(Time::midnight())))
            .map(Value::DateTime),
        _ => None,
    }
}
