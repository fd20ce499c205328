//! Reduces recorded operations to the fewest payloads with the same effect.
//!
//! Each step is a function from payloads to payloads that does not change the effect on the
//! server; the property test at the end checks that with random operations.

use super::Operation;
use crate::value::{EntityKey, HashMap, HashSet, Value};

/// The content of one action of a commit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Payload<'a> {
    pub(crate) kind: OperationKind,
    pub(crate) entity: &'a EntityKey,
    /// Attribute, value, and the index of the operation that set it.
    pub(crate) data: Vec<(&'a str, &'a Value, usize)>,
    /// The index of the first operation that went into this payload.
    pub(crate) operation: usize,
}

/// What a commit does with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// It is created.
    Create,
    /// Attributes of it change.
    Update,
    /// It is deleted.
    Delete,
}

impl OperationKind {
    /// The name of its action.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The payloads to send for `operations`, in which [`resolve`](super::resolve) has replaced the
/// extensions of collections by updates.
pub(crate) fn optimise(operations: &[Operation]) -> Vec<Payload<'_>> {
    let payloads = payloads(operations);
    let payloads = drop_short_lived(payloads);
    let payloads = keep_last_updates(payloads);
    let payloads = drop_empty_updates(payloads);
    fold_neighbours(payloads)
}

fn payloads(operations: &[Operation]) -> Vec<Payload<'_>> {
    operations.iter().enumerate().map(payload).collect()
}

fn payload((index, operation): (usize, &Operation)) -> Payload<'_> {
    let (kind, data) = match operation {
        Operation::Create { entity_data, .. } => {
            let data = entity_data.iter();
            let data = data.map(|(name, value)| (name, value, index));
            (OperationKind::Create, data.collect())
        }
        Operation::Update {
            attribute_name,
            new_value,
            ..
        } => (
            OperationKind::Update,
            vec![(attribute_name.as_str(), new_value, index)],
        ),
        // `resolve` has made an update of the last of them.
        Operation::Extend { .. } => (OperationKind::Update, Vec::new()),
        Operation::Delete { .. } => (OperationKind::Delete, Vec::new()),
    };
    Payload {
        kind,
        entity: operation.entity(),
        data,
        operation: index,
    }
}

/// Drops entities that are created and later deleted, and updates of entities that are deleted
/// afterwards.
fn drop_short_lived(mut payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    // By entity, walking backwards: the index of the deletion that ends its current life.
    let mut deletions: HashMap<&EntityKey, usize> = HashMap::default();
    let mut dropped = HashSet::default();
    for (index, payload) in payloads.iter().enumerate().rev() {
        match payload.kind {
            OperationKind::Delete => {
                deletions.insert(payload.entity, index);
            }
            OperationKind::Update => {
                if deletions.contains_key(payload.entity) {
                    dropped.insert(index);
                }
            }
            OperationKind::Create => {
                if let Some(deletion) = deletions.remove(payload.entity) {
                    dropped.extend([index, deletion]);
                }
            }
        }
    }
    let mut index = 0;
    payloads.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
    payloads
}

/// Keeps only the last of several updates of one attribute, in its place. Those that concern an
/// earlier entity of the same key are gone with it.
fn keep_last_updates(mut payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    let mut later: HashMap<&EntityKey, HashSet<&str>> = HashMap::default();
    for payload in payloads.iter_mut().rev() {
        if payload.kind == OperationKind::Update {
            let names = later.entry(payload.entity).or_default();
            payload.data.retain(|(name, ..)| names.insert(name));
        }
    }
    payloads
}

fn drop_empty_updates(mut payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    payloads.retain(|payload| payload.kind != OperationKind::Update || !payload.data.is_empty());
    payloads
}

