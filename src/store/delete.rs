//! Deleting, discarding and reviving entities, and what that removes from the queue.

use crate::error::Result;
use crate::operation::Operation;
use crate::schema::AttributeKind;
use crate::value::{EntityKey, HashSet};

use super::commit::{InFlight, Note};
use super::{Life, Store};

impl Store {
    /// Marks the entity for deletion. An entity that was never committed is discarded at once.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if it does not exist any more.
    pub(crate) fn delete(&mut self, place: u32) -> Result<()> {
        match self.record(place).state {
            Life::Missing => return Err(self.missing_error(place)),
            Life::Deleted => return Ok(()),
            Life::Created if !self.may_be_created(place) => {
                self.discard(&[place]);
                return Ok(());
            }
            Life::Created => {
                self.records[place as usize].state = Life::Missing;
                self.unindex(place);
            }
            Life::Persisted => {
                self.records[place as usize].state = Life::Deleted;
                self.marked_deleted += 1;
            }
        }
        self.changed.insert(place);
        let entity = self.key(place);
        self.push(place, Operation::Delete { entity });
        Ok(())
    }

    /// Discards entities that are not committed, with everything recorded about them and about their
    /// metadata and custom attributes, so that the queue is as if they had never been created. Others
    /// are not touched.
    pub(crate) fn discard(&mut self, places: &[u32]) {
        let is_discardable = |place: &u32| {
            self.record(*place).state == Life::Created && !self.may_be_created(*place)
        };
        let mut discarded: HashSet<u32> = places.iter().copied().filter(is_discardable).collect();
        if discarded.is_empty() {
            return;
        }
        discarded.extend(self.rows_of(&discarded));
        let keys: HashSet<EntityKey> = discarded.iter().map(|&place| self.key(place)).collect();
        self.retain_queued(|operation, note| {
            if let Operation::Extend { added, removed, .. } = operation {
                added.retain(|member| !keys.contains(member));
                removed.retain(|member| !keys.contains(member));
                if added.is_empty() && removed.is_empty() {
                    return false;
                }
            }
            !discarded.contains(&note.place)
        });
        for &place in &discarded {
            self.records[place as usize].local = None;
            self.mark_missing(place);
            if let Some(replaced) = self.deleted_under_key_of(place) {
                self.index_again(replaced);
            }
        }
        for place in self.changed.iter().copied().collect::<Vec<_>>() {
            if let Some(local) = &mut self.records[place as usize].local {
                local.remove_members(&discarded);
            }
            self.tidy(place);
        }
    }

    /// The changed rows of the mappings of these entities: entities of their own, which name their
    /// owner in their key and are nothing without it.
    fn rows_of(&self, owners: &HashSet<u32>) -> Vec<u32> {
        let mut expected = HashSet::default();
        for &owner in owners {
            let attributes = self.entity_type(owner).attributes();
            for attribute in attributes {
                if let AttributeKind::Mapped(row) = attribute.kind() {
                    let parts = self.record(owner).key.parts();
                    expected.extend(parts.iter().map(|part| (row.as_str(), part)));
                }
            }
        }
        let is_row = |place: &u32| {
            let entity_type = self.entity_type(*place).name();
            let parts = self.record(*place).key.parts();
            parts
                .iter()
                .any(|part| expected.contains(&(entity_type, part)))
        };
        self.changed.iter().copied().filter(is_row).collect()
    }

    /// Whether the creation of an entity has been sent, so that the server may have it.
    fn may_be_created(&self, place: u32) -> bool {
        let is_it = |(operation, note): (&Operation, &Note)| {
            note.place == place && matches!(operation, Operation::Create { .. })
        };
        let doubtful: usize = self.in_doubt.iter().sum();
        let mut doubtful = self.queued.iter().zip(&self.queued_notes).take(doubtful);
        let mut in_flight = self.in_flight.iter().flat_map(InFlight::operations);
        doubtful.any(is_it) || in_flight.any(is_it)
    }

    /// Cancels a deletion that is not committed. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// - Any error of [`place`](Self::place).
    pub(crate) fn revive(&mut self, entity: &EntityKey) -> Result<bool> {
        let Some(place) = self.find_key(entity) else {
            return Ok(false);
        };
        let record = &mut self.records[place as usize];
        if record.state != Life::Deleted {
            return Ok(false);
        }
        record.state = Life::Persisted;
        let was_in_doubt = self.retain_queued(
            |one, _| !matches!(one, Operation::Delete { entity: deleted } if deleted == entity),
        );
        if was_in_doubt {
            self.invalidate(entity);
        }
        self.tidy(place);
        Ok(true)
    }

    /// Removes operations from the queue. Returns whether one of them was in doubt, so that the server
    /// may have applied it.
    pub(super) fn retain_queued(
        &mut self,
        mut keep: impl FnMut(&mut Operation, &Note) -> bool,
    ) -> bool {
        let queued = self.queued.iter_mut().zip(&self.queued_notes);
        let kept: Vec<bool> = queued.map(|(one, note)| keep(one, note)).collect();
        let mut rest = kept.iter();
        let doubtful: usize = self.in_doubt.iter().sum();
        for count in &mut self.in_doubt {
            *count = rest.by_ref().take(*count).filter(|kept| **kept).count();
        }
        self.in_doubt.retain(|count| *count > 0);
        let mut keeps = kept.iter();
        self.queued.retain(|_| keeps.next() == Some(&true));
        let mut keeps = kept.iter();
        self.queued_notes.retain(|_| keeps.next() == Some(&true));
        self.in_doubt.iter().sum::<usize>() < doubtful
    }
}
