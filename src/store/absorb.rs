//! Takes the rows of an answer into the records.

use crate::value::Slot;
use crate::wire::{Row, Rows};

use super::attributes::Attributes;
use super::{Life, Store};

impl Store {
    /// Merges `rows` and answers with the place of each.
    ///
    /// What was set here stays and keeps hiding the server's value.
    pub(crate) fn absorb(&mut self, rows: Rows) -> Vec<u32> {
        let places: Vec<u32> = rows
            .rows
            .iter()
            .map(|row| self.find_or_insert(row.entity_type, &row.key))
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

    fn absorb_row(
        &mut self,
        place: u32,
        row: &Row,
        shape: u32,
        names: &[crate::schema::NameId],
        values: impl Iterator<Item = Slot>,
    ) {
        debug_assert_eq!(self.records[place as usize].key, row.key);
        let record = &mut self.records[place as usize];
        if record.state == Life::Gone {
            // It exists after all: somebody created it again with the same key.
            record.state = Life::Persisted;
        }
        if record.remote.len() == 0 {
            record.remote = Attributes::new(shape, values.collect());
        } else {
            record.remote.merge(&mut self.shapes, names, values);
        }
    }
}
