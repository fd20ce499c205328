//! Converts Rust values to values of the query language.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::query::literal::{Literal, Operator, Word};
use crate::query::path::{Path, Segment};
use crate::query::tree::{Criterion, Kind, Set, Statement};
use crate::value::{EntityKey, Value};

/// A value for a placeholder of [`expr!`](crate::expr) or a method of [`Field`](crate::query::Field).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operand {
    /// One value.
    Value(Literal),
    /// An entity. `parent is {}` becomes `parent.id is "…"`; `id in {}` and `parent_id is {}`
    /// use its id directly.
    Reference(EntityKey),
    /// Several values, or several entities, for `in`.
    List(Vec<Operand>),
    /// A sub-query, for `in`.
    Statement(Box<Statement>),
    /// A condition, in place of one.
    Criterion(Box<Criterion>),
}

/// A Rust value that can be inserted into a query.
///
/// Texts are printed in quotes, whatever they contain. Date-times are cut to whole seconds and, if
/// they have a time zone, converted to UTC, in which the server compares. An empty list after `in`
/// matches nothing.
///
/// ```
/// use ftrack_api::query::{Literal, Operand, ToOperand};
///
/// struct Frame(u32);
///
/// impl ToOperand for Frame {
///     fn to_operand(&self) -> ftrack_api::Result<Operand> {
///         self.0.to_operand()
///     }
/// }
/// let criterion = ftrack_api::query::field("frame").eq(Frame(7));
/// assert_eq!(criterion.to_string(), "frame is 7");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a query",
    label = "expected a value for a query",
    note = "give a text, number, boolean, `Option`, date, `Uuid`, entity, key, or a list of these"
)]
pub trait ToOperand {
    /// The value in the query language.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the language has no such value, such as an infinite number.
    fn to_operand(&self) -> Result<Operand>;
}

/// The condition that compares `path` with `operand`.
pub(super) fn compare(path: Path, operator: Operator, operand: Operand) -> Result<Criterion> {
    let (path, value) = match operand {
        Operand::Value(value) => (path, value),
        Operand::Reference(key) if matches!(operator, Operator::Is | Operator::IsNot) => {
            referred(path, &key)?
        }
        Operand::Reference(_) => {
            return Err(invalid(format!(
                "an entity cannot be compared by `{path} {operator}`"
            )));
        }
        Operand::List(_) | Operand::Statement(_) => {
            let instead = if operator == Operator::IsNot {
                "not_in"
            } else {
                "in"
            };
            let message = format!("`{path} {operator}` takes one value: use `{path} {instead}`");
            return Err(invalid(message));
        }
        Operand::Criterion(_) => {
            return Err(invalid(format!(
                "`{path} {operator}` takes a value, not a condition"
            )));
        }
    };
    Ok(Kind::Compare {
        path,
        operator,
        value,
    }
    .into())
}

/// The condition that `path` is in a set.
pub(super) fn one_of(path: Path, operand: Operand, negated: bool) -> Result<Criterion> {
    let (path, set) = match operand {
        Operand::List(items) => listed(path, items)?,
        Operand::Statement(statement) => (path, Set::Select(statement)),
        _ => return Err(invalid(format!("`{path} in` takes a list or a sub-query"))),
    };
    Ok(Kind::In { path, set, negated }.into())
}

fn listed(path: Path, items: Vec<Operand>) -> Result<(Path, Set)> {
    let mut values = Vec::with_capacity(items.len());
    let mut through: Option<Path> = None;
    for item in items {
        let (reached, value) = match item {
            Operand::Value(value) => (path.clone(), value),
            Operand::Reference(key) => referred(path.clone(), &key)?,
            _ => {
                return Err(invalid(format!(
                    "a list for `{path} in` takes plain values and entities only"
                )));
            }
        };
        if through.as_ref().is_some_and(|through| *through != reached) {
            return Err(invalid(format!(
                "a list for `{path} in` mixes entities and values"
            )));
        }
        through = Some(reached);
        values.push(value);
    }
    Ok((through.unwrap_or(path), Set::Values(values)))
}

/// The path to the id of the entity that `path` refers to, and that id. A foreign key is such a
/// path already. A key that is one attribute is always called `id`.
fn referred(path: Path, key: &EntityKey) -> Result<(Path, Literal)> {
    if key.parts().len() != 1 {
        return Err(invalid(format!(
            "`{path}` cannot be compared with {key}, whose key has several parts: compare the \
             parts one by one"
        )));
    }
    let last = path.segments().last().map_or("", Segment::name);
    let path = if last == "id" || last.ends_with("_id") {
        path
    } else {
        path.join("id")?
    };
    Ok((path, Literal::Text(key.id())))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Validation, message)
}

fn text(value: impl Into<String>) -> Operand {
    Operand::Value(Literal::Text(value.into()))
}

impl<T: ToOperand + ?Sized> ToOperand for &T {
    fn to_operand(&self) -> Result<Operand> {
        (**self).to_operand()
    }
}