/// Merges an update into the create or update of the same entity right before it.
fn fold_neighbours(payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    let mut folded: Vec<Payload<'_>> = Vec::with_capacity(payloads.len());
    for payload in payloads {
        match folded.last_mut() {
            Some(last)
                if payload.kind == OperationKind::Update && last.entity == payload.entity =>
            {
                for (name, value, operation) in payload.data {
                    last.data.retain(|(present, ..)| *present != name);
                    last.data.push((name, value, operation));
                }
            }
            _ => folded.push(payload),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(id: u8) -> EntityKey {
        EntityKey::new("Task", format!("t{id}"))
    }

    fn create(id: u8) -> Operation {
        Operation::Create {
            entity: key(id),
            entity_data: crate::data! { "a": 0, "b": 0 },
        }
    }

    fn update(id: u8, name: &str, value: i64) -> Operation {
        Operation::Update {
            entity: key(id),
            attribute_name: name.into(),
            old_value: None,
            new_value: value.into(),
        }
    }

    fn delete(id: u8) -> Operation {
        Operation::Delete { entity: key(id) }
    }

    fn shown(operations: &[Operation]) -> Vec<String> {
        optimise(operations)
            .iter()
            .map(|payload| {
                let data = payload.data.iter();
                let data: Vec<_> = data
                    .map(|(name, value, _)| format!("{name}={value}"))
                    .collect();
                format!(
                    "{:?} {} {}",
                    payload.kind,
                    payload.entity.id(),
                    data.join(" ")
                )
                .trim_end()
                .to_lowercase()
            })
            .collect()
    }

    #[test]
    fn steps() {
        for (operations, expected) in [
            (vec![create(1), update(1, "a", 5), delete(1)], vec![]),
            (vec![update(1, "a", 5), delete(1)], vec!["delete t1"]),
            (
                vec![update(1, "a", 1), update(1, "a", 2)],
                vec!["update t1 a=2"],
            ),
            (
                vec![update(1, "a", 1), update(2, "a", 1), update(1, "a", 2)],
                vec!["update t2 a=1", "update t1 a=2"],
            ),
            (
                vec![update(1, "a", 1), update(1, "b", 2), update(2, "b", 3)],
                vec!["update t1 a=1 b=2", "update t2 b=3"],
            ),
            (
                vec![create(1), update(1, "a", 7)],
                vec!["create t1 b=0 a=7"],
            ),
            (
                vec![delete(1), create(1), update(1, "a", 7)],
                vec!["delete t1", "create t1 b=0 a=7"],
            ),
            (
                vec![create(1), delete(1), create(1), update(2, "a", 1)],
                vec!["create t1 a=0 b=0", "update t2 a=1"],
            ),
        ] {
            assert_eq!(shown(&operations), expected);
        }
    }

    /// A minimal server: creating an existing row and changing a missing one are errors, deleting
    /// a missing one is not.
    fn apply(operations: &[Operation]) -> BTreeMap<EntityKey, BTreeMap<String, String>> {
        let mut rows = BTreeMap::from([(key(8), BTreeMap::new()), (key(9), BTreeMap::new())]);
        run(&mut rows, &payloads(operations));
        rows
    }

    fn run(rows: &mut BTreeMap<EntityKey, BTreeMap<String, String>>, payloads: &[Payload<'_>]) {
        for payload in payloads {
            if payload.kind == OperationKind::Delete {
                rows.remove(payload.entity);
                continue;
            }
            if payload.kind == OperationKind::Create {
                assert!(!rows.contains_key(payload.entity), "created twice");
                rows.insert(payload.entity.clone(), BTreeMap::new());
            }
            let row = rows.get_mut(payload.entity).expect("changed a missing row");
            for (name, value, _) in &payload.data {
                row.insert((*name).to_owned(), value.to_string());
            }
        }
    }

    /// Only sequences that a session can record.
    fn sensible(choices: Vec<(u8, u8, u8, i64)>) -> Vec<Operation> {
        let mut alive: HashSet<u8> = HashSet::from_iter([8, 9]);
        let mut operations = Vec::new();
        for (what, id, name, value) in choices {
            match what {
                0 if alive.insert(id) => operations.push(create(id)),
                1 if alive.remove(&id) => operations.push(delete(id)),
                2.. if alive.contains(&id) => {
                    operations.push(update(id, ["a", "b", "c"][usize::from(name)], value));
                }
                _ => {}
            }
        }
        operations
    }

    proptest! {
        #[test]
        fn optimised_operations_have_the_same_effect(
            choices in proptest::collection::vec((0..6u8, 5..10u8, 0..3u8, 0..4i64), 0..40)
        ) {
            let operations = sensible(choices);
            let mut rows = BTreeMap::from([(key(8), BTreeMap::new()), (key(9), BTreeMap::new())]);
            let optimised = optimise(&operations);
            prop_assert!(optimised.len() <= operations.len());
            run(&mut rows, &optimised);
            prop_assert_eq!(rows, apply(&operations));
        }
    }
}
