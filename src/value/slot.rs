//! Values in records: 24 bytes, with references as places in a table of records.

use jiff::civil::{Date, DateTime};

use super::{JsonText, Text};

/// The compact twin of [`Value`](super::Value).
///
/// The number of a link is an index of rows while a response is decoded, and of records in a store
/// afterwards.
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
    Json(JsonText),
}

impl Slot {
    /// The numbers of all links.
    pub(crate) fn links(&self) -> &[u32] {
        match self {
            Self::Link(place) => std::slice::from_ref(place),
            Self::Links(places) => places,
            _ => &[],
        }
    }

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

/// A value in a record, borrowed while the store is locked.
///
/// Only this crate can look inside, so that no caller's code runs under the lock.
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
