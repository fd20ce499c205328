//! The beginning and the end of commits, and rollback: their effect on records and the queue.

use std::sync::Arc;

use crate::operation::{Operation, apply};
use crate::schema::Attribute;
use crate::value::{EntityKey, Slot};
use crate::wire::Rows;

use super::attributes::Attributes;
use super::{Life, Stale, Store};

/// The operations that a commit is sending.
pub(super) struct InFlight {
    operations: Arc<Vec<Operation>>,
    notes: Vec<Note>,
    /// Whether an earlier request with these operations may have been applied.
    in_doubt: bool,
}

impl InFlight {
    pub(super) fn operations(&self) -> impl Iterator<Item = (&Operation, &Note)> {
        self.operations.iter().zip(&self.notes)
    }
}

/// What else is known of a recorded operation.
#[derive(Clone, Copy)]
pub(super) struct Note {
    /// Its number among all operations that were ever recorded.
    pub(super) number: u64,
    /// The place of its entity when it was recorded.
    pub(super) place: u32,
}

impl Store {
    /// The operations that are not committed, in order.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        let in_flight = self
            .in_flight
            .iter()
            .flat_map(|sent| sent.operations.iter());
        in_flight.chain(&self.queued)
    }

    /// Whether a commit is under way.
    pub(crate) fn is_committing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The operations of the commit under way.
    pub(crate) fn operations_in_flight(&self) -> Arc<Vec<Operation>> {
        let sent = self.in_flight.as_ref();
        sent.map(|sent| sent.operations.clone()).unwrap_or_default()
    }

    /// Begins a commit of the first `count` operations of the queue and returns them. They are fewer
    /// if a commit of fewer is in doubt, because operations recorded later must not share a request
    /// with it.
    ///
    /// `None` if nothing is recorded. Operations recorded from now on wait for the next commit.
    pub(crate) fn begin_commit(&mut self, count: usize) -> Option<Arc<Vec<Operation>>> {
        debug_assert!(self.in_flight.is_none(), "another commit is under way");
        if self.queued.is_empty() {
            return None;
        }
        let mut count = count.min(self.queued.len());
        let doubtful = self.in_doubt.pop_front();
        if let Some(doubtful) = doubtful {
            count = count.min(doubtful);
            if doubtful > count {
                self.in_doubt.push_front(doubtful - count);
            }
        }
        let later = self.queued.split_off(count);
        let operations = Arc::new(std::mem::replace(&mut self.queued, later));
        let later = self.queued_notes.split_off(count);
        let next = later.first().map(|note| note.number);
        self.sent_before = next.unwrap_or(self.recorded);
        let notes = std::mem::replace(&mut self.queued_notes, later);
        self.in_flight = Some(InFlight {
            operations: operations.clone(),
            notes,
            in_doubt: doubtful.is_some(),
        });
        Some(operations)
    }

    /// Ends a commit that failed: its operations are back in the queue. `in_doubt` says that they may
    /// have been applied all the same.
    pub(crate) fn commit_failed(&mut self, in_doubt: bool) {
        if let Some(sent) = self.in_flight.take() {
            if in_doubt {
                self.in_doubt.push_front(sent.operations.len());
            }
            let later = std::mem::take(&mut self.queued);
            self.queued = Arc::unwrap_or_clone(sent.operations);
            self.queued.extend(later);
            let later = std::mem::replace(&mut self.queued_notes, sent.notes);
            self.queued_notes.extend(later);
            self.rename_recorded(|_| true);
        }
    }

    /// Names entities in what is recorded by the type that is known by now. Whoever compares operations
    /// would take an entity under two names for two.
    pub(super) fn rename_recorded(&mut self, is_meant: impl Fn(&Note) -> bool) {
        let recorded = self.queued.iter_mut().zip(&self.queued_notes);
        for (operation, note) in recorded.filter(|(_, note)| is_meant(note)) {
            let Some(record) = self.records.get(note.place as usize) else {
                continue;
            };
            let name = self.schema.by_id(record.entity_type).name();
            let entity = operation.entity();
            if record.key == *entity.key() && name != entity.entity_type() {
                operation.rename(EntityKey::from_key(name, record.key.clone()));
            }
        }
    }

    /// The number of operations of the first commit in doubt; 0 if none is.
    pub(crate) fn in_doubt(&self) -> usize {
        let sent = self.in_flight.as_ref().filter(|sent| sent.in_doubt);
        let sent = sent.map(|sent| sent.operations.len());
        sent.or_else(|| self.in_doubt.front().copied()).unwrap_or(0)
    }

    /// The commit in doubt was not applied, and the lost request cannot arrive any more. If it is sent
    /// again in chunks, that holds for all of them: they were one request.
    pub(crate) fn clear_doubt(&mut self) {
        self.in_doubt.clear();
    }

    /// Ends a commit that was applied; `rows` are those of the response.
    /// Returns what it made stale.
    pub(crate) fn commit_succeeded(&mut self, rows: Rows) -> Stale {
        let Some(InFlight {
            operations, notes, ..
        }) = self.in_flight.take()
        else {
            return Stale::default();
        };
        let stale = self.stale_after(&operations, &notes);
        let mut created = Vec::new();
        let mut sent: Vec<u32> = Vec::with_capacity(notes.len());
        for (operation, note) in operations.iter().zip(&notes) {
            let Some(place) = self.place_of(operation, note) else {
                continue;
            };
            sent.push(place);
            match operation {
                Operation::Create { .. } => {
                    created.push(place);
                    self.set_life(place, Life::Created, Life::Persisted);
                }
                Operation::Delete { .. } => {
                    if let Some(deleted) = self.deleted_under_key_of(place) {
                        self.mark_missing(deleted);
                    }
                }
                Operation::Update { .. } | Operation::Extend { .. } => {}
            }
        }
        for place in self.changed.iter().copied().collect::<Vec<_>>() {
            self.promote(place, self.sent_before);
            self.tidy(place);
        }
        sent.dedup();
        self.apply_stale(&stale);
        self.absorb_expecting(rows, &sent);
        let by_response = self.stale_after_response(&created);
        self.apply_stale(&by_response);
        self.apply_echoed(&stale);
        stale.with(by_response)
    }

    /// Discards every operation and every local value. Entities that were never committed become
    /// missing; deletions are undone. Values that a commit in doubt may have changed are invalidated.
    pub(crate) fn rollback(&mut self) {
        let mut doubtful = std::mem::take(&mut self.queued);
        doubtful.truncate(self.in_doubt.iter().sum());
        let effects = self.effects(&doubtful);
        self.queued_notes.clear();
        self.in_doubt.clear();
        let changed = std::mem::take(&mut self.changed);
        self.joining.clear();
        self.marked_deleted = 0;
        for &place in &changed {
            self.records[place as usize].local = None;
            if self.record(place).state == Life::Created {
                self.mark_missing(place);
            }
        }
        for &place in &changed {
            if self.record(place).state == Life::Deleted {
                self.records[place as usize].state = Life::Persisted;
                self.index_again(place);
            }
        }
        self.invalidate_affected(&doubtful, &effects);
    }

    /// The present place of an operation's entity. The place at which it was recorded is tried first,
    /// because the index of all keys is large and seldom in the processor's cache.
    pub(super) fn place_of(&self, operation: &Operation, note: &Note) -> Option<u32> {
        let entity = operation.entity();
        let is_unchanged = self.records.get(note.place as usize).is_some_and(|record| {
            matches!(record.state, Life::Persisted | Life::Created)
                && record.key == *entity.key()
                && self.schema.by_id(record.entity_type).name() == entity.entity_type()
        });
        if is_unchanged {
            return Some(note.place);
        }
        self.find_key(entity)
    }

    /// The deleted entity with the key of the one at `place`: not that one itself if a new entity has
    /// taken over the key.
    pub(super) fn deleted_under_key_of(&self, place: u32) -> Option<u32> {
        let new = self.record(place);
        if new.state == Life::Deleted {
            return Some(place);
        }
        let mut deleted = self.changed.iter().copied().filter(|&one| {
            let record = self.record(one);
            record.state == Life::Deleted && record.key == new.key
        });
        deleted.next()
    }

    fn set_life(&mut self, place: u32, from: Life, to: Life) {
        let record = &mut self.records[place as usize];
        if record.state == from {
            record.state = to;
        }
    }

    pub(super) fn mark_missing(&mut self, place: u32) {
        self.records[place as usize].state = Life::Missing;
        self.unindex(place);
        self.leave_group(place);
    }

    /// Makes local values that were sent remote ones; the response may correct them afterwards.
    fn promote(&mut self, place: u32, sent_before: u64) {
        let record = &mut self.records[place as usize];
        let Some(local) = &mut record.local else {
            return;
        };
        let sent = local.take_recorded_before(sent_before).into_iter();
        let sent = sent.map(|setting| (setting.name, setting.value));
        let extended = local.take_extensions_before(sent_before);
        record.remote.merge(&mut self.shapes, sent);
        // The other members of a collection are known only if it is loaded.
        for extension in extended {
            if let Some(Slot::Links(members)) = record.remote.get(&self.shapes, extension.name) {
                let members = apply(members, &extension.added, &extension.removed, |one| one);
                let value = (extension.name, Slot::Links(members.into()));
                record
                    .remote
                    .merge(&mut self.shapes, std::iter::once(value));
            }
        }
    }

    /// The places that single references of this entity lead to.
    pub(super) fn linked(&self, place: u32) -> Vec<u32> {
        let slots = self.record(place).slots(&self.shapes);
        let links = slots.filter_map(|(_, slot)| match slot {
            Slot::Link(place) => Some(*place),
            _ => None,
        });
        links.collect()
    }

    pub(super) fn invalidate_collections(&mut self, owner: u32, member: &str) {
        self.invalidations += 1;
        let schema = self.schema.clone();
        let record = &mut self.records[owner as usize];
        let entity_type = schema.by_id(record.entity_type);
        let mut remote: Attributes = std::mem::take(&mut record.remote);
        remote.retain(&mut self.shapes, |name, _| {
            let target = entity_type.by_id(name).and_then(Attribute::members);
            target.is_none_or(|target| !schema.is_kind_of(member, target))
        });
        self.records[owner as usize].remote = remote;
    }
}