impl ToOperand for str {
    fn to_operand(&self) -> Result<Operand> {
        Ok(text(self))
    }
}

impl ToOperand for String {
    fn to_operand(&self) -> Result<Operand> {
        Ok(text(self))
    }
}

impl ToOperand for SmolStr {
    fn to_operand(&self) -> Result<Operand> {
        Ok(text(self.as_str()))
    }
}

impl ToOperand for Cow<'_, str> {
    fn to_operand(&self) -> Result<Operand> {
        Ok(text(&**self))
    }
}

impl ToOperand for Uuid {
    fn to_operand(&self) -> Result<Operand> {
        Ok(text(self.hyphenated().to_string()))
    }
}

impl ToOperand for bool {
    fn to_operand(&self) -> Result<Operand> {
        Ok(Operand::Value(Literal::Bool(*self)))
    }
}

macro_rules! numbers {
    ($finite:expr => $($number:ty)*) => {$(
        impl ToOperand for $number {
            fn to_operand(&self) -> Result<Operand> {
                let word = Word::new(&self.to_string()).filter(|_| $finite(*self));
                word.map(|word| Operand::Value(Literal::Word(word)))
                    .ok_or_else(|| invalid(format!("{self} is not a number that can be compared")))
            }
        }
    )*};
}

numbers!(|_| true => i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
numbers!(f32::is_finite => f32);
numbers!(f64::is_finite => f64);

/// [`None`] is `none`: `field("status").eq(None::<&str>)` finds what has no status.
impl<T: ToOperand> ToOperand for Option<T> {
    fn to_operand(&self) -> Result<Operand> {
        self.as_ref()
            .map_or(Ok(Operand::Value(Literal::Null)), T::to_operand)
    }
}

impl<T: ToOperand> ToOperand for [T] {
    fn to_operand(&self) -> Result<Operand> {
        self.iter()
            .map(T::to_operand)
            .collect::<Result<_>>()
            .map(Operand::List)
    }
}

impl<T: ToOperand, const N: usize> ToOperand for [T; N] {
    fn to_operand(&self) -> Result<Operand> {
        self.as_slice().to_operand()
    }
}

impl<T: ToOperand> ToOperand for Vec<T> {
    fn to_operand(&self) -> Result<Operand> {
        self.as_slice().to_operand()
    }
}

impl ToOperand for Date {
    fn to_operand(&self) -> Result<Operand> {
        in_range(*self)?;
        Ok(text(self.to_string()))
    }
}

impl ToOperand for DateTime {
    fn to_operand(&self) -> Result<Operand> {
        in_range(self.date())?;
        Ok(text(self.strftime("%Y-%m-%dT%H:%M:%S").to_string()))
    }
}

impl ToOperand for Timestamp {
    fn to_operand(&self) -> Result<Operand> {
        self.to_zoned_datetime(TimeZone::UTC)
            .datetime()
            .to_operand()
    }
}

impl ToOperand for ZonedDateTime {
    fn to_operand(&self) -> Result<Operand> {
        self.timestamp().to_operand()
    }
}

/// Servers know years of four digits.
fn in_range(date: Date) -> Result<()> {
    if (0..=9999).contains(&date.year()) {
        return Ok(());
    }
    Err(invalid(format!(
        "the date {date} cannot stand in a query: its year is below zero"
    )))
}

impl ToOperand for EntityKey {
    fn to_operand(&self) -> Result<Operand> {
        Ok(Operand::Reference(self.clone()))
    }
}

impl ToOperand for Value {
    fn to_operand(&self) -> Result<Operand> {
        match self {
            Self::Null => Ok(Operand::Value(Literal::Null)),
            Self::Bool(value) => value.to_operand(),
            Self::Integer(value) => value.to_operand(),
            Self::Number(value) => value.to_operand(),
            Self::Text(value) => value.to_operand(),
            Self::DateTime(value) => value.to_operand(),
            Self::Date(value) => value.to_operand(),
            Self::Reference(key) => key.to_operand(),
            Self::Collection(keys) => keys.to_operand(),
            Self::List(values) => values.to_operand(),
            Self::Json(json) => match json.scalar() {
                Some(value) => value.to_operand(),
                None => Err(invalid(
                    "JSON lists and objects cannot be compared in a query".to_owned(),
                )),
            },
        }
    }
}

impl ToOperand for Literal {
    fn to_operand(&self) -> Result<Operand> {
        Ok(Operand::Value(self.clone()))
    }
}

impl ToOperand for Operand {
    fn to_operand(&self) -> Result<Operand> {
        Ok(self.clone())
    }
}

impl ToOperand for Statement {
    fn to_operand(&self) -> Result<Operand> {
        self.verify()?;
        Ok(Operand::Statement(Box::new(self.clone())))
    }
}

impl ToOperand for Criterion {
    fn to_operand(&self) -> Result<Operand> {
        Ok(Operand::Criterion(Box::new(self.clone())))
    }
}
