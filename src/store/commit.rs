//! Commit and rollback: what happens to records when operations reach the server, or do not.

use std::sync::Arc;

use crate::operation::{Operation, apply};
use crate::schema::AttributeKind;
use crate::value::Slot;
use crate::wire::Rows;

use super::attributes::Attributes;
use super::{Life, Store};

/// What a commit is sending at this moment.
pub(super) struct InFlight {
    operations: Arc<Vec<Operation>>,
    notes: Vec<Note>,
}

/// What is noted of an operation besides itself.
#[derive(Clone, Copy)]
pub(super) struct Note {
    /// Counted over the store's whole life.
    pub(super) number: u64,
    /// Where its entity was when it was recorded.
    pub(super) place: u32,
}

impl Store {
    /// The operations that are not yet on the server, in order.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        let in_flight = self
            .in_flight
            .iter()
            .flat_map(|sent| sent.operations.iter());
        in_flight.chain(&self.queued)
    }

    /// How many operations were ever recorded.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Whether a commit has sent operations and does not know their fate yet.
    pub(crate) fn is_committing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// What a commit is sending at this moment.
    pub(crate) fn operations_in_flight(&self) -> Arc<Vec<Operation>> {
        let sent = self.in_flight.as_ref();
        sent.map(|sent| sent.operations.clone()).unwrap_or_default()
    }

    /// Marks the first `count` operations of the queue as being sent, and hands them out; fewer if
    /// the answer to a commit of fewer was lost, because that has a fate of its own.
    ///
    /// `None` if there is nothing. What is recorded from now on waits for the next commit.
    pub(crate) fn begin_commit(&mut self, count: usize) -> Option<Arc<Vec<Operation>>> {
        debug_assert!(self.in_flight.is_none(), "commits wait for each other");
        if self.queued.is_empty() {
            return None;
        }
        let mut count = count.min(self.queued.len());
        if let Some(doubtful) = self.in_doubt.front_mut() {
            count = count.min(*doubtful);
            let rest = *doubtful - count;
            *doubtful = count;
            if rest > 0 {
                self.in_doubt.insert(1, rest);
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
        });
        Some(operations)
    }

    /// The server did not take the operations, or did not say: the queue is as if nothing had
    /// been sent. With `in_doubt` they may be on the server all the same.
    pub(crate) fn commit_failed(&mut self, in_doubt: bool) {
        if let Some(sent) = self.in_flight.take() {
            self.in_doubt.pop_front();
            if in_doubt {
                self.in_doubt.push_front(sent.operations.len());
            }
            let later = std::mem::take(&mut self.queued);
            self.queued = Arc::unwrap_or_clone(sent.operations);
            self.queued.extend(later);
            let later = std::mem::replace(&mut self.queued_notes, sent.notes);
            self.queued_notes.extend(later);
        }
    }

    /// How many operations the first of the commits had whose answers were lost; 0 if none is.
    pub(crate) fn in_doubt(&self) -> usize {
        self.in_doubt.front().copied().unwrap_or(0)
    }

    /// The first of the commits whose answers were lost did not reach the server.
    pub(crate) fn is_settled(&mut self) {
        self.in_doubt.pop_front();
    }

    /// The server took the operations and answered with `rows`.
    pub(crate) fn commit_succeeded(&mut self, rows: Rows) {
        let Some(InFlight { operations, notes }) = self.in_flight.take() else {
            return;
        };
        self.in_doubt.pop_front();
        let mut sent: Vec<u32> = Vec::with_capacity(notes.len());
        for (operation, note) in operations.iter().zip(&notes) {
            let place = self.place_of(operation, note);
            self.forget_stale_collections(place, operation);
            let Some(place) = place else {
                continue;
            };
            sent.push(place);
            match operation {
                Operation::Create { .. } => self.set_life(place, Life::Created, Life::Persisted),
                Operation::Delete { .. } => {
                    if let Some(deleted) = self.deleted_under_key_of(place) {
                        self.bury(deleted);
                    }
                }
                Operation::Update { .. } | Operation::Extend { .. } => {}
            }
        }
        for place in self.changed.iter().copied().collect::<Vec<_>>() {
            self.promote(place, self.sent_before);
            self.settle(place);
        }
        sent.dedup();
        self.absorb_expecting(rows, &sent);
    }

    /// Forgets every operation and every local value. Entities that were never committed go
    /// away; deleted ones are there again. What may be on the server all the same is asked for
    /// when it is next read.
    pub(crate) fn rollback(&mut self) {
        let mut doubtful = std::mem::take(&mut self.queued);
        doubtful.truncate(self.in_doubt.iter().sum());
        let effects = self.effects(&doubtful);
        self.queued_notes.clear();
        self.in_doubt.clear();
        let changed = std::mem::take(&mut self.changed);
        for &place in &changed {
            self.records[place as usize].local = None;
            if self.record(place).state == Life::Created {
                self.bury(place);
            }
        }
        for &place in &changed {
            if self.record(place).state == Life::Deleted {
                self.records[place as usize].state = Life::Persisted;
                self.index_again(place);
            }
        }
        self.distrust(&doubtful, &effects);
    }

    /// Where the entity of an operation is now: mostly where it was. The index of all keys is large
    /// and seldom in the processor's cache.
    fn place_of(&self, operation: &Operation, note: &Note) -> Option<u32> {
        let entity = operation.entity();
        let is_there = self.records.get(note.place as usize).is_some_and(|record| {
            matches!(record.state, Life::Persisted | Life::Created)
                && record.key == *entity.key()
                && self.schema.by_id(record.entity_type).name() == entity.entity_type()
        });
        if is_there {
            return Some(note.place);
        }
        self.find_key(entity)
    }

    /// The deleted entity with the key of the one at `place`: that one itself, unless a new entity
    /// has taken the key over.
    fn deleted_under_key_of(&self, place: u32) -> Option<u32> {
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

    pub(super) fn bury(&mut self, place: u32) {
        self.records[place as usize].state = Life::Gone;
        self.unindex(place);
        self.leave_group(place);
    }

    /// What was sent is what the server has now; its answer may correct it afterwards.
    fn promote(&mut self, place: u32, sent_before: u64) {
        let record = &mut self.records[place as usize];
        let Some(local) = &mut record.local else {
            return;
        };
        let sent = local.take_recorded_before(sent_before).into_iter();
        let sent = sent.map(|setting| (setting.name, setting.value));
        let extended = local.take_extensions_before(sent_before);
        record.remote.merge(&mut self.shapes, sent);
        // What a collection has besides what joined is known only if it was loaded.
        for extension in extended {
            if let Some(Slot::Links(members)) = record.remote.get(&self.shapes, extension.name) {
                let members = apply(members, &extension.added, &extension.removed);
                let value = (extension.name, Slot::Links(members.into()));
                record
                    .remote
                    .merge(&mut self.shapes, std::iter::once(value));
            }
        }
    }

    /// A new child makes the parent's loaded list of children stale; so does one that left.
    fn forget_stale_collections(&mut self, place: Option<u32>, operation: &Operation) {
        for owner in self.owners(place, operation) {
            self.forget_collections_of(owner, operation.entity().entity_type());
        }
    }

    /// The places that single references of this entity lead to.
    pub(super) fn linked(&self, place: u32) -> Vec<u32> {
        let record = self.record(place);
        let local = record.local.iter().flat_map(|local| local.iter());
        let local = local.map(|setting| &setting.value);
        let remote = record.remote.iter(&self.shapes).map(|(_, slot)| slot);
        let links = local.chain(remote).filter_map(|slot| match slot {
            Slot::Link(place) => Some(*place),
            _ => None,
        });
        links.collect()
    }

    pub(super) fn forget_collections_of(&mut self, owner: u32, member: &str) {
        let schema = self.schema.clone();
        let record = &mut self.records[owner as usize];
        let entity_type = schema.by_id(record.entity_type);
        let mut remote: Attributes = std::mem::take(&mut record.remote);
        remote.retain(&mut self.shapes, |name, _| {
            let kind = entity_type.by_id(name).map(crate::schema::Attribute::kind);
            match kind {
                Some(AttributeKind::Collection(target) | AttributeKind::Mapped(target)) => {
                    !schema.is_kind_of(member, target)
                }
                _ => true,
            }
        });
        self.records[owner as usize].remote = remote;
    }
}
