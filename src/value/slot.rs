//! Values as records keep them: 24 bytes, with references as places in a table of records.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};

use super::{Text, Value};

/// The compact twin of [`Value`](super::Value).
///
/// What a link's number counts is the table's business: the rows of one answer while it is
/// decoded, the records of a store afterwards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Slot {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(Text),
    DateTime(DateTime),
    Date(Date),
    Link(u32),
    Links(Box<[u32]>),
    Json(Arc<serde_json::Value>),
}

impl Slot {
    /// Replaces the number of every link.
    pub(crate) fn relink(&mut self, place_of: impl Fn(u32) -> u32) {
        match self {
            Self::Link(place) => *place = place_of(*place),
            Self::Links(places) => {
                for place in places {
                    *place = place_of(*place);
                }
            }
            _ => {}
        }
    }
}

/// A value that a record keeps, lent out while it cannot change.
///
/// Only this crate can look inside: what runs while a value is lent is never a caller's code.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a>(pub(crate) &'a Slot);

/// A value outside the store: a copy that knows no records.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    NotSet,
    /// Never links, and never a UUID: its text can be borrowed.
    Plain(Slot),
    Value(Box<Value>),
}

impl Cell {
    /// `None` for references, which only the store can name.
    #[inline]
    pub(crate) fn of(slot: &Slot) -> Option<Self> {
        Some(Self::Plain(match slot {
            Slot::Link(_) | Slot::Links(_) => return None,
            Slot::Text(text @ Text::Uuid(_)) => {
                Slot::Text(Text::Str(text.with(|text| text.into())))
            }
            slot => slot.clone(),
        }))
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Plain(Slot::Null),
            Value::Text(text) => Self::Plain(Slot::Text(Text::Str(text.into()))),
            other => Self::Value(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_three_words() {
        assert_eq!(size_of::<Slot>(), 24);
        assert_eq!(size_of::<Cell>(), 24);
    }
}
