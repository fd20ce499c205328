//! Lists of attribute names, shared by records, with the position of each name.

use std::sync::Arc;

use crate::schema::NameId;
use crate::value::HashMap;

/// All lists of attribute names of records. The first is empty.
pub(super) struct Shapes {
    shapes: Vec<Shape>,
    numbers: HashMap<Arc<[NameId]>, u32>,
}

struct Shape {
    names: Arc<[NameId]>,
    /// By `NameId`: the position in `names` plus one, or zero. This makes reads fast and costs little,
    /// because there are far fewer shapes than records.
    places: Box<[u16]>,
}

impl Default for Shapes {
    fn default() -> Self {
        let mut shapes = Self {
            shapes: Vec::new(),
            numbers: HashMap::default(),
        };
        shapes.number(&[]);
        shapes
    }
}

impl Shapes {
    pub(super) fn number(&mut self, names: &[NameId]) -> u32 {
        if let Some(&number) = self.numbers.get(names) {
            return number;
        }
        let number = u32::try_from(self.shapes.len()).expect("fewer than 2^32 shapes");
        let names: Arc<[NameId]> = names.into();
        self.shapes.push(Shape::new(names.clone()));
        self.numbers.insert(names, number);
        number
    }

    pub(super) fn names(&self, shape: u32) -> &Arc<[NameId]> {
        &self.shapes[shape as usize].names
    }

    /// The position of `name` in the shape's list.
    pub(super) fn position(&self, shape: u32, name: NameId) -> Option<usize> {
        let place = *self.places(shape).get(usize::from(name.0))?;
        usize::from(place).checked_sub(1)
    }

    /// By `NameId`: the position plus one, or zero.
    #[inline]
    pub(super) fn places(&self, shape: u32) -> &[u16] {
        &self.shapes[shape as usize].places
    }
}

impl Shape {
    fn new(names: Arc<[NameId]>) -> Self {
        let last = names.iter().map(|name| usize::from(name.0) + 1).max();
        let mut places = vec![0; last.unwrap_or(0)];
        // Backwards, so that the first of equal names wins.
        for (place, name) in names.iter().enumerate().rev() {
            // There are no more positions than names, and a name is 16 bits.
            places[usize::from(name.0)] = u16::try_from(place + 1).unwrap_or(0);
        }
        let places = places.into();
        Self { names, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_place() {
        let mut shapes = Shapes::default();
        let names = [7, 2, 90, 2].map(NameId);
        let shape = shapes.number(&names);
        assert_eq!(shapes.number(&names), shape);
        assert_eq!(shapes.names(shape)[..], names);
        for (name, place) in [
            (7, Some(0)),
            (2, Some(1)),
            (90, Some(2)),
            (3, None),
            (91, None),
        ] {
            assert_eq!(shapes.position(shape, NameId(name)), place);
        }
        assert_eq!(shapes.position(0, NameId(7)), None);
    }
}
