//! Merges the rows of a response into the records.

use crate::schema::NameId;
use crate::value::{HashSet, Slot};
use crate::wire::{Row, Rows};

use super::attributes::Attributes;
use super::{Life, Store};

impl Store {
    /// Merges `rows` and returns the place of each. Local values stay in force.
    pub(crate) fn absorb(&mut self, rows: Rows) -> Vec<u32> {
        self.absorb_expecting(rows, &[])
    }

    /// The same for rows that are mostly in the order of the records at `expected`.
    pub(super) fn absorb_expecting(&mut self, rows: Rows, expected: &[u32]) -> Vec<u32> {
        let mut expected = expected;
        let places: Vec<u32> = rows
            .rows
            .iter()
            .map(|row| {
                let is_next = |place: &&u32| self.is_at(row, **place);
                if let Some(&place) = expected.first().filter(is_next) {
                    expected = &expected[1..];
                    return place;
                }
                let place = self.find_or_insert(row.entity_type, &row.key);
                self.correct_type(place, row.entity_type);
                // Some are missing: optimised away, or changed twice.
                let ahead = expected.iter().take(8);
                if let Some(passed) = ahead.copied().position(|next| next == place) {
                    expected = &expected[passed + 1..];
                }
                place
            })
            .collect();
        self.join_groups(&rows, &places);
        let mut slots = rows.slots.into_iter();
        let shapes: Vec<u32> = rows
            .shapes
            .iter()
            .map(|names| self.shapes.number(names))
            .collect();
        for (row, &place) in rows.rows.iter().zip(&places) {
            let names = &rows.shapes[row.shape as usize];
            let values = slots.by_ref().take(names.len()).map(|mut slot| {
                slot.relink(|row| places[row as usize]);
                slot
            });
            self.absorb_row(place, row, shapes[row.shape as usize], names, values);
        }
        places
    }

    /// Removes references that contradict a foreign key that has just arrived without them, and the
    /// other way round: the two are one fact.
    fn drop_contradicted(&mut self, place: u32, arrived: &[NameId]) {
        let schema = self.schema.clone();
        let entity_type = schema.by_id(self.record(place).entity_type);
        let mut contradicted = HashSet::default();
        for name in arrived {
            let attribute = entity_type.by_id(*name);
            let other = attribute.and_then(|one| entity_type.counterpart(one));
            let Some(other) = other.filter(|other| !arrived.contains(&other.id())) else {
                continue;
            };
            let remote = &self.record(place).remote;
            let (new, old) = (
                remote.get(&self.shapes, *name),
                remote.get(&self.shapes, other.id()),
            );
            let agree = match (new, old) {
                (_, None) | (Some(Slot::Null), Some(Slot::Null)) => true,
                (Some(Slot::Link(target)), Some(Slot::Text(id)))
                | (Some(Slot::Text(id)), Some(Slot::Link(target))) => {
                    self.record(*target).key.parts() == std::slice::from_ref(id)
                }
                _ => false,
            };
            if !agree {
                contradicted.insert(other.id());
            }
        }
        if !contradicted.is_empty() {
            self.invalidate_names(place, &contradicted);
        }
    }

    /// Whether the row is about the record at `place`. This avoids a look-up in the index of all keys,
    /// which is seldom in the processor's cache.
    fn is_at(&self, row: &Row, place: u32) -> bool {
        self.records.get(place as usize).is_some_and(|record| {
            record.state == Life::Persisted
                && record.entity_type == row.entity_type
                && record.key == row.key
        })
    }

    fn absorb_row(
        &mut self,
        place: u32,
        row: &Row,
        shape: u32,
        names: &[NameId],
        values: impl Iterator<Item = Slot>,
    ) {
        let record = &mut self.records[place as usize];
        debug_assert_eq!(record.key, row.key);
        debug_assert_ne!(
            record.state,
            Life::Missing,
            "missing entities are not in the identity map"
        );
        if record.remote.len() == 0 {
            record.remote = Attributes::new(shape, values.collect());
        } else {
            let values = names.iter().copied().zip(values);
            record.remote.merge(&mut self.shapes, values);
            self.drop_contradicted(place, names);
        }
    }
}
