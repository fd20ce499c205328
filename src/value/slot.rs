//! Values as records keep them: 24 bytes, with references as places in a table of records.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};

use super::Text;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_three_words() {
        assert_eq!(size_of::<Slot>(), 24);
    }
}
