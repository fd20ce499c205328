//! From recorded operations to the fewest payloads that have the same effect.
//!
//! Each step is a function from payloads to payloads that leaves the server in the same state;
//! the tests at the end check that law on random operations.

use super::Operation;
use crate::value::{EntityKey, HashMap, HashSet, Value};

/// What one action of a commit carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Payload<'a> {
    pub(crate) action: Action,
    pub(crate) entity: &'a EntityKey,
    /// Attribute, value, and the operation that it came from.
    pub(crate) data: Vec<(&'a str, &'a Value, usize)>,
    /// The first operation that it came from.
    pub(crate) operation: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
}

/// The payloads to send for `operations`, of whose every collection that is extended
/// [`resolve`](super::resolve) has made an update.
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
    let (action, data) = match operation {
        Operation::Create { entity_data, .. } => {
            let data = entity_data.iter();
            let data = data.map(|(name, value)| (name, value, index));
            (Action::Create, data.collect())
        }
        Operation::Update {
            attribute_name,
            new_value,
            ..
        } => (
            Action::Update,
            vec![(attribute_name.as_str(), new_value, index)],
        ),
        // Sent as the update that `resolve` makes of it.
        Operation::Extend { .. } => (Action::Update, Vec::new()),
        Operation::Delete { .. } => (Action::Delete, Vec::new()),
    };
    Payload {
        action,
        entity: operation.entity(),
        data,
        operation: index,
    }
}

/// An entity that is created and later deleted never needs to exist, and what is set on an
/// entity before it is deleted need not be sent.
fn drop_short_lived(mut payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    /// What comes after a payload, for its entity.
    #[derive(PartialEq)]
    enum Fate {
        Deleted { at: usize },
        Stays,
    }
    let mut fates: HashMap<&EntityKey, Fate> = HashMap::default();
    let mut dropped = HashSet::default();
    for (index, payload) in payloads.iter().enumerate().rev() {
        match (payload.action, fates.get(payload.entity)) {
            (Action::Delete, _) => {
                fates.insert(payload.entity, Fate::Deleted { at: index });
            }
            (Action::Update, Some(Fate::Deleted { .. })) => {
                dropped.insert(index);
            }
            (Action::Create, Some(&Fate::Deleted { at })) => {
                dropped.extend([index, at]);
                fates.insert(payload.entity, Fate::Stays);
            }
            (Action::Create | Action::Update, _) => {}
        }
    }
    let mut index = 0;
    payloads.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
    payloads
}

/// Of several updates of one attribute only the last is sent, in its own place. A create or a
/// delete of the entity between them ends the search: what comes before it is another life.
fn keep_last_updates(mut payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    // How many lives of an entity come later, where that matters.
    let mut lives: HashMap<&EntityKey, u32> = HashMap::default();
    let mut later: HashSet<(&EntityKey, u32, &str)> = HashSet::default();
    for payload in payloads.iter_mut().rev() {
        let entity = payload.entity;
        match payload.action {
            Action::Update => {
                let life = lives.get(entity).copied().unwrap_or(0);
                let data = &mut payload.data;
                data.retain(|(name, ..)| later.insert((entity, life, name)));
            }
            Action::Create | Action::Delete if later.is_empty() => {}
            Action::Create | Action::Delete => *lives.entry(entity).or_default() += 1,
        }
    }
    payloads
}

fn drop_empty_updates(mut payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    payloads.retain(|payload| payload.action != Action::Update || !payload.data.is_empty());
    payloads
}

/// An update goes into the create or update of the same entity right before it.
fn fold_neighbours(payloads: Vec<Payload<'_>>) -> Vec<Payload<'_>> {
    let mut folded: Vec<Payload<'_>> = Vec::with_capacity(payloads.len());
    for payload in payloads {
        match folded.last_mut() {
            Some(last)
                if payload.action == Action::Update
                    && last.action != Action::Delete
                    && last.entity == payload.entity =>
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
                    payload.action,
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

    /// A server in small: rows by key; creating what exists and changing what does not are
    /// errors, deleting what is gone is not (SERVER.md D).
    fn apply(operations: &[Operation]) -> BTreeMap<EntityKey, BTreeMap<String, String>> {
        let mut rows = BTreeMap::from([(key(8), BTreeMap::new()), (key(9), BTreeMap::new())]);
        run(&mut rows, &payloads(operations));
        rows
    }

    fn run(rows: &mut BTreeMap<EntityKey, BTreeMap<String, String>>, payloads: &[Payload<'_>]) {
        for payload in payloads {
            if payload.action == Action::Delete {
                rows.remove(payload.entity);
                continue;
            }
            if payload.action == Action::Create {
                assert!(!rows.contains_key(payload.entity), "created twice");
                rows.insert(payload.entity.clone(), BTreeMap::new());
            }
            let row = rows
                .get_mut(payload.entity)
                .expect("changed what is not there");
            for (name, value, _) in &payload.data {
                row.insert((*name).to_owned(), value.to_string());
            }
        }
    }

    /// Only operations that make sense one after another: a session refuses the others.
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
